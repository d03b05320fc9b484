"""Shares of snapshots with other accounts. The role can share only with the accounts of vaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import GONE, accepted, translated
from snapkeep.adapters.ec2_writers import Ec2Tagger, tag_list

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def share_snapshot(client: EC2Client, snapshot_id: str, account: str) -> None:
    """Let an account make volumes and copies of a snapshot. Raise SnapshotGone, or AwsRefused."""
    with translated(f"modify_snapshot_attribute of {snapshot_id}"):
        client.modify_snapshot_attribute(
            SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType="add", UserIds=[account]
        )


class Ec2Sharer(Ec2Tagger):
    """`SnapshotSharer` over an EC2 client."""

    def untag(self, snapshot_id: str, tags: Mapping[str, str]) -> None:
        """Remove tags that have these values; a deleted snapshot has none."""
        accepted(self._client.delete_tags, f"delete_tags of {snapshot_id}", GONE, Resources=[snapshot_id], Tags=tag_list(tags))

    def share(self, snapshot_id: str, account: str) -> None:
        """Let an account copy a snapshot. Raise SnapshotGone, or AwsRefused."""
        share_snapshot(self._client, snapshot_id, account)

    def unshare(self, snapshot_id: str, account: str) -> None:
        """Withdraw a share; a missing share, or that of a deleted snapshot, counts as withdrawn."""
        accepted(
            self._client.modify_snapshot_attribute,
            f"modify_snapshot_attribute of {snapshot_id}",
            GONE,
            SnapshotId=snapshot_id,
            Attribute="createVolumePermission",
            OperationType="remove",
            UserIds=[account],
        )
