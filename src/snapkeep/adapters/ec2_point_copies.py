"""Copies of recovery points, made, shared and removed by EC2, with dry runs of the requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.adapters.aws_errors import GONE, accepted, dry_run, translated
from snapkeep.adapters.ec2_reader import tagged, tags_from
from snapkeep.adapters.ec2_recovery import Ec2Recovery
from snapkeep.adapters.ec2_sharing import share_snapshot
from snapkeep.adapters.ec2_writers import tag_specifications
from snapkeep.usecases.recovery.states import MadeSnapshot


class Ec2PointCopies(Ec2Recovery):
    """`CopyEc2` over an EC2 client of one region, with the calls for recoveries of volumes."""

    def snapshots_of(self, tags: Mapping[str, str]) -> list[MadeSnapshot]:
        """Return the snapshots of the account that have all of these tags."""
        return self._made_snapshots(tagged(tags))

    def _made_snapshots(self, filters: list[Any]) -> list[MadeSnapshot]:
        return [
            MadeSnapshot(item["SnapshotId"], item["State"], tags_from(item), item.get("StateMessage", ""))
            for item in self._own_snapshots(filters)
        ]

    def copy_point(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Start a copy with its tags in the call; return its id. An undo removes every copy with these tags."""
        with translated("copy_snapshot"):
            answer = self._client.copy_snapshot(**request, TagSpecifications=tag_specifications({"snapshot": tags}))
        return str(answer["SnapshotId"])

    def share_copy(self, snapshot_id: str, account: str) -> None:
        """Let an account make volumes and copies of a snapshot."""
        share_snapshot(self._client, snapshot_id, account)

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot, with its shares; a missing one counts as deleted."""
        accepted(self._client.delete_snapshot, f"delete_snapshot {snapshot_id}", GONE, SnapshotId=snapshot_id)

    def refusal_to_copy(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why CopySnapshot would be refused, by a dry run; empty if it would not.

        A share has no dry run without a copy.
        """
        return dry_run(self._client, "copy_snapshot", **request, TagSpecifications=tag_specifications({"snapshot": tags}))
