"""The number of guarded snapshots in a region.

If a sweep found no AMI and no lock on managed snapshots, runs delete without a look at both.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from snapkeep.domain.model import CLOCK_SKEW, Snapshot
from snapkeep.domain.records import dataclass

GOOD_FOR = timedelta(hours=12)
"""The interval of two sweeps in the default schedule."""


@dataclass(frozen=True, slots=True)
class GuardedCount:
    """The number of managed snapshots of a region that AMIs used, or that were locked, at the time of a sweep.

    While it is zero, EC2 alone refuses the deletion of snapshots that are first used or locked before the next sweep: "The
    snapshot that you are trying to delete is in use by one or more AMIs" (EC2 API reference: error codes,
    InvalidSnapshot.InUse), "A locked snapshot can't be deleted" (EC2 API reference: LockSnapshot).
    """

    at: datetime
    """The time right before the sweep's look."""
    number: int

    def shows_unguarded(self, snapshot: Snapshot, now: datetime) -> bool:
        """Whether no look is needed: a recent sweep listed this snapshot, and found none that is guarded."""
        # EC2 may list a snapshot late, and its clock may differ.
        seen = self.at - snapshot.start_time > CLOCK_SKEW
        return self.number == 0 and seen and -CLOCK_SKEW <= now - self.at <= GOOD_FOR
