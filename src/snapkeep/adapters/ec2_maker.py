"""Snapshots of one volume, or of several volumes of an instance at one moment, made by EC2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.ec2_writers import tag_specifications
from snapkeep.domain.creation.batch import Creation
from snapkeep.domain.errors import PendingQuotaReached, SnapshotQuotaReached, VolumeBusy

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_KNOWN = {
    "PendingSnapshotLimitExceeded": PendingQuotaReached,
    "ResourceLimitExceeded": PendingQuotaReached,
    "SnapshotLimitExceeded": SnapshotQuotaReached,
    "ConcurrentSnapshotLimitExceeded": VolumeBusy,
    "SnapshotCreationPerVolumeRateExceeded": VolumeBusy,
    # The volume is being made or deleted, or it or its instance was deleted after the listing.
    "IncorrectState": VolumeBusy,
    "InvalidVolume.NotFound": VolumeBusy,
    "InvalidInstanceID.NotFound": VolumeBusy,
}
"""EC2 API reference, "Error codes"."""


class Ec2Maker:
    """`SnapshotMaker` over an EC2 client that must not retry by itself: the calls have no client token."""

    def __init__(self, *, client: EC2Client) -> None:
        self._client = client

    def create(self, creation: Creation, tags: Mapping[str, str]) -> list[str]:
        """Start the snapshots with their tags in the call; return their ids."""
        specifications = tag_specifications({"snapshot": tags})
        with translated("create_snapshots" if creation.instance_id else "create_snapshot", _KNOWN):
            if not creation.instance_id:
                (volume_id,) = creation.volume_ids
                return [self._client.create_snapshot(VolumeId=volume_id, TagSpecifications=specifications)["SnapshotId"]]
            instance: Any = {"InstanceId": creation.instance_id, "ExcludeBootVolume": creation.exclude_root}
            if creation.excluded_ids:
                instance["ExcludeDataVolumeIds"] = list(creation.excluded_ids)
            answer = self._client.create_snapshots(InstanceSpecification=instance, TagSpecifications=specifications)
            return [snapshot["SnapshotId"] for snapshot in answer["Snapshots"]]
