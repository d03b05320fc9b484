"""A region in which a sweep found no AMI and no lock on managed snapshots: runs need not look before they delete there."""

from __future__ import annotations

from datetime import datetime, timedelta

from snapkeep.domain.model import CLOCK_SKEW, Snapshot
from snapkeep.domain.records import dataclass

GOOD_FOR = timedelta(hours=12)
"""Two sweeps of the default schedule."""


@dataclass(frozen=True, slots=True)
class GuardedCount:
    """The number of managed snapshots of a region that AMIs used, or that were locked, when a sweep looked.

    While it is zero, EC2 alone refuses what is first used or locked until the next sweep: "The snapshot that you are trying to
    delete is in use by one or more AMIs" (EC2 API reference: error codes, InvalidSnapshot.InUse), "A locked snapshot can't be
    deleted" (EC2 API reference: LockSnapshot).
    """

    at: datetime
    """Before the sweep looked."""
    number: int

    def shows_unguarded(self, snapshot: Snapshot, now: datetime) -> bool:
        """Whether no look is needed: the sweep saw this snapshot, and nothing that holds any, lately."""
        # EC2 may list a snapshot late, and by its own clock.
        seen = self.at - snapshot.start_time > CLOCK_SKEW
        return self.number == 0 and seen and -CLOCK_SKEW <= now - self.at <= GOOD_FOR
