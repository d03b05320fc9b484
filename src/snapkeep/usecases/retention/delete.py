"""Delete the snapshots that retention does not keep.

The plan is made here, right before its deletions: plans of other functions are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from datetime import timedelta
from itertools import count
from typing import Protocol

from snapkeep.domain.errors import AwsThrottled
from snapkeep.domain.model import DeletionPlan, Reason, Refusal, Snapshot, SnapshotState, Verdict
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder, deletion_orders
from snapkeep.domain.retention.placed_holds import HOLD_RULE
from snapkeep.usecases.placed_holds import HoldReader
from snapkeep.usecases.ports import CopyResult, DeletionOutcome, DeletionResult, PacingClock, SnapshotDeleter, SnapshotReader


class Planner(Protocol):
    """Plans the retention of volumes: a method of `RetentionPlanner`."""

    def __call__(
        self, volume_ids: Sequence[str], results: Sequence[CopyResult] = (), /, *, as_sweep: bool = False
    ) -> DeletionPlan:
        """Return a plan for the volumes' snapshots, or for their copies, as EC2 shows them now."""


_REFUSED_BY_EC2 = (DeletionOutcome.IN_USE, DeletionOutcome.LOCKED, DeletionOutcome.NOT_ALLOWED)

Audit = Callable[[DeletionOrder, DeletionResult, str], None]
"""Keeps a deletion, its result and the id of the plan that it is of."""


@dataclass(slots=True)
class Deletions:
    """The orders that were carried out or refused, with their results, and the volumes whose plan is refused."""

    orders: list[DeletionOrder] = field(default_factory=list)
    results: list[DeletionResult] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    calls: int = 0
    """The number of calls of DeleteSnapshot, without throttled ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshots:
    """Deletes at the pace that DeleteSnapshot's token bucket allows: 100 calls, refilled with 5 a second.

    Source: EC2 developer guide, "Request throttling". The bucket is shared with everybody in the account and Region, so the
    burst that is taken from it is half.
    """

    plan: Planner
    reader: SnapshotReader
    deleter: SnapshotDeleter
    holds: HoldReader
    pacer: PacingClock
    audit: Audit
    planned: Callable[[DeletionPlan], None]
    """Called with each plan before it is carried out."""
    day_limit: Callable[[Sequence[str]], str] | None = None
    """Called with a run's deletions before they are made; returns why they must not be: `DayLimit`."""
    burst: int = 50
    most: int = 400
    """The deletions after which no other volume is begun: the next run, or sweep, plans and deletes the rest."""
    seconds_between: float = 0.25
    seconds_after_throttling: float = 2.0
    fresh_for: timedelta = timedelta(minutes=1)
    """The age of a plan after which no further volume is begun by it: throttled deletions take minutes."""
    throttled_at_most: int = 20

    def run(
        self, volume_ids: Sequence[str], results: Sequence[CopyResult] = (), asked: Sequence[DeletionOrder] = ()
    ) -> Deletions:
        """Plan the volumes and delete what their plans give up. Return what was done.

        `asked` are a sweep's orders, and those for failed copies: each is carried out only if this function's own plan deletes
        the same snapshot, or if the copy is in state `error`. `results`: see `RetentionPlanner.plan_sources`. Raise AwsThrottled
        after the last retry, or AwsUnavailable when a region cannot be read.
        """
        done = Deletions()
        self._delete_volumes(volume_ids, results, None, done)
        failed_copies = [order for order in asked if order.kind is DeletionKind.FAILED_COPY]
        others = [order for order in asked if order.kind is not DeletionKind.FAILED_COPY]
        self._delete_volumes([order.volume_id for order in others], (), others, done)
        self._delete_failed(failed_copies, done)
        return done

    def _delete_volumes(
        self, volume_ids: Iterable[str], results: Sequence[CopyResult], asked: Sequence[DeletionOrder] | None, done: Deletions
    ) -> None:
        """Plan the volumes and delete, volume by volume: only what is `asked` for, unless that is None."""
        left = list(dict.fromkeys(volume_ids))
        while left and len(done.orders) < self.most:
            # The plan is made again after each burst, so that it is new when its deletions begin, and many volumes share its
            # listing.
            plan = self.plan(left, results, as_sweep=asked is not None)
            self.planned(plan)
            orders = deletion_orders(plan.deletions)
            snapshots = {verdict.snapshot.id: verdict.snapshot for verdict in plan.deletions}
            before = done.calls
            while left:
                volume_id = left[0]
                of_volume = [order for order in orders if order.volume_id == volume_id]
                if asked is not None:
                    asked_of_volume = [order for order in asked if order.volume_id == volume_id]
                    asked_ids = {order.snapshot_id for order in asked_of_volume}
                    of_volume = [order for order in of_volume if order.snapshot_id in asked_ids]
                # A volume is never divided, and the first one of a plan always goes, however many deletions it has.
                full = done.calls - before + len(of_volume) > self.burst
                if done.calls > before and (full or self.pacer.now() - plan.made_at > self.fresh_for):
                    break
                left.pop(0)
                if asked is None and self._is_stopped(of_volume, plan.id):
                    of_volume = []
                for order in of_volume:
                    snapshot = snapshots[order.snapshot_id]
                    policy = plan.governing.get(snapshot.origin.lineage, "")
                    self._carry_out(order, snapshot, policy, plan.id, done, by_run=asked is None)
                if asked is None:
                    done.refusals += [refusal for refusal in plan.refusals if refusal.lineage.volume_id == volume_id]
                else:
                    deleted_ids = {order.snapshot_id for order in of_volume}
                    self._refuse([order for order in asked_of_volume if order.snapshot_id not in deleted_ids], plan, done)

    def _is_stopped(self, orders: Sequence[DeletionOrder], plan_id: str) -> bool:
        """Whether a run must not make these deletions, on this day. It is no failure of the run: the audit lines say why."""
        if not orders or self.day_limit is None:
            return False
        why = self.day_limit([order.snapshot_id for order in orders])
        for order in orders if why else ():
            self.audit(order, DeletionResult(order.snapshot_id, DeletionOutcome.UNUSUAL, why), plan_id)
        return bool(why)

    def _carry_out(
        self, order: DeletionOrder, snapshot: Snapshot, policy: str, plan_id: str, done: Deletions, *, by_run: bool = False
    ) -> None:
        # Within the burst the bucket has tokens, so that a usual run, with a few deletions, waits for nothing.
        if done.calls >= self.burst:
            self.pacer.pause(self.seconds_between)
        done.calls += 1
        result = self._unless_gone(self._delete(snapshot, policy))
        if by_run and self._is_guarded(result):
            # It stays, as it would have if the plan had looked: no failure of the run. The audit line says why.
            self.audit(order, result, plan_id)
        else:
            self._note(order, result, plan_id, done)

    def _note(self, order: DeletionOrder, result: DeletionResult, plan_id: str, done: Deletions) -> None:
        # At once, and not at the end: a function that is killed has logged what it has done.
        self.audit(order, result, plan_id)
        done.orders.append(order)
        done.results.append(result)

    def _refuse(self, orders: Sequence[DeletionOrder], plan: DeletionPlan, done: Deletions) -> None:
        """Note the orders of another plan that this one does not confirm, with the reasons why the snapshots stay."""
        if not orders:  # the usual case: the plan of a sweep has the snapshots of hundreds of volumes
            return
        ids = {order.snapshot_id for order in orders}
        kept = {verdict.snapshot.id: verdict for verdict in plan.verdicts if verdict.snapshot.id in ids}
        unlisted = [order.snapshot_id for order in orders if order.snapshot_id not in kept]
        existing = self.reader.snapshots(unlisted) if unlisted else {}
        for order in orders:
            cause = "it is not a managed snapshot of its volume, or a copy that is not checked yet"
            result = DeletionResult(order.snapshot_id, DeletionOutcome.ALREADY_GONE)
            if verdict := kept.get(order.snapshot_id):
                result = _kept(verdict)
            elif order.snapshot_id in existing:
                result = DeletionResult(order.snapshot_id, DeletionOutcome.UNSAFE, cause)
            self._note(order, result, plan.id, done)

    def _delete_failed(self, orders: Sequence[DeletionOrder], done: Deletions) -> None:
        """Delete failed copies. Only a copy in state `error` is one: there is nothing in it."""
        copies = self.reader.snapshots([order.snapshot_id for order in orders]) if orders else {}
        for order in orders:
            copy = copies.get(order.snapshot_id)
            if copy is None:
                self._note(order, DeletionResult(order.snapshot_id, DeletionOutcome.ALREADY_GONE), "", done)
            elif copy.is_copy and copy.state is SnapshotState.ERROR:
                self._carry_out(order, copy, copy.policy, "", done)
            else:
                cause = f"INV-03: it is {copy.state}, and no failed copy"
                self._note(order, DeletionResult(order.snapshot_id, DeletionOutcome.UNSAFE, cause), "", done)

    def _unless_gone(self, result: DeletionResult) -> DeletionResult:
        """Return the result, or ALREADY_GONE where a concurrent run deleted the snapshot.

        A deleted snapshot carries no tag, so that the role's condition refuses the call.
        """
        if result.outcome is DeletionOutcome.NOT_ALLOWED and result.snapshot_id not in self.reader.snapshots(
            [result.snapshot_id]
        ):
            return DeletionResult(result.snapshot_id, DeletionOutcome.ALREADY_GONE)
        return result

    def _is_guarded(self, result: DeletionResult) -> bool:
        """Whether EC2 refused because of an AMI or a lock that is younger than the last sweep, so that no plan looked for it."""
        if result.outcome not in _REFUSED_BY_EC2:
            return False
        ids = [result.snapshot_id]
        return bool(self.reader.images_using(ids) or self.reader.locks(ids))

    def _delete(self, snapshot: Snapshot, policy: str) -> DeletionResult:
        for attempt in count():
            # Right before each call, and not once for a plan: this function is the last one that can stop.
            if reasons := self.holds.placed([snapshot]).reasons_for(snapshot, policy):
                break
            try:
                return self.deleter.delete(snapshot.id)
            except AwsThrottled:
                if attempt == self.throttled_at_most:
                    raise
                self.pacer.pause(self.seconds_after_throttling)
        return DeletionResult(snapshot.id, DeletionOutcome.HELD, _text(reasons))


def _kept(verdict: Verdict) -> DeletionResult:
    """Return the result of a deletion that the function's own plan does not confirm."""
    held = any(reason.rule == HOLD_RULE for reason in verdict.reasons)
    return DeletionResult(verdict.snapshot.id, DeletionOutcome.HELD if held else DeletionOutcome.UNSAFE, _text(verdict.reasons))


def _text(reasons: Iterable[Reason]) -> str:
    return "; ".join(reason.text for reason in reasons)
