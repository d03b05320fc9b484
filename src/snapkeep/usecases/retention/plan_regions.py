"""Plan a region, or a primary with its DR regions, from one listing of each. No port here can write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from itertools import chain
from types import MappingProxyType

from snapkeep.domain.copies.known_copies import KnownCopies
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.locks import LockFacts, LockLimits
from snapkeep.domain.model import Action, Lineage, Reason, Snapshot, SnapshotInRegion, SnapshotLock, Verdict, Volume
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deleted_volumes import deleted_lineages
from snapkeep.domain.retention.deletion_days import AllowanceReader
from snapkeep.domain.retention.guarded_count import GuardedCount
from snapkeep.domain.retention.holds import WAITS_FOR_PROOF, image_holds, lock_holds, merge_holds, recovery_holds, tool_holds
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.region_plan import RegionFacts, RegionPlan, plan_region
from snapkeep.domain.retention.tag_holds import NO_SOURCES, TaggedSources, holding_keys
from snapkeep.domain.tags import with_source_starts
from snapkeep.domain.vault.shares import vault_holds
from snapkeep.usecases.ports import DeletionGuards, SnapshotReader


def protected_ids(
    guards: DeletionGuards,
    snapshots: Iterable[Snapshot],
    now: datetime,
    locks: Mapping[str, SnapshotLock] | None = None,
    counted: GuardedCount | None = None,
) -> dict[str, tuple[Reason, ...]]:
    """Return the snapshots that an AMI uses, that are locked, that another tool owns (INV-06), a recovery restores (INV-18), ….

    Copies that a vault may be copying are held too. `locks` are those of the snapshots, where they are known already;
    `counted` is what the last sweep saw: `guards` are not asked about snapshots that it shows to be unguarded.
    """
    listed = list(snapshots)
    ids = [snapshot.id for snapshot in listed if counted is None or not counted.shows_unguarded(snapshot, now)]
    images = guards.images_using(ids) if ids else {}
    if locks is None:
        locks = guards.locks(ids) if ids else {}
    return merge_holds(
        image_holds(images), lock_holds(locks, listed, now), tool_holds(listed), recovery_holds(listed), vault_holds(listed, now)
    )


def guarded_plan(
    guards: DeletionGuards,
    facts: RegionFacts,
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    placed: Callable[[Sequence[Snapshot]], PlacedHolds],
    counted: Callable[[], GuardedCount | None] = lambda: None,
) -> RegionPlan:
    """Return a region's plan as a run or a sweep carries it out.

    `guards`, and `placed` for the holds that people placed, are asked only about what it would delete; `guards` not where the
    last sweep `counted` none, unless the plan would be refused: what they hold does not count in the limits.
    """
    plan = plan_region(facts, policies, now, system=system)
    to_delete = [verdict.snapshot for verdict in plan.verdicts if verdict.action is Action.DELETE]
    refused = any(volume.refusals for volume in plan.volumes)
    # AMIs and locks cost calls, which only what would be deleted is worth.
    held = protected_ids(guards, to_delete, now, counted=counted() if to_delete and not refused else None)
    holds = placed(to_delete) if to_delete else NOTHING_HELD
    # The plan is made again, and not only filtered: a held snapshot affects the limits and the counts of the others.
    return plan_region(facts, policies, now, system=system, protected_ids=held, placed=holds) if held or holds else plan


def deleted_sources(
    copies: Iterable[Snapshot], region: str, reader_of: Callable[[str], SnapshotReader]
) -> tuple[frozenset[Lineage], bool]:
    """Return the lineages of copies in a DR region whose volumes are deleted, and whether every source region responded.

    A region that does not respond has no deleted volumes here.
    """
    volume_ids: dict[str, set[str]] = defaultdict(set)
    listed = [copy for copy in copies if copy.origin.region != region]
    for copy in listed:
        volume_ids[copy.origin.region].add(copy.origin.volume_id)
    deleted: frozenset[Lineage] = frozenset()
    all_known = True
    for source, ids in sorted(volume_ids.items()):
        try:
            deleted |= deleted_lineages(listed, source, reader_of(source).volumes(ids))
        except SnapkeepError:
            all_known = False
    return deleted, all_known


def tagged_sources(
    copies: Iterable[Snapshot], region: str, policies: PolicySet, reader_of: Callable[[str], SnapshotReader]
) -> TaggedSources:
    """Return the source snapshots whose tags may hold copies of a DR region. Nothing is read if no policy holds by tags."""
    keys = holding_keys(policies)
    if not keys:
        return NO_SOURCES
    tags: dict[str, Mapping[str, str]] = {}
    unread: dict[str, str] = {}
    for source in sorted({copy.origin.region for copy in copies} - {region}):
        try:
            tags |= {snapshot.id: snapshot.tags for snapshot in reader_of(source).tagged_snapshots(keys)}
        except SnapkeepError as error:
            unread[source] = f"{source} could not be read: {error}"
    return TaggedSources(tags, unread)


def make_region_plan(
    guards: DeletionGuards,
    facts: RegionFacts,
    policies: PolicySet,
    now: datetime,
    *,
    system: str,
    placed: PlacedHolds = NOTHING_HELD,
    adopt: bool = False,
) -> RegionPlan:
    """Return a region's plan under these policies.

    `guards` are asked about every snapshot, also one that retention keeps, so that its verdict has every reason.
    """
    protected = protected_ids(guards, facts.snapshots, now)
    return plan_region(facts, policies, now, system=system, protected_ids=protected, placed=placed, adopt=adopt)


@dataclass(frozen=True, slots=True)
class RegionListing:
    """The listing of one region. Volumes matter in the primary region only, the queue of copies in a DR region only."""

    region: str
    snapshots: Sequence[Snapshot]
    volumes: Sequence[Volume] = ()
    known: KnownCopies = field(default_factory=KnownCopies)
    since: datetime | None = None
    """The time of the deployment in the primary region; None if it is not known."""


def list_region(reader: SnapshotReader, known: KnownCopies | None = None, *, with_volumes: bool = False) -> RegionListing:
    """Return a region's listing."""
    volumes = list(reader.all_volumes()) if with_volumes else []
    return RegionListing(reader.region, list(reader.all_snapshots()), volumes, known or KnownCopies())


def facts_of(primary: str, listings: Iterable[RegionListing]) -> list[RegionFacts]:
    """Return the facts of each region that was listed, the primary's first, if it was.

    The facts of a DR region have only the copies of other regions' snapshots: its own snapshots are not managed there. Copies
    that do not count for its sweeps do not count here.
    """
    by_region = {listing.region: listing for listing in listings}
    source = by_region.pop(primary, None)
    sources = {snapshot.id: snapshot for snapshot in source.snapshots} if source else {}
    listed = {region: with_source_starts(listing.snapshots, sources) for region, listing in by_region.items()}
    tagged = TaggedSources({snapshot.id: snapshot.tags for snapshot in sources.values()})
    if source is None:
        tagged = TaggedSources(unread={primary: f"{primary} was not read"})
    copies = [
        RegionFacts(
            region,
            (),
            [snapshot for snapshot in by_region[region].known.counted(snapshots) if snapshot.origin.region != region],
            checked=by_region[region].known.checked,
            sources=tagged,
        )
        for region, snapshots in listed.items()
    ]
    # Without the listing of the primary region, no volume is known to be deleted.
    if source is None:
        return copies
    existing = {volume.id for volume in source.volumes}
    gone = deleted_lineages(chain.from_iterable(listed.values()), primary, existing)
    waiting = frozenset[SnapshotInRegion]().union(*(listing.known.waiting for listing in by_region.values()))
    ways = {copy: way for listing in by_region.values() for copy, way in listing.known.ways.items()}
    facts = RegionFacts(primary, source.volumes, source.snapshots, listed, waiting, ways, since=source.since)
    return [facts, *(replace(region, gone=gone) for region in copies)]


def make_plans(
    guards: Sequence[DeletionGuards],
    facts: Sequence[RegionFacts],
    policies: Mapping[str, PolicySet],
    now: datetime,
    *,
    system: str,
    placed: PlacedHolds = NOTHING_HELD,
    adopt: bool = False,
    former: str = "",
    lock_limits: Mapping[str, LockLimits | None] = MappingProxyType({}),
    allowances: Mapping[str, AllowanceReader] = MappingProxyType({}),
) -> list[RegionPlan]:
    """Return a plan for each region, with what its next sweeps delete once snapshots are adopted, and copies made and proved.

    The first facts and guards are the primary region's, unless that was not listed; `policies` are those in force in each
    region. A copy in a region that was not listed is not known: it is not missing, and its source is kept. `placed`,
    `adopt` and `former`: see `plan_region`. `lock_limits` are the locks that the stack of each region allows;
    `allowances` read the deletions that its runs may make on a day.
    """
    # The commands forecast; no function does.
    from snapkeep.domain.creation.due_times import next_snapshots  # noqa: PLC0415
    from snapkeep.domain.retention.forecast import with_copies_made  # noqa: PLC0415

    locks = [
        guard.locks([snapshot.id for snapshot in region.snapshots]) if region.snapshots else {}
        for guard, region in zip(guards, facts, strict=True)
    ]
    protected = [
        protected_ids(guard, region.snapshots, now, of_region)
        for guard, region, of_region in zip(guards, facts, locks, strict=True)
    ]

    def plan_all(all_facts: Sequence[RegionFacts], *, adopt: bool = False, former: str = "") -> list[RegionPlan]:
        return [
            plan_region(
                region, policies[region.region], now, system=system, protected_ids=held, placed=placed, adopt=adopt, former=former
            )
            for region, held in zip(all_facts, protected, strict=True)
        ]

    plans = plan_all(facts, adopt=adopt, former=former)
    plans = [_without_unknown(region, plan) for region, plan in zip(facts, plans, strict=True)]
    plans = [
        replace(
            plan,
            next_snapshots=next_snapshots(region.volumes, plan.policies, region.snapshots, region.copies_by_region, now),
            lock_facts=LockFacts(system, of_region, lock_limits.get(region.region)),
        )
        for region, plan, of_region in zip(facts, plans, locks, strict=True)
    ]
    adopts = any(volume.adopted for plan in plans for volume in plan.volumes)
    held = any(verdict.reasons[0] == WAITS_FOR_PROOF for plan in plans for verdict in plan.verdicts)
    if not plans or not (facts[0].waiting or plans[0].missing or adopts or held):
        return _with_allowances(plans, allowances)
    # The same decision over the facts as they will be: no second rule says what copies release.
    # A sweep deletes first by the tags that it found, then by those that it wrote; copies take longer.
    step = plan_all([replace(region, since=None) for region in facts]) if adopts else plans
    verdicts = [verdict for plan in step for verdict in plan.deletions]
    left = _facts_after(facts, plans, step)
    if adopts:
        step = plan_all(left)
        verdicts += [verdict for plan in step for verdict in plan.deletions]
        left = _facts_after(left, plans, step)
    last = plan_all(with_copies_made(left, plans[0], now, system=system))
    verdicts += [verdict for plan in last for verdict in plan.deletions]
    plans = [_with_deletions(region, plan, verdicts) for region, plan in zip(facts, plans, strict=True)]
    return _with_allowances(plans, allowances)


def _with_allowances(plans: Sequence[RegionPlan], allowances: Mapping[str, AllowanceReader]) -> list[RegionPlan]:
    """Return the plans with the deletions that runs may make. They are read only where something is deleted."""
    planned = [[verdict.snapshot.id for verdict in (*plan.deletions, *plan.deletions_after_copies)] for plan in plans]
    return [
        replace(plan, allowance=allowances[plan.region](plan.made_at.date(), ids)) if ids and plan.region in allowances else plan
        for plan, ids in zip(plans, planned, strict=True)
    ]


def _facts_after(facts: Sequence[RegionFacts], plans: Sequence[RegionPlan], step: Sequence[RegionPlan]) -> list[RegionFacts]:
    """Return the facts once the snapshots that plans adopt have their tags, and the deletions of a step are carried out."""
    tagged = {verdict.snapshot.id: verdict.snapshot for plan in plans for verdict in plan.verdicts}
    deleted = {verdict.snapshot.id for plan in step for verdict in plan.deletions}

    def left(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
        return [tagged.get(snapshot.id, snapshot) for snapshot in snapshots if snapshot.id not in deleted]

    return [
        replace(
            region,
            snapshots=left(region.snapshots),
            copies_by_region={name: left(listed) for name, listed in region.copies_by_region.items()},
            since=None,
        )
        for region in facts
    ]


def _without_unknown(facts: RegionFacts, plan: RegionPlan) -> RegionPlan:
    """Return the plan without missing copies in regions that were not listed."""
    listed = facts.copies_by_region
    if all(copy.region in listed for copy in plan.missing):
        return plan
    known = [tuple(copy for copy in volume.missing if copy.region in listed) for volume in plan.volumes]
    volumes = [replace(volume, missing=missing) for volume, missing in zip(plan.volumes, known, strict=True)]
    return replace(plan, volumes=tuple(volumes))


def _with_deletions(facts: RegionFacts, plan: RegionPlan, verdicts: Iterable[Verdict]) -> RegionPlan:
    """Return the plan with the deletions that follow, of snapshots that exist now."""
    candidates = {snapshot.id for snapshot in facts.snapshots} - {verdict.snapshot.id for verdict in plan.deletions}
    added = tuple(verdict for verdict in verdicts if verdict.snapshot.id in candidates)
    return replace(plan, deletions_after_copies=added)
