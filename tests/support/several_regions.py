"""An account with a primary region and two DR regions, over the model of EBS, for the commands that read all of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from threading import RLock
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.regional import RegionalAdapters
from snapkeep.cli.common import AwsSettings
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.tags import description_of_copy, tags_for_copy, tags_for_snapshot
from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.conditions.clock import VirtualClock

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
    """An account: the model's EBS, and the stacks, documents and queues of the test."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    stacks: dict[str, str] = field(default_factory=lambda: {PRIMARY: "snapkeep-primary", NEAR: "snapkeep-dr", FAR: "snapkeep-dr"})
    documents: dict[str, str] = field(default_factory=dict)
    former: dict[str, list[str]] = field(default_factory=dict)
    """Versions before those, oldest first."""
    holds: dict[tuple[str, str], str] = field(default_factory=dict)
    """Parameters of holds, by region and name."""
    waiting: dict[str, list[QueueEntry]] = field(default_factory=dict)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    objects: dict[str, dict[str, str]] = field(default_factory=dict)
    """The texts in the bucket of each region, by key."""
    away: set[str] = field(default_factory=set)
    lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self.world = World(clock=self.clock)

    def push(self) -> Account:
        """Put the document in force in every region."""
        self.documents = dict.fromkeys((PRIMARY, NEAR, FAR), json.dumps(DOCUMENT))
        return self

    def reader(self, region: str) -> Ec2Reader:
        """A reader that several threads may use: the commands read regions at the same time."""
        client: Any = _LockedClient(self.world.client("ec2", region), self.lock)
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
        self._tag(client, made, tags_for_snapshot("snapkeep", "gold", snapshot.origin))
        return self.reader(PRIMARY).snapshots([made])[made]

    def copy(self, source: Snapshot, region: str) -> None:
        client: Any = self.world.client("ec2", region)
        copied = client.copy_snapshot(
            SourceRegion=PRIMARY, SourceSnapshotId=source.id, Description=description_of_copy(source.origin)
        )["SnapshotId"]
        self._tag(client, copied, tags_for_copy("snapkeep", "gold", source.origin))
        self.clock.advance(3600)

    def take_away(self, region: str) -> None:
        """Make a region unreachable."""
        self.away.add(region)
        self.world.take_region_away(region)

    def queue(self, source: Snapshot, region: str) -> None:
        at = source.start_time
        request = CopyRequest(source.origin, "gold", region, "", at + timedelta(days=1), 8, encrypted=False)
        self.waiting.setdefault(region, []).append(QueueEntry(request, EntryState.WAITING, at, at))

    @staticmethod
    def _tag(client: Any, snapshot_id: str, tags: dict[str, str]) -> None:
        client.create_tags(Resources=[snapshot_id], Tags=[{"Key": key, "Value": tags[key]} for key in tags])


@dataclass
class _LockedClient:
    """A client of the model, which serves one call at a time."""

    client: Any
    lock: RLock

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            with self.lock:
                return getattr(self.client, name)(**request)

        return call


@dataclass
class Client:
    """Stands for CloudFormation, SSM, DynamoDB, Step Functions and CloudWatch Logs in one region."""

    account: Account
    region: str

    def describe_stacks(self, StackName: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's name
        if not StackName:  # a search by outputs, which these stacks lack
            return {"Stacks": []}
        self.account.asked[self.region, StackName] += 1
        if self.account.stacks.get(self.region) != StackName:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {
            "Stacks": [
                {
                    "StackStatus": "CREATE_COMPLETE",
                    "StackId": StackName,
                    "StackName": StackName,
                    "Parameters": [{"ParameterKey": "Retention", "ParameterValue": "5"}],
                    "Outputs": [{"OutputKey": "ReportsBucketName", "OutputValue": f"reports-{self.region}"}],
                }
            ]
        }

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        value, at = self.account.documents.get(self.region, "{}"), datetime(2026, 11, 1, tzinfo=UTC)
        return {"Parameter": {"Name": Name, "Version": 4, "Value": value, "LastModifiedDate": at}}

    def get_parameter_history(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        values = [*self.account.former.get(self.region, []), self.account.documents.get(self.region, "{}")]
        at = datetime(2026, 11, 1, tzinfo=UTC)
        listed = enumerate(values, start=5 - len(values))
        return {
            "Parameters": [
                {"Name": Name, "Version": version, "Value": value, "LastModifiedDate": at} for version, value in listed
            ]
        }

    def put_parameter(self, Name: str, Value: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        if "/holds/" in Name:
            self.account.holds[self.region, Name] = Value
            return {"Version": 1}
        if self.region in self.account.documents:
            self.account.former.setdefault(self.region, []).append(self.account.documents[self.region])
        self.account.documents[self.region] = Value
        return {"Version": 5}

    def get_parameters_by_path(self, Path: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        named = {name: value for (region, name), value in self.account.holds.items() if region == self.region}
        return {"Parameters": [{"Name": name, "Value": named[name]} for name in named if name.startswith(f"{Path}/")]}

    def delete_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if self.account.holds.pop((self.region, Name), None) is None:
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": Name}}, "DeleteParameter")
        return {}

    def query(self, **request: Any) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        state, volume = values.get(":state", {}).get("S"), values.get(":volume", {}).get("S")
        held = self.account.waiting.get(self.region, [])
        return {"Items": [_item(entry) for entry in held if entry.state == state or entry.request.origin.volume_id == volume]}

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        key, entries = Key["pk"]["S"], self.account.waiting.get(self.region, [])
        return next(({"Item": _item(entry)} for entry in entries if entry.key == key), {})

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/somebody"}

    def list_service_quotas(self, **_: Any) -> dict[str, Any]:
        return {"Quotas": []}

    @property
    def _objects(self) -> dict[str, str]:
        return self.account.objects.setdefault(self.region, {})

    def get_object(self, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if Key not in self._objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": BytesIO(self._objects[Key].encode()), "ETag": self._etag(Key)}

    def put_object(self, Key: str, Body: bytes, IfMatch: str = "", IfNoneMatch: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        if (IfMatch and IfMatch != self._etag(Key)) or (IfNoneMatch and Key in self._objects):
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": Key}}, "PutObject")
        self._objects[Key] = Body.decode()
        return {"ETag": self._etag(Key)}

    def _etag(self, key: str) -> str:
        return hashlib.sha256(self._objects.get(key, "").encode()).hexdigest()

    def list_objects_v2(self, Prefix: str, StartAfter: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's names
        keys = [key for key in sorted(self._objects) if key.startswith(Prefix) and key > StartAfter]
        return {"Contents": [{"Key": key} for key in keys]}

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=lambda **query: [self.list_objects_v2(**query)])

    def list_executions(self, **_: Any) -> dict[str, Any]:
        return {"executions": []}

    def describe_trails(self, **_: Any) -> dict[str, Any]:
        return {"trailList": [{"Name": "all", "TrailARN": "arn", "HomeRegion": self.region}]}

    def get_trail_status(self, **_: Any) -> dict[str, Any]:
        return {"IsLogging": True}

    def get_event_selectors(self, **_: Any) -> dict[str, Any]:
        return {"EventSelectors": [{}]}

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        return {"events": []}


def _item(entry: QueueEntry) -> dict[str, Any]:
    return {"version": {"N": "1"}, "entry": {"S": to_text(entry)}}


class NoAnswer:
    """Stands for every client of an unreachable region."""

    def __init__(self, region: str) -> None:
        self._region = region

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url=f"https://{self._region}.amazonaws.com/")

        return call


def install(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Make the commands of this test use an account of its own."""
    made = Account()

    def client(_: AwsSettings, service: str, region: str) -> Any:
        if region in made.away:
            return NoAnswer(region)
        return _LockedClient(made.world.client("ec2", region), made.lock) if service == "ec2" else Client(made, region)

    monkeypatch.setattr(AwsSettings, "client", client)
    for name in ("reader_of", "points_of"):
        monkeypatch.setattr(RegionalAdapters, name, lambda _, region: made.reader(region))
    monkeypatch.setattr(
        RegionalAdapters, "guards_of", lambda _, region: RecentGuards(reader=made.reader(region), clock=WallClock())
    )
    return made
