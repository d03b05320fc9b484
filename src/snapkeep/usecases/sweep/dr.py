"""The sweep of a DR region or a vault: unseen ends of copies, failed copies, lost tags, retention, undelivered events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.copies.known_copies import known_copies
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.events import CopyEndEvent
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.points import keys_at_risk
from snapkeep.domain.retention.deleted_volumes import deleted_volumes
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.sweep.deletions_by_others import memory_of
from snapkeep.domain.sweep.dr import DrFacts, decide_dr
from snapkeep.domain.sweep.findings import (
    EndDrillRepair,
    Finding,
    FindingKind,
    ReceiveRepair,
    Repair,
    RetagRepair,
    VerifyRepair,
    deleted_volume_findings,
    document_findings,
    hold_findings,
    key_findings,
    placed_hold_findings,
)
from snapkeep.domain.sweep.report import Figure, Handling, ReportItem
from snapkeep.domain.sweep.rotation import rotating_sample
from snapkeep.domain.sweep.unproved_copies import MOST_COMPARISONS, unproved_copies, unproved_findings
from snapkeep.domain.system import StackKind
from snapkeep.domain.tags import is_of_original_system, with_source_starts
from snapkeep.domain.vault.shares import share_figures
from snapkeep.usecases.copies.enqueue import find_entry
from snapkeep.usecases.copies.pull import PullShares
from snapkeep.usecases.copies.receive import ReceiveCopy, ReceiveOutcome
from snapkeep.usecases.drills.watch import DrillWatch
from snapkeep.usecases.ports import CopyQueue
from snapkeep.usecases.recovery.measure_changes import unusual_changes
from snapkeep.usecases.recovery.ports import Verifications
from snapkeep.usecases.recovery.record_ports import Documents
from snapkeep.usecases.retention.plan_regions import deleted_sources, guarded_plan, tagged_sources
from snapkeep.usecases.sweep.shared import RegionSweep, Repairs, SweepOptions, SweepResult, held_count, not_done, queue_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class DrSweep(RegionSweep):
    """The sweep of a DR region or a vault."""

    queue: CopyQueue
    receive: ReceiveCopy
    drills: DrillWatch | None = None
    """The watch of drills; None in a vault, which has none."""
    verifications: Verifications | None
    """Starts comparisons; None where nothing is compared, as in most simulations."""
    documents: Documents | None = None
    """The documents with the unusual changes; None if they are not read."""
    pull: PullShares | None = None
    """In a vault: copies what is shared with it."""
    stack: StackKind = StackKind.DR

    def run(self, sweep_id: str, options: SweepOptions) -> SweepResult:
        """Find and repair within the options; return the report so far and the deletions to carry out.

        Raise AwsThrottled or AwsUnavailable when the region cannot be read: then nothing was done.
        """
        started = self.clock.now()
        policies = self.policies()
        shares = self._pulled()  # before the queue is read: the report has what it requested
        # The queue before the listing: what it calls running may be completed in the listing, never the other way round.
        entries = not_done(self.queue)
        snapshots = self._with_source_starts(list(self.reader.all_snapshots()))
        settled = list(self.queue.in_state(EntryState.DONE))
        known = known_copies([*entries, *settled], started)
        managed = [copy for copy in snapshots if copy.managed_by(self.system)]
        gone, all_known = deleted_sources(managed, self.reader.region, self.reader_of)
        listing = RegionFacts(
            region=self.reader.region,
            volumes=(),
            snapshots=known.counted(snapshots),
            checked=known.checked,
            gone=gone,
            sources=tagged_sources(managed, self.reader.region, policies, self.reader_of),
        )
        placed = self.holds.placed(managed)
        self.count_guarded(snapshots, policies, options, started)
        plan = guarded_plan(self.guards, listing, policies, started, system=self.system, placed=lambda _: placed)
        facts = DrFacts(
            system=self.system,
            plan=plan,
            snapshots=snapshots,
            queued=entries,
            done=settled,
            adopt=options.adopt,
            former=options.former,
        )
        decision = decide_dr(facts, policies)
        watched = self.watch.run(replace(listing, snapshots=snapshots), policies, started, self.system, placed)
        deletions, postponed, unusual = self.deletions(decision, watched, started)
        actor = _Actor(self)
        repairs = Repairs(self.limits.repairs)
        keys = key_findings(keys_at_risk(self.reader.region, snapshots, self.system))
        holds = [*hold_findings(snapshots, started), *placed_hold_findings(placed, started)]
        lock_items, requested = self.locks_missing(listing.snapshots, policies, started, watched.locks)
        repairs.items += lock_items
        repairs.carry_out([*document_findings(policies), *keys, *holds, *decision.findings], actor.repair)
        exposed = self.exposure.run(snapshots, self.system, self.clock.now(), policies)
        deleted = deleted_volumes(snapshots, gone, system=self.system)
        further = [*unusual, *watched.findings, *shares, *self._unusual(snapshots, started)]
        repairs.note([*exposed, *deleted_volume_findings(deleted), *further])
        if self.drills is not None:
            repairs.carry_out(self.drills.run(snapshots, policies, started), actor.repair)
        comparisons = Repairs(min(MOST_COMPARISONS, self.limits.repairs - repairs.made))
        leaving = {verdict.snapshot.id for verdict in decision.deletions}
        unproved = self._unproved(listing.snapshots, policies, started, leaving)
        comparisons.carry_out(unproved, actor.repair)
        items, counts = (
            (*repairs.items, *comparisons.items, *actor.problems, *postponed),
            _counts(snapshots, entries, self.system) | held_count(placed, snapshots, plan.governing, self.system),
        )
        if self.verifications is not None:
            oldest = started - min((finding.urgency for finding in unproved), default=started)
            counts[Figure.OLDEST_UNPROVED_HOURS] = int(oldest.total_seconds() // 3600)
        if all_known:
            counts |= {Figure(name): number for name, number in deleted.figures.items()}
        report = self.report(sweep_id, self.stack, started, items, counts, names=plan.names_by_id, policy=policies.source)
        # A failed copy that Receive removes must not be deleted twice, which would be reported as a failure.
        removed_ids = {copy.id for copy, _ in actor.remove}
        kept = tuple(verdict for verdict in deletions.verdicts if verdict.snapshot.id not in removed_ids)
        memory = memory_of(plan, snapshots, decision.findings, watched.deletions, started, requested, system=self.system)
        return SweepResult(report, replace(deletions, verdicts=kept), tuple(actor.remove), memory=memory)

    def _pulled(self) -> list[Finding]:
        """Copy what is shared with a vault; return what is not copied. Shares that cannot be read stop no sweep."""
        if self.pull is None:
            return []
        try:
            result = self.pull.run(retry_failed=True)
        except SnapkeepError as error:
            return [Finding(FindingKind.OUT_OF_REACH, "shared snapshots", "", str(error))]
        problem = [Finding(FindingKind.VAULT_IDLE, "vault", "", result.problem)] if result.problem else []
        return problem + [Finding(FindingKind.SHARE_REFUSED, share.snapshot_id, "", share.why) for share in result.refused]

    def _unusual(self, snapshots: Iterable[Snapshot], now: datetime) -> list[Finding]:
        """Return the unusual changes of the last days in sources of copies that are still there."""
        if self.documents is None:
            return []
        try:
            changes = unusual_changes(self.documents)
        except SnapkeepError as error:
            return [Finding(FindingKind.OUT_OF_REACH, "changes of volumes", "", str(error))]
        sources = {snapshot.origin.snapshot_id for snapshot in snapshots}
        return [
            Finding(FindingKind.UNUSUAL_CHANGE, change.snapshot_id, change.volume_id, change.text)
            for change in changes
            if change.snapshot_id in sources and change.needs_attention(now)
        ]

    def _unproved(self, snapshots: Iterable[Snapshot], policies: PolicySet, now: datetime, leaving: set[str]) -> list[Finding]:
        """Return the copies to compare again: those first that this sweep has room for, others at each sweep."""
        if self.verifications is None:
            return []
        unproved = unproved_copies(snapshots, policies, now, system=self.system, leaving=leaving)
        source_ids: dict[str, set[str]] = defaultdict(set)
        for comparison in unproved:
            source_ids[comparison.copy.origin.region].add(comparison.copy.origin.snapshot_id)
        sources: dict[str, Mapping[str, Snapshot]] = {}
        for region, ids in source_ids.items():
            # A source that cannot be looked for is not known to be deleted: its copy stays a finding.
            with suppress(SnapkeepError):
                sources[region] = self.reader_of(region).snapshots(ids)
        findings = unproved_findings(unproved, sources, now)
        first = rotating_sample(findings, MOST_COMPARISONS, now)
        return [*first, *(finding for finding in findings if finding not in first)]

    def _with_source_starts(self, snapshots: list[Snapshot]) -> list[Snapshot]:
        """Read the sources of the original system's copies. The start stays unknown where a region cannot be read."""
        source_ids: dict[str, set[str]] = defaultdict(set)
        for copy in snapshots:
            if not copy.origin.start_known and is_of_original_system(copy):
                source_ids[copy.origin.region].add(copy.origin.snapshot_id)
        sources: dict[str, Snapshot] = {}
        for region, ids in source_ids.items():
            # A copy whose source cannot be read stays unadopted: its age would be wrong.
            with suppress(SnapkeepError):
                sources |= self.reader_of(region).snapshots(ids)
        return with_source_starts(snapshots, sources)


@dataclass(slots=True)
class _Actor:
    """Carries out a DR region's repairs, and stores their remaining work."""

    sweep: DrSweep
    remove: list[tuple[Snapshot, str]] = field(default_factory=list)
    problems: list[ReportItem] = field(default_factory=list)

    def repair(self, repair: Repair) -> Handling:
        """Carry out a repair."""
        match repair:
            case ReceiveRepair(ended):
                return self._receive(ended)
            case RetagRepair(snapshot_id, tags):
                self.sweep.tagger.tag([snapshot_id], tags)
                return Handling.REPAIRED
            case EndDrillRepair(run_id) if self.sweep.drills is not None:
                self.sweep.drills.end(run_id)
                return Handling.REPAIRED
            case VerifyRepair(copy_id, method, name, month_usd) if self.sweep.verifications is not None:
                self.sweep.verifications.start(copy_id, method, name, month_usd=month_usd)
                return Handling.REPAIRED
        raise TypeError(f"a DR region has no repair {type(repair).__name__}")

    def _receive(self, ended: CopyEndEvent) -> Handling:
        if self._was_received_meanwhile(ended):
            return Handling.NOTED
        received = self.sweep.receive.run(ended)
        self.remove += [(copy, received.why) for copy in received.remove]
        self.problems += [
            ReportItem(FindingKind.COPY_FAILED, problem.subject, "", problem.cause, Handling.NEEDS_ATTENTION)
            for problem in received.problems
        ]
        return Handling.NOTED if received.outcome is ReceiveOutcome.NOT_OURS else Handling.REPAIRED

    def _was_received_meanwhile(self, ended: CopyEndEvent) -> bool:
        """Whether its own event has closed the entry since it was listed: a copy that ended a moment ago was not missed."""
        entry = find_entry(self.sweep.queue, entry_key(ended.source_region, ended.source_snapshot_id, ended.region))
        return entry is not None and ended.succeeded and entry.state is EntryState.DONE


def _counts(snapshots: list[Snapshot], entries: list[QueueEntry], system: str) -> dict[Figure, int]:
    managed = [snapshot for snapshot in snapshots if snapshot.managed_by(system)]
    return {
        Figure.SNAPSHOTS: len(snapshots),
        Figure.COPIES_MANAGED: len(managed),
        Figure.COPIES_COMPLETED: sum(copy.completed for copy in managed),
        **{Figure(name): number for name, number in share_figures(snapshots, system).items()},
        Figure.VOLUMES_WITH_COPY: len({copy.origin.lineage for copy in managed if copy.counts_for(system)}),
        **queue_counts(entries),
    }
