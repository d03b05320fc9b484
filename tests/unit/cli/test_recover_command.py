"""The command `recover` over the model: a recovery in the primary region, whose journal is in the DR region's bucket."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.recover import app
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.output import wrapped
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.recovery.choice import Target
from snapkeep.usecases.recovery.prepare import PrepareRecovery, RecoveryRequest, begin
from snapkeep.usecases.recovery.record_ports import Documents
from snapkeep.usecases.recovery.recover import Journal
from support.flows import DR, PRIMARY
from support.recovering import RecoveryLab


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> RecoveryLab:
    made = RecoveryLab()

    def documents_of(_: RegionalAdapters, region: str) -> Documents:
        if region != DR:
            raise AwsRefused(f"the parameter in {region}: ParameterNotFound")
        return made.documents  # type: ignore[no-any-return]

    monkeypatch.setattr(RegionalAdapters, "documents_of", documents_of)
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region="": made.lab.world.client(service, region))
    return made


def recover(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--region", PRIMARY, "--dr-region", DR])


def begun_in_the_primary_region(lab: RecoveryLab) -> str:
    ec2 = Ec2Recovery(client=lab.lab.world.client("ec2", PRIMARY), region=PRIMARY)
    points = Ec2Reader(client=lab.lab.world.client("ec2", PRIMARY), region=PRIMARY)
    prepare = PrepareRecovery(snapshots=points, looks=ec2, documents=lab.documents, volumes_in=lambda _, ids: ids)
    plan = prepare.plan(RecoveryRequest(Target((lab.instance_id,)), lab.clock.now()))
    run = begin(plan, "arn:operator", lab.clock.now())
    Journal(documents=lab.documents).begin(run)
    return run.id


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_recovery_in_the_primary_region_is_undone_from_either(lab: RecoveryLab, region: str) -> None:
    run_id = begun_in_the_primary_region(lab)
    result = recover("undo", run_id, "--in", region, "--yes")
    assert result.exit_code == 0, result.output + str(result.exception)
    assert f"{run_id}  undone" in result.output


def test_the_question_before_an_undo_names_what_is_deleted(lab: RecoveryLab) -> None:
    run = lab.begin()
    lab.carry_out(run.id, lambda recover, begun: recover.run(begun))
    made = [volume["VolumeId"] for volume in lab.made(run)]
    result = recover("undo", run.id, "--in", DR)
    assert all(volume_id in result.output for volume_id in made)
    assert lab.target_id in result.output
    assert sorted(volume["VolumeId"] for volume in lab.made(run)) == sorted(made)


def test_a_journal_that_cannot_be_read_hides_no_other(lab: RecoveryLab) -> None:
    run = lab.begin()
    lab.documents.put("recoveries/recovery-broken.json", "{")
    result = recover("list", "--in", DR)
    assert result.exit_code == 1
    assert run.id in result.output
    assert "recovery-broken  not known" in result.output
    assert [entry["id"] for entry in json.loads(recover("list", "--in", DR, "--json").stdout)] == [run.id, "recovery-broken"]


@pytest.mark.parametrize("columns", [80, 120])
def test_long_lines_are_wrapped_without_cutting_an_id(columns: int) -> None:
    ids = [f"vol-{number:017x}" for number in range(8)]
    lines = wrapped(f"  note: {', '.join(ids)}: of one moment", columns)
    assert max(map(len, lines)) <= columns
    assert all(line.startswith("      ") for line in lines[1:])
    assert [word.strip(",:") for line in lines for word in line.split() if word.startswith("vol-")] == ids
