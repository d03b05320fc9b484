"""A world with one volume, and short ways to work in it."""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model import PUBLIC_LINUX, Speeds, World
from support.refusals import code_of

PRIMARY, DR = "us-east-1", "us-east-2"


class Bench:
    """A world in virtual time, its events, and clients in two regions."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("speeds", Speeds(volume_create_seconds=0))
        self.world = World(**options)
        self.events: list[dict[str, Any]] = []
        self.world.subscribe(self.events.append)
        self.primary = self.world.client("ec2", PRIMARY)
        self.dr = self.world.client("ec2", DR)
        self.blocks = self.world.client("ebs", PRIMARY)
        self.dr_blocks = self.world.client("ebs", DR)
        self.kms = self.world.client("kms", DR)

    def volume(self, size_gib: int = 100, **more: Any) -> str:
        return self.primary.create_volume(AvailabilityZone=PRIMARY + "a", Size=size_gib, **more)["VolumeId"]

    def write(self, volume_id: str, first: int, count: int) -> None:
        self.world.write(volume_id, first, count, region=PRIMARY)

    def start(self, volume_id: str, **more: Any) -> str:
        return self.primary.create_snapshot(VolumeId=volume_id, **more)["SnapshotId"]

    def snapshot(self, volume_id: str, **more: Any) -> str:
        snapshot_id = self.start(volume_id, **more)
        self.settle()
        return snapshot_id

    def copy(self, snapshot_id: str, **more: Any) -> str:
        return self.dr.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id, **more)["SnapshotId"]

    def settled_copy(self, snapshot_id: str, **more: Any) -> str:
        copy_id = self.copy(snapshot_id, **more)
        self.settle()
        return copy_id

    def settle(self) -> None:
        self.world.run_until_idle(3 * 86_400)

    def advance(self, seconds: float) -> None:
        self.world.clock.advance(seconds)  # type: ignore[attr-defined]

    def described(self, client: Any, snapshot_id: str) -> dict[str, Any]:
        (snapshot,) = client.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
        return snapshot

    def named(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.events if entry["detail"].get("event") == event]


refused = code_of


def launch(bench: Bench, **more: Any) -> dict[str, Any]:
    params = {"ImageId": PUBLIC_LINUX, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **more}
    return bench.primary.run_instances(**params)["Instances"][0]


def described(bench: Bench, instance_id: str) -> dict[str, Any]:
    return bench.primary.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
