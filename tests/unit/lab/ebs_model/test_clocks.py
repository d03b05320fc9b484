"""Clocks take times and no other numbers."""

from __future__ import annotations

import math

import pytest
from ebs_worlds import PRIMARY

from snapkeep.lab.ebs_model import ScaledClock, VirtualClock, World

NO_TIMES = [math.nan, math.inf, -math.inf, 1e300, True, "5", None]


@pytest.mark.parametrize("number", NO_TIMES)
def test_a_number_that_is_no_time_changes_no_clock(number: float) -> None:
    world = World(clock=VirtualClock())
    before = world.now()
    for action in (world.clock.advance, world.clock.move_to, world.run_until, VirtualClock):  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match=r"number of seconds|beyond the year"):
            action(number)
    assert world.now() == before
    world.clock.advance(1)  # type: ignore[attr-defined]
    assert world.now() == before + 1


@pytest.mark.parametrize("factor", [math.nan, math.inf, 0, -1])
def test_a_scale_that_is_none_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        ScaledClock(factor)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"speeds": {"copy_base_seconds": math.nan}}, r"speeds\.copy_base_seconds: is nan"),
        ({"start": math.inf}, r"start: is inf"),
        ({"clock_skew": {PRIMARY: math.nan}}, r"clock_skew\.us-east-1: is nan"),
        ({"faults": {"script": [{"kind": "slow_copy", "factor": math.inf}]}}, r"faults\.script\[0\]\.factor: is inf"),
    ],
)
def test_a_world_file_with_no_numbers_is_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        World.from_document({"version": 1, **document})


@pytest.mark.parametrize("seconds", [math.nan, math.inf])
def test_speeds_and_skews_are_finite(seconds: float) -> None:
    world = World()
    with pytest.raises(ValueError, match="finite"):
        world.change_speeds(copy_base_seconds=seconds)
    with pytest.raises(ValueError, match="finite"):
        world.set_clock_skew(PRIMARY, seconds)
