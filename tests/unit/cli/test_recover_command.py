"""The command `recover` over the model: a recovery in the primary region, whose journal is in the DR region's bucket."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.recover import app
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.output import wrapped
from snapkeep.cli.recovery_system import RecoverySystem, print_end
from snapkeep.domain.errors import AwsRefused, DocumentNotFound
from snapkeep.domain.recovery.choice import Target
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.recovery.prepare import PrepareRecovery, RecoveryRequest, begin
from snapkeep.usecases.recovery.record_ports import Documents
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.flows import DR, PRIMARY
from support.recovering import RecoveryLab


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> RecoveryLab:
    made = RecoveryLab()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")

    def documents_of(_: RegionalAdapters, region: str) -> Documents:
        if region != DR:
            raise AwsRefused(f"the parameter in {region}: ParameterNotFound")
        return made.documents  # type: ignore[no-any-return]

    monkeypatch.setattr(RegionalAdapters, "documents_of", documents_of)
    monkeypatch.setattr(WallClock, "pause", lambda _, seconds: made.lab.runner.advance(seconds))
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region="": made.lab.world.client(service, region))
    return made


class Bucket:
    """S3 with one bucket, which outlived its stack."""

    def __init__(self, documents: MemoryDocuments) -> None:
        self.documents = documents

    def head_bucket(self, Bucket: str) -> None:  # noqa: N803 - boto3's name
        if Bucket != "the-bucket":
            raise ClientError({"Error": {"Code": "404"}}, "HeadBucket")

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert Bucket == "the-bucket"
        try:
            document = self.documents.get(Key)
        except DocumentNotFound as error:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject") from error
        return {"Body": io.BytesIO(document.text.encode()), "ETag": document.version}

    def put_object(self, Key: str, Body: bytes, IfMatch: str = "", **_: str) -> dict[str, str]:  # noqa: N803 - boto3's names
        return {"ETag": self.documents.put(Key, Body.decode(), IfMatch)}

    def list_objects_v2(self, Prefix: str, **_: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"Contents": [{"Key": key} for key in self.documents.keys(Prefix)]}


class Absent:
    """A service in which the system has nothing any more."""

    def get_parameter(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "ParameterNotFound"}}, "GetParameter")

    def list_service_quotas(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListServiceQuotas")

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": "arn:aws:iam::123456789012:user/someone"}


def test_a_recovery_needs_only_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both stacks are deleted, and the primary region is unreachable."""
    lab = RecoveryLab()
    lab.lab.world.take_region_away(PRIMARY)

    def client(_: AwsSettings, service: str, region: str = "") -> Any:
        assert (region, service) != (PRIMARY, "ec2"), "the region that does not answer is not asked"
        if service in ("ec2", "kms"):
            return lab.lab.world.client(service, region)
        return Bucket(lab.documents) if service == "s3" else Absent()

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(AwsSettings, "client", client)
    monkeypatch.setattr("snapkeep.adapters.clock.WallClock", lambda: lab.clock)
    where = ("--in", DR, "--bucket", "the-bucket")
    made = recover("volume", lab.instance_id, "--attach", lab.target_id, *where, "--yes", "--json")
    assert made.exit_code == 0, made.output + repr(made.exception)
    data = json.loads(made.stdout)
    assert sorted(volume["volume_type"] for volume in data["plan"]["volumes"]) == ["gp3", "gp3", "io2"], "records are read"
    run_id = data["run"]["id"]
    assert data["run"]["state"] == "completed"
    assert run_id in recover("list", *where).stdout
    assert recover("show", run_id, *where).exit_code == 0
    assert recover("resume", run_id, *where).exit_code == 0
    undone = recover("undo", run_id, *where, "--yes", "--json")
    assert json.loads(undone.stdout)["state"] == "undone"
    planned = recover("volume", lab.instance_id, "--in", DR, "--plan")
    assert planned.exit_code == 0, planned.output
    assert "the recovery records cannot be reached" in planned.stdout


def recover(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--region", PRIMARY, "--dr-region", DR])


def begun_in_the_primary_region(lab: RecoveryLab) -> str:
    ec2 = Ec2Recovery(client=lab.lab.world.client("ec2", PRIMARY), region=PRIMARY)
    points = Ec2Reader(client=lab.lab.world.client("ec2", PRIMARY), region=PRIMARY)
    prepare = PrepareRecovery(snapshots=points, reader=ec2, documents=lab.documents, volumes_in=lambda _, ids: ids)
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


def test_the_question_before_an_undo_names_the_deleted_resources(lab: RecoveryLab) -> None:
    run = lab.begin()
    lab.carry_out(run.id, lambda recover, begun: recover.run(begun))
    made = [volume["VolumeId"] for volume in lab.made(run)]
    result = recover("undo", run.id, "--in", DR)
    assert all(volume_id in result.output for volume_id in made)
    assert lab.target_id in result.output
    assert sorted(volume["VolumeId"] for volume in lab.made(run)) == sorted(made)


def test_an_undo_names_only_the_resources_that_it_removes(lab: RecoveryLab) -> None:
    run = lab.begin()
    lab.carry_out(run.id, Recover.run)
    undone = recover("undo", run.id, "--in", DR, "--yes").output
    shown = recover("show", run.id, "--in", DR).output
    assert undone.count("undone  make a volume") == shown.count("undone  make a volume") == len(lab.volumes)
    assert "undone  wait" not in undone + shown


def test_an_undone_recovery_is_undone_again_without_a_warning(lab: RecoveryLab) -> None:
    """Resuming it said that it was not finished, and named the same command as the one that continues it."""
    run = lab.begin()
    lab.carry_out(run.id, lambda recover, begun: recover.run(begun))
    for _ in range(2):
        again = recover("undo", run.id, "--in", DR, "--yes")
        assert (again.exit_code, "not finished" in again.output) == (0, False), again.output + repr(again.exception)
        assert f"{run.id}  undone" in again.output
    resumed = recover("resume", run.id, "--in", DR)
    assert resumed.exit_code != 0
    assert "not finished" not in resumed.output
    assert "is undone: plan another recovery" in str(resumed.exception)


@pytest.mark.parametrize("command", [("volume", "orders-db", "--plan"), ("instance", "orders-db", "--plan"), ("list",)])
def test_a_bucket_that_does_not_exist_is_refused(
    lab: RecoveryLab, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A plan ignored that, and treated the settings of every volume as unknown."""
    of_model = AwsSettings.client
    s3 = Bucket(lab.documents)
    monkeypatch.setattr(
        AwsSettings, "client", lambda self, service, region="": s3 if service == "s3" else of_model(self, service, region)
    )
    result = recover(*command, "--in", DR, "--bucket", "snapkeep-typo")
    assert "--bucket snapkeep-typo: there is no such bucket" in str(result.exception)


def test_a_moment_in_the_future_is_refused(lab: RecoveryLab) -> None:
    """A future moment counted as now: an operator who wrote local time as UTC recovered data from after the damage."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    for command in ("volume", "instance"):
        result = recover(command, lab.instance_id, "--in", DR, "--plan", "--at", ahead.isoformat())
        assert "is in the future" in str(result.exception)


def test_no_volume_is_attached_to_an_instance_of_another_region(lab: RecoveryLab) -> None:
    result = recover("volume", lab.instance_id, "--in", DR, "--plan", "--attach", lab.instance_id)
    assert result.exit_code == 1
    assert f"obstacle: {lab.instance_id}: {DR} has no such instance" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dbb",), "no recovery point in us-east-2 names it; did you mean db?"),
        (("db", "--at", "2025-12-01T00:00Z"), "no snapshot in us-east-2 is that old; the oldest is of 2026-01-01 "),
    ],
)
@pytest.mark.parametrize("command", ["volume", "instance"])
def test_a_plan_explains_why_a_name_has_no_point(lab: RecoveryLab, command: str, arguments: tuple[str, ...], words: str) -> None:
    """A plan said in both cases that no recovery point names it."""
    result = recover(command, *arguments, "--in", DR, "--plan")
    assert f"obstacle: {arguments[0]}: {words}" in result.stdout
    assert command == "instance" or "full speed" not in result.stdout, "there is no volume"


def test_a_printed_command_is_one_line_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command was wrapped, and pasting its two lines ran two commands."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lab = RecoveryLab()
    system = RecoverySystem(AwsSettings(PRIMARY, DR, suffix="-back"), DR, "a-bucket-with-a-long-name")
    run = lab.begin()
    print_end(run, system)
    assert capsys.readouterr().out.splitlines()[-1] == f"  {system.command('undo', run.id)}"


def test_a_plan_names_the_volumes_of_an_earlier_recovery(lab: RecoveryLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovery that was repeated by mistake made all volumes again, without a warning."""
    run = lab.begin()
    lab.carry_out(run.id, lambda recover, begun: recover.run(begun))
    made = sorted(volume["VolumeId"] for volume in lab.made(run))
    monkeypatch.setattr(
        RecoverySystem, "ec2", lambda _, region: Ec2Instances(client=lab.lab.world.client("ec2", region), region=region)
    )
    result = recover("volume", lab.instance_id, "--in", DR, "--plan")
    assert f"note: {run.id} made {', '.join(made)} of these points" in result.stdout


def test_an_empty_list_says_so(lab: RecoveryLab) -> None:
    """It printed nothing."""
    assert recover("list", "--in", DR).stdout == "no recovery was begun here\n"
    assert json.loads(recover("list", "--in", DR, "--json").stdout) == []


@pytest.mark.parametrize(
    ("environment", "settings", "bucket", "options"),
    [
        ({}, AwsSettings(PRIMARY, ""), "", f" --region {PRIMARY}"),
        ({"AWS_REGION": PRIMARY}, AwsSettings(PRIMARY, ""), "", ""),
        ({"AWS_REGION": PRIMARY}, AwsSettings(PRIMARY, DR), "", f" --dr-region {DR}"),
        ({"AWS_REGION": PRIMARY, "SNAPKEEP_DR_REGION": DR}, AwsSettings(PRIMARY, DR), "", ""),
        (
            {"SNAPKEEP_REGION": DR},
            AwsSettings(PRIMARY, DR, suffix="-back"),
            "",
            f" --region {PRIMARY} --dr-region {DR} --name -back",
        ),
        ({"AWS_REGION": PRIMARY}, AwsSettings(PRIMARY, "", "night shift"), "kept", " --bucket kept --profile 'night shift'"),
    ],
)
def test_a_printed_command_has_the_options_that_differ_from_defaults(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], settings: AwsSettings, bucket: str, options: str
) -> None:
    """The command named neither regions nor profile: a pasted one called the unreachable region, or another account."""
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "SNAPKEEP_REGION", "SNAPKEEP_DR_REGION"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert RecoverySystem(settings, DR, bucket).command("undo", "run") == f"snapkeep recover undo run --in {DR}{options}"


@pytest.mark.parametrize(
    ("options", "asked"),
    [(("--policy", "nope"), "policy nope"), (("--tag", "App=shop", "--tag", "Env=x"), "tag App=shop, tag Env=x")],
)
def test_a_plan_for_nothing_names_the_request(lab: RecoveryLab, options: tuple[str, ...], asked: str) -> None:
    result = recover("volume", *options, "--in", DR, "--plan")
    assert result.exit_code == 1
    assert f"obstacle: {asked}: no snapshot in {DR} is of such a volume" in result.stdout


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("command", ["show", "resume", "undo"])
def test_a_recovery_that_was_never_begun_is_named(command: str) -> None:
    """The error named an object in a bucket."""
    error = recover(command, "xyz", "--in", DR).exception
    assert str(error) == f"xyz: no recovery of this name was begun in {DR}; `snapkeep recover list` lists them"


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
