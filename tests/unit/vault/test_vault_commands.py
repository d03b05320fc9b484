"""`snapkeep vault list` and `vault restore` over the model, with the credentials of the vault's account."""

from __future__ import annotations

import json
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from snapkeep.adapters import s3_documents
from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.commands.doctor import examined
from snapkeep.cli.commands.hold import app as hold_app
from snapkeep.cli.commands.recover import app as recover_app
from snapkeep.cli.commands.vault import app
from snapkeep.cli.common import AwsSettings, aws_settings
from snapkeep.cli.errors import WrongUse
from snapkeep.deploy.doctor.examination import System
from snapkeep.domain.errors import AwsRefused, DocumentAbsent
from snapkeep.domain.policy.document import to_document
from snapkeep.domain.policy.model import Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.placed_holds import PlacedHolds
from snapkeep.domain.tag_names import HOLD, MANAGED
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.policies import StoredDocument
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions
from support.vaulting import CLEAN, DR, VAULT_ACCOUNT, VaultLaboratory, key_to_share, vault_with_two_points, volume_of


@pytest.fixture
def lab() -> VaultLaboratory:
    return vault_with_two_points()


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


@pytest.fixture
def stack() -> dict[str, str]:
    """The parameters of the vault's stack; empty where there is none."""
    return {"OwnerAccounts": "123456789012", "MaxLockDays": "35", "AllowComplianceLocks": "no"}


@pytest.fixture(autouse=True)
def commands(lab: VaultLaboratory, documents: MemoryDocuments, stack: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    sts = SimpleNamespace(get_caller_identity=lambda: {"Account": VAULT_ACCOUNT, "Arn": "arn:aws:iam::2:user/keeper"})

    def describe_stacks(*, StackName: str = "") -> dict[str, Any]:  # noqa: N803 - the name of the API
        if not StackName:
            return {"Stacks": []}
        if not stack or StackName != "snapkeep-vault":
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "it does not exist"}}, "DescribeStacks")
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.items()]
        found = {"StackName": StackName, "StackId": "a", "StackStatus": "CREATE_COMPLETE", "Parameters": parameters}
        outputs = {"SweepStateMachineArn": "arn:machine", "ReportsBucketName": "reports"}
        return {"Stacks": [found | {"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]}]}

    def client(_: AwsSettings, service: str, region: str) -> Any:
        if service == "service-quotas":
            raise AwsRefused("not asked here")
        if service == "cloudformation":
            return SimpleNamespace(describe_stacks=describe_stacks)
        if service == "s3":
            return None  # of `S3Documents`, which the tests that read it replace
        return sts if service == "sts" else lab.world.client(service, region, VAULT_ACCOUNT, caller="keeper")

    monkeypatch.setattr(AwsSettings, "client", client)
    monkeypatch.setattr(RegionalAdapters, "documents_of", lambda *_: documents)
    monkeypatch.setattr(RegionalAdapters, "policy_store_of", lambda *_: StoredVaults(lab))
    monkeypatch.setattr(RegionalAdapters, "placed_holds", lambda *_: PlacedHolds())
    monkeypatch.setattr(WallClock, "pause", lambda _, seconds: lab.runner.advance(seconds))
    monkeypatch.setattr("snapkeep.cli.commands.vault.datetime", SimpleNamespace(now=lambda _: lab.runner.composition.clock.now()))


class StoredVaults:
    """The document in the vault's Parameter Store."""

    def __init__(self, lab: VaultLaboratory) -> None:
        self.lab = lab

    region = DR

    def put(self, text: str, *, advanced: bool) -> int:
        self.lab.pushed.append(text)
        return len(self.lab.pushed) + 1

    def current(self) -> StoredDocument:
        if self.lab.pushed:
            return StoredDocument(len(self.lab.pushed) + 1, self.lab.pushed[-1], self.lab.runner.composition.clock.now())
        if not self.lab.vaults:
            raise DocumentAbsent("none")
        production = Policy("gold", Selector(), Retention(keep_last=1))
        policies = PolicySet((production,), vaults=self.lab.vaults)
        return StoredDocument(1, json.dumps(to_document(policies)), self.lab.runner.composition.clock.now())


def run(*arguments: str, of: Any = app) -> Result:
    result = CliRunner().invoke(of, [*arguments, "--region", DR])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_the_list_has_source_lock_and_fate_of_each_point(lab: VaultLaboratory) -> None:
    older, newer = lab.copies()
    lab.ec2(account_id=VAULT_ACCOUNT).lock_snapshot(SnapshotId=older.id, LockMode="governance", LockDuration=35)
    done = run("list", "--json")
    assert done.exit_code == 0
    points = json.loads(done.stdout)["points"]
    assert [(point["snapshot_id"], point["volume_id"]) for point in points] == [
        (newer.id, volume_of(lab)),
        (older.id, volume_of(lab)),
    ]
    assert [point["lock"] and point["lock"]["state"] for point in points] == [None, "governance"]
    assert [(point["action"], point["can_be_restored"]) for point in points] == [("keep", True)] * 2
    shown = run("list").stdout
    assert "locked until" in shown
    assert "not locked" in shown
    assert "kept: " in shown


def test_the_list_shows_that_no_document_names_the_vault(lab: VaultLaboratory) -> None:
    lab.vaults = ()
    done = run("list", "--json")
    assert done.exit_code == 1
    listed = json.loads(done.stdout)
    assert "names no vault" in listed["problem"]
    assert {point["action"] for point in listed["points"]} == {"keep"}


DOCUMENT = """
version: 1
vaults:
  - {{name: bunker, account: "{account}", region: us-east-2, from: us-east-2, retention: {{keep_last: {keep}}}}}
policies:
  - name: gold
    select: {{}}
    retention: {{keep_last: 3}}
    copies: [{{region: us-east-2, kms_key: alias/dr, retention: {{keep_last: 1}}}}]
    vault: bunker
"""


def pushed(lab: VaultLaboratory, tmp_path: Path, *options: str, account: str = VAULT_ACCOUNT, keep: int = 1) -> Result:
    document = tmp_path / "policy.yaml"
    document.write_text(DOCUMENT.format(account=account, keep=keep), encoding="utf-8")
    return CliRunner().invoke(app, ["push", str(document), "--yes", "--region", DR, *options])


def test_a_document_is_pushed_that_copies_into_the_vaults_own_region(lab: VaultLaboratory, tmp_path: Path) -> None:
    """`policy push` refuses it: it takes the region for the primary one."""
    done = pushed(lab, tmp_path)
    assert done.exit_code == 0, done.output
    older, _ = lab.copies()
    assert "deletes 1 more of 2 points" in done.stdout
    assert older.id in done.stdout
    (stored,) = lab.pushed
    assert json.loads(stored)["vaults"][0]["name"] == "bunker"


def test_a_document_without_this_vault_is_not_pushed(lab: VaultLaboratory, tmp_path: Path) -> None:
    done = pushed(lab, tmp_path, account="999999999999")
    assert done.exit_code != 0
    assert "nothing would be copied or deleted" in str(done.exception)
    assert lab.pushed == []


def test_a_push_lists_the_region_once(lab: VaultLaboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings: list[str] = []
    list_all = Ec2Reader.all_snapshots
    monkeypatch.setattr(Ec2Reader, "all_snapshots", lambda reader: listings.append(reader.region) or list_all(reader))
    assert pushed(lab, tmp_path).exit_code == 0
    assert listings == [DR]


def test_a_push_shows_the_fields_that_change(lab: VaultLaboratory, tmp_path: Path) -> None:
    """The command showed the deletions, and not that a permanent lock was added."""
    assert "vaults.bunker.retention.keep_last: 2 -> 1" in pushed(lab, tmp_path).stdout


@pytest.fixture
def day(lab: VaultLaboratory, stack: dict[str, str], documents: MemoryDocuments, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day on which the vault's runs have announced as many deletions as they make."""
    stack["DeletionsTimesUsual"] = "10"
    monkeypatch.setattr(s3_documents, "S3Documents", lambda client, bucket: documents)
    today, announced = lab.runner.composition.clock.now().date(), AnnouncedDeletions(documents)
    announced.write_usual(today, 3)
    announced.announce(today, [f"snap-{number}" for number in range(50)])


@pytest.mark.usefixtures("day")
def test_a_push_shows_the_deletions_of_runs_on_one_day(lab: VaultLaboratory, tmp_path: Path) -> None:
    """`policy push` warned of it, and this command did not."""
    said = "runs delete at most 50 snapshots a day (UTC) (they announced 50 today), and 1 are to be deleted: DeletionsTimesUsual"
    assert f"\n{said} is 10, usual are 3 a day" in pushed(lab, tmp_path).stdout
    assert "runs delete" not in pushed(lab, tmp_path, keep=2).stdout


@pytest.mark.usefixtures("day")
def test_the_json_of_a_push_has_the_numbers_of_the_day(lab: VaultLaboratory, tmp_path: Path) -> None:
    day = json.loads(pushed(lab, tmp_path, "--json").stdout)["day"]
    assert (day["planned"], day["announced"], day["most"], day["exceeded"]) == (1, 50, 50, True)


@pytest.mark.parametrize(
    ("days", "mode", "said"),
    [
        (36, "governance", "vaults[0].lock.for is 36d: write at most 35d, or raise MaxLockDays"),
        (35, "compliance, cool_off: 24h", "vaults[0].lock.mode is 'compliance': write governance, or set AllowComplianceLocks"),
    ],
)
def test_a_lock_that_the_stack_does_not_allow_is_not_pushed(
    lab: VaultLaboratory, tmp_path: Path, days: int, mode: str, said: str
) -> None:
    document = tmp_path / "policy.yaml"
    text = DOCUMENT.format(account=VAULT_ACCOUNT, keep=1)
    document.write_text(
        text.replace("retention: {keep_last: 1}}\np", f"retention: {{}}, lock: {{for: {days}d, mode: {mode}}}}}\np")
    )
    done = CliRunner().invoke(app, ["push", str(document), "--yes", "--region", DR])
    assert said in str(done.exception)
    assert lab.pushed == []


def test_without_a_stack_the_commands_say_so(lab: VaultLaboratory, stack: dict[str, str], tmp_path: Path) -> None:
    stack.clear()
    done = pushed(lab, tmp_path)
    assert f"there is no stack snapkeep-vault of account {VAULT_ACCOUNT} in {DR}" in str(done.exception)
    assert lab.pushed == []
    listed = run("list", "--json")
    assert listed.exit_code == 1
    assert "there is no stack snapkeep-vault" in json.loads(listed.stdout)["problem"]


def test_a_sweep_of_the_vault_shows_its_report(
    lab: VaultLaboratory, stack: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def swept(_: AwsSettings, region: str, outputs: dict[str, str], __: Any, *, quiet: bool) -> Any:
        assert (region, outputs["SweepStateMachineArn"], quiet) == (DR, "arn:machine", True)
        return lab.sweep()

    monkeypatch.setattr("snapkeep.cli.commands.vault.swept", swept)
    done = run("sweep", "--json")
    (report,) = json.loads(done.stdout)["reports"]
    assert (report["region"], report["outcome"], done.exit_code) == (DR, "OK", 0)
    stack.clear()
    done = CliRunner().invoke(app, ["sweep", "--region", DR])
    assert "there is no stack snapkeep-vault" in str(done.exception)


def test_a_plan_of_volumes_names_neither_verify_nor_records(lab: VaultLaboratory) -> None:
    done = run("restore", volume_of(lab), "--plan")
    assert done.exit_code == 0, done.output
    shown = " ".join(done.stdout.split())
    assert "proof: size and key checked on arrival" in shown
    assert "it becomes a gp3 volume" in shown
    assert "snapkeep verify" not in shown
    assert "cannot be read" not in shown


def test_a_hold_is_placed_only_in_the_vault(lab: VaultLaboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    holds: dict[str, Any] = {}
    monkeypatch.setattr(
        RegionalAdapters, "hold_store_of", lambda _, region: SimpleNamespace(place=partial(holds.__setitem__, region))
    )
    wrong = CliRunner().invoke(hold_app, ["--policy", "gold", "--reason", "case 7", "--region", DR])
    assert "there is no such policy; there are: " in str(wrong.exception)
    done = run(volume_of(lab), "--reason", "case 7", "--json", of=hold_app)
    assert json.loads(done.stdout)["regions"] == [DR]
    assert list(holds) == [DR]


def test_a_hold_of_making_is_refused_in_a_vault(lab: VaultLaboratory) -> None:
    refused = CliRunner().invoke(hold_app, ["--making", "--reason", "case 7", "--region", DR])
    assert isinstance(refused.exception, WrongUse)
    assert "--making: a vault makes no snapshots" in str(refused.exception)


COMMANDS_OF_PRODUCTION = {
    "status": (),
    "plan": (),
    "explain": ("snap-0123456789abcdef0",),
    "recoverable": (),
    "sweep": (),
    "policy": ("show",),
    "recover": ("volume", "vol-0123456789abcdef0"),
}


@pytest.mark.parametrize("command", COMMANDS_OF_PRODUCTION)
def test_commands_of_production_name_those_of_a_vault(command: str, lab: VaultLaboratory) -> None:
    of = import_module(f"snapkeep.cli.commands.{command}").app
    refused = CliRunner().invoke(of, [*COMMANDS_OF_PRODUCTION[command], "--region", DR])
    assert isinstance(refused.exception, WrongUse)
    said = f"{DR} of this account has the vault snapkeep-vault and no primary stack: use `snapkeep vault list`"
    assert said in str(refused.exception)


def test_the_doctor_examines_the_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[System] = []
    monkeypatch.setattr("snapkeep.cli.commands.doctor._results", lambda _, system, **__: seen.append(system) or [])
    assert examined(aws_settings(region=DR)) == []
    assert [(system.primary, [stack.region for stack in system.dr]) for system in seen] == [(None, [DR])]
    assert seen[0].dr[0].parameters["OwnerAccounts"] == "123456789012"


def test_a_key_that_cannot_be_used_is_shown(lab: VaultLaboratory) -> None:
    account = lab.world.region_account(DR, VAULT_ACCOUNT)
    key = account.keys[lab.copies()[0].key_arn.rpartition("/")[2]]
    key.state = "Disabled"
    done = run("list", "--json")
    assert done.exit_code == 1
    assert {point["can_be_restored"] for point in json.loads(done.stdout)["points"]} == {False}


def test_a_volume_is_made_in_the_vaults_account_without_production(lab: VaultLaboratory) -> None:
    volume_id = volume_of(lab)
    for snapshot_id in list(lab.world.region_account(DR).snapshots):
        lab.ec2().delete_snapshot(SnapshotId=snapshot_id)
    done = run("restore", volume_id, "--yes", "--json")
    assert done.exit_code == 0, done.output
    ended = json.loads(done.stdout)["run"]
    (made,) = lab.ec2(account_id=VAULT_ACCOUNT).describe_volumes()["Volumes"]
    assert made["SnapshotId"] == lab.copies()[-1].id
    assert ended["state"] == "completed"
    assert not any(HOLD in lab.tags(copy.id) for copy in lab.copies())


def test_a_copy_under_a_shareable_key_is_used_by_a_clean_account(lab: VaultLaboratory) -> None:
    key = key_to_share(lab, CLEAN)
    done = run("restore", volume_of(lab), "--copy-to-key", key, "--share-with", CLEAN, "--yes", "--json")
    assert done.exit_code == 0, done.output
    point, shared = lab.copies()[1], lab.copies()[2]
    assert (shared.source_id, shared.key_arn, shared.description) == (point.id, key, point.description)
    assert MANAGED not in lab.tags(shared.id), "neither retention nor Pull takes it for a point of the vault"
    clean = lab.world.client("ec2", DR, CLEAN, caller="rescuer")
    volume = clean.create_volume(SnapshotId=shared.id, AvailabilityZone=f"{DR}a", VolumeType="gp3")
    lab.runner.advance(60)
    assert clean.describe_volumes(VolumeIds=[volume["VolumeId"]])["Volumes"][0]["State"] == "available"
    lab.sweep()
    assert shared.id in {copy.id for copy in lab.copies()}


def test_undoing_it_deletes_the_copy_and_the_share(lab: VaultLaboratory) -> None:
    key = key_to_share(lab, CLEAN)
    made = run("restore", volume_of(lab), "--copy-to-key", key, "--share-with", CLEAN, "--yes", "--json")
    run_id = json.loads(made.stdout)["run"]["id"]
    undone = run("undo", run_id, "--in", DR, "--yes", of=recover_app)
    assert undone.exit_code == 0, undone.output
    assert len(lab.copies()) == 2
    assert lab.world.region_account(DR, VAULT_ACCOUNT).permissions == {}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--copy-to-key", "alias/aws/ebs", "--share-with", CLEAN], "AWS manages this key"),
        (["--copy-to-key", "alias/mine", "--share-with", CLEAN], "alias/mine: its key does not exist: name an enabled"),
        (["--copy-to-key", "alias/mine"], "belong together"),
        (["--share-with", CLEAN], "belong together"),
        (["--copy-to-key", "alias/mine", "--share-with", "clean"], "12 digits"),
        (["--copy-to-key", "alias/mine", "--share-with", CLEAN, "--zone", "us-east-2a"], "makes none"),
    ],
)
def test_impossible_requests_are_refused_before_anything_is_made(lab: VaultLaboratory, options: list[str], why: str) -> None:
    done = CliRunner().invoke(app, ["restore", volume_of(lab), *options, "--yes", "--region", DR])
    assert done.exit_code != 0
    assert why in " ".join(f"{done.output} {done.exception}".split())
    assert len(lab.copies()) == 2


def test_a_key_that_aws_manages_is_known_by_its_arn_too(lab: VaultLaboratory) -> None:
    """Only its alias was recognised, and the copies could not be shared."""
    kms = lab.world.client("kms", DR, VAULT_ACCOUNT)
    arn = kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["Arn"]
    done = run("restore", volume_of(lab), "--copy-to-key", arn, "--share-with", CLEAN, "--yes")
    assert done.exit_code == 1
    assert f"obstacle: {arn}: AWS manages this key" in done.stdout
    assert len(lab.copies()) == 2


def test_a_plan_of_copies_changes_nothing(lab: VaultLaboratory) -> None:
    key = key_to_share(lab)
    done = run("restore", volume_of(lab), "--copy-to-key", key, "--share-with", CLEAN, "--plan")
    assert done.exit_code == 0
    assert "kms:CreateGrant" in done.stdout
    assert len(lab.copies()) == 2
