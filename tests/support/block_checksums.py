"""The content of a snapshot, as the EBS direct APIs show it."""

from __future__ import annotations

from typing import Any


def block_checksums(ebs: Any, snapshot_id: str) -> dict[int, str]:
    """Return the checksum of each block of a snapshot, by its index."""
    return {
        block["BlockIndex"]: ebs.get_snapshot_block(SnapshotId=snapshot_id, **block)["Checksum"]
        for block in ebs.list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    }
