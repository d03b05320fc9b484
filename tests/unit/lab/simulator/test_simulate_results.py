"""The results of a simulation: the RPO of every region, prices by pair of regions and by month."""

from __future__ import annotations

import pytest
from rich.console import Console

from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions
from snapkeep.lab.simulator.fleet import make_world
from snapkeep.lab.simulator.page import render
from snapkeep.lab.simulator.terminal import print_results
from support.simulation import FAR, MADE_AT, NEAR, PRIMARY, STILL, policy, run


def test_a_copy_in_one_region_does_not_meet_another_region_s_rpo() -> None:
    result = run(policy(NEAR, FAR), unreachable=FAR)
    assert result.copies == 4
    assert [round(day.rpo_worst_hours) for day in result.days] == [24, 48, 72, 96]
    assert result.rpo_met_share < 1
    assert not result.rpo[0].met


def test_prices_are_by_calendar_month_and_by_pair_of_regions() -> None:
    result = run(policy(NEAR, FAR), days=59)
    for month in ("2026-01", "2026-02"):
        for region in (PRIMARY, NEAR, FAR):
            assert result.months[month][f"snapshots in {region}"] == pytest.approx(50 * 0.05), "GiB times dollars"
    assert sum(month[f"transfer to {NEAR}"] for month in result.months.values()) == pytest.approx(50 * 0.01)
    assert sum(month[f"transfer to {FAR}"] for month in result.months.values()) == pytest.approx(50 * 0.02)
    shown = render([result], MADE_AT)
    assert "$0.01 per GiB copied from us-east-1 to us-east-2" in shown
    assert "$0.02 per GiB copied to another region, most pairs" in shown


def test_moments_are_of_the_day_that_they_happened_on() -> None:
    (moment,) = run(policy(NEAR), days=1).worst
    assert f"{moment.at:%Y-%m-%d}" == "2026-01-01"


def test_a_fleet_without_volumes_in_the_region_has_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    world = make_world([STILL], FAR, (PRIMARY, NEAR))
    result = Experiment("test", world, policy(NEAR), ExperimentOptions(days=1)).run()
    print_results([result], Console(width=120))
    printed = capsys.readouterr().out
    assert "the fleet has no volume in us-east-1: give the region in which it has some (--region)" in printed
    assert "No policy copies a volume of this fleet." in render([result], MADE_AT)
