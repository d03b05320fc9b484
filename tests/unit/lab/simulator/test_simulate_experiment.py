"""The simulator: its counts, its costs, its output."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from snapkeep.cli.errors import WrongUse
from snapkeep.domain import prices
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.domain.policy.parameters import from_parameters
from snapkeep.lab.commands.simulate import app
from snapkeep.lab.ebs_model import Faults
from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions, ExperimentResult
from snapkeep.lab.simulator.fleet import SimulatedVolume, generate, make_world
from snapkeep.lab.simulator.page import render
from snapkeep.lab.simulator.terminal import print_results, sparkline
from support.simulation import MADE_AT, NEAR, policy, run

PRIMARY, DR = "us-east-1", "us-east-2"


def policies(keep: int = 3, copies: int = 2) -> PolicySet:
    return from_parameters("none", DR, keep, copies, "", 24, Limits())


def experiment(
    days: int = 8, *, chosen: PolicySet | None = None, faults: Faults | None = None, volumes: int = 4
) -> ExperimentResult:
    world = make_world(generate(volumes, 1, {}), PRIMARY, (DR,), seed=1, faults=faults)
    return Experiment("test", world, chosen or policies(), ExperimentOptions(days=days, sweep_hours=24.0)).run()


def test_snapshots_grow_to_the_policy_s_number_and_stay_there() -> None:
    result = experiment()
    assert [day.regions[PRIMARY].snapshots for day in result.days] == [4, 8, 12, 12, 12, 12, 12, 12]
    assert [day.regions[DR].snapshots for day in result.days] == [4, 8, 8, 8, 8, 8, 8, 8]
    assert (result.copies, result.deletions) == (32, 44)
    assert result.violations == []


def test_storage_is_paid_by_the_day_at_its_price() -> None:
    volume = SimulatedVolume(100, used_share=0.5, changed_share_per_day=0.0)
    world = make_world([volume], PRIMARY, (DR,))
    result = Experiment("test", world, policies(), ExperimentOptions(days=10)).run()
    assert {round(day.regions[PRIMARY].stored_gib) for day in result.days} == {50}
    paid = sum(month[f"snapshots in {PRIMARY}"] for month in result.months.values())
    assert paid == pytest.approx(50 * prices.SNAPSHOT_STORAGE.dollars * 10 / 30.4375, rel=0.02)


def test_transfer_costs_count_moved_data_and_later_copies_are_incremental() -> None:
    volume = SimulatedVolume(100, used_share=0.5, changed_share_per_day=0.1)
    result = Experiment("test", make_world([volume], PRIMARY, (DR,)), policies(), ExperimentOptions(days=5)).run()
    assert result.copied_gib == pytest.approx(50 + 4 * 5, rel=0.1)
    paid = sum(month[f"transfer to {DR}"] for month in result.months.values())
    assert paid == pytest.approx(result.copied_gib * 0.01)


def test_lost_events_make_the_newest_copy_older_until_a_sweep() -> None:
    good, bad = experiment(), experiment(faults=Faults(event_lost=0.4))
    assert bad.rpo_worst_hours > good.rpo_worst_hours
    assert bad.violations == []


def test_runs_are_counted_by_their_state_machine_and_sweeps_among_them() -> None:
    result = experiment(days=8, volumes=3)
    assert result.runs == {"protect SUCCEEDED": 24, "receive SUCCEEDED": 24, "sweep SUCCEEDED": 14}


def test_a_sweep_with_findings_ends_failed_as_its_state_machine_does() -> None:
    result = experiment(days=8, volumes=3, faults=Faults(event_lost=0.5))
    assert result.runs["sweep FAILED"] >= 1
    assert sum(count for name, count in result.runs.items() if name.startswith("sweep")) == 14


def test_a_quota_of_one_makes_copies_wait() -> None:
    world = make_world([SimulatedVolume(2000, used_share=0.9)] * 6, PRIMARY, (DR,))
    result = Experiment("test", world, policies(), ExperimentOptions(days=3, copy_quota=1, spread_hours=0.1)).run()
    assert max(day.waiting_most for day in result.days) >= 4
    assert any("copies waited" in moment.what for moment in result.worst)


def test_copies_as_cheap_as_their_deadline_allows_cost_less_than_fast_ones() -> None:
    volume = SimulatedVolume(400, changed_share_per_day=0.3)
    auto = run(policy(NEAR, completion="auto", copy_within=timedelta(hours=1)), volume, days=2)
    fast = run(policy(NEAR, completion_minutes=15, copy_within=timedelta(hours=1)), volume, days=2)
    assert (auto.copies, auto.violations, auto.notices) == (fast.copies, [], {})
    assert auto.dollars < fast.dollars


def test_a_policy_may_choose_volumes_by_more_than_their_tags() -> None:
    chosen = Selector(min_size_gib=100, volume_types=("gp3",))
    large = Policy("large", chosen, Retention(keep_last=2), (CopyRule(DR),), timedelta(hours=25))
    fleet = [SimulatedVolume(200), SimulatedVolume(10), SimulatedVolume(500, volume_type="io2")]
    result = Experiment("large", make_world(fleet, PRIMARY, (DR,)), PolicySet((large,)), ExperimentOptions(days=4)).run()
    assert (result.volumes, result.governed, result.copies) == (3, 1, 4)
    assert result.violations == []


def test_a_volume_without_a_copy_misses_its_rpo_further_each_day() -> None:
    result = experiment(days=3, faults=Faults(copy_fails=1.0), volumes=1)
    assert result.copies == 0
    assert [round(day.rpo_worst_hours) for day in result.days] == [24, 48, 72]
    assert result.rpo_met_share < 0.5


def test_volumes_are_held_against_the_rpo_of_their_own_policy() -> None:
    def policy(name: str, hours: int) -> Policy:
        return Policy(name, Selector(tags={"Tier": (name,)}), Retention(keep_last=2), (CopyRule(DR),), timedelta(hours=hours))

    chosen = PolicySet((policy("hasty", 4), policy("patient", 72), policy("idle", 1)))
    fleet = [SimulatedVolume(4000, {"Tier": "hasty"}, used_share=0.9), SimulatedVolume(8, {"Tier": "patient"})]
    result = Experiment("both", make_world(fleet, PRIMARY, (DR,)), chosen, ExperimentOptions(days=4)).run()
    hasty, patient = result.rpo
    assert [(rpo.policy, rpo.asked_hours, rpo.met, rpo.met_share) for rpo in (hasty, patient)] == [
        ("hasty", 4.0, False, 0.0),
        ("patient", 72.0, True, 1.0),
    ]
    assert 24 < patient.worst_hours < hasty.worst_hours - 0.2, "a large volume's copies take longer, and are of its policy alone"
    assert result.rpo_worst_hours == hasty.worst_hours
    assert result.rpo_met_share == 0.0
    out = io.StringIO()
    print_results([result], Console(file=out, width=120))
    assert re.search(r"RPO asked +│ +hasty: 4.0 h │\n│ +│ +patient: 72.0 h", out.getvalue())
    assert "cannot hold an RPO of 4 h" in out.getvalue()
    assert "cannot hold an RPO of 72 h" not in out.getvalue()
    assert "worst RPO of hasty, 4 h asked" in render([result], MADE_AT)


def test_volumes_without_a_policy_are_counted_and_untouched() -> None:
    rule = CopyRule(DR, copy_within=timedelta(hours=12))
    chosen = PolicySet((Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=2), (rule,)),))
    volumes = [SimulatedVolume(8, {"Backup": "gold"}), SimulatedVolume(8)]
    result = Experiment("gold", make_world(volumes, PRIMARY, (DR,)), chosen, ExperimentOptions(days=4)).run()
    assert (result.volumes, result.governed, result.copies) == (2, 1, 4)


def test_a_sparkline_has_a_bar_for_each_share_of_the_numbers() -> None:
    assert sparkline([0, 1, 2, 4], 4) == "▁▃▅█"
    assert len(sparkline(list(range(365)), 48)) <= 48
    assert sparkline([]) == ""


def test_the_page_needs_nothing_from_outside() -> None:
    page = render([experiment(days=2)], MADE_AT)
    assert "Snapshots kept" in page
    assert not re.findall(r"<script|<link|<img|(?:src|href|url)\s*[=(]", page)
    assert "default-src 'none'" in page


def test_the_command_prints_json_for_one_or_two_policies(tmp_path: Path) -> None:
    document = tmp_path / "gold.yaml"
    document.write_text(
        "version: 1\npolicies:\n  - name: gold\n    select: {tags: {Backup: '*'}}\n    retention: {keep_last: 2}\n"
        "    copies: [{region: us-east-2, copy_within: 12h, retention: {keep_last: 1}}]\n",
        encoding="utf-8",
    )
    options = [
        "--policy",
        str(document),
        "--policy",
        str(document),
        "--tag",
        "Backup=x",
        "--days",
        "3",
        "--volumes",
        "2",
        "--json",
    ]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    results = json.loads(done.output)
    assert [result["name"] for result in results] == ["gold (1)", "gold (2)"]
    assert results[0]["copies"] == 6


@pytest.mark.parametrize(
    "key", ["alias/dr", "12345678-1234-1234-1234-123456789012", "arn:aws:kms:us-east-2:111122223333:key/abc"]
)
def test_a_generated_fleet_has_the_keys_of_its_policies(tmp_path: Path, key: str) -> None:
    document = tmp_path / "gold.yaml"
    document.write_text(
        "version: 1\npolicies:\n  - {name: gold, retention: {keep_last: 2}, select: {}, "
        f"copies: [{{region: us-east-2, kms_key: '{key}', retention: {{keep_last: 1}}}}]}}\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(app, ["--policy", str(document), "--days", "2", "--volumes", "2", "--json"])
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.output)
    assert (result["copies"], result["runs"]) == (4, {"protect SUCCEEDED": 4, "receive SUCCEEDED": 4})


@pytest.mark.parametrize(("region", "nearest"), [("nowhere", ""), ("us-west-3", "us-west-"), ("eu-centrall-1", "eu-central-1")])
def test_a_region_that_is_none_is_refused_with_the_nearest_one(region: str, nearest: str) -> None:
    refused = CliRunner().invoke(app, ["--region", region, "--days", "1"]).exception
    assert isinstance(refused, WrongUse)
    assert f"--region {region}: there is no such region; the nearest name is {nearest}" in str(refused)


def test_three_policies_are_refused(tmp_path: Path) -> None:
    document = tmp_path / "any.yaml"
    document.touch()
    refused = CliRunner().invoke(app, ["--policy", str(document)] * 3).exception
    assert isinstance(refused, WrongUse)
    assert str(refused) == "--policy is given 3 times: give one document, or two to compare"


def test_a_page_is_not_begun_where_it_cannot_be_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--html", str(tmp_path / "none" / "report.html")])
    assert isinstance(done.exception, WrongUse)
    assert "there is no directory" in str(done.exception)


def test_a_daily_snapshot_holds_the_default_rpo() -> None:
    """The default of 24 h left no time for the copy: the most ordinary use missed its RPO every day."""
    result = experiment(days=20)
    assert result.rpo_met_share == 1
    assert not [name for name in result.runs if name.endswith("FAILED")]
    assert result.notes == []


def test_charts_and_notes_fit_into_a_terminal_of_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    (policy,) = policies().policies
    daily = PolicySet((replace(policy, rpo=timedelta(hours=24)),))
    print_results([experiment(days=60, volumes=1, chosen=daily)], Console(width=80))
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "a snapshot every 24 h cannot hold an RPO of 24 h" in printed


def test_a_fleet_that_no_policy_governs_is_no_fleet_within_its_rpo(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = PolicySet((Policy("gold", Selector(tags={"Tier": ("gold",)}), Retention(keep_last=2), (CopyRule(DR),)),))
    result = Experiment("gold", make_world([SimulatedVolume(8, {})], PRIMARY, (DR,)), chosen, ExperimentOptions(days=2)).run()
    print_results([result], Console(width=100))
    printed = capsys.readouterr().out
    assert re.search(r"days within the RPO +│ +no copies", printed)
    assert "no policy governs a volume of this fleet" in printed
    assert "no policy governs a volume of this fleet" in render([result], MADE_AT)


def test_the_command_writes_a_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["--days", "2", "--volumes", "2", "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "broken invariants" in done.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_policies_make_their_own_snapshots() -> None:
    rule = CopyRule(DR, copy_within=timedelta(hours=8), retention=Retention(keep_last=2))
    snapshots = SnapshotRule(when="rpo")
    chosen = PolicySet((Policy("own", Selector(), Retention(keep_last=3), (rule,), timedelta(hours=8), snapshots=snapshots),))
    result = experiment(4, chosen=chosen)
    assert (result.violations, result.notes, result.rpo_met_share) == ([], [], 1.0)
    # Three a day would do if copies took no time.
    assert 4 * 4 * 3 <= result.copies <= 4 * 4 * 5
