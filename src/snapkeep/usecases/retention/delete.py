"""Carry out a plan's deletions: one that cannot be deleted is reported and does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from snapkeep.domain.errors import AwsThrottled, PlanStale
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.usecases.ports import Clock, DeletionOutcome, DeletionResult, SnapshotDeleter

PLAN_GOOD_FOR = timedelta(minutes=15)
"""A redriven execution may come days after its plan (Step Functions allows 14 days): such a plan is not carried out."""


class Pacer(Protocol):
    """Lets time pass."""

    def pause(self, seconds: float) -> None:
        """Wait."""
        ...


class PacingClock(Clock, Pacer, Protocol):
    """Tells the time, and lets it pass."""


class DeletionCheck(Protocol):
    """Looks at EC2 right before deletions: see `LastLook`."""

    def run(self, orders: Sequence[DeletionOrder]) -> Mapping[str, DeletionResult]:
        """Return by id the results of the orders that must not be carried out, or need not."""
        ...

    def exists(self, snapshot_id: str) -> bool:
        """Whether the snapshot is there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshots:
    """Deletes at the pace that DeleteSnapshot's token bucket allows: 100 calls, refilled with 5 a second.

    Source: EC2 developer guide, "Request throttling". The bucket is shared with everybody in the account and Region, so the
    burst that is taken from it is half.
    """

    deleter: SnapshotDeleter
    pacer: Pacer
    clock: Clock
    last_look: DeletionCheck
    audit: Callable[[DeletionOrder, DeletionResult], None]
    burst: int = 50
    seconds_between: float = 0.25
    seconds_after_throttling: float = 2.0
    throttled_at_most: int = 20

    def run(self, made_at: datetime, orders: Sequence[DeletionOrder]) -> list[DeletionResult]:
        """Carry out a plan's deletions, volume by volume; return the result of each.

        Raise PlanStale, AwsThrottled after the last retry, or AwsUnavailable when EC2 cannot be read.
        """
        age = self.clock.now() - made_at
        if age > PLAN_GOOD_FOR:
            raise PlanStale(f"the plan was made {age} ago and is good for {PLAN_GOOD_FOR}; start a new run, or a sweep")
        # A stale plan is refused as a whole: the facts on which each of its deletions relies are old.
        results: list[DeletionResult] = []
        calls = 0
        for part in self._parts(orders):
            # One look for each part: it is fresh when the part's deletions begin, and many volumes share its listing.
            unneeded = self.last_look.run(part)
            for order in part:
                result = unneeded.get(order.snapshot_id)
                if result is None:
                    # Within the burst the bucket has tokens, so that a usual run, with a few deletions, waits for nothing.
                    if calls >= self.burst:
                        self.pacer.pause(self.seconds_between)
                    calls += 1
                    result = self._unless_gone(self._delete(order.snapshot_id))
                # At once, and not at the end: a function that is killed has logged what it has done.
                self.audit(order, result)
                results.append(result)
        return results

    def _parts(self, orders: Sequence[DeletionOrder]) -> list[list[DeletionOrder]]:
        """Return the orders, volume by volume, in parts of one look each: of whole volumes, and few enough to be deleted soon."""
        by_volume: dict[str, list[DeletionOrder]] = {}
        for order in orders:
            by_volume.setdefault(order.volume_id, []).append(order)
        parts: list[list[DeletionOrder]] = []
        for of_volume in by_volume.values():
            # A volume is never divided: the last look counts the newer snapshots that remain beside all its deletions.
            if not parts or len(parts[-1]) + len(of_volume) > self.burst:
                parts.append([])
            parts[-1] += of_volume
        return parts

    def _unless_gone(self, result: DeletionResult) -> DeletionResult:
        """A run beside this one may have deleted it already."""
        if result.outcome is DeletionOutcome.NOT_ALLOWED and not self.last_look.exists(result.snapshot_id):
            return DeletionResult(result.snapshot_id, DeletionOutcome.ALREADY_GONE)
        return result

    def _delete(self, snapshot_id: str) -> DeletionResult:
        for _ in range(self.throttled_at_most):
            try:
                return self.deleter.delete(snapshot_id)
            except AwsThrottled:
                self.pacer.pause(self.seconds_after_throttling)
        return self.deleter.delete(snapshot_id)
