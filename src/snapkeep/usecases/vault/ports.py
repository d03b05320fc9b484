"""The port of shares with vaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from snapkeep.usecases.ports import SnapshotTagger


class Permissions(Protocol):
    """Reads the accounts that can read snapshots."""

    def shared_with(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the accounts that can read each shared snapshot; a deleted snapshot is shared with none."""


class SnapshotSharer(SnapshotTagger, Protocol):
    """Shares managed snapshots with the accounts of vaults. The role behind it can share with no other account."""

    def untag(self, snapshot_id: str, tags: Mapping[str, str]) -> None:
        """Remove tags that have these values; a deleted snapshot has none."""

    def share(self, snapshot_id: str, account: str) -> None:
        """Let an account copy a snapshot; a repeated call changes nothing. Raise SnapshotGone, or AwsRefused."""

    def unshare(self, snapshot_id: str, account: str) -> None:
        """Withdraw a share; a missing share, or that of a deleted snapshot, counts as withdrawn."""
