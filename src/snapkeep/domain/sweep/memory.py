"""The memory of a sweep: the snapshots that its plan keeps, for the next sweep and for the signals until then."""

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
    """A managed snapshot that a sweep's plan keeps, as the next sweep remembers it."""

    id: str
    origin: Origin = field(metadata=inline(region="source_region"))
    policy: str

    def restored(self, region: str, system: str) -> Snapshot:
        """Return the snapshot as its region's listing had it, as far as the rules look at it."""
        is_copy = self.origin.region != region
        tags = (tags_for_copy if is_copy else tags_for_snapshot)(system, self.policy, self.origin)
        start = self.origin.start_time
        return Snapshot(self.id, region, SnapshotState.COMPLETED, start, self.origin, size_gib=0, tags=tags, is_copy=is_copy)


@dataclass(frozen=True, slots=True)
class RequestedLock:
    """A lock that was missing, and since when sweeps request it."""

    snapshot_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SweepMemory:
    """The only knowledge that a sweep leaves for the next one, and for the signals until then."""

    at: datetime
    snapshots: tuple[KeptSnapshot, ...]
    """The completed managed snapshots that the plan keeps."""
    unmanaged: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """The ids of snapshots that the system does not manage: the tags of a deleted one cannot be read."""
    deletions: Mapping[str, int] = field(default_factory=dict, metadata=OPTIONAL)
    """The number of managed snapshots that disappeared, by day."""
    locks: tuple[RequestedLock, ...] = field(default=(), metadata=OPTIONAL)
    """The missing locks that it requested."""
    notified: tuple[str, ...] = field(default=(), metadata=OPTIONAL | named("told"))
    """Ids of the volumes of which it was said that EC2 copies their snapshots to no other region: once is enough."""
