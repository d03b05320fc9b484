"""The price of comparing every copy with its source, in a fleet with a copy of each volume a day."""

from __future__ import annotations

import pytest

from snapkeep.domain.policy.model import VerifyRule
from snapkeep.domain.recovery.methods import STRUCTURE, estimate
from snapkeep.lab.simulator.experiment import VERIFICATION, VERIFY_TRANSITIONS
from snapkeep.lab.simulator.fleet import generate
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import Laboratory
from support.simulation import NEAR, policy, run

VOLUMES = 300


def dollars_a_year(verify: VerifyRule) -> float:
    """Return the price of comparisons for a volume and year, with a copy a day."""
    result = run(policy(NEAR, verify=verify), *generate(VOLUMES, 1, {}), days=2)
    assert result.copies > VOLUMES
    return sum(month[VERIFICATION] for month in result.months.values()) / result.copies * 365


def test_the_default_costs_at_most_75_cents_for_a_volume_and_year() -> None:
    assert 0.5 < dollars_a_year(VerifyRule()) <= 0.75


def test_comparing_only_structure_costs_a_cent_for_100_gib_and_year() -> None:
    assert estimate(STRUCTURE, 100).dollars * 365 <= 0.01


def test_a_comparison_enters_as_many_states_as_it_is_charged_for() -> None:
    laboratory = Laboratory(layout=SystemLayout(verify=True))
    laboratory.protect(laboratory.make_volume())
    [execution] = laboratory.runs("verify")
    assert execution.transitions == len(execution.entered) == VERIFY_TRANSITIONS


def test_nothing_is_charged_where_nothing_is_compared() -> None:
    assert run(policy(NEAR, verify=VerifyRule(structure="never"))).months["2026-01"][VERIFICATION] == pytest.approx(0)
