"""Plan the retention of volumes: gather their snapshots and copies, plan each lineage. Nothing is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from snapkeep.domain.copies.entry import EntryState, entry_key
from snapkeep.domain.errors import CopyWrong, EntryNotFound
from snapkeep.domain.model import (
    CLOCK_SKEW,
    DeletionPlan,
    KeyFault,
    Refusal,
    Snapshot,
    SnapshotInRegion,
    Verdict,
    Volume,
)
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.selection import select_for_retention, tells_what_governs
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.tags import format_time
from snapkeep.usecases.placed_holds import HoldReader
from snapkeep.usecases.ports import Clock, CopyQueue, CopyResult, CopyResultStatus, DeletionGuards, SnapshotReader
from snapkeep.usecases.retention.plan_regions import deleted_sources, guarded_plan, tagged_sources

ANSWER_GOOD_FOR = timedelta(hours=1)
"""Time for which a run relies on what it has seen: the policy of a snapshot that it tagged, and a copy that it saw complete."""
CHECKED_WITHIN = timedelta(days=1)
"""Time after its end within which a copy was checked, by its event or by a sweep: the queue is asked about younger ones alone."""


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
    queue_of: Callable[[str], CopyQueue]
    fault_of_key: Callable[[str, str], KeyFault | None]
    """Returns why a key cannot be used, given its region and ARN; None where it can."""

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
            volume_id for volume_id in listed if as_sweep or not tells_what_governs(listed[volume_id], since, system=self.system)
        ]
        volumes = self.reader.volumes(unsure) if unsure else {}
        # The run knows of a wrong copy before EC2 shows its mark.
        wrong = {(result.snapshot_id, result.region) for result in results if result.error == CopyWrong.__name__}
        facts = self._facts(listed, volumes, policies, frozenset(self._confirmed(results)), wrong)
        # A volume that was not read must not pass for a deleted one.
        return self._plan(replace(facts, not_read=frozenset(listed.keys() - unsure)), policies)

    def plan_copies(self, volume_ids: Sequence[str], _: Sequence[CopyResult] = (), *, as_sweep: bool = False) -> DeletionPlan:
        """Return the plan for the copies in this region of source volumes, each lineage planned by itself. Raise as above.

        With `as_sweep` it knows also which copies runs have checked, and which source volumes are deleted; otherwise second
        copies, and the copies of deleted volumes, are left to the sweep.
        """
        copies = self._counted(self.reader.copies_of_volumes(volume_ids))
        policies = self.policies()
        sources = tagged_sources(copies, self.reader.region, policies, self.reader_of)
        facts = RegionFacts(self.reader.region, (), copies, checked=None, sources=sources)
        if as_sweep:
            gone, _all_known = deleted_sources(copies, self.reader.region, self.reader_of)
            facts = replace(facts, checked=self._checked(copies), gone=gone)
        return self._plan(facts, policies)

    def _confirmed(self, results: Sequence[CopyResult]) -> list[SnapshotInRegion]:
        """Return the copies that a run saw complete within the last hour, as the queues say too, and whose keys can be used now.

        A result alone does not count: anyone who reads a task token can forge it. Raise AwsUnavailable where a queue, or KMS,
        does not answer.
        """
        return [
            (result.snapshot_id, result.region)
            for result in recent_copies(results, self.clock.now())
            if self._is_done(self.reader.region, result.snapshot_id, result.region, result.copy_id)
            and (not result.kms_key or self.fault_of_key(result.region, result.kms_key) is None)
        ]

    def _is_done(self, source_region: str, snapshot_id: str, region: str, copy_id: str) -> bool:
        try:
            entry = self.queue_of(region).get(entry_key(source_region, snapshot_id, region))
        except EntryNotFound:
            return False
        return entry.state is EntryState.DONE and entry.copy_id == copy_id

    def _counted(self, copies: Sequence[Snapshot]) -> list[Snapshot]:
        """Return the copies without those that completed lately and that the queue does not call checked and good.

        Such a copy may turn out to be wrong, and EC2 may show its mark late: no good copy is deleted for it. An older one without
        an end in the queue is the sweep's.
        """
        since = self.clock.now() - CHECKED_WITHIN
        return [
            copy
            for copy in copies
            if not copy.completed or (copy.completed_at or copy.start_time) < since or not self._is_doubtful(copy)
        ]

    def _is_doubtful(self, copy: Snapshot) -> bool:
        """Whether the queue calls a copy unchecked, failed, or different from its source."""
        try:
            entry = self.queue_of(self.reader.region).get(
                entry_key(copy.origin.region, copy.origin.snapshot_id, self.reader.region)
            )
        except EntryNotFound:
            return False
        failed = entry.state is EntryState.FAILED and entry.copy_id == copy.id
        return failed or entry.is_open or copy.id in entry.wrong

    def _checked(self, copies: Sequence[Snapshot]) -> frozenset[str]:
        """Return which copies of twice copied snapshots runs have checked, as far as the queue remembers."""
        times = Counter(copy.origin.snapshot_id for copy in copies)
        return frozenset(
            copy.id
            for copy in copies
            if times[copy.origin.snapshot_id] > 1
            and self._is_done(copy.origin.region, copy.origin.snapshot_id, self.reader.region, copy.id)
        )

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
                found = self.reader_of(region).copies_of_volumes(unseen)
                copies[region] = [copy for copy in found if (copy.origin.snapshot_id, region) not in wrong]
        snapshots = [snapshot for of_volume in listed.values() for snapshot in of_volume]
        region, known = self.reader.region, tuple(volumes.values())
        return RegionFacts(region, known, snapshots, copies, frozenset(waiting), confirmed=confirmed)

    def _plan(self, facts: RegionFacts, policies: PolicySet) -> DeletionPlan:
        region, now = self.reader.region, self.clock.now()
        plans = guarded_plan(self.guards, facts, policies, now, system=self.system, placed=self.holds.placed).volumes
        verdicts = tuple(verdict for plan in plans for verdict in plan.outcome)
        refusals = tuple(Refusal(plan.lineage, plan.refusal) for plan in plans if plan.refusals)
        governing = {plan.lineage: plan.policy_name for plan in plans}
        return DeletionPlan(plan_id(region, now, verdicts), region, now, verdicts, refusals, governing)


def recent_copies(results: Sequence[CopyResult], now: datetime) -> list[CopyResult]:
    """Return the results of a run that saw a copy complete within the last hour.

    A run may plan much later: it waits for the other copies of its set, or is redriven within 14 days (Step Functions). The
    copy may be deleted meanwhile, so that its region is listed again.
    """
    return [
        result
        for result in results
        if result.status is CopyResultStatus.COPIED
        and result.confirmed_at is not None
        and -CLOCK_SKEW <= now - result.confirmed_at <= ANSWER_GOOD_FOR
    ]


def plan_id(region: str, now: datetime, verdicts: Sequence[Verdict]) -> str:
    """Return the id of a plan: the same verdicts at the same moment give the same id."""
    content = "\n".join(f"{verdict.snapshot.id} {verdict.action}" for verdict in verdicts)
    return f"plan-{sha256(f'{region} {format_time(now)} {content}'.encode()).hexdigest()[:16]}"
