"""A sweep reads a rotating sample: within a few sweeps every snapshot is read, whatever the schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.sweep.rotation import rotating_sample

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("hours", range(1, 25))
@pytest.mark.parametrize("count", [51, 300, 2_000])
def test_every_item_has_its_turn_within_a_few_rounds_of_any_schedule(hours: int, count: int) -> None:
    items, seen = list(range(count)), set[int]()
    for number in range(max(29, 2 * count // 50)):
        turn = rotating_sample(items, 50, NOON + timedelta(hours=number * hours))
        assert len(turn) == len(set(turn)) == 50
        seen.update(turn)
    assert seen == set(items)


def test_when_all_fit_all_have_their_turn_in_order() -> None:
    assert rotating_sample([3, 1, 2], 3, NOON) == [3, 1, 2]
