"""Plan a region, or a primary with its DR regions, from one listing of each. Nothing is written: no port here can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.holds import SnapshotInRegion
from snapkeep.domain.retention.region_plan import RegionFacts, RegionPlan, plan_region
from snapkeep.usecases.ports import DeletionGuards, SnapshotReader
from snapkeep.usecases.retention.plan_volumes import protected_ids

NO_WAITING: frozenset[SnapshotInRegion] = frozenset()


def make_region_plan(
    guards: DeletionGuards, facts: RegionFacts, policies: PolicySet, now: datetime, *, system: str, adopt: bool = False
) -> RegionPlan:
    """Given a region's facts and the policies to go by, return its plan.

    `guards` are asked for what AMIs use and what is locked: of what stays for other reasons too, so that the plan tells all.
    The facts can be planned again under other policies.
    """
    held = protected_ids(guards, facts.snapshots)
    return plan_region(facts, policies, now, system=system, protected_ids=held, adopt=adopt)


def gather_all_facts(
    primary: SnapshotReader, others: Sequence[SnapshotReader], waiting: frozenset[SnapshotInRegion] = NO_WAITING
) -> list[RegionFacts]:
    """Given the readers of a primary region and of its DR regions, list each once; return their facts, the primary's first.

    Of a DR region only copies of other regions' snapshots: nothing there protects, or deletes, what else stands there.
    """
    listings = {reader.region: list(reader.all_snapshots()) for reader in others}
    copies = [
        RegionFacts(region, (), [one for one in listed if one.origin.region != region]) for region, listed in listings.items()
    ]
    volumes, snapshots = list(primary.all_volumes()), list(primary.all_snapshots())
    return [RegionFacts(primary.region, volumes, snapshots, listings, waiting), *copies]


def make_plans(
    guards: Sequence[DeletionGuards],
    facts: Sequence[RegionFacts],
    policies: Mapping[str, PolicySet],
    now: datetime,
    *,
    system: str,
    adopt: bool = False,
) -> list[RegionPlan]:
    """Given each region's guards and facts, and the policies to go by in each, return a plan for each."""
    return [
        make_region_plan(guard, of_region, policies[of_region.region], now, system=system, adopt=adopt)
        for guard, of_region in zip(guards, facts, strict=True)
    ]
