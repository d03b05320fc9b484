"""A drill that is killed between any two calls leaves nothing after its end and a sweep (INV-16, INV-17, INV-18)."""

from __future__ import annotations

from contextlib import suppress

import pytest

from snapkeep.domain.drills.ledger import problems_of_chain
from support.drilling import DrillLab
from support.flows import HOUR
from support.recovering import Killed


class StopsFrom:
    """Fails every call from the n-th moment on, before or after a call, until it is removed, like a permanent interruption."""

    def __init__(self, moment: int) -> None:
        self.moment, self.seen, self.on = moment, 0, False

    def __call__(self, name: str) -> None:
        if not self.on:
            return
        self.seen += 1
        if self.seen >= self.moment:
            raise Killed(name)


def moments() -> int:
    counting = StopsFrom(10**9)
    lab = DrillLab(hook=counting)
    counting.on = True
    lab.drill()
    assert lab.ledger.ended
    return counting.seen


@pytest.mark.parametrize("part", range(4))
def test_a_drill_killed_between_any_two_calls_leaves_nothing_after_a_sweep(part: int) -> None:
    for moment in range(part + 1, moments() + 1, 4):
        stop = StopsFrom(moment)
        lab = DrillLab(hook=stop)
        before = lab.others()
        stop.on = True
        with suppress(Killed):
            lab.drill()
        stop.on = False
        lab.lab.runner.advance(30 * HOUR)  # its end is over
        lab.lab.policies = type(lab.lab.policies)(lab.lab.policies.policies)  # no further drill begins
        lab.sweep()
        assert lab.made() == [], moment
        assert lab.held() == [], moment
        assert lab.ledger.open == (), moment
        assert lab.others() == before, moment
        assert list(problems_of_chain(lab.ledger, lab.texts)) == [], moment
