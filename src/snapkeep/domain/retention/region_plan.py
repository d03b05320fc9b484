"""The plan for a whole region from one listing: each volume's policy, each snapshot's verdict, the missing copies.

Pure: it reads nothing and writes nothing. Each lineage is planned by `plan_lineage`, as in a run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from snapkeep.domain.copies.completion import CopyWay, way_by_rule
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.locks import LockFacts
from snapkeep.domain.model import NEVER, Action, Lineage, Snapshot, SnapshotInRegion, SnapshotState, Verdict, Volume
from snapkeep.domain.policy.frequency import copies_all, to_copy
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet
from snapkeep.domain.policy.selection import Selection, select_by_snapshots, select_for_retention, select_for_snapshot
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.retention.deletion_days import NOT_READ, DayAllowance
from snapkeep.domain.retention.exclusions import kept_apart
from snapkeep.domain.retention.holds import CopyFacts, copy_facts, required_lock_holds
from snapkeep.domain.retention.missing_copies import is_missing, waits_for_key
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.plan import LineageFacts, LineagePlan, plan_lineage
from snapkeep.domain.retention.second_copies import second_copies
from snapkeep.domain.retention.tag_holds import NO_SOURCES, TaggedSources, tag_holds
from snapkeep.domain.retention.unhandled_snapshots import unhandled
from snapkeep.domain.retention.verdicts import NO_HOLDS, Holds, decide
from snapkeep.domain.tag_names import MANAGED
from snapkeep.domain.tags import is_of_former_system, is_of_original_system, tags_for_copy, tags_for_snapshot


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """The facts that a region's plan depends on."""

    region: str
    volumes: Sequence[Volume]
    snapshots: Sequence[Snapshot]
    """All snapshots and copies that the account owns in the region, managed or not, in any state."""
    copies_by_region: Mapping[str, Sequence[Snapshot]] = field(default_factory=dict)
    """Listings of the DR regions. Without a region's listing, every copy there counts as missing, and holds its source."""
    waiting: frozenset[SnapshotInRegion] = frozenset()
    """Copies with open entries in the queues. A copy that is pending in a listing is in progress even without an entry."""
    ways: Mapping[SnapshotInRegion, CopyWay] = field(default_factory=dict)
    """The ways of the copies with open entries."""
    checked: frozenset[str] | None = frozenset()
    """Ids of the copies that runs checked, as far as the queue has them. With None, second copies are left to a sweep."""
    confirmed: frozenset[SnapshotInRegion] = frozenset()
    """Copies that completed in the run itself, so that their region need not be listed."""
    gone: frozenset[Lineage] = frozenset()
    """Lineages of other regions whose volumes are known to be deleted. `volumes` shows those of the region itself."""
    since: datetime | None = None
    """The time of the deployment: later snapshots that no run tagged are planned as if a sweep had tagged them."""
    not_read: frozenset[str] = frozenset()
    """Ids of volumes that were not read, because the snapshots show their policy: none of them is known to be deleted."""
    sources: TaggedSources = NO_SOURCES
    """The source snapshots whose tags may hold copies, if a policy holds by tags."""
    proofs_awaited: bool = True
    """Whether proved copies are held for newer ones without a proof. A forecast plans as if every copy were proved."""


class CopyStatus(LabelledEnum):
    """The state of a copy that a policy requires. The values are identifiers for machines."""

    IN_PROGRESS = "in_progress", "waiting or running"
    FAILED = "failed", "failed"
    MISSING = "missing", "missing"


@dataclass(frozen=True, slots=True)
class MissingCopy:
    """A required copy that has not completed, while no newer snapshot of its volume has a copy there.

    A copy that its region's retention would delete on arrival is not missing: no sweep makes it. A copy is not missing either
    if its rule copies another snapshot of the same period.
    """

    snapshot_id: str
    lineage: Lineage
    policy: str
    region: str
    deadline: datetime
    status: CopyStatus
    way: CopyWay


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan(LineagePlan):
    """The plan of a source volume's lineage in one region, with the policy that governs it and its missing copies."""

    volume: Volume | None
    """None if it is deleted, or is in another region."""
    selection: Selection
    missing: tuple[MissingCopy, ...] = ()
    adopted: tuple[str, ...] = ()
    """Ids of the snapshots that would be adopted, or that the next sweep protects: they are planned as if they had the tags."""

    @property
    def policy_name(self) -> str:
        """The name of the policy that governs it; empty if none does."""
        return self.selection.policy.name if self.selection.policy else ""

    @property
    def name(self) -> str:
        """The tag Name of the volume, or of its newest snapshot if the volume is not in the region."""
        tagged = [self.volume] if self.volume else [verdict.snapshot for verdict in reversed(self.verdicts)]
        return next((name for snapshot in tagged if (name := snapshot.tags.get("Name", ""))), "")


@dataclass(frozen=True, slots=True)
class RegionPlan:
    """The plans for all volumes of a region, ordered by volume."""

    region: str
    made_at: datetime
    policies: PolicySet
    volumes: tuple[VolumePlan, ...]
    deletions_after_copies: tuple[Verdict, ...] = ()
    """The verdicts that delete later: after snapshots get their tags, or after copies complete and are proved."""
    next_snapshots: Mapping[str, datetime] = field(default_factory=dict)
    """Volume id -> the time from which the system makes the next snapshot."""
    lock_facts: LockFacts = field(default_factory=LockFacts)
    allowance: DayAllowance = NOT_READ

    @property
    def verdicts(self) -> Iterator[Verdict]:
        """All verdicts, volume by volume, oldest origin first."""
        return (verdict for volume in self.volumes for verdict in volume.verdicts)

    @property
    def governing(self) -> dict[Lineage, str]:
        """The names of the policies that govern the volumes; empty if none does. A hold may cover a policy."""
        return {volume.lineage: volume.policy_name for volume in self.volumes}

    @property
    def names(self) -> dict[Lineage, str]:
        """The names of the volumes that have a name, by lineage."""
        return {volume.lineage: volume.name for volume in self.volumes if volume.name}

    @property
    def names_by_id(self) -> dict[str, str]:
        """The names of the volumes that have a name, by volume id."""
        return {lineage.volume_id: name for lineage, name in self.names.items()}

    @property
    def deletions(self) -> list[Verdict]:
        """The verdicts that delete, of plans that are not refused."""
        return [verdict for verdict in self.outcomes if verdict.action is Action.DELETE]

    @property
    def outcomes(self) -> Iterator[Verdict]:
        """The verdicts without the deletions of refused plans, in the same order."""
        return (verdict for volume in self.volumes for verdict in volume.outcome)

    @property
    def missing(self) -> list[MissingCopy]:
        """All missing copies, earliest deadline first."""
        return sorted((copy for volume in self.volumes for copy in volume.missing), key=lambda copy: copy.deadline)


def plan_region(
    facts: RegionFacts,
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    protected_ids: Holds = NO_HOLDS,
    placed: PlacedHolds = NOTHING_HELD,
    adopt: bool = False,
    former: str = "",
) -> RegionPlan:
    """Return the plan for a whole region.

    `protected_ids` are the snapshots that an AMI uses, that are locked, or that another tool owns, with the reasons; `placed`
    are people's holds. With `adopt`, snapshots to adopt, and those of the renamed system `former`, are planned as adopted.
    """
    policies = policies.as_planned_in(facts.region)
    held = {**required_lock_holds(facts.snapshots, policies, now, system=system), **protected_ids}
    planner = _Planner(facts, policies, now, system, held, placed, adopt, former)
    return RegionPlan(facts.region, now, policies, tuple(planner.volume_plans()))


@dataclass(frozen=True, slots=True)
class _KnownCopies:
    """The copies of all lineages in the DR regions that could replace their sources."""

    facts: CopyFacts
    failed: frozenset[SnapshotInRegion]
    listed: Mapping[tuple[Lineage, str], Sequence[Snapshot]]


@dataclass(frozen=True, slots=True)
class _Planner:
    facts: RegionFacts
    policies: PolicySet
    now: datetime
    system: str
    protected_ids: Holds
    placed: PlacedHolds
    adopt: bool
    former: str

    def volume_plans(self) -> Iterator[VolumePlan]:
        by_lineage: dict[Lineage, list[Snapshot]] = defaultdict(list)
        for snapshot in self.facts.snapshots:
            by_lineage[snapshot.origin.lineage].append(snapshot)
        volumes = {Lineage(self.facts.region, volume.id): volume for volume in self.facts.volumes}
        listings = {
            region: [copy for copy in listed if self._can_replace_source(copy)]
            for region, listed in self.facts.copies_by_region.items()
        }
        listed: dict[tuple[Lineage, str], list[Snapshot]] = defaultdict(list)
        failed: set[SnapshotInRegion] = set()
        for region, listing in listings.items():
            for copy in listing:
                listed[copy.origin.lineage, region].append(copy)
                if copy.state is SnapshotState.ERROR:
                    failed.add((copy.origin.snapshot_id, region))
        facts = copy_facts(self.facts.snapshots, listings, self.facts.waiting, self.facts.confirmed)
        copies = _KnownCopies(facts, frozenset(failed), listed)
        for lineage in sorted(by_lineage.keys() | volumes.keys()):
            snapshots, volume = by_lineage.get(lineage, []), volumes.get(lineage)
            if lineage.region == self.facts.region:
                apart = kept_apart(volume, snapshots, self.policies, system=self.system)
                ids = {verdict.snapshot.id for verdict in apart}
                counted = [snapshot for snapshot in snapshots if snapshot.id not in ids] if apart else snapshots
                plan = self._plan_sources(lineage, volume, counted, copies)
                if apart:
                    verdicts = sorted((*plan.verdicts, *apart), key=lambda verdict: verdict.snapshot.origin.start_time)
                    plan = replace(plan, verdicts=tuple(verdicts), uncounted=plan.uncounted | ids)
                yield plan
            else:
                yield self._plan_copies(lineage, snapshots)

    def _plan_sources(
        self, lineage: Lineage, volume: Volume | None, snapshots: list[Snapshot], copies: _KnownCopies
    ) -> VolumePlan:
        def policy_of(snapshot: Snapshot) -> Policy | None:
            return select_for_snapshot(snapshot, volume, self.policies, system=self.system, lineage=lambda: history).policy

        # This precedes the adoption, which changes tags: the current tags of the snapshots decide the policy.
        history, since = snapshots, self.facts.since
        without_run = unhandled(snapshots, since, system=self.system) if since else set[str]()
        snapshots, adopted = self._adopting(snapshots, policy_of, without_run)
        selection = select_for_retention(volume, snapshots, self.policies, system=self.system)
        policy = selection.policy
        if policy is None:
            return self._plan(LineageFacts(lineage, snapshots, None), selection, volume=volume)
        # A volume that was not read is not deleted.
        gone = volume is None and lineage.of_volume and lineage.volume_id not in self.facts.not_read
        missing = tuple(
            copy
            for rule in policy.copies
            for copy in self._missing(snapshots, policy, rule, copies, adopted, without_run, gone=gone)
        )
        retention = policy.retention_of(policy.retention, gone=gone)
        alone, held = policy.leave_alone.tags, tag_holds(snapshots, policy.hold_tags)
        facts = LineageFacts(lineage, snapshots, retention, copies.facts, policy.copies, leave_alone=alone, held_by_tag=held)
        return self._plan(facts, selection, volume=volume, missing=missing, adopted=adopted)

    def _missing(
        self,
        snapshots: Sequence[Snapshot],
        policy: Policy,
        rule: CopyRule,
        copies: _KnownCopies,
        adopted: Collection[str],
        without_run: Collection[str],
        *,
        gone: bool,
    ) -> Iterator[MissingCopy]:
        """Yield the missing copies of a lineage in the rule's region, without those that would be deleted on arrival.

        A sweep requests copies of adopted snapshots last, when newer copies may have made them superfluous. Snapshots without a
        run get one, which always copies them.
        """
        known = list(copies.listed.get((snapshots[0].origin.lineage, rule.region), ())) if snapshots else []
        awaited = max((copy.origin.start_time for copy in known if waits_for_key(copy, rule)), default=NEVER)
        uncopied = [
            snapshot
            for snapshot in snapshots
            if snapshot.completed
            and snapshot.managed_by(self.system)
            and snapshot.origin.start_time > awaited
            and is_missing(snapshot, rule, copies.facts, superfluous_too=snapshot.id in without_run)
        ]
        uncopied = self._by_frequency(uncopied, snapshots, known, rule, copies.facts)
        retention, newest_copy = policy.retention_of(rule.retention, gone=gone), NEVER
        left = [item for item in uncopied if item.id not in without_run]
        for group in (
            [item for item in left if item.id not in adopted],
            [item for item in uncopied if item.id in without_run],
            [item for item in left if item.id in adopted],
        ):
            round_ = [item for item in group if item.id in without_run or item.origin.start_time >= newest_copy]
            expired: set[str] = set()
            # A single missing copy is the newest of its lineage, which no rule deletes.
            if len(round_) > 1:
                listed, _ = self._adopting(known, lambda _: policy)
                verdicts = decide([*listed, *round_], retention, self.now, system=self.system)
                expired = {verdict.snapshot.id for verdict in verdicts if verdict.action is Action.DELETE}.difference(without_run)
            for snapshot in round_:
                copy, start = (snapshot.id, rule.region), snapshot.origin.start_time
                status = CopyStatus.FAILED if copy in copies.failed else CopyStatus.MISSING
                if copy in copies.facts.waiting:
                    status = CopyStatus.IN_PROGRESS
                # A copy that retention would delete at once is not worth its price; a copy in progress is shown.
                if status is not CopyStatus.MISSING or snapshot.id not in expired:
                    newest_copy = newest_copy if status is CopyStatus.FAILED else max(newest_copy, start)
                    deadline = start + rule.copy_within
                    way = self.facts.ways.get(copy) or way_by_rule(rule, snapshot.size_gib)
                    of = snapshot.id, snapshot.origin.lineage, policy.name, rule.region
                    yield MissingCopy(*of, deadline, status, way)

    def _by_frequency(
        self,
        uncopied: list[Snapshot],
        snapshots: Iterable[Snapshot],
        known: Iterable[Snapshot],
        rule: CopyRule,
        facts: CopyFacts,
    ) -> list[Snapshot]:
        """Return the snapshots without a copy that the rule copies."""
        if copies_all(rule):
            return uncopied
        copied = [copy.origin.start_time for copy in known if copy.completed and copy.unusable is None]
        copied += [item.origin.start_time for item in snapshots if (item.id, rule.region) in facts.completed]
        in_progress = {item.id for item in uncopied if (item.id, rule.region) in facts.waiting}
        return to_copy(uncopied, rule, copied, in_progress)

    def _plan_copies(self, lineage: Lineage, snapshots: list[Snapshot]) -> VolumePlan:
        snapshots, adopted = self._adopting(snapshots, lambda copy: self.policies.copying_to(self.facts.region, copy.policy))
        selection = select_by_snapshots(snapshots, self.policies, system=self.system)
        policy = selection.policy
        rule = policy.copy_rule(self.facts.region) if policy else None
        if policy is None or rule is None:
            return self._plan(LineageFacts(lineage, snapshots, None), selection)
        retention = policy.retention_of(rule.retention, gone=lineage in self.facts.gone)
        compared = rule.verify.verifies and self.facts.proofs_awaited
        # A run does not know the copies that other runs checked, and leaves second copies to the sweep.
        doubled = {} if self.facts.checked is None else second_copies(snapshots, self.system, rule.kms_key, self.facts.checked)
        held = tag_holds(snapshots, policy.hold_tags, self.facts.sources)
        facts = LineageFacts(lineage, snapshots, retention, second_copies=doubled, compared=compared, held_by_tag=held)
        return self._plan(facts, selection, adopted=adopted)

    def _plan(
        self,
        facts: LineageFacts,
        selection: Selection,
        *,
        volume: Volume | None = None,
        missing: tuple[MissingCopy, ...] = (),
        adopted: tuple[str, ...] = (),
    ) -> VolumePlan:
        plan = plan_lineage(
            replace(facts, policy=selection.policy.name) if selection.policy and self.placed else facts,
            self.facts.region,
            self.now,
            system=self.system,
            limits=self.policies.limits,
            protected_ids=self.protected_ids,
            placed=self.placed,
        )
        parts = plan.lineage, plan.verdicts, plan.refusals, plan.retention, plan.uncounted
        return VolumePlan(*parts, volume=volume, selection=selection, missing=missing, adopted=adopted)

    def _adopting(
        self, snapshots: list[Snapshot], policy_for: Callable[[Snapshot], Policy | None], without_run: Collection[str] = ()
    ) -> tuple[list[Snapshot], tuple[str, ...]]:
        """Return the snapshots with the tags that adoption or a sweep would write, and the ids of the tagged ones."""
        if not (self.adopt or self.former or without_run):
            return snapshots, ()
        adopted: dict[str, Snapshot] = {}
        for snapshot in snapshots:
            policy = policy_for(snapshot) if snapshot.id in without_run or self._can_be_adopted(snapshot) else None
            if policy is not None:
                make_tags = tags_for_copy if snapshot.is_copy else tags_for_snapshot
                tags = dict(snapshot.tags) | make_tags(self.system, policy.name, snapshot.origin)
                adopted[snapshot.id] = replace(snapshot, tags=tags)
        return [adopted.get(snapshot.id, snapshot) for snapshot in snapshots], tuple(sorted(adopted))

    def _can_replace_source(self, copy: Snapshot) -> bool:
        """Whether a copy can replace its source. A copy that this system does not manage may be deleted at any time."""
        return copy.managed_by(self.system) or is_of_former_system(copy, self.former) or (self.adopt and _is_adoptable_copy(copy))

    def _can_be_adopted(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot is completed, and unhandled, tagged by the original system, or managed by a renamed one."""
        if is_of_former_system(snapshot, self.former):
            return snapshot.completed
        if not self.adopt or MANAGED in snapshot.tags or not snapshot.completed:
            return False
        return not snapshot.is_copy if snapshot.origin.region == self.facts.region else _is_adoptable_copy(snapshot)


def _is_adoptable_copy(copy: Snapshot) -> bool:
    """Whether the original system made the copy, and the start of its source is known."""
    return is_of_original_system(copy) and copy.origin.start_known
