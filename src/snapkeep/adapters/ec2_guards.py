"""AMIs and locks of a region, cached for a short time, so that a burst of runs lists them once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.domain.model import SnapshotLock
from snapkeep.usecases.ports import Clock


class RecentGuards:
    """`DeletionGuards` from listings at most `good_for` old.

    Some time passes between a look and the deletion in any case. AWS itself refuses to delete snapshots that are locked or used
    in between.
    """

    def __init__(self, *, reader: Ec2Reader, clock: Clock, good_for: timedelta = timedelta(seconds=60)) -> None:
        self._reader = reader
        self._clock = clock
        self._good_for = good_for
        self._listed_at: datetime | None = None
        self._images: dict[str, tuple[str, ...]] = {}
        self._locks: dict[str, SnapshotLock] = {}

    def images_using(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the AMIs that use each snapshot."""
        self._refresh()
        return {id_: self._images[id_] for id_ in snapshot_ids if id_ in self._images}

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        """Return the lock of each snapshot."""
        self._refresh()
        return {id_: self._locks[id_] for id_ in snapshot_ids if id_ in self._locks}

    def _refresh(self) -> None:
        now = self._clock.now()
        if self._listed_at is None or now - self._listed_at > self._good_for:
            # Both are listed at once, so that they are of one moment.
            self._images, self._locks = self._reader.all_images(), self._reader.all_locks()
            self._listed_at = now
