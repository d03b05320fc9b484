"""The system of `snapkeep console --demo`: a shop of thirty volumes with weeks of history, in the embedded AWS."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from snapkeep.cli.common import AwsSettings
from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.deploy.progress import SilentWatcher
from snapkeep.domain.policy.document import parse_document
from snapkeep.domain.tag_names import (
    DEVICE,
    INSTANCE,
    MADE,
    MANAGED,
    ORIGINAL_REGION,
    ORIGINAL_VOLUME,
    POLICY,
    PROOF,
    SOURCE_REGION,
    SOURCE_SNAPSHOT,
    SOURCE_START,
    SOURCE_VOLUME,
)
from snapkeep.lab.demo.console_history import keep_history, keep_records, keep_signals
from snapkeep.lab.embedded_aws import EmbeddedAws
from snapkeep.usecases.policies import stored_text

REGION, DR_REGION, SYSTEM = "us-east-1", "us-east-2", "snapkeep"
KEY, EXPIRING_KEY = "alias/shop", "alias/old-archive"
FAILING, ATTEMPTS = "mail-data", 2
ROOT = "/dev/xvda"
"""The root device of the instances' AMI."""

DOCUMENT: dict[str, Any] = {
    "version": 1,
    "policies": [
        {
            "name": "gold",
            "select": {"tags": {"Backup": "gold"}},
            "rpo": "6h",
            "retention": {"keep_within": "2d", "keep_daily": 14},
            "copies": [{"region": DR_REGION, "kms_key": KEY, "retention": {"keep_within": "2d", "keep_daily": 30}}],
        },
        {
            "name": "silver",
            "select": {"tags": {"Backup": "silver"}},
            "rpo": "30h",
            "retention": {"keep_daily": 14, "keep_weekly": 8},
            "copies": [{"region": DR_REGION, "retention": {"keep_daily": 7, "keep_weekly": 4}}],
        },
        {"name": "scratch", "select": {"tags": {"Backup": "scratch"}}, "rpo": "8d", "retention": {"keep_weekly": 4}},
    ],
    "groups": [{"name": "shop", "instances": {"tags": {"App": "shop"}}, "order": ["app-*", "web-*"]}],
    "drills": [
        {
            "name": "gold-weekly",
            "policies": ["gold"],
            "in": DR_REGION,
            "schedule": {"cron": "0 4 ? * SUN *", "timezone": "UTC"},
            "rto": "15m",
            "covered_within": "30d",
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Group:
    """Volumes of one kind: their number, their instances, and the making of their snapshots."""

    name: str
    policy: str
    count: int = 1
    size_gib: int = 20
    instance: str = ""
    every_hours: int = 24
    snapshots: int = 28
    newest_hours_ago: float = 5
    proved: bool = True
    key: str = ""
    device: str = ""
    """The device of each volume; empty for data volumes."""


GROUPS = (
    Group("orders-db", "gold", size_gib=200, instance="db-1", every_hours=4, snapshots=40, newest_hours_ago=2),
    Group("orders-log", "gold", size_gib=50, instance="db-1", every_hours=4, snapshots=40, newest_hours_ago=2),
    Group("orders-index", "gold", size_gib=80, instance="db-1", every_hours=4, snapshots=40, newest_hours_ago=2),
    Group("customers-db", "gold", size_gib=120, instance="db-2", every_hours=4, snapshots=40, newest_hours_ago=3),
    Group("payments", "gold", size_gib=60, instance="db-2", every_hours=4, snapshots=12, newest_hours_ago=19),
    Group("web", "silver", count=6, size_gib=16, instance="web", device=ROOT),
    Group("app", "silver", count=6, size_gib=30, instance="app", newest_hours_ago=7, device=ROOT),
    Group("search", "silver", count=3, size_gib=100, newest_hours_ago=9, proved=False),
    Group(FAILING, "silver", size_gib=40, instance="mail", newest_hours_ago=8),
    Group("archive-2019", "silver", size_gib=500, newest_hours_ago=11, key=EXPIRING_KEY),
    Group("archive-2020", "silver", size_gib=500, newest_hours_ago=11, key=EXPIRING_KEY),
    Group("new-cache", "silver", snapshots=0),
    Group("build", "scratch", count=4, size_gib=64, every_hours=168, snapshots=4, newest_hours_ago=60),
    Group("sandbox", "", count=2, size_gib=8, snapshots=0),
)


@contextmanager
def console_world(show: Callable[[str], None]) -> Iterator[AwsSettings]:
    """Start the embedded AWS with the system in it, and yield the settings for it. It ends with the context."""
    with running_world(show) as aws, _environment(aws.environment()):
        yield AwsSettings(REGION, "", endpoint_url=aws.endpoint_url)


@contextmanager
def running_world(show: Callable[[str], None]) -> Iterator[EmbeddedAws]:
    """Start the embedded AWS with the system in it. It ends with the context."""
    show("Starting the embedded AWS, and deploying a system into it: about half a minute")
    with EmbeddedAws(world_document=world_document()) as aws:
        client = cache(aws.client)
        Deployment(DeploymentTarget(client, REGION, DR_REGION), SilentWatcher()).deploy(
            {"tagKeyValue": "none"}, {"CopyAttempts": str(ATTEMPTS), "CopyRetryDelaySeconds": "1"}
        )
        parse_document(DOCUMENT, region=REGION)
        for region in (DR_REGION, REGION):
            client("ssm", region).put_parameter(Name=f"/{SYSTEM}/policy", Value=stored_text(DOCUMENT), Type="String")
        _fail_one_copy(aws, client)
        keep_history(client)
        keep_signals(client, EXPIRING_KEY)
        keep_records(client)
        yield aws


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    former = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _fail_one_copy(aws: EmbeddedAws, client: Callable[[str, str], Any]) -> None:
    """Make a snapshot whose copies by the deployed system all fail."""
    ec2 = client("ec2", REGION)
    volume = ec2.describe_volumes(Filters=[{"Name": "tag:Name", "Values": [FAILING]}])["Volumes"][0]
    aws.admin(
        "POST", "faults", {"kind": "copy_fails", "volume_id": volume["VolumeId"], "message": "Given key ID is not accessible"}
    )
    ec2.create_snapshot(VolumeId=volume["VolumeId"])


def world_document() -> dict[str, Any]:
    """Return the world file: instances, keys, volumes, and the history of a system with three policies."""
    instances = dict.fromkeys(name for group in GROUPS for name in _instances(group))
    return {
        "version": 1,
        "speeds": {"snapshot_base_seconds": 1.0, "copy_base_seconds": 2.0, "failure_seconds": 0.7},
        "keys": [
            {"region": DR_REGION, "alias": KEY},
            {"region": DR_REGION, "alias": EXPIRING_KEY, "state": "PendingDeletion"},
        ],
        "instances": [
            {"name": name, "region": REGION, "tags": {"App": "shop"} if name.startswith(("web", "app")) else {}}
            for name in instances
        ],
        "volumes": [volume for group in GROUPS for volume in _volumes(group)],
        "history": [_history(group, str(volume["name"])) for group in GROUPS for volume in _volumes(group) if group.snapshots],
    }


def _instances(group: Group) -> Sequence[str]:
    """Return the instance of each volume of a group; none if they are detached."""
    if not group.instance:
        return ()
    return [group.instance] if group.count == 1 else [f"{group.instance}-{number}" for number in range(1, group.count + 1)]


def _volumes(group: Group) -> list[dict[str, Any]]:
    names = [group.name] if group.count == 1 else [f"{group.name}-{number}" for number in range(1, group.count + 1)]
    places = _instances(group) or [""] * group.count
    tags = {"Backup": group.policy} if group.policy else {}
    return [
        {"name": name, "region": REGION, "size_gib": group.size_gib, "used_gib": 1, "tags": tags}
        | ({"instance": instance} if instance else {})
        | ({"device": group.device} if group.device else {})
        for name, instance in zip(names, places, strict=True)
    ]


def _history(group: Group, volume: str) -> dict[str, Any]:
    own = {MANAGED: SYSTEM, POLICY: group.policy, "Name": volume}
    own |= {INSTANCE: "{instance}", DEVICE: "{device}"} if group.instance else {}
    makers = {"gold": {MADE: "gold"}, "silver": {"dlm:managed": "true"}}
    origin = {
        SOURCE_VOLUME: "{volume}",
        ORIGINAL_VOLUME: "{volume}",
        SOURCE_REGION: "{region}",
        ORIGINAL_REGION: "{region}",
        SOURCE_SNAPSHOT: "{snapshot}",
        SOURCE_START: "{start}",
    }
    proof = {PROOF: "PROVED sample:300 {start}"} if group.proved else {}
    copy = {
        "region": DR_REGION,
        "description": "[Snapkeep: {snapshot} of {volume} from {region}, started {start}]",
        "tags": own | origin | proof,
    }
    if group.key or group.policy == "gold":
        copy["key"] = group.key or KEY
    return {
        "volume": volume,
        "every_hours": group.every_hours,
        "count": group.snapshots,
        "newest_hours_ago": group.newest_hours_ago,
        "tags": own | makers.get(group.policy, {}),
        "copies": [copy] if group.policy != "scratch" else [],
    }
