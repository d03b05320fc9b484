"""The command `drill` over the model: what it would cost, a drill with its evidence, and the audit of the chain."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from snapkeep.adapters import clock, stepfunctions_drills
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands import drill as command
from snapkeep.cli.commands.recoverable import app as recoverable
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed_system import InstalledSystem, RegionReading
from snapkeep.domain.drills.run import estimate_of
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.lab.ebs_model import ContentFaults
from snapkeep.lab.simulator.memory_ports import KernelClock
from support.drilling import RULE, DrillLab
from support.flows import DR, PRIMARY


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> DrillLab:
    made = DrillLab(replace(RULE, budget=f"{2 * estimate_of(8)} USD/month"), volumes=3)
    runner = made.lab.runner

    def ended_execution(*_: Any, **__: Any) -> None:
        runner.advance(90_000)

    monkeypatch.setattr(RegionalAdapters, "documents_of", lambda *_: runner.composition.documents[DR])
    monkeypatch.setattr(RegionalAdapters, "points_of", lambda *_: runner.composition.points(DR))
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region="": made.lab.world.client(_modelled(service), region))
    monkeypatch.setattr(InstalledSystem, "dr_region_seen", lambda *_: RegionReading(DR, {"Retention": "1"}, made.lab.policies))
    monkeypatch.setattr(InstalledSystem, "primary_seen", lambda *_: RegionReading(PRIMARY, {}, made.lab.policies))
    monkeypatch.setattr(InstalledSystem, "stack_outputs", lambda *_: {"DrillStateMachineArn": "arn"})
    monkeypatch.setattr(clock, "WallClock", lambda: KernelClock(runner.kernel))
    monkeypatch.setattr(stepfunctions_drills, "StepFunctionsDrills", lambda **_: runner.composition.drill_runs_of(DR))
    monkeypatch.setattr(command, "ended_execution", ended_execution)
    return made


def _modelled(service: str) -> str:
    return "ec2" if service == "stepfunctions" else service


def drill(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, [*arguments, "--region", PRIMARY, "--dr-region", DR])


def test_an_estimate_shows_points_and_price_and_begins_nothing(lab: DrillLab) -> None:
    result = drill("run", "weekly", "--estimate")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert lab.volume_ids[0] in result.output or lab.volume_ids[1] in result.output or lab.volume_ids[2] in result.output
    assert "price: at most 0.13 USD" in result.output
    assert lab.ledger.open == ()
    data = json.loads(drill("run", "weekly", "--estimate", "--json").stdout)
    assert data["estimate_usd"] == pytest.approx(estimate_of(8), abs=1e-5)
    assert len(data["runs"]) == 1


def test_a_drill_needs_consent(lab: DrillLab) -> None:
    result = drill("run", "weekly")
    assert result.exit_code != 0
    assert "--yes" in str(result.exception)
    assert lab.ledger.open == ()


def test_a_drill_of_named_volumes_prints_its_evidence(lab: DrillLab) -> None:
    named = [part for volume_id in lab.volume_ids[:2] for part in ("--volume", volume_id)]
    result = drill("run", "weekly", *named, "--yes")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert result.output.count("PASSED") == 2
    assert sorted(ended.volume_id for ended in lab.ledger.ended) == sorted(lab.volume_ids[:2])
    [first, _] = lab.runs
    assert first in drill("list").output
    assert "check: every block equals the point's: passed" in drill("show", first).output
    assert json.loads(drill("show", first, "--json").stdout)["run"]["id"] == first
    audited = drill("audit")
    assert (audited.exit_code, lab.ledger.last_hash in audited.output) == (0, True)


def test_the_budget_leaves_a_volume_out(lab: DrillLab) -> None:
    named = [part for volume_id in lab.volume_ids for part in ("--volume", volume_id)]
    result = drill("run", "weekly", *named, "--estimate")
    assert result.output.count("the budget does not admit its drill") == 1


def test_a_drill_that_fails_ends_with_status_one(lab: DrillLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def plant(*_: Any, **__: Any) -> None:
        while not (made := [name for name in lab.made() if name.startswith("snap-")]):
            lab.lab.runner.advance(5)
        lab.lab.world.plant(made[0], ContentFaults(wrong=(1,)), region=DR)
        lab.lab.runner.advance(90_000)

    monkeypatch.setattr(command, "ended_execution", plant)
    result = drill("run", "weekly", "--yes")
    assert result.exit_code == 1
    assert "FAILED" in result.output


def test_an_audit_finds_changed_evidence(lab: DrillLab) -> None:
    drill("run", "weekly", "--yes")
    [run] = lab.runs
    document = lab.documents[f"drills/{run}.json"]
    lab.documents[f"drills/{run}.json"] = document._replace(text=document.text.replace("PASSED", "FAILED"))
    result = drill("audit")
    assert result.exit_code == 1
    assert "was changed" in result.output
    assert "1 drill, the newest evidence is" in result.output
    assert len(json.loads(drill("audit", "--json").stdout)["problems"]) == 1


def test_a_drill_without_evidence_hides_no_other(lab: DrillLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its execution failed before the end: the evidence is left to a sweep."""

    def lose_the_first(*_: Any, **__: Any) -> None:
        lab.lab.runner.advance(90_000)
        lab.lab.runner.composition.documents[DR].remove(f"drills/{lab.runs[0]}.json")

    monkeypatch.setattr(command, "ended_execution", lose_the_first)
    named = [part for volume_id in lab.volume_ids[:2] for part in ("--volume", volume_id)]
    result = drill("run", "weekly", *named, "--yes")
    assert result.exit_code == 1
    assert f"{lab.runs[1]}  PASSED" in result.output
    assert f"{lab.runs[0]}: its evidence is missing" in result.output
    data = json.loads(drill("run", "weekly", "--volume", lab.volume_ids[2], "--yes", "--json").stdout)
    assert (len(data["drills"]), data["problems"]) == (1, {})


@pytest.mark.parametrize("end", [KeyboardInterrupt(), AwsUnavailable("the credentials expired")])
def test_an_interrupted_wait_names_the_command_that_shows_the_drill(
    lab: DrillLab, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise end

    monkeypatch.setattr(command, "ended_execution", interrupted)
    result = drill("run", "weekly", "--yes")
    assert result.exit_code != 0
    [run] = lab.ledger.open
    assert f"{run.id}: not stopped, continues in AWS. To see it:\n  snapkeep drill list --in {DR}" in result.output


def test_evidence_that_cannot_be_shown_is_explained(lab: DrillLab) -> None:
    drill("run", "weekly", "--yes")
    [run] = lab.runs
    document = lab.documents[f"drills/{run}.json"]
    lab.documents[f"drills/{run}.json"] = document._replace(text="{")
    result = drill("show", run)
    assert f"drills/{run}.json in the bucket of reports cannot be read" in str(result.exception)
    lab.lab.runner.advance(600)
    lab.begin.run()
    [begun] = lab.ledger.open
    assert "is open" in str(drill("show", begun.id).exception)
    assert f"no drill of this name was begun in {DR}" in str(drill("show", "drill-unknown").exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "monthly"), "has no drill monthly"),
        (("run", "weekly", "--in", "eu-west-1"), "give --in us-east-2"),
        (("run", "weekly", "--volume", "vol-00000000000000000"), "no recovery point"),
    ],
)
def test_volumes_that_cannot_be_drilled_are_named(lab: DrillLab, arguments: tuple[str, ...], words: str) -> None:
    result = drill(*arguments)
    assert result.exit_code != 0
    assert words in str(result.exception)


def test_recoverable_shows_the_measurements_of_the_last_drill(lab: DrillLab) -> None:
    drill("run", "weekly", "--volume", lab.volume_ids[0], "--yes")
    shown = CliRunner().invoke(recoverable, [lab.volume_ids[0], "--region", PRIMARY, "--dr-region", DR, "--in", DR])
    assert "usable after 16 seconds, full speed after 16 seconds" in shown.output, shown.output + str(shown.exception)
    asked = ["--region", PRIMARY, "--dr-region", DR, "--in", DR, "--json"]
    [found] = json.loads(CliRunner().invoke(recoverable, asked).stdout)
    drilled = [point["drill"] is not None for owner in found["owners"] for point in owner["points"]]
    assert sorted(drilled) == [False, False, True]


def test_without_drills_the_lists_are_empty(lab: DrillLab) -> None:
    assert "no drill was begun here" in drill("list").output
    assert "0 drills" in drill("audit").output
