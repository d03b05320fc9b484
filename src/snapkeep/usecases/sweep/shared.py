"""Sweep: gather once, decide, repair within limits, report. The common part of both regions' sweeps.

Only steps of the event-driven path repair anything. The deletions of the plan are carried out by the same function that
deletes for every other run; `complete` then adds their results to the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from datetime import date, datetime, timedelta

from snapkeep import __version__
from snapkeep.domain.copies.entry import NOT_STARTED, OPEN, EntryState, QueueEntry
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.json_codec import NOT_IN_JSON
from snapkeep.domain.locks import SETTLING, LockLimits
from snapkeep.domain.model import DeletionPlan, Lineage, Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.source import PolicySource
from snapkeep.domain.protection import PolicyAges
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder, deletion_orders
from snapkeep.domain.retention.deletion_days import DayOfDeletions, usual
from snapkeep.domain.retention.guarded_count import GuardedCount
from snapkeep.domain.retention.placed_holds import PlacedHold, PlacedHolds
from snapkeep.domain.sweep.findings import Finding, FindingKind, Repair, SweepDecision
from snapkeep.domain.sweep.locks import missing_locks, required_locks
from snapkeep.domain.sweep.memory import SweepMemory
from snapkeep.domain.sweep.report import Figure, Handling, ReportItem, SweepReport, item_of
from snapkeep.usecases.placed_holds import HoldReader, HoldStore
from snapkeep.usecases.ports import Clock, CopyQueue, DeletionGuards, DeletionResult, LockRequests, SnapshotReader, SnapshotTagger
from snapkeep.usecases.retention.plan_volumes import plan_id
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions
from snapkeep.usecases.sweep.count_store import StoredCount
from snapkeep.usecases.sweep.dead_letters import ReplayDeadLetters
from snapkeep.usecases.sweep.deletions_by_others import DeletionWatch, WatchResult
from snapkeep.usecases.sweep.exposure import ExposureCheck

FINDING_OF_DELETION = {
    DeletionKind.RETENTION: FindingKind.PAST_RETENTION,
    DeletionKind.FAILED_COPY: FindingKind.FAILED_COPY,
    DeletionKind.SECOND_COPY: FindingKind.COPY_TWICE,
}


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """Limits of one sweep; the rest is left for the next one."""

    repairs: int = 500
    deletions: int = 300
    times_usual: int = 0
    """Deletions of a day that are more than so many times the usual stop those of the sweep; 0: they are not compared."""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """A person's options for one sweep. `adopt` is the consent without which no history is touched.

    `former` is the name of a system that was renamed: its snapshots are adopted.
    """

    adopt: bool = False
    retry_failed: bool = False
    former: str = field(default="", metadata=NOT_IN_JSON)


@dataclass(frozen=True, slots=True)
class SweepInput:
    """The input of an execution of Sweep. A person may write it too, so the function reads it leniently."""

    options: SweepOptions


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Result of a sweep: its report so far, and the deletions that are still to be carried out."""

    report: SweepReport
    plan: DeletionPlan
    remove: tuple[tuple[Snapshot, str], ...] = ()
    """Failed copies to remove, with the causes."""
    rpo_ages_seconds: Mapping[str, float] = field(default_factory=dict)
    """RPO age by volume, where there is one."""
    memory: SweepMemory | None = None
    """The memory for the next sweep; None if the sweep failed as a whole."""


@dataclass(slots=True)
class Repairs:
    """Carries out repairs, the most urgent first, up to a limit; collects the result of each finding."""

    limit: int
    items: list[ReportItem] = field(default_factory=list)
    made: int = 0

    def carry_out(self, findings: Iterable[Finding], act: Callable[[Repair], Handling]) -> None:
        """Carry out the repairs of findings; one that fails does not stop the others."""
        for finding in findings:
            if finding.repair is None:
                self.items.append(item_of(finding, _unrepaired(finding)))
            # The next sweep finds the others again: the limit is for the time of one sweep, not for the repairs.
            elif self.made >= self.limit:
                self.items.append(item_of(finding, Handling.LEFT))
            else:
                # A repair that fails counts too, or a broken region would use up the time of the whole sweep.
                self.made += 1
                try:
                    item = item_of(finding, act(finding.repair))
                except SnapkeepError as error:
                    item = item_of(finding, Handling.FAILED, f"{type(error).__name__}: {error}")
                self.items.append(item)

    def note(self, findings: Iterable[Finding]) -> None:
        """Collect findings that a sweep repairs nothing of."""
        self.carry_out(findings, lambda _: Handling.NOTED)


def not_done(queue: CopyQueue) -> list[QueueEntry]:
    """Return the open and failed entries of the queue. An entry that changes its state in between is returned once."""
    entries = {entry.key: entry for state in (*OPEN, EntryState.FAILED) for entry in queue.in_state(state)}
    return list(entries.values())


def queue_counts(entries: Sequence[QueueEntry]) -> dict[Figure, int]:
    """Return how many of a queue's entries wait, run and failed."""
    states = [entry.state for entry in entries]
    return {
        Figure.COPIES_WAITING: sum(state in NOT_STARTED for state in states),
        Figure.COPIES_RUNNING: states.count(EntryState.RUNNING),
        Figure.COPIES_FAILED: states.count(EntryState.FAILED),
    }


def held_count(
    placed: PlacedHolds, snapshots: Iterable[Snapshot], governing: Mapping[Lineage, str], system: str
) -> dict[Figure, int]:
    """Return how many managed snapshots the placed holds cover; nothing where no hold is in force, or that is not known.

    `governing` has the names of the policies that govern the lineages.
    """
    if not placed.holds or placed.unread:
        return {}
    managed = (snapshot for snapshot in snapshots if snapshot.managed_by(system))
    policies = ((snapshot, governing.get(snapshot.origin.lineage, "")) for snapshot in managed)
    held = sum(any(hold.covers(snapshot, policy) for hold in placed.holds) for snapshot, policy in policies)
    return {Figure.SNAPSHOTS_HELD: held}


def deletion_plan(decision: SweepDecision, region: str, now: datetime, limit: int) -> tuple[DeletionPlan, list[ReportItem]]:
    """Return the plan of the oldest deletions, up to the limit, and the others as findings that are left."""
    # The oldest first, as runs would have deleted them.
    ordered = sorted(decision.deletions, key=lambda verdict: verdict.snapshot.origin.start_time)
    now_, later = ordered[:limit], ordered[limit:]
    plan = DeletionPlan(plan_id(region, now, now_), region, now, tuple(now_))
    return plan, [_deletion_item(order, Handling.LEFT) for order in deletion_orders(later)]


def _deletion_item(order: DeletionOrder, handling: Handling, cause: str = "") -> ReportItem:
    return ReportItem(FINDING_OF_DELETION[order.kind], order.snapshot_id, order.volume_id, order.text, handling, cause)


def with_left(swept: SweepResult, orders: Sequence[DeletionOrder]) -> SweepReport:
    """Return a sweep's report with the deletions that are not among the orders, as findings that are left."""
    ordered = {order.snapshot_id for order in orders}
    planned = deletion_orders(swept.plan.deletions, swept.remove)
    left_items = (_deletion_item(order, Handling.LEFT) for order in planned if order.snapshot_id not in ordered)
    return replace(swept.report, items=(*swept.report.items, *left_items))


def complete(
    report: SweepReport, orders: Sequence[DeletionOrder], failed: Sequence[DeletionResult], now: datetime
) -> SweepReport:
    """Return a sweep's report to its end, given the deletions that were ordered and those that failed."""
    causes = {result.snapshot_id: f"{result.outcome.label}: {result.cause}" for result in failed}
    deletions = [
        _deletion_item(
            order, Handling.FAILED if order.snapshot_id in causes else Handling.REPAIRED, causes.get(order.snapshot_id, "")
        )
        for order in orders
    ]
    counts = dict(report.counts)
    counts[Figure.SNAPSHOTS_DELETED] = len(orders) - len(causes)
    counts[Figure.DELETIONS_FAILED] = len(causes)
    return replace(report, items=(*report.items, *deletions), counts=counts, ended_at=now)


def stopped(report: SweepReport, cause: str, now: datetime) -> SweepReport:
    """Return a sweep's report to its end, where the step that carries out its deletions failed for a cause.

    How many snapshots that step deleted is not known: the audit lines of DeleteOldSnapshots name them.
    """
    text = "the deletions of this sweep were not all carried out"
    item = ReportItem(FindingKind.PAST_RETENTION, "", "", text, Handling.FAILED, cause)
    return replace(report, items=(*report.items, item), ended_at=now)


def _unrepaired(finding: Finding) -> Handling:
    return Handling.NEEDS_ATTENTION if finding.kind.needs_attention else Handling.NOTED


def _lock_item(finding: Finding, since: datetime | None, failure: str, now: datetime) -> ReportItem:
    """Return a missing lock with what became of it, given since when it is requested; None where it is not."""
    if since is None:
        return item_of(finding, _unrepaired(finding))
    if failure:
        return item_of(finding, Handling.FAILED, failure)
    late = now - since >= SETTLING
    text = f"{finding.text}; {f'requested at {since:%Y-%m-%d %H:%M} UTC already' if late else 'requested'}"
    return item_of(replace(finding, text=text), Handling.NEEDS_ATTENTION if late else Handling.REPAIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSweep:
    """The common part of the sweeps of a primary and of a DR region. A second sweep right after changes nothing."""

    system: str
    reader: SnapshotReader
    reader_of: Callable[[str], SnapshotReader]
    guards: DeletionGuards
    holds: HoldReader
    policies: Callable[[], PolicySet]
    tagger: SnapshotTagger
    letters: ReplayDeadLetters
    exposure: ExposureCheck
    watch: DeletionWatch
    clock: Clock
    limits: SweepLimits = field(default_factory=SweepLimits)
    hold_store: Callable[[], HoldStore] | None = None
    """Returns the store for the hold of a day with far more deletions than usual; None: the sweep places no hold."""

    locks: LockRequests | None = None
    """Has snapshots locked; None where the stack allows no locks."""
    lock_limits: LockLimits = LockLimits()
    count_store: StoredCount | None = None
    """Keeps how many snapshots AMIs and locks hold; None: every run looks itself."""
    announced: AnnouncedDeletions | None = None
    """The deletions that runs announce, beside the usual number; None: runs are not compared with it."""

    def count_guarded(
        self, snapshots: Sequence[Snapshot], policies: PolicySet, options: SweepOptions, listed_at: datetime
    ) -> None:
        """Keep how many managed snapshots AMIs use or locks hold, or will soon, for the runs until the next sweep.

        Where that cannot be read or kept, runs look themselves once the last count is too old. `listed_at` is before the listing.
        """
        if self.count_store is None:
            return
        # Snapshots that become managed by consent may be due at once.
        adopts = options.adopt or bool(options.former)
        ids = [snapshot.id for snapshot in snapshots if adopts or snapshot.managed_by(self.system)]
        with suppress(SnapkeepError, UnicodeDecodeError):  # the stored count may be another system's
            guarded = {*self.guards.images_using(ids), *self.guards.locks(ids)} if ids else set()
            if self.locks is not None:
                guarded.update(snapshot.id for snapshot in required_locks(snapshots, policies, self.system))
            self.count_store.save(GuardedCount(listed_at, len(guarded)))

    def locks_missing(
        self, snapshots: Iterable[Snapshot], policies: PolicySet, now: datetime, before: Mapping[str, datetime]
    ) -> tuple[list[ReportItem], dict[str, datetime]]:
        """Have those snapshots locked that their policies want locked and that are not (INV-23).

        Return what was found, and since when each lock is requested, given what earlier sweeps requested: one that AWS has not
        made within `SETTLING` is not called repaired.
        """
        to_lock = required_locks(snapshots, policies, self.system)
        try:
            locks = self.guards.locks([snapshot.id for snapshot in to_lock]) if to_lock else {}
        except SnapkeepError as error:
            unread = Finding(FindingKind.OUT_OF_REACH, "locks", "", str(error))
            return [item_of(unread, Handling.NEEDS_ATTENTION)], dict(before)
        missing = missing_locks(to_lock, locks, policies, now, self.lock_limits, system=self.system)
        due = [lock.finding.subject for lock in missing if lock.allowed] if self.locks is not None else []
        requested = {snapshot_id: before.get(snapshot_id, now) for snapshot_id in due[: self.limits.repairs]}
        failure = ""
        try:
            if requested and self.locks is not None:
                self.locks.request(list(requested), policies.source.version)
        except SnapkeepError as error:
            failure = str(error)
        return [_lock_item(lock.finding, requested.get(lock.finding.subject), failure, now) for lock in missing], requested

    def deletions(
        self, decision: SweepDecision, watched: WatchResult, now: datetime
    ) -> tuple[DeletionPlan, list[ReportItem], list[Finding]]:
        """Return the plan of a sweep's deletions, those that are left, and the findings of a day that has none.

        That is an unusual day, and one whose announced deletions cannot be read.
        """
        today, times = now.date(), self.limits.times_usual
        unread = []
        try:
            days = self._announced_days(watched, today)
        except SnapkeepError as error:
            days, text = [DayOfDeletions(today, 0)], f"they are not known, and retention deletes nothing in this sweep: {error}"
            unread = [Finding(FindingKind.OUT_OF_REACH, "deletions of the day", "", text)]
        by_others = watched.unusual(today, times)
        unusual_days = [day for day in days if day.is_unusual(times) or (by_others and day.day == today)]
        unusual = by_others or [Finding(FindingKind.DELETIONS_UNUSUAL, "", "", day.text) for day in unusual_days]
        plan, left_items = deletion_plan(decision, self.reader.region, now, 0 if unusual or unread else self.limits.deletions)
        return plan, left_items, [*unusual, *unread, *self._holds_placed(unusual_days, unusual, now)]

    def _announced_days(self, watched: WatchResult, today: date) -> list[DayOfDeletions]:
        """Let runs know the usual number.

        Return the deletions of today, and those of a day on which they stopped after its last sweep. Raise AwsRefused,
        AwsThrottled or AwsUnavailable.
        """
        if self.announced is None or not self.limits.times_usual:
            return [DayOfDeletions(today, 0)]
        # Also on an unusual day. The first sweep of tomorrow may be hours after its first runs.
        for day in (today, today + timedelta(days=1)):
            if (number := usual(watched.deletions, day)) is not None:
                self.announced.write_usual(day, number)
        last = watched.since.date() if watched.since and watched.since.date() < today else None
        before = [self.announced.of(last)] if last else []
        return [self.announced.of(today), *(day for day in before if day.notified and not day.seen)]

    def _holds_placed(self, days: Iterable[DayOfDeletions], unusual: Sequence[Finding], now: datetime) -> list[Finding]:
        """Put the system on hold for unusual days; return why there is no hold.

        The hold of a day is placed once: the person who releases it has looked at the day.
        """
        if self.hold_store is None:
            return []
        try:
            for day in days:
                if day.seen:
                    continue
                self.hold_store().place(
                    PlacedHold(f"deletions-{day.day}", "Snapkeep, by DeletionsTimesUsual", now, unusual[0].text)
                )
                if self.announced is not None:
                    self.announced.mark_seen(day.day)
        except SnapkeepError as error:
            return [Finding(FindingKind.OUT_OF_REACH, "hold on deletions", "", str(error))]
        return []

    def report(
        self,
        sweep_id: str,
        stack: str,
        started: datetime,
        items: Iterable[ReportItem],
        counts: Mapping[Figure, int],
        policies: tuple[PolicyAges, ...] = (),
        names: Mapping[str, str] | None = None,
        policy: PolicySource | None = None,
    ) -> SweepReport:
        """Return the report so far, after a replay of the undelivered events. An unreadable queue stops no sweep."""
        try:
            # Last, because a replayed event starts an execution that the sweep would otherwise find half done.
            items = (*items, *self.letters.run())
        except SnapkeepError as error:
            subject, text = "dead-letter queue", "it could not be read"
            items = (*items, ReportItem(FindingKind.OUT_OF_REACH, subject, "", text, Handling.FAILED, str(error)))
        region, ended = self.reader.region, self.clock.now()
        return SweepReport(
            sweep_id,
            self.system,
            stack,
            region,
            started,
            ended,
            items,
            counts,
            policies,
            names=names or {},
            policy=policy,
            version=__version__,
        )
