"""Deleted volumes whose snapshots are kept: their number, their sizes, and the most that the snapshots cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import ceil

from snapkeep.domain.model import Lineage, Snapshot
from snapkeep.domain.prices import SNAPSHOT_STORAGE
from snapkeep.domain.records import dataclass


@dataclass(frozen=True, slots=True)
class DeletedVolumes:
    """The deleted volumes whose managed snapshots or copies are kept.

    A listing has the volume's size, but not the size of the changed blocks, which EBS bills: size and price are upper bounds.
    """

    snapshots: tuple[Snapshot, ...] = ()

    @property
    def lineages(self) -> list[Lineage]:
        """The lineages of the volumes, in order."""
        return sorted({snapshot.origin.lineage for snapshot in self.snapshots})

    @property
    def figures(self) -> dict[str, int]:
        """The totals, by the identifiers of reports and of the status."""
        gib = sum(snapshot.size_gib for snapshot in self.snapshots)
        return {
            "deleted_volumes": len(self.lineages),
            "deleted_volumes_snapshots": len(self.snapshots),
            "deleted_volumes_gib": gib,
            "deleted_volumes_dollars": ceil(gib * SNAPSHOT_STORAGE.dollars),
        }


def deleted_volumes(snapshots: Iterable[Snapshot], deleted: Collection[Lineage], *, system: str) -> DeletedVolumes:
    """Return the completed managed snapshots of deleted volumes."""
    return DeletedVolumes(
        tuple(
            snapshot
            for snapshot in snapshots
            if snapshot.completed and snapshot.managed_by(system) and snapshot.origin.lineage in deleted
        )
    )


def deleted_lineages(snapshots: Iterable[Snapshot], region: str, existing: Collection[str]) -> frozenset[Lineage]:
    """Return the lineages of a source region's volumes that no longer exist, given the ids of the existing ones.

    A snapshot with an arbitrary volume id is a lineage of its own, and its volume is not known.
    """
    lineages = {snapshot.origin.lineage for snapshot in snapshots if snapshot.origin.lineage.of_volume}
    return frozenset(lineage for lineage in lineages if lineage.region == region and lineage.volume_id not in existing)
