"""`recover instance` and `recover map` over the model, as a person types them after the primary region is gone."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.recover import app
from snapkeep.cli.common import AwsSettings
from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillLedger, EndedDrill
from snapkeep.domain.drills.run import DrillVerdict
from snapkeep.domain.json_codec import to_text
from snapkeep.usecases.recovery.recover import Recover
from support.flows import DR, PRIMARY
from support.recovering_instances import InstanceLab


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> InstanceLab:
    made = InstanceLab()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(RegionalAdapters, "documents_of", lambda *_: made.documents)
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region="": made.client(service, region))
    monkeypatch.setattr(WallClock, "pause", lambda _, seconds: made.lab.runner.advance(seconds))
    return made


def recover(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--region", PRIMARY, "--dr-region", DR])


@pytest.fixture
def source_id(lab: InstanceLab) -> str:
    made = lab.protected()
    lab.lab.world.take_region_away(PRIMARY)
    return made


def test_a_first_map_is_enough_to_recover_and_undo(lab: InstanceLab, source_id: str, tmp_path: Path) -> None:
    proposed = recover("map", source_id, "--in", DR)
    assert proposed.exit_code == 0, proposed.output
    written = tmp_path / "map.yaml"
    written.write_text(proposed.stdout)
    assert yaml.safe_load(proposed.stdout) == lab.names
    done = recover("instance", source_id, "--in", DR, "--map", str(written), "--yes")
    assert done.exit_code == 0, done.output + str(done.exception)
    run_id = done.output.rsplit("recover undo ", 1)[1].split()[0]
    assert f"{run_id} is completed" in done.output
    asked = recover("undo", run_id, "--in", DR)
    assert "terminates i-" in asked.output
    assert "with all data written to them" in asked.output
    undone = recover("undo", run_id, "--in", DR, "--yes")
    assert undone.exit_code == 0, undone.output
    assert [i["State"]["Name"] for r in lab.lab.ec2(DR).describe_instances()["Reservations"] for i in r["Instances"]] == [
        "terminated"
    ]


def test_a_plan_without_a_map_names_missing_entries_and_makes_nothing(lab: InstanceLab, source_id: str) -> None:
    result = recover("instance", source_id, "--in", DR, "--yes")
    assert result.exit_code == 1
    assert f"obstacle: subnet {lab.subnets[PRIMARY]}: the map has nothing under subnets for it" in result.output
    assert lab.lab.ec2(DR).describe_instances()["Reservations"] == []


def test_a_plan_shows_the_measurements_of_the_instances_last_drill(lab: InstanceLab, source_id: str) -> None:
    ended = EndedDrill(
        run="drill-1",
        drill="machines",
        policy="default",
        volume_id=source_id,
        size_gib=32,
        asked_at=lab.clock.now(),
        verdict=DrillVerdict.PASSED,
        dollars=0.1,
        sha256="",
        usable_after=timedelta(minutes=4),
        full_speed_after=timedelta(minutes=9),
    )
    lab.documents.put(LEDGER_KEY, to_text(DrillLedger(ended=(ended,))))
    result = recover("instance", source_id, "--in", DR, "--plan")
    assert f"{source_id}: drilled {ended.asked_at:%Y-%m-%d}: usable after 4 minutes, full speed after 9 minutes" in result.output


def test_a_plan_as_json_has_the_requests(lab: InstanceLab, source_id: str, tmp_path: Path) -> None:
    written = tmp_path / "map.yaml"
    written.write_text(yaml.safe_dump(lab.names))
    result = recover("instance", source_id, "--in", DR, "--map", str(written), "--plan", "--json")
    (plan,) = json.loads(result.stdout)["plans"]
    assert (plan["obstacles"], plan["register_image"]["Architecture"]) == ([], "x86_64")
    assert [mapping["DeviceName"] for mapping in plan["run_instances"]["BlockDeviceMappings"]] == [
        "/dev/xvda",
        "/dev/sdf",
        "/dev/sdg",
    ]


@pytest.mark.parametrize("name", ["i-0123456789abcdef0", "wbe", "*", "vol-0123456789abcdef0"])
def test_an_instance_without_points_has_no_plan(lab: InstanceLab, source_id: str, name: str) -> None:
    result = recover("instance", name, "--in", DR, "--plan")
    assert result.exit_code == 1
    first, *obstacles = result.output.splitlines()
    assert first == f"plan: none of {name} in {DR}"
    assert " ".join(obstacles).startswith(f"obstacle: {name}: no recovery point in {DR} names it")


def test_a_map_reports_an_instance_without_a_record(source_id: str) -> None:
    result = recover("map", "web", "--in", DR)
    assert "web: no recovery record of such an instance" in str(result.exception)
    assert str(result.exception).endswith("name the instance by its id")


def test_a_second_recovery_of_an_instance_is_named_as_one(lab: InstanceLab, source_id: str) -> None:
    run, made = lab.recover(lab.plan(source_id))
    volumes = ", ".join(sorted(volume["VolumeId"] for volume in lab.volumes(made).values()))
    again = lab.plan(source_id)
    words = f"{run.id} made {volumes} of these points (attached to {made['InstanceId']}), and a new recovery makes others"
    assert words in again.remarks
    lab.carry_out(run, Recover.undo)
    assert not [remark for remark in lab.plan(source_id).remarks if run.id in remark]


def test_a_device_is_left_out_once(lab: InstanceLab, source_id: str) -> None:
    result = recover("instance", source_id, "--in", DR, "--plan", *["--without", "/dev/sdf"] * 2, "--without", "/dev/sdz")
    assert result.output.count("note: without ") == 1
    assert "obstacle: --without /dev/sdz: it has /dev/sdf, /dev/sdg, /dev/xvda" in result.output


def test_a_standing_instance_is_offered_its_root_volume_first(lab: InstanceLab) -> None:
    made = lab.protected()
    result = recover("instance", made, "--in", PRIMARY, "--plan")
    assert f"first: {made} is still there, running. --replace-root" in result.output
    replaced = recover("instance", made, "--in", PRIMARY, "--replace-root", "--yes")
    assert replaced.exit_code == 0, replaced.output + str(replaced.exception)
    run_id = replaced.output.rsplit("recover undo ", 1)[1].split()[0]
    assert f"back as the root of {made}" in recover("undo", run_id, "--in", PRIMARY).output
    assert recover("undo", run_id, "--in", PRIMARY, "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("subnet: {}", "subnet: no such key"),
        ("subnets: {a: 1}", "subnets.a: 1: write the name or id"),
        ("subnets: [a", "map.yaml: document is not readable at line 1"),
    ],
)
def test_a_wrong_map_file_is_wrong_use(source_id: str, tmp_path: Path, text: str, words: str) -> None:
    written = tmp_path / "map.yaml"
    written.write_text(text)
    result = recover("instance", source_id, "--in", DR, "--map", str(written))
    assert words in str(result.exception)
    assert str(written) in str(result.exception)


def test_replacing_a_root_needs_no_map(source_id: str, tmp_path: Path) -> None:
    result = recover("instance", source_id, "--in", DR, "--replace-root", "--map", str(tmp_path / "map.yaml"))
    assert "--replace-root takes neither --map" in str(result.exception)
