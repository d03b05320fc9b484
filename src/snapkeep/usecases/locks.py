"""Lock snapshots and copies as their policies require.

Nothing unlocks. A request only names snapshots. The policies in force decide, and a lock is made or made stricter, never
removed or shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from snapkeep.domain.errors import AwsRefused, SnapshotGone
from snapkeep.domain.locks import LockLimits, LockOrder, due_lock, lock_rule_of
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import LockRule, PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import Clock, Notice, Notices, ProblemKind, SnapshotLocker, SnapshotReader


@dataclass(frozen=True, slots=True)
class LockResult:
    """The locks that were made, and the ids of the snapshots that AWS refused to lock."""

    locked: tuple[LockOrder, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSnapshots:
    """Locks snapshots of one region. Running it again changes nothing (INV-11)."""

    system: str
    reader: SnapshotReader
    locker: SnapshotLocker
    policies: Callable[[], PolicySet]
    notices: Notices
    clock: Clock
    limits: LockLimits
    rule_of: Callable[[PolicySet, Snapshot, str], LockRule | None] = lock_rule_of
    """Returns the lock that the policies require on a snapshot of a system."""

    def run(self, snapshot_ids: Collection[str] = ()) -> LockResult:
        """Lock the snapshots that need it; without ids, the pending copies into this region.

        A refusal stops no other lock. It is notified only for named snapshots, because pending copies are read every minute.
        Raise AwsThrottled or AwsUnavailable; the call can be repeated.
        """
        named = bool(snapshot_ids)
        listed = self.reader.snapshots(snapshot_ids).values() if named else self.reader.copies_in_flight()
        policies = self.policies()
        rules = [(snapshot, rule) for snapshot in listed if (rule := self.rule_of(policies, snapshot, self.system))]
        locks = self.reader.locks([snapshot.id for snapshot, _ in rules])
        locked, refused = [], []
        for snapshot, rule in rules:
            order = due_lock(rule, snapshot, locks.get(snapshot.id), self.clock.now(), self.limits)
            if order is None:
                continue
            try:
                self.locker.lock(order)
            # It was deleted after the listing.
            except SnapshotGone:
                continue
            except AwsRefused as error:
                refused.append(snapshot.id)
                if named:
                    self.notices.add(self._notice(snapshot, order, error))
            else:
                locked.append(order)
        return LockResult(tuple(locked), tuple(refused))

    def _notice(self, snapshot: Snapshot, order: LockOrder, error: AwsRefused) -> Notice:
        detail = f"volume {snapshot.origin.volume_id}, {order.mode} for {order.days} d: {error}"
        cause = "AWS refuses a lock that a policy requires: the snapshot can be deleted"
        return Notice(ProblemKind.NOT_LOCKED, cause, snapshot.id, detail, self.reader.region, self.clock.now())
