"""Snapshots that no run tagged, and that a sweep protects without consent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from snapkeep.domain.model import Snapshot
from snapkeep.domain.tags import is_of_original_system, other_manager, was_managed


def unhandled(snapshots: Sequence[Snapshot], since: datetime, *, system: str) -> set[str]:
    """Return the ids of one lineage's source snapshots that a sweep protects if a policy governs their volume.

    They completed after the deployment, and started after the first managed one. Without a managed one, only the newest is
    unhandled: the others precede the protection of the volume. A snapshot that lost the system's tag is unhandled at any age.
    """
    completed = [snapshot for snapshot in snapshots if snapshot.completed and not (snapshot.is_copy or snapshot.not_copyable)]
    managed = [snapshot.origin.start_time for snapshot in completed if snapshot.managed_by(system)]
    newest = max(completed, key=lambda snapshot: (snapshot.origin.start_time, snapshot.id), default=None)

    def is_unhandled(snapshot: Snapshot) -> bool:
        if snapshot.managed_by(system) or other_manager(snapshot, system) or is_of_original_system(snapshot):
            return False
        expected = snapshot.origin.start_time > min(managed) if managed else snapshot is newest
        recent = (snapshot.completed_at or snapshot.origin.start_time) >= since
        return was_managed(snapshot) or (recent and expected)

    return {snapshot.id for snapshot in completed if is_unhandled(snapshot)}
