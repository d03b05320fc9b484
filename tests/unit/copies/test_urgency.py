"""Which copy must start first: by its deadline and by what it is expected to take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SMALL = CopyRequest(
    Origin("us-east-1", "vol-00000001", "snap-00000001", NOON), "gold", "us-east-2", "", NOON, size_gib=12, encrypted=False
)


def test_large_copies_start_before_small_ones_of_one_deadline() -> None:
    large = replace(SMALL, size_gib=1200)
    assert large.latest_start < SMALL.latest_start < SMALL.deadline
    assert large.expected_duration == 100 * SMALL.expected_duration


def test_a_time_based_copy_takes_what_it_says_whatever_its_size() -> None:
    timed = replace(SMALL, size_gib=16_384, completion_minutes=45)
    assert timed.latest_start == NOON - timedelta(minutes=45)


def test_a_delayed_entry_is_ordered_by_its_next_attempt() -> None:
    entry = QueueEntry(SMALL, EntryState.WAITING, NOON, NOON + timedelta(hours=1))
    assert entry.due == SMALL.latest_start
    assert replace(entry, state=EntryState.DELAYED).due == entry.not_before
