"""A week of snapshots that the system makes, under faults and kills; `make year` runs a year of 200 volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.creation import batch, due_times
from snapkeep.domain.model import Snapshot, SnapshotState
from snapkeep.domain.policy.model import Policy
from snapkeep.domain.tag_names import MADE
from snapkeep.lab.ebs_model import Faults
from snapkeep.lab.simulator.creation_experiment import CreationExperiment

pytestmark = pytest.mark.slow

SEED = 8


def test_a_week_under_faults_keep_every_rpo_and_period() -> None:
    result = CreationExperiment(8, seed=SEED).run(7)
    assert result.violations == []
    assert result.kills > 0
    assert sum(result.faults.values()) > 0
    assert result.made["beside"] <= 2, "those that replace failed ones of the other tool"
    assert result.made["rpo"] >= 2 * 7 * 24 / 30


def ignore_others(patch: pytest.MonkeyPatch) -> None:
    def counts(snapshot: Snapshot, _: Policy) -> bool:
        return MADE in snapshot.tags

    patch.setattr(due_times, "_counts", counts)


def forget_pending_ones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(due_times, "_COUNTED", (SnapshotState.COMPLETED,))
    patch.setattr(batch._Chooser, "may_start", lambda *_: True)


def take_no_time_for_copies(patch: pytest.MonkeyPatch) -> None:
    def duration(spans: Iterable[timedelta], *_: Any) -> timedelta:
        assert spans is not None
        return timedelta(0)

    patch.setattr(due_times, "_duration", duration)


def count_failed_ones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(due_times, "_counts", lambda *_: True)


@pytest.mark.parametrize(
    ("plant", "days", "faults", "found"),
    [
        (ignore_others, 2, {}, "although another tool made one lately"),
        (forget_pending_ones, 2, {"slow_snapshot": 0.5}, "INV-28"),
        (take_no_time_for_copies, 3, {}, "its RPO is missed"),
        (count_failed_ones, 5, {"snapshot_fails": 0.5}, "snapshots in period"),
    ],
)
def test_a_planted_bug_is_found_within_days(
    plant: Callable[[pytest.MonkeyPatch], None],
    days: int,
    faults: Mapping[str, float],
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    result = CreationExperiment(8, seed=SEED, faults=Faults(**faults), killed=0.0).run(days)
    assert any(found in violation for violation in result.violations)
