"""Plan the retention of volumes in a run: gather their snapshots and copies, plan each lineage. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from snapkeep.domain.errors import PlanRefused
from snapkeep.domain.model import (
    Action,
    DeletionPlan,
    KeyFault,
    Lineage,
    Reason,
    Refusal,
    Snapshot,
    SnapshotInRegion,
    Verdict,
    Volume,
)
from snapkeep.domain.policy.model import Limits, Policy, PolicySet
from snapkeep.domain.policy.selection import select_by_snapshots, select_for_retention, tells_what_governs
from snapkeep.domain.retention.holds import (
    CopyFacts,
    copy_facts,
    image_holds,
    lock_holds,
    merge_holds,
    tool_holds,
)
from snapkeep.domain.retention.plan import LineageFacts, LineagePlan, plan_lineage
from snapkeep.domain.retention.verdicts import NO_HOLDS, Holds
from snapkeep.domain.tags import format_time
from snapkeep.usecases.ports import Clock, CopyQueue, CopyResult, CopyResultStatus, DeletionGuards, SnapshotReader

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
        listed = {volume_id: self.reader.snapshots_of_volume(volume_id) for volume_id in volume_ids}
        since = self.clock.now() - ANSWER_GOOD_FOR
        unsure = [volume_id for volume_id in listed if not tells_what_governs(listed[volume_id], since, system=self.system)]
        volumes = self.reader.volumes(unsure) if unsure else {}
        facts = [
            self._source_facts(volume_id, volumes.get(volume_id), listed[volume_id], policies, confirmed)
            for volume_id in volume_ids
        ]
        now = self.clock.now()
        plans = self._plan(facts, policies.limits, now)
        verdicts = tuple(verdict for plan in plans for verdict in plan.outcome)
        refusals = tuple(Refusal(plan.lineage, plan.refusal) for plan in plans if plan.refusals)
        newer_kept = {snapshot_id: number for plan in plans for snapshot_id, number in plan.newer_kept.items()}
        return DeletionPlan(plan_id(self.reader.region, now, verdicts), self.reader.region, now, verdicts, refusals, newer_kept)

    def plan_copies(self, copies: Sequence[Snapshot]) -> DeletionPlan:
        """Return the plan for all copies of one lineage in this region. Raise as above, and PlanRefused.

        A second copy of a snapshot is left to the sweep, which knows the copies that were found wrong.
        """
        policies, now = self.policies(), self.clock.now()
        policy = select_by_snapshots(copies, policies, system=self.system).policy
        rule = policy.copy_rule(self.reader.region) if policy else None
        facts = LineageFacts(copies[0].origin.lineage, copies, rule.retention if rule else None)
        (plan,) = self._plan([facts], policies.limits, now)
        if plan.refusals:
            raise PlanRefused(f"the plan for {plan.lineage.volume_id} in {self.reader.region} is refused: {plan.refusal}")
        verdicts, region = plan.verdicts, self.reader.region
        return DeletionPlan(plan_id(region, now, verdicts), region, now, verdicts, newer_kept=plan.newer_kept)

    def _source_facts(
        self,
        volume_id: str,
        volume: Volume | None,
        snapshots: list[Snapshot],
        policies: PolicySet,
        confirmed: Collection[SnapshotInRegion],
    ) -> LineageFacts:
        lineage = Lineage(self.reader.region, volume_id)
        policy = select_for_retention(volume, snapshots, policies, system=self.system).policy
        if policy is None:
            return LineageFacts(lineage, snapshots, None)
        copies = self._copy_facts(volume_id, snapshots, policy, confirmed)
        regions = [rule.region for rule in policy.copies]
        return LineageFacts(lineage, snapshots, policy.retention, copies, regions, leave_alone=policy.leave_alone.tags)

    def _copy_facts(
        self, volume_id: str, snapshots: Sequence[Snapshot], policy: Policy, confirmed: Collection[SnapshotInRegion]
    ) -> CopyFacts:
        ids = {snapshot.id for snapshot in snapshots}
        seen = {region for snapshot_id, region in confirmed if snapshot_id in ids}
        listings: dict[str, list[Snapshot]] = {}
        waiting: list[SnapshotInRegion] = []
        for rule in policy.copies:
            entries = self.queue_of(rule.region).open_entries(volume_id)
            waiting += [(entry.request.origin.snapshot_id, rule.region) for entry in entries]
            if rule.region not in seen:
                copies = self.reader_of(rule.region).copies_of_volume(volume_id)
                listings[rule.region] = [copy for copy in copies if copy.managed_by(self.system)]
        return copy_facts(snapshots, listings, waiting, confirmed)

    def _plan(self, lineages: Sequence[LineageFacts], limits: Limits, now: datetime) -> list[LineagePlan]:
        """Return each lineage's plan, and ask the guards only about what it would delete."""

        def plan_all(protected: Holds) -> list[LineagePlan]:
            region = self.reader.region
            return [
                plan_lineage(facts, region, now, system=self.system, limits=limits, protected_ids=protected) for facts in lineages
            ]

        plans = plan_all(NO_HOLDS)
        protected = protected_ids(self.guards, to_delete(verdict for plan in plans for verdict in plan.verdicts))
        return plan_all(protected) if protected else plans


def protected_ids(guards: DeletionGuards, snapshots: Iterable[Snapshot]) -> dict[str, tuple[Reason, ...]]:
    """Return the snapshots that an AMI uses, that are locked, or that another tool owns, with the reasons (INV-06)."""
    listed = list(snapshots)
    ids = [snapshot.id for snapshot in listed]
    if not ids:
        return {}
    return merge_holds(image_holds(guards.images_using(ids)), lock_holds(guards.locks(ids)), tool_holds(listed))


def to_delete(verdicts: Iterable[Verdict]) -> list[Snapshot]:
    """Return the snapshots that verdicts delete."""
    return [verdict.snapshot for verdict in verdicts if verdict.action is Action.DELETE]


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
