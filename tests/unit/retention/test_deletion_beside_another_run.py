"""Two runs for one volume may plan the same deletions; the role deletes by tag, and a deleted snapshot has none."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import cast

import pytest

from snapkeep.domain.model import Action, DeletionPlan, Origin, Reason, Snapshot, SnapshotLock, SnapshotState, Verdict
from snapkeep.lab.simulator.memory_ports import no_notice
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult, SnapshotReader
from snapkeep.usecases.retention.delete import DeleteSnapshots
from support.placing import SomeHolds

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


class Reader:
    """Shows one snapshot, or none."""

    def __init__(self, exists: bool) -> None:
        self._exists = exists

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, None]:
        return dict.fromkeys(snapshot_ids) if self._exists else {}

    def images_using(self, _: Collection[str]) -> dict[str, tuple[str, ...]]:
        return {}

    def locks(self, _: Collection[str]) -> dict[str, SnapshotLock]:
        return {}


@pytest.mark.parametrize(("there", "outcome"), [(False, DeletionOutcome.ALREADY_GONE), (True, DeletionOutcome.NOT_ALLOWED)])
def test_a_refused_deletion_is_done_only_if_the_snapshot_no_longer_exists(there: bool, outcome: DeletionOutcome) -> None:
    heard: list[DeletionResult] = []
    origin = Origin("us-east-1", "vol-1", "snap-1", NOW)
    snapshot = Snapshot("snap-1", "us-east-1", SnapshotState.COMPLETED, NOW, origin, 8)
    verdict = Verdict(snapshot, Action.DELETE, (Reason("keep_last", "beyond last 3"),))

    def plan(*_: object, as_sweep: bool = False) -> DeletionPlan:
        return DeletionPlan(f"plan-{as_sweep}", "us-east-1", NOW, (verdict,))

    step = DeleteSnapshots(
        plan=plan,
        reader=cast("SnapshotReader", Reader(there)),
        deleter=NotAllowed(),
        holds=SomeHolds(),
        pacer=StandStill(),
        audit=lambda _, result, __: heard.append(result),
        planned=no_notice,
    )
    (result,) = step.run(["vol-1"]).results
    assert result.outcome is outcome
    assert heard == [result], "the audit line says the same"
