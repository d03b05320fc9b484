"""A policy that copies to two regions: `plan` and `policy` look at both, over the model of EBS."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed import Installed
from snapkeep.cli.plan import app as plan_app
from snapkeep.cli.policy import app as policy_app
from snapkeep.domain import ledger
from snapkeep.domain.model import CopyWanted, Snapshot
from snapkeep.ebsmodel import World
from snapkeep.ebsmodel.clock import VirtualClock
from snapkeep.usecases.ports import EntryState, QueueEntry
from snapkeep.usecases.queue_codec import entry_to_json

PRIMARY, NEAR, FAR = "us-east-1", "us-east-2", "us-west-2"
DOCUMENT = {
    "version": 1,
    "policies": [
        {
            "name": "gold",
            "select": {},
            "retention": {"keep_last": 1},
            "copies": [{"region": region, "retention": {"keep_last": 1}} for region in (NEAR, FAR)],
        }
    ],
}


@dataclass
class Account:
    """An account: EBS as the model has it, stacks, documents and queues as the test put them there."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    stacks: dict[str, str] = field(default_factory=lambda: {PRIMARY: "snapkeep-primary", NEAR: "snapkeep-dr", FAR: "snapkeep-dr"})
    documents: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, list[QueueEntry]] = field(default_factory=dict)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.world = World(clock=self.clock)

    def reader(self, region: str) -> Ec2Reader:
        client: Any = self.world.client("ec2", region)
        return Ec2Reader(client=client, region=region)

    def snapshot(self) -> Snapshot:
        """A managed snapshot of the one volume, completed."""
        client: Any = self.world.client("ec2", PRIMARY)
        if not client.describe_volumes()["Volumes"]:
            client.create_volume(AvailabilityZone="us-east-1a", Size=8)
            self.clock.advance(3600)
        made = client.create_snapshot(VolumeId=client.describe_volumes()["Volumes"][0]["VolumeId"])["SnapshotId"]
        self.clock.advance(3600)
        snapshot = self.reader(PRIMARY).snapshots([made])[made]
        self._tag(client, made, ledger.tags_for_snapshot("snapkeep", "gold", snapshot.origin))
        return self.reader(PRIMARY).snapshots([made])[made]

    def copy(self, source: Snapshot, region: str) -> None:
        client: Any = self.world.client("ec2", region)
        copied = client.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source.id)["SnapshotId"]
        self._tag(client, copied, ledger.tags_for_copy("snapkeep", "gold", source.origin))
        self.clock.advance(3600)

    def queue(self, source: Snapshot, region: str) -> None:
        at = source.start_time
        wanted = CopyWanted(source.origin, "gold", region, "", at + timedelta(days=1), 8, encrypted=False)
        self.waiting.setdefault(region, []).append(QueueEntry(wanted, EntryState.WAITING, at, at))

    @staticmethod
    def _tag(client: Any, snapshot_id: str, tags: dict[str, str]) -> None:
        client.create_tags(Resources=[snapshot_id], Tags=[{"Key": key, "Value": tags[key]} for key in tags])


@dataclass
class Client:
    """Stands for CloudFormation, SSM and DynamoDB of one region."""

    account: Account
    region: str

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        self.account.asked[self.region, StackName] += 1
        if self.account.stacks.get(self.region) != StackName:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [{"Parameters": [{"ParameterKey": "Retention", "ParameterValue": "5"}]}]}

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        value, at = self.account.documents.get(self.region, "{}"), datetime(2026, 11, 1, tzinfo=UTC)
        return {"Parameter": {"Name": Name, "Version": 4, "Value": value, "LastModifiedDate": at}}

    def get_parameter_history(self, **_: Any) -> dict[str, Any]:
        return {"Parameters": []}

    def put_parameter(self, Name: str, Value: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.account.documents[self.region] = Value
        return {"Version": 5}

    def query(self, **request: Any) -> dict[str, Any]:
        state = request["ExpressionAttributeValues"][":state"]["S"]
        entries = [one for one in self.account.waiting.get(self.region, []) if one.state == state]
        return {"Items": [{"version": {"N": "1"}, "entry": {"S": json.dumps(entry_to_json(one))}} for one in entries]}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = Account()
    monkeypatch.setattr(AwsSettings, "client", lambda _, service, region: Client(made, region))
    monkeypatch.setattr(Installed, "reader", lambda _, region: made.reader(region))
    return made


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(plan_app, ["--region", PRIMARY, "--json", *arguments], catch_exceptions=False)


def verdicts(told: Result) -> dict[str, list[tuple[str, list[str]]]]:
    """The action, and the reasons, of each snapshot of each region."""
    return {
        region["region"]: [
            (one["action"], [reason["text"] for reason in one["reasons"]])
            for volume in region["volumes"]
            for one in volume["snapshots"]
        ]
        for region in json.loads(told.stdout)["regions"]
    }


def test_every_region_that_the_policy_in_force_copies_to_is_listed_and_shown(account: Account) -> None:
    account.documents = dict.fromkeys((PRIMARY, NEAR, FAR), json.dumps(DOCUMENT))
    for source in [account.snapshot(), account.snapshot()]:
        account.copy(source, NEAR)
        account.copy(source, FAR)
    told = plan()
    assert [(action, len(reasons)) for action, reasons in verdicts(told)[FAR]] == [("delete", 1), ("keep", 2)]
    actions = {region: [action for action, _ in found] for region, found in verdicts(told).items()}
    assert actions == {region: ["delete", "keep"] for region in (PRIMARY, NEAR, FAR)}
    assert told.stderr == ""


def test_every_region_that_a_document_not_yet_in_force_copies_to_is_listed_and_shown(account: Account, document: Path) -> None:
    old, new = account.snapshot(), account.snapshot()
    for source in (old, new):
        account.copy(source, NEAR)
    account.copy(old, FAR)
    found = verdicts(plan("--policy", str(document)))
    assert list(found) == [PRIMARY, NEAR, FAR]
    assert [action for action, _ in found[PRIMARY]] == ["delete", "keep"]
    assert "held: no completed copy in us-west-2, and no newer snapshot has one there" in found[PRIMARY][1][1]
    assert [action for action, _ in found[FAR]] == ["keep"]


def test_the_queue_of_each_region_is_asked(account: Account, document: Path) -> None:
    source = account.snapshot()
    account.snapshot()
    account.queue(source, FAR)
    [first, _] = verdicts(plan("--policy", str(document)))[PRIMARY]
    assert "held: its copy to us-west-2 is waiting or running" in first[1]
    assert not any("us-east-2 is waiting" in text for text in first[1])


def test_a_region_whose_stack_is_missing_is_said_so_and_shown_all_the_same(account: Account, document: Path) -> None:
    del account.stacks[FAR]
    account.snapshot()
    told = plan("--policy", str(document))
    assert told.stderr == "there is no stack snapkeep-dr in us-west-2: nothing is copied there until it is deployed\n"
    assert FAR in verdicts(told)


def test_a_difference_shows_every_region_of_either_policy(account: Account, document: Path) -> None:
    account.snapshot()
    told = plan("--policy", str(document), "--diff")
    assert [one["region"] for one in json.loads(told.stdout)["regions"]] == [PRIMARY, NEAR, FAR]


def test_a_push_compares_and_writes_in_every_region(account: Account, document: Path) -> None:
    account.copy(account.snapshot(), FAR)
    pushed = CliRunner().invoke(
        policy_app, ["push", str(document), "--yes", "--json", "--region", PRIMARY], catch_exceptions=False
    )
    told = json.loads(pushed.stdout)
    assert [one["region"] for one in told["changes"]] == [PRIMARY, NEAR, FAR]
    assert [one["region"] for one in told["pushed"]] == [NEAR, FAR, PRIMARY]
    assert set(account.documents) == {PRIMARY, NEAR, FAR}


def test_removing_takes_the_document_out_of_force_in_every_region_that_has_a_stack(account: Account) -> None:
    account.documents = dict.fromkeys((PRIMARY, NEAR, FAR), json.dumps(DOCUMENT))
    removed = CliRunner().invoke(policy_app, ["remove", "--yes", "--json", "--region", PRIMARY], catch_exceptions=False)
    assert json.loads(removed.stdout)["removed"] == [NEAR, FAR, PRIMARY]
    assert set(account.documents.values()) == {"{}"}


def test_each_stack_is_looked_at_once(account: Account, document: Path) -> None:
    plan("--policy", str(document), "--diff")
    assert account.asked == {(PRIMARY, "snapkeep-primary"): 1, (NEAR, "snapkeep-dr"): 1, (FAR, "snapkeep-dr"): 1}
