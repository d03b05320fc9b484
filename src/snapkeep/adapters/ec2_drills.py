"""Makes, watches and removes what drills make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.adapters.aws_errors import accepted, pages, translated
from snapkeep.adapters.ec2_reader import tags_from
from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.adapters.ec2_writers import tag_specifications
from snapkeep.usecases.drills.ports import MadeSnapshot
from snapkeep.usecases.recovery.actions import VolumeState

_GONE = ("InvalidSnapshot.NotFound",)
_COMPLETED, _ALL = "completed", 100


class Ec2Drills(Ec2Recovery):
    """`DrillLooks`, `DrillMaker`, `DrillRemover` and `LeftThings` over an EC2 client: a function uses what its role allows."""

    def initialised_percent(self, volume_id: str) -> int | None:
        """Return how much of a volume is initialised; None where EC2 does not say (yet).

        Source: botocore: ec2 2016-11-15, VolumeStatusItem: `initialization-state`, InitializationStatusDetails.
        """
        query = {"VolumeIds": [volume_id]}
        listing = pages(
            self._client,
            "describe_volume_status",
            query,
            f"describe_volume_status {volume_id}",
            nothing=("InvalidVolume.NotFound",),
        )
        for page in listing:
            for item in page["VolumeStatuses"]:
                details = item.get("VolumeStatus", {}).get("Details") or ()
                states = {detail.get("Status") for detail in details if detail.get("Name") == "initialization-state"}
                progress = item.get("InitializationStatusDetails", {}).get("Progress")
                return _ALL if progress is None and _COMPLETED in states else progress
        return None

    def made_snapshot(self, snapshot_id: str) -> MadeSnapshot | None:
        """Return a snapshot; None if EC2 does not show it."""
        return next(iter(self._made_snapshots([{"Name": "snapshot-id", "Values": [snapshot_id]}])), None)

    def snapshots_of(self, tags: Mapping[str, str]) -> list[MadeSnapshot]:
        """Return the snapshots of the account that have all of these tags."""
        return self._made_snapshots([{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()])

    def _made_snapshots(self, filters: list[dict[str, Any]]) -> list[MadeSnapshot]:
        query = {"OwnerIds": ["self"], "Filters": filters}
        listing = pages(self._client, "describe_snapshots", query, f"describe_snapshots in {self.region}")
        return [
            MadeSnapshot(item["SnapshotId"], item["State"], tags_from(item)) for page in listing for item in page["Snapshots"]
        ]

    def tagged_volumes(self, key: str) -> list[VolumeState]:
        """Return the volumes that have a tag of this key."""
        return self._volumes([{"Name": "tag-key", "Values": [key]}])

    def create_snapshot(self, volume_id: str, description: str, tags: Mapping[str, str]) -> str:
        """Start a snapshot of a volume; return its id. It has no client token: callers look by tag first."""
        specifications = tag_specifications({"snapshot": tags})
        with translated(f"create_snapshot {volume_id}"):
            made = self._client.create_snapshot(VolumeId=volume_id, Description=description, TagSpecifications=specifications)
        return made["SnapshotId"]

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; one that does not exist is deleted."""
        accepted(self._client.delete_snapshot, f"delete_snapshot {snapshot_id}", _GONE, SnapshotId=snapshot_id)
