"""The story of the demonstration: volumes, their snapshots, and the faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.tag_names import PROOF, SOURCE_SNAPSHOT

PRIMARY_REGION = "us-east-1"
DR_REGION = "us-east-2"
TAG_KEY = "Backup"
RETENTION = 3
DR_RETENTION = 2
COPY_ATTEMPTS = 2

PRIMARY_PARAMETERS = {"tagKeyValue": TAG_KEY, "Retention": str(RETENTION), "DigestQuietSeconds": "0"}
DR_PARAMETERS = {
    "Retention": str(DR_RETENTION),
    "CopyAttempts": str(COPY_ATTEMPTS),
    "CopyRetryDelaySeconds": "1",
    "DigestQuietSeconds": "0",
}

FAILING_SNAPSHOT = 2
"""The second snapshot in the primary region fails. It is one of `mail`, whose first snapshot is made before all others."""
SNAPSHOT_FAILURE = "Internal error"
WORLD = {
    "version": 1,
    "speeds": {"snapshot_base_seconds": 1.0, "copy_base_seconds": 1.5, "failure_seconds": 0.7, "key_check_seconds": 0.7},
    "faults": {
        "script": [
            {
                "kind": "snapshot_fails",
                "region": PRIMARY_REGION,
                "skip": FAILING_SNAPSHOT - 1,
                "times": 1,
                "message": SNAPSHOT_FAILURE,
            }
        ]
    },
}
"""Snapshots take one second and copies two; everything else runs in real time."""


class DemoStuck(SnapkeepError):
    """The story did not end in time; the message names everything still in progress."""


@dataclass(frozen=True, slots=True)
class DemoVolume:
    """One volume of the story."""

    name: str
    size_gib: int
    about: str
    included: bool = True
    encrypted: bool = False


MAIL = DemoVolume("mail", 4, "its second snapshot fails")
WEB = DemoVolume("web", 8, "more snapshots than retention keeps")
ORDERS = DemoVolume("orders", 10, "a multi-volume set of three")
ORDERS_LOG = DemoVolume("orders-log", 2, "a multi-volume set with orders")
ORDERS_INDEX = DemoVolume("orders-index", 3, "a multi-volume set with orders")
ORDERS_SET = (ORDERS, ORDERS_LOG, ORDERS_INDEX)
VAULT = DemoVolume("vault", 6, "its key is disabled: the copy fails", encrypted=True)
LEDGER = DemoVolume("ledger", 5, "one block of its first copy is wrong")
SCRATCH = DemoVolume("scratch", 1, f"has no tag {TAG_KEY}: left alone", included=False)
CAST = (WEB, *ORDERS_SET, LEDGER, MAIL, VAULT, SCRATCH)
WEB_SNAPSHOTS = 5


@dataclass(slots=True)
class Shot:
    """One snapshot of the story."""

    volume: DemoVolume
    number: int
    snapshot_id: str
    state: str = "pending"

    @property
    def label(self) -> str:
        """Return the label, such as `web 3`."""
        return f"{self.volume.name} {self.number}"

    @property
    def ended(self) -> bool:
        """Whether it completed or failed."""
        return self.state != "pending"


@dataclass(slots=True)
class DemoHistory:
    """The snapshots made so far, in order."""

    volume_ids: dict[str, str] = field(default_factory=dict)
    """Volume ids by the volume's name."""
    shots: list[Shot] = field(default_factory=list)
    ledger_proved: bool = False
    """Whether a second copy of `ledger` is proved, instead of the wrong one."""

    def shots_of(self, volume: DemoVolume) -> list[Shot]:
        """Return the snapshots of a volume, oldest first."""
        return [shot for shot in self.shots if shot.volume is volume]

    def by_snapshot(self, snapshot_id: str) -> Shot | None:
        """Return the shot with a snapshot's id; None if it is not in this story."""
        return next((shot for shot in self.shots if shot.snapshot_id == snapshot_id), None)


class Director:
    """Carries out the story, one step at each call, only through the public API of EC2 and KMS."""

    def __init__(self, client: Callable[[str, str], Any]) -> None:
        self._ec2 = client("ec2", PRIMARY_REGION)
        self._ec2_dr = client("ec2", DR_REGION)
        self._kms = client("kms", PRIMARY_REGION)
        self._instance_id = ""
        self._key_id = ""
        self.story = DemoHistory()

    def set_the_stage(self) -> None:
        """Make the volumes, an instance with two of them, and a key."""
        self._key_id = self._kms.create_key(Description="Encrypts the demonstration's volume vault")["KeyMetadata"]["KeyId"]
        zone = f"{PRIMARY_REGION}a"
        for member in CAST:
            tags = [{"Key": "Name", "Value": member.name}]
            if member.included:
                tags.append({"Key": TAG_KEY, "Value": "yes"})
            extra = {"Encrypted": True, "KmsKeyId": self._key_id} if member.encrypted else {}
            volume = self._ec2.create_volume(
                AvailabilityZone=zone,
                Size=member.size_gib,
                VolumeType="gp3",
                TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
                **extra,
            )
            self.story.volume_ids[member.name] = volume["VolumeId"]
        self._ec2.get_waiter("volume_available").wait(
            VolumeIds=list(self.story.volume_ids.values()), WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        image = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "m7g.large", "Placement": {"AvailabilityZone": zone}}
        self._instance_id = self._ec2.run_instances(MinCount=1, MaxCount=1, **image)["Instances"][0]["InstanceId"]
        for device, member in zip(("/dev/sdf", "/dev/sdg", "/dev/sdh"), ORDERS_SET, strict=True):
            volume_id = self.story.volume_ids[member.name]
            self._ec2.attach_volume(Device=device, InstanceId=self._instance_id, VolumeId=volume_id)

    def advance(self) -> bool:
        """Read the states of the snapshots, and make the next ones that are due. Return whether all have been made."""
        self._look()
        ledger = self.story.shots_of(LEDGER)
        self.story.ledger_proved = self.story.ledger_proved or (bool(ledger) and self._is_proved(ledger[0]))
        mail, web = self.story.shots_of(MAIL), self.story.shots_of(WEB)
        if len(mail) < FAILING_SNAPSHOT:
            if all(shot.ended for shot in mail):
                self._make(MAIL)
            return False
        if not web:
            self._make(SCRATCH)
            self._make(VAULT)
            self._make(LEDGER)
            self._kms.disable_key(KeyId=self._key_id)
            self._make_set()
        # The last copy displaces older ones only if the copy before it is proved.
        ready = self._is_proved(web[-1]) if len(web) == WEB_SNAPSHOTS - 1 else all(shot.ended for shot in web)
        if len(web) < WEB_SNAPSHOTS and ready:
            self._make(WEB)
        return len(self.story.shots_of(WEB)) == WEB_SNAPSHOTS

    def _is_proved(self, shot: Shot) -> bool:
        """Whether the copy of a snapshot is proved to be equal to it."""
        filters = [
            {"Name": f"tag:{SOURCE_SNAPSHOT}", "Values": [shot.snapshot_id]},
            {"Name": f"tag:{PROOF}", "Values": ["PROVED *"]},
        ]
        return bool(self._ec2_dr.describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"])

    def _make(self, member: DemoVolume) -> None:
        answer = self._ec2.create_snapshot(
            VolumeId=self.story.volume_ids[member.name], Description=f"{member.name}, by whatever schedules snapshots"
        )
        self._add(member, answer["SnapshotId"])

    def _make_set(self) -> None:
        answer = self._ec2.create_snapshots(
            InstanceSpecification={"InstanceId": self._instance_id, "ExcludeBootVolume": True},
            Description="orders, in one moment",
        )
        made = {snapshot["VolumeId"]: snapshot["SnapshotId"] for snapshot in answer["Snapshots"]}
        for member in ORDERS_SET:
            self._add(member, made[self.story.volume_ids[member.name]])

    def _add(self, member: DemoVolume, snapshot_id: str) -> None:
        self.story.shots.append(Shot(member, len(self.story.shots_of(member)) + 1, snapshot_id))

    def _look(self) -> None:
        waiting = [shot for shot in self.story.shots if not shot.ended]
        if not waiting:
            return
        filters = [{"Name": "snapshot-id", "Values": [shot.snapshot_id for shot in waiting]}]
        snapshots = self._ec2.describe_snapshots(OwnerIds=["self"], Filters=filters, MaxResults=1000)["Snapshots"]
        states = {snapshot["SnapshotId"]: snapshot["State"] for snapshot in snapshots}
        for shot in waiting:
            shot.state = states.get(shot.snapshot_id, "deleted")
