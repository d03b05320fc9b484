"""Plan the retention of volumes: gather their snapshots and copies, plan each lineage. Nothing is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from snapkeep.domain.copies.entry import QueueEntry, entry_key
from snapkeep.domain.copies.known_copies import KnownCopies, completed_lately, known_copies
from snapkeep.domain.errors import CopyWrong
from snapkeep.domain.model import CLOCK_SKEW, DeletionPlan, KeyFault, Refusal, Snapshot, SnapshotInRegion, Verdict, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.selection import select_for_retention, snapshots_show_policy
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.retention.guarded_count import GuardedCount
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.tags import format_time
from snapkeep.usecases.copies.enqueue import find_entry
from snapkeep.usecases.placed_holds import HoldReader
from snapkeep.usecases.ports import Clock, CopyQueue, CopyResult, CopyResultStatus, DeletionGuards, SnapshotReader
from snapkeep.usecases.retention.plan_regions import deleted_sources, guarded_plan, tagged_sources

ANSWER_GOOD_FOR = timedelta(hours=1)
"""The time for which a run relies on earlier facts: the policy of a snapshot that it tagged, and a copy that completed in
it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlanner:
    """Plans retention for whole lineages of one region.

    `reader_of` and `queue_of` give the reader and the queue of a DR region; they are asked only for regions that a policy
    copies to.
    """

    system: str
    reader: SnapshotReader
    guards: DeletionGuards
    holds: HoldReader
    policies: Callable[[], PolicySet]
    clock: Clock
    reader_of: Callable[[str], SnapshotReader]
    source_of: Callable[[str], SnapshotReader]
    """Returns the reader of a source region."""
    queue_of: Callable[[str], CopyQueue]
    fault_of_key: Callable[[str, str], KeyFault | None]
    """Returns why a key cannot be used, given its region and ARN; None if it can."""
    counted: Callable[[], GuardedCount | None] = lambda: None
    """Returns how many managed snapshots AMIs or locks held at the last sweep; None where that is not known."""

    def plan_sources(
        self, volume_ids: Sequence[str], results: Sequence[CopyResult] = (), *, as_sweep: bool = False
    ) -> DeletionPlan:
        """Return the plan for the snapshots of volumes of this region, each volume planned by itself.

        The refusal of one volume's plan stops no other's. `results` are those of the copies that the run waited for: a DR region
        is listed only for volumes without a copy that its queue confirms. With `as_sweep` every volume is read, as a sweep does.
        Raise AwsUnavailable when a region or its queue does not answer.
        """
        policies = self.policies()
        listed: dict[str, list[Snapshot]] = {volume_id: [] for volume_id in volume_ids}
        for snapshot in self.reader.snapshots_of_volumes(volume_ids):
            listed[snapshot.origin.volume_id].append(snapshot)
        since = self.clock.now() - ANSWER_GOOD_FOR
        # Recently tagged snapshots name the policy that governs now. DescribeVolumes is read only for the others.
        unsure = [
            volume_id
            for volume_id in listed
            if as_sweep or not snapshots_show_policy(listed[volume_id], since, system=self.system)
        ]
        volumes = self.reader.volumes(unsure) if unsure else {}
        # The run knows a wrong copy before EC2 shows its mark.
        wrong = {(result.snapshot_id, result.region) for result in results if result.error == CopyWrong.__name__}
        facts = self._facts(listed, volumes, policies, frozenset(self._confirmed(results)), wrong)
        # A volume that was not read must not count as deleted.
        return self._plan(replace(facts, not_read=frozenset(listed.keys() - unsure)), policies)

    def plan_copies(self, volume_ids: Sequence[str], _: Sequence[CopyResult] = (), *, as_sweep: bool = False) -> DeletionPlan:
        """Return the plan for the copies in this region of source volumes, each lineage planned by itself. Raise as above.

        With `as_sweep` it knows also which copies runs have checked, and which source volumes are deleted; otherwise second
        copies, and the copies of deleted volumes, are left to the sweep.
        """
        policies, listed = self.policies(), self.reader.copies_of_volumes(volume_ids)
        known = self._known(listed, policies, doubled=as_sweep)
        copies = known.counted(listed)
        sources = tagged_sources(copies, self.reader.region, policies, self.source_of)
        facts = RegionFacts(self.reader.region, (), copies, checked=None, sources=sources)
        if as_sweep:
            gone, _all_known = deleted_sources(copies, self.reader.region, self.source_of)
            facts = replace(facts, checked=known.checked, gone=gone)
        return self._plan(facts, policies)

    def _confirmed(self, results: Sequence[CopyResult]) -> list[SnapshotInRegion]:
        """Return the copies that a run saw complete within the last hour, as the queues say too, and whose keys can be used now.

        A result counts for nothing but a look into the queue: anyone who reads a task token can forge it, also for a copy that
        was checked long ago and is deleted since. Raise AwsUnavailable where a queue, or KMS, does not answer.
        """
        now = self.clock.now()
        return [
            (result.snapshot_id, result.region)
            for result in results
            if result.status is CopyResultStatus.COPIED
            and (entry := self._entry(self.reader.region, result.snapshot_id, result.region)) is not None
            and entry.copy_id == result.copy_id
            and entry.done_at is not None
            and is_recent(entry.done_at, now)
            and (not entry.kms_key or self.fault_of_key(result.region, entry.kms_key) is None)
        ]

    def _entry(self, source_region: str, snapshot_id: str, region: str) -> QueueEntry | None:
        return find_entry(self.queue_of(region), entry_key(source_region, snapshot_id, region))

    def _known(self, copies: Sequence[Snapshot], policies: PolicySet, *, doubled: bool) -> KnownCopies:
        """Return the facts of this region's queue about the copies of which it may know more than EC2 shows.

        Those completed lately, or are to be compared and show no proof; with `doubled` also those of snapshots with two copies.
        """
        region, now = self.reader.region, self.clock.now()
        times = Counter(copy.origin.snapshot_id for copy in copies)
        sources = {
            (copy.origin.region, copy.origin.snapshot_id)
            for copy in copies
            if completed_lately(copy, now)
            or (copy.completed and not is_proved(copy) and _is_to_be_compared(copy, policies))
            or (doubled and times[copy.origin.snapshot_id] > 1)
        }
        entries = (self._entry(*source, region) for source in sorted(sources))
        return known_copies([entry for entry in entries if entry is not None], now)

    def _facts(
        self,
        listed: Mapping[str, Sequence[Snapshot]],
        volumes: Mapping[str, Volume],
        policies: PolicySet,
        confirmed: frozenset[SnapshotInRegion],
        wrong: Collection[SnapshotInRegion],
    ) -> RegionFacts:
        """Return the facts about volumes, with copies and open queue entries in the regions that their policies copy to."""
        copied_to: dict[str, list[str]] = defaultdict(list)
        for volume_id, snapshots in listed.items():
            policy = select_for_retention(volumes.get(volume_id), snapshots, policies, system=self.system).policy
            for rule in policy.copies if policy else ():
                copied_to[rule.region].append(volume_id)
        copies: dict[str, list[Snapshot]] = {}
        waiting: set[SnapshotInRegion] = set()
        for region, volume_ids in copied_to.items():
            queue = self.queue_of(region)
            for volume_id in volume_ids:
                # The queue before the listing: a copy that completes in between is in one of the two.
                waiting |= {(entry.request.origin.snapshot_id, region) for entry in queue.open_entries(volume_id)}
            unseen = [
                volume_id
                for volume_id in volume_ids
                if not any((snapshot.id, region) in confirmed for snapshot in listed[volume_id])
            ]
            # A run that saw its own copy complete needs no listing: that is the usual case, and saves a request for each run.
            if unseen:
                listed_copies = self.reader_of(region).copies_of_volumes(unseen)
                copies[region] = [copy for copy in listed_copies if (copy.origin.snapshot_id, region) not in wrong]
        snapshots = [snapshot for of_volume in listed.values() for snapshot in of_volume]
        region, known = self.reader.region, tuple(volumes.values())
        return RegionFacts(region, known, snapshots, copies, frozenset(waiting), confirmed=confirmed)

    def _plan(self, facts: RegionFacts, policies: PolicySet) -> DeletionPlan:
        region, now = self.reader.region, self.clock.now()
        placed = self.holds.placed
        plan = guarded_plan(self.guards, facts, policies, now, system=self.system, placed=placed, counted=self.counted)
        verdicts = tuple(plan.outcomes)
        refusals = tuple(Refusal(volume.lineage, volume.refusal) for volume in plan.volumes if volume.refusals)
        return DeletionPlan(plan_id(region, now, verdicts), region, now, verdicts, refusals, plan.governing)


def _is_to_be_compared(copy: Snapshot, policies: PolicySet) -> bool:
    policy = policies.named(copy.policy)
    rule = policy.copy_rule(copy.region) if policy else None
    return rule is not None and rule.verify.verifies


def is_recent(checked_at: datetime, now: datetime) -> bool:
    """Whether a copy was checked within the last hour.

    A run may plan much later: it waits for the other copies of its set, or is redriven within 14 days (Step Functions). The
    copy may be deleted in between, so that its region is listed again.
    """
    return -CLOCK_SKEW <= now - checked_at <= ANSWER_GOOD_FOR


def plan_id(region: str, now: datetime, verdicts: Sequence[Verdict]) -> str:
    """Return the id of a plan: the same verdicts at the same moment give the same id."""
    content = "\n".join(f"{verdict.snapshot.id} {verdict.action}" for verdict in verdicts)
    return f"plan-{sha256(f'{region} {format_time(now)} {content}'.encode()).hexdigest()[:16]}"
