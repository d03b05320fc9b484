"""PlanRetention: gather a volume's snapshots, decide, look at what holds them, check the invariants. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from snapkeep.domain import tags as ledger
from snapkeep.domain.model import Action, Lineage, Plan, Reason, Snapshot, Verdict, Volume
from snapkeep.domain.policy import selection
from snapkeep.domain.policy.model import Limits, Policy, PolicySet, Retention
from snapkeep.domain.retention import holds, invariants
from snapkeep.domain.retention import verdicts as retention
from snapkeep.domain.retention.holds import CopyFacts, SnapshotInRegion
from snapkeep.usecases.ports import Clock, CopyQueue, DeletionGuards, SnapshotReader

ANSWER_GOOD_FOR = timedelta(hours=1)
"""What was seen within this time is not asked once more: which policy governs the volume of a snapshot that began within it, and
that a copy is there."""
NO_FACTS = CopyFacts()


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

    def plan_sources(self, volume_ids: Sequence[str], confirmed: Collection[SnapshotInRegion] = ()) -> Plan:
        """Given volumes of this region, return the plan for their snapshots.

        `confirmed` are the copies that this very run saw complete. A DR region is listed only where it did not. Raise
        PlanRefused when the plan breaks an invariant, AwsUnavailable when what it needs to know cannot be asked.
        """
        policies = self.policies()
        listed = {volume_id: self.reader.snapshots_of_volume(volume_id) for volume_id in volume_ids}
        since = self.clock.now() - ANSWER_GOOD_FOR
        unsure = [one for one in listed if not selection.tells_what_governs(listed[one], since, system=self.system)]
        volumes = self.reader.volumes(unsure) if unsure else {}
        lineages = [self._source_lineage(one, volumes.get(one), listed[one], policies, confirmed) for one in volume_ids]
        return self._plan(lineages, policies.limits)

    def plan_copies(self, copies: Sequence[Snapshot]) -> Plan:
        """Given all copies of one source volume in this region, return the plan for them. Raise as above."""
        policies = self.policies()
        policy = selection.select_by_snapshots(copies, policies, system=self.system).policy
        rule = policy.copy_rule(self.reader.region) if policy else None
        return self._plan([_Lineage(list(copies), rule.retention if rule else None)], policies.limits)

    def _source_lineage(
        self,
        volume_id: str,
        volume: Volume | None,
        snapshots: list[Snapshot],
        policies: PolicySet,
        confirmed: Collection[SnapshotInRegion],
    ) -> _Lineage:
        policy = selection.select_for_retention(volume, snapshots, policies, system=self.system).policy
        if policy is None:
            return _Lineage(snapshots, None)
        facts = self._copy_facts(volume_id, snapshots, policy, confirmed)
        return _Lineage(snapshots, policy.retention, facts, tuple(rule.region for rule in policy.copies))

    def _copy_facts(
        self, volume_id: str, snapshots: Sequence[Snapshot], policy: Policy, confirmed: Collection[SnapshotInRegion]
    ) -> CopyFacts:
        seen = {region for snapshot_id, region in confirmed if any(one.id == snapshot_id for one in snapshots)}
        listings: dict[str, list[Snapshot]] = {}
        waiting: list[SnapshotInRegion] = []
        for rule in policy.copies:
            entries = self.queue_of(rule.region).open_entries(volume_id)
            waiting += [(entry.request.origin.snapshot_id, rule.region) for entry in entries]
            if rule.region not in seen:
                listed = self.reader_of(rule.region).copies_of_volume(volume_id)
                listings[rule.region] = [one for one in listed if one.managed_by(self.system)]
        return holds.copy_facts(snapshots, listings, waiting, confirmed)

    def _plan(self, lineages: Sequence[_Lineage], limits: Limits) -> Plan:
        now = self.clock.now()
        verdicts = _decided(lineages, now, self.system, {})
        held = protected_ids(self.guards, to_delete(verdicts))
        if held:
            verdicts = _decided(lineages, now, self.system, held)
        plan = Plan(plan_id(self.reader.region, now, verdicts), self.reader.region, now, tuple(verdicts))
        invariants.check_plan(
            plan,
            system=self.system,
            limits=limits,
            copies=_all_facts(lineages),
            copy_regions={one.lineage: one.regions for one in lineages if one.snapshots},
            protected_ids=held,
        )
        return plan


def protected_ids(guards: DeletionGuards, snapshots: Iterable[Snapshot]) -> dict[str, tuple[Reason, ...]]:
    """Given who knows AMIs and locks, and snapshots, return what keeps some of them whatever the rules say (INV-06)."""
    asked = list(snapshots)
    ids = [snapshot.id for snapshot in asked]
    if not ids:
        return {}
    images, locks = holds.image_holds(guards.images_using(ids)), holds.lock_holds(guards.locks(ids))
    return holds.merge_holds(images, locks, holds.backup_holds(asked))


def to_delete(verdicts: Iterable[Verdict]) -> list[Snapshot]:
    """Given verdicts, return the snapshots that would go."""
    return [verdict.snapshot for verdict in verdicts if verdict.action is Action.DELETE]


@dataclass(frozen=True, slots=True)
class _Lineage:
    """One volume's snapshots in this region, with what the decision needs; `retention` None keeps everything."""

    snapshots: list[Snapshot]
    retention: Retention | None
    facts: CopyFacts = NO_FACTS
    regions: tuple[str, ...] = ()

    @property
    def lineage(self) -> Lineage:
        return self.snapshots[0].origin.lineage

    def decide(self, now: datetime, system: str, protected_ids: Mapping[str, tuple[Reason, ...]]) -> list[Verdict]:
        if self.retention is None:
            return [Verdict(snapshot, Action.KEEP, (retention.NO_POLICY,)) for snapshot in self.snapshots]
        held = holds.merge_holds(holds.holds_from_facts(self.snapshots, self.facts, self.regions), protected_ids)
        return retention.decide(self.snapshots, self.retention, now, system=system, holds=held)


def _decided(
    lineages: Sequence[_Lineage], now: datetime, system: str, protected_ids: Mapping[str, tuple[Reason, ...]]
) -> list[Verdict]:
    return [verdict for one in lineages for verdict in one.decide(now, system, protected_ids)]


def _all_facts(lineages: Sequence[_Lineage]) -> CopyFacts:
    return CopyFacts(
        completed=frozenset().union(*(one.facts.completed for one in lineages)),
        newest_copied={key: start for one in lineages for key, start in one.facts.newest_copied.items()},
        waiting=frozenset().union(*(one.facts.waiting for one in lineages)),
    )


def confirmed_copies(results: Sequence[Mapping[str, str]], now: datetime) -> list[SnapshotInRegion]:
    """Given what became of a run's copies, return those that it saw complete a short while before.

    A run may plan long after: it waited for another copy of its set, or was redriven within 14 days (Step Functions). A copy
    may be gone by then, and is looked for.
    """
    seen = [one for one in results if one.get("status") == "COPIED" and "confirmed_at" in one]
    return [
        (one["snapshot_id"], one["region"]) for one in seen if now - ledger.parse_time(one["confirmed_at"]) <= ANSWER_GOOD_FOR
    ]


def plan_id(region: str, now: datetime, verdicts: Sequence[Verdict]) -> str:
    """Given what a plan is made of, return its id: the same facts at the same moment give the same id."""
    content = "\n".join(f"{verdict.snapshot.id} {verdict.action}" for verdict in verdicts)
    return f"plan-{sha256(f'{region} {ledger.format_time(now)} {content}'.encode()).hexdigest()[:16]}"
