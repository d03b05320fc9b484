"""A sweep protects, without consent, the snapshots that no run handled since the deployment; and no other."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.model import SnapshotState
from snapkeep.domain.retention.unhandled_snapshots import unhandled
from snapkeep.domain.tag_names import MANAGED, ORIGINAL_NAME, SOURCE_VOLUME
from support.lineages import SYSTEM, VOLUME, at, snapshot

DEPLOYED = at("2026-11-01T00:00")
FIRST, SECOND, THIRD, FOURTH = (snapshot(f"2026-11-{day}T03:00", day, managed=False) for day in (20, 21, 22, 23))
MANAGED_BY_US = {"tags": {MANAGED: SYSTEM}}


def test_those_after_the_first_managed_snapshot_are_unhandled() -> None:
    ours = [replace(each, **MANAGED_BY_US) for each in (SECOND, FOURTH)]
    twin = replace(SECOND, id="snap-twin")
    assert unhandled([FIRST, ours[0], twin, THIRD, ours[1]], DEPLOYED, system=SYSTEM) == {THIRD.id}


def test_without_a_managed_snapshot_only_the_newest_is_unhandled() -> None:
    assert unhandled([FIRST, THIRD, SECOND], DEPLOYED, system=SYSTEM) == {THIRD.id}


@pytest.mark.parametrize(
    "change",
    [
        {"state": SnapshotState.PENDING},
        {"state": SnapshotState.ERROR},
        {"is_copy": True},
        {"not_copyable": "it is a local snapshot"},
    ],
    ids=["pending", "failed", "a copy", "not copyable"],
)
def test_unprotectable_snapshots_are_neither_unhandled_nor_the_newest(change: dict[str, Any]) -> None:
    assert unhandled([FIRST, replace(SECOND, **change)], DEPLOYED, system=SYSTEM) == {FIRST.id}


@pytest.mark.parametrize(
    "tags",
    [{MANAGED: SYSTEM}, {MANAGED: "snapkeep-two", SOURCE_VOLUME: VOLUME}, {ORIGINAL_NAME: "vol-0a_20261120"}],
    ids=["ours", "another system's", "the original system's"],
)
def test_handled_snapshots_are_left_alone(tags: dict[str, str]) -> None:
    assert unhandled([replace(SECOND, tags=tags)], DEPLOYED, system=SYSTEM) == set()


def test_snapshots_count_by_their_completion_since_the_deployment() -> None:
    completed = FIRST.start_time + timedelta(hours=1)
    late = replace(FIRST, completed_at=completed)
    assert unhandled([late], completed, system=SYSTEM) == {FIRST.id}
    assert unhandled([late], completed + timedelta(seconds=1), system=SYSTEM) == set()
    assert unhandled([FIRST], FIRST.start_time + timedelta(seconds=1), system=SYSTEM) == set()


def test_one_that_lost_the_tag_of_the_system_is_unhandled_at_any_age() -> None:
    lost = replace(FIRST, tags={SOURCE_VOLUME: VOLUME})
    assert unhandled([lost, replace(SECOND, **MANAGED_BY_US)], FOURTH.start_time, system=SYSTEM) == {FIRST.id}
