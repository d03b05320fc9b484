"""Which copy must start first: by its deadline and by what it is expected to take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.domain.policy.model import PolicySet, SnapshotRule
from snapkeep.lab.simulator.sweeps import Sweeper
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SMALL = CopyRequest(
    Origin("us-east-1", "vol-00000001", "snap-00000001", NOON), "gold", "us-east-2", "", NOON, size_gib=12, encrypted=False
)


def test_large_copies_start_before_small_ones_of_one_deadline() -> None:
    large = replace(SMALL, size_gib=1200)
    assert large.latest_start < SMALL.latest_start < SMALL.deadline
    assert large.expected_duration == 100 * SMALL.expected_duration


def test_a_time_based_copy_takes_its_duration_whatever_its_size() -> None:
    timed = replace(SMALL, size_gib=16_384, completion_minutes=45)
    assert timed.latest_start == NOON - timedelta(minutes=45)


def test_a_delayed_entry_is_ordered_by_its_next_attempt() -> None:
    entry = QueueEntry(SMALL, EntryState.WAITING, NOON, NOON + timedelta(hours=1))
    assert entry.due == SMALL.latest_start
    assert replace(entry, state=EntryState.DELAYED).due == entry.not_before


def test_a_copy_of_a_just_in_time_snapshot_starts_within_the_rpo() -> None:
    in_time = replace(SMALL, rpo_ends=NOON - timedelta(hours=5))
    assert in_time.latest_start == SMALL.latest_start - timedelta(hours=5)
    assert replace(SMALL, rpo_ends=NOON + timedelta(hours=5)).latest_start == SMALL.latest_start, "the deadline comes first"


RPO = timedelta(hours=8)
IN_TIME = SnapshotRule(when="rpo")


def in_time(rule: SnapshotRule | None, **of_copies: Any) -> PolicySet:
    (policy,) = policy_set(keep=9, keep_copies=9, copy_within=RPO).policies
    copies = tuple(replace(each, **of_copies) for each in policy.copies)
    return PolicySet((replace(policy, rpo=RPO, snapshots=rule, copies=copies),))


def request_of(lab: Laboratory, snapshot_id: str) -> CopyRequest:
    return lab.runner.composition.queues[DR].get(entry_key(PRIMARY, snapshot_id, DR)).request


@pytest.mark.parametrize(
    ("rule", "of_copies", "known"),
    [
        (IN_TIME, {}, True),
        (IN_TIME, {"every": timedelta(hours=2)}, True),
        (SnapshotRule(every=timedelta(hours=6)), {}, False),
        (None, {}, False),
    ],
)
def test_a_run_knows_when_the_rpo_of_the_data_before_ends(
    rule: SnapshotRule | None, of_copies: dict[str, Any], known: bool
) -> None:
    lab = Laboratory(in_time(rule, **of_copies))
    volume = lab.make_volume()
    first = lab.protect(volume)
    lab.runner.advance(6 * HOUR)
    second = lab.protect(volume)
    start = request_of(lab, first).origin.start_time
    period = start.replace(minute=0, second=0, microsecond=0) if of_copies else start
    assert request_of(lab, first).rpo_ends is None, "no data is before it"
    assert request_of(lab, second).rpo_ends == (period + RPO if known else None)


def test_a_sweep_requests_a_copy_by_the_end_of_the_rpo() -> None:
    lab = Laboratory(in_time(IN_TIME))
    volume = lab.make_volume()
    first = lab.protect(volume)
    lab.runner.advance(HOUR)
    second = lab.protect(volume)
    queue = lab.runner.composition.queues[DR]
    requested = request_of(lab, second)
    for copy in lab.snapshots(DR):
        if copy.source_id == second:
            lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    del queue._entries[entry_key(PRIMARY, second, DR)]
    Sweeper(lab.runner).start()
    lab.runner.advance(HOUR)
    assert requested.rpo_ends == request_of(lab, first).origin.start_time + RPO
    assert request_of(lab, second) == requested
