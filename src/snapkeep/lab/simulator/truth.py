"""The true origin of a snapshot, regardless of its tags and description, for the observers of the invariants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from snapkeep.lab.simulator.memory_ports import MemoryHolds


@dataclass(frozen=True, slots=True)
class Truth:
    """The true origin of a snapshot's data: its volume and time; for a copy, the source's."""

    source_id: str
    region: str
    volume_id: str
    start: float

    def is_held(self, snapshot_id: str, stores: Iterable[MemoryHolds]) -> bool:
        """Whether a hold in any region names this snapshot, its source or its volume, or covers everything."""
        return any(
            hold.covers_everything
            or not {snapshot_id, self.source_id}.isdisjoint(hold.snapshots)
            or self.volume_id in hold.volumes
            for store in stores
            for hold in store.all()
        )
