"""Two runs for one volume may plan the same deletions; the role deletes by tag, and a deleted snapshot has none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult
from snapkeep.usecases.retention.delete import DeleteSnapshots

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class NotAllowed:
    """Refuses every deletion for want of permission."""

    def delete(self, snapshot_id: str) -> DeletionResult:
        return DeletionResult(snapshot_id, DeletionOutcome.NOT_ALLOWED, "UnauthorizedOperation")


class StandStill:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW

    def pause(self, seconds: float) -> None:
        raise AssertionError(f"one deletion needs no pause of {seconds} s")


class NoObjection:
    """Objects to no deletion."""

    def __init__(self, exists: bool) -> None:
        self._exists = exists

    def run(self, _: object) -> dict[str, DeletionResult]:
        return {}

    def exists(self, _: str) -> bool:
        return self._exists


@pytest.mark.parametrize(("there", "outcome"), [(False, DeletionOutcome.ALREADY_GONE), (True, DeletionOutcome.NOT_ALLOWED)])
def test_a_refused_deletion_is_done_only_if_the_snapshot_no_longer_exists(there: bool, outcome: DeletionOutcome) -> None:
    heard: list[DeletionResult] = []
    step = DeleteSnapshots(
        deleter=NotAllowed(),
        pacer=StandStill(),
        clock=StandStill(),
        audit=lambda _, result: heard.append(result),
        last_look=NoObjection(there),
    )
    (result,) = step.run(NOW, [DeletionOrder("snap-1", "vol-1", datetime(2026, 1, 1, tzinfo=UTC), "default", ("beyond last 3",))])
    assert result.outcome is outcome
    assert heard == [result], "the audit line says the same"
