"""Regions as lists in memory, for planners: readers, guards and queues that can only be read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from snapkeep.domain.errors import EntryNotFound
from snapkeep.domain.model import Snapshot, SnapshotLock, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.usecases.ports import Clock, CopyQueue, SnapshotReader
from snapkeep.usecases.retention.plan_volumes import RetentionPlanner
from support.lineages import SYSTEM
from support.placing import SomeHolds


@dataclass
class ListedRegion:
    """Reads one region. `calls` are the methods called, in order. No method writes."""

    region: str
    listed: Sequence[Snapshot] = ()
    listed_volumes: Sequence[Volume] = ()
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    locked: dict[str, SnapshotLock] = field(default_factory=dict)
    waiting: Collection[str] = ()
    """Ids of source snapshots whose copy into this region waits in its queue."""
    calls: list[str] = field(default_factory=list)

    def all_volumes(self) -> Iterator[Volume]:
        self.calls.append("volumes")
        return iter(self.listed_volumes)

    def all_snapshots(self) -> Iterator[Snapshot]:
        self.calls.append("snapshots")
        return iter(self.listed)

    def volumes(self, volume_ids: Collection[str]) -> dict[str, Volume]:
        return {volume.id: volume for volume in self.listed_volumes if volume.id in volume_ids}

    def snapshots_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        return [snapshot for snapshot in self.copies_of_volumes(volume_ids) if not snapshot.is_copy]

    def copies_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        return [snapshot for snapshot in self.listed if snapshot.origin.volume_id in volume_ids]

    def images_using(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        self.calls.append("images")
        return {snapshot_id: self.images[snapshot_id] for snapshot_id in snapshot_ids if snapshot_id in self.images}

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        self.calls.append("locks")
        return {snapshot_id: self.locked[snapshot_id] for snapshot_id in snapshot_ids if snapshot_id in self.locked}

    def get(self, key: str) -> Any:
        """As the region's queue answers where it has no entry."""
        raise EntryNotFound(key)

    def open_entries(self, _: str) -> list[Any]:
        """As the region's queue answers; of entries the planner reads the source snapshot's id alone."""
        return [SimpleNamespace(request=SimpleNamespace(origin=SimpleNamespace(snapshot_id=one))) for one in self.waiting]


def planner_of(here: ListedRegion, others: Sequence[ListedRegion], policies: PolicySet, now: datetime) -> RetentionPlanner:
    """Return the planner of a run's retention in one region, with the other regions reachable."""
    by_region = {region.region: region for region in (here, *others)}
    return RetentionPlanner(
        system=SYSTEM,
        reader=cast("SnapshotReader", here),
        guards=here,
        holds=SomeHolds(),
        policies=lambda: policies,
        clock=cast("Clock", SimpleNamespace(now=lambda: now)),
        reader_of=cast("Callable[[str], SnapshotReader]", by_region.__getitem__),
        source_of=cast("Callable[[str], SnapshotReader]", by_region.__getitem__),
        queue_of=cast("Callable[[str], CopyQueue]", by_region.__getitem__),
        fault_of_key=lambda _region, _key: None,
    )
