"""Plan the retention of volumes in a run: gather their snapshots and copies, plan each lineage. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from snapkeep.domain.errors import PlanRefused
from snapkeep.domain.model import DeletionPlan, KeyFault, Refusal, Snapshot, SnapshotInRegion, Verdict, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.selection import select_for_retention, tells_what_governs
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.tags import format_time
from snapkeep.usecases.ports import Clock, CopyQueue, CopyResult, CopyResultStatus, DeletionGuards, SnapshotReader
from snapkeep.usecases.retention.plan_regions import guarded_plan

ANSWER_GOOD_FOR = timedelta(hours=1)
"""Time for which a run relies on what it has seen: the policy of a snapshot that it tagged, and a copy that it saw complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlanner:
    """Plans retention for whole lineages of one region.

    `reader_of` and `queue_of` give the reader and the queue of a DR region; they are asked only for regions that a policy
    copies to.
    """

    system: str
    reader: SnapshotReader
    guards: DeletionGuards
    policies: Callable[[], PolicySet]
    clock: Clock
    reader_of: Callable[[str], SnapshotReader]
    queue_of: Callable[[str], CopyQueue]
    fault_of_key: Callable[[str, str], KeyFault | None]
    """Returns why a key cannot be used, given its region and ARN; None where it can."""

    def confirmed(self, results: Sequence[CopyResult]) -> list[SnapshotInRegion]:
        """Return the copies of a run that it saw complete within the last hour, and whose keys can be used now.

        Raise AwsUnavailable where KMS does not answer.
        """
        return [
            (result.snapshot_id, result.region)
            for result in recent_copies(results, self.clock.now())
            if not result.kms_key or self.fault_of_key(result.region, result.kms_key) is None
        ]

    def plan_sources(self, volume_ids: Sequence[str], confirmed: Collection[SnapshotInRegion] = ()) -> DeletionPlan:
        """Return the plan for the snapshots of volumes of this region, each volume planned by itself.

        The refusal of one volume's plan stops no other's. `confirmed` are the copies that this very run saw complete; a DR region
        is listed only where it saw none. Raise AwsUnavailable when a region or its queue does not answer.
        """
        policies = self.policies()
        listed: dict[str, list[Snapshot]] = {volume_id: [] for volume_id in volume_ids}
        for snapshot in self.reader.snapshots_of_volumes(volume_ids):
            listed[snapshot.origin.volume_id].append(snapshot)
        since = self.clock.now() - ANSWER_GOOD_FOR
        # Recently tagged snapshots name the policy that governs now. DescribeVolumes is read only for the others.
        unsure = [volume_id for volume_id in listed if not tells_what_governs(listed[volume_id], since, system=self.system)]
        volumes = self.reader.volumes(unsure) if unsure else {}
        facts = self._facts(listed, volumes, policies, frozenset(confirmed))
        # A volume that was not read must not pass for a deleted one.
        return self._plan(replace(facts, not_read=frozenset(listed.keys() - unsure)), policies)

    def plan_copies(self, copies: Sequence[Snapshot]) -> DeletionPlan:
        """Return the plan for all copies of one lineage in this region. Raise as above, and PlanRefused.

        A second copy of a snapshot is left to the sweep, which knows the copies that runs checked.
        """
        plan = self._plan(RegionFacts(self.reader.region, (), copies, checked=None), self.policies())
        # There is one lineage, so its refusal is the refusal of the whole plan.
        for lineage, text in plan.refusals:
            raise PlanRefused(f"the plan for {lineage.volume_id} in {plan.region} is refused: {text}")
        return plan

    def _facts(
        self,
        listed: Mapping[str, Sequence[Snapshot]],
        volumes: Mapping[str, Volume],
        policies: PolicySet,
        confirmed: frozenset[SnapshotInRegion],
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
                copies[region] = self.reader_of(region).copies_of_volumes(unseen)
        snapshots = [snapshot for of_volume in listed.values() for snapshot in of_volume]
        region, known = self.reader.region, tuple(volumes.values())
        return RegionFacts(region, known, snapshots, copies, frozenset(waiting), confirmed=confirmed)

    def _plan(self, facts: RegionFacts, policies: PolicySet) -> DeletionPlan:
        region, now = self.reader.region, self.clock.now()
        plans = guarded_plan(self.guards, facts, policies, now, system=self.system).volumes
        verdicts = tuple(verdict for plan in plans for verdict in plan.outcome)
        refusals = tuple(Refusal(plan.lineage, plan.refusal) for plan in plans if plan.refusals)
        newer_kept = {snapshot_id: number for plan in plans for snapshot_id, number in plan.newer_kept.items()}
        return DeletionPlan(plan_id(region, now, verdicts), region, now, verdicts, refusals, newer_kept)


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
        and now - result.confirmed_at <= ANSWER_GOOD_FOR
    ]


def plan_id(region: str, now: datetime, verdicts: Sequence[Verdict]) -> str:
    """Return the id of a plan: the same verdicts at the same moment give the same id."""
    content = "\n".join(f"{verdict.snapshot.id} {verdict.action}" for verdict in verdicts)
    return f"plan-{sha256(f'{region} {format_time(now)} {content}'.encode()).hexdigest()[:16]}"
