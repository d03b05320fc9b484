"""The memory of a sweep: the snapshots that its plan keeps, for the next sweep and for signals before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from snapkeep.domain.json_codec import OPTIONAL, inline, named
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.records import dataclass
from snapkeep.domain.tags import tags_for_copy, tags_for_snapshot


@dataclass(frozen=True, slots=True)
class KeptSnapshot:
    """A managed snapshot that a sweep's plan keeps, as the memory stores it."""

    id: str
    origin: Origin = field(metadata=inline(region="source_region"))
    policy: str

    def restored(self, region: str, system: str) -> Snapshot:
        """Return the snapshot as its region's listing had it, with the facts that the rules need."""
        is_copy = self.origin.region != region
        tags = (tags_for_copy if is_copy else tags_for_snapshot)(system, self.policy, self.origin)
        start = self.origin.start_time
        return Snapshot(self.id, region, SnapshotState.COMPLETED, start, self.origin, size_gib=0, tags=tags, is_copy=is_copy)


@dataclass(frozen=True, slots=True)
class RequestedLock:
    """A missing lock, and the time since which sweeps request it."""

    snapshot_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SweepMemory:
    """The facts that a sweep stores for the next one, and for signals before it."""

    at: datetime
    snapshots: tuple[KeptSnapshot, ...]
    """The completed managed snapshots that the plan keeps."""
    unmanaged: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """The ids of snapshots that the system does not manage: the tags of a deleted snapshot cannot be read."""
    deletions: Mapping[str, int] = field(default_factory=dict, metadata=OPTIONAL)
    """The number of deleted managed snapshots, by day."""
    locks: tuple[RequestedLock, ...] = field(default=(), metadata=OPTIONAL)
    """The missing locks that the sweep requested."""
    notified: tuple[str, ...] = field(default=(), metadata=OPTIONAL | named("told"))
    """Ids of the volumes already reported because EC2 does not copy their snapshots to another region: one report is enough."""
