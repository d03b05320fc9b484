"""The other accounts that can read a region's snapshots."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import GONE, pages, translated
from snapkeep.adapters.ec2_reader import PAGE

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

UNBLOCKED = "unblocked"
"""`State` of GetSnapshotBlockPublicAccessState (botocore: ec2 2016-11-15); all other states block at least new sharing."""
EVERYBODY = "all"


class Ec2Exposure:
    """`Exposure` over an EC2 client."""

    def __init__(self, *, client: EC2Client) -> None:
        self._client = client

    def sharing_blocked(self) -> bool:
        """Whether block public access for snapshots is on."""
        with translated("get_snapshot_block_public_access_state"):
            return self._client.get_snapshot_block_public_access_state().get("State", UNBLOCKED) != UNBLOCKED

    def public_snapshots(self) -> list[str]:
        """Return the ids of this account's snapshots that everybody can read."""
        query = {"OwnerIds": ["self"], "RestorableByUserIds": [EVERYBODY], "MaxResults": PAGE}
        answers = pages(self._client, "describe_snapshots", query, "describe_snapshots that are public")
        return [item["SnapshotId"] for page in answers for item in page.get("Snapshots", [])]

    def shared_with(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the accounts that can read each shared snapshot; a deleted snapshot is shared with none."""
        shared = {snapshot_id: self._accounts(snapshot_id) for snapshot_id in snapshot_ids}
        return {snapshot_id: accounts for snapshot_id, accounts in shared.items() if accounts}

    def _accounts(self, snapshot_id: str) -> tuple[str, ...]:
        query = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission"}
        doing = f"describe_snapshot_attribute of {snapshot_id}"
        answers = pages(self._client, "describe_snapshot_attribute", query, doing, nothing=GONE)
        permissions = [permission for answer in answers for permission in answer.get("CreateVolumePermissions", [])]
        return tuple(sorted(permission["UserId"] for permission in permissions if permission.get("UserId")))
