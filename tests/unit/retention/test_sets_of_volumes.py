"""A run's plan for a multi-volume set: volume by volume, as `snapkeep plan` shows it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from support.lineages import REGION, SYSTEM, snapshot
from support.listed_regions import ListedRegion, planner_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICIES = PolicySet((Policy("gold", Selector(), Retention(keep_last=30)),), Limits(max_deletions=100))


def lineage(volume: str, count: int, first_number: int) -> list[Snapshot]:
    return [snapshot(NOW - timedelta(days=number + 1), first_number + number, volume=volume) for number in range(count)]


def region_of(**counts: int) -> ListedRegion:
    """Return a region with volumes that have so many snapshots each."""
    listed: list[Snapshot] = []
    for volume, count in counts.items():
        listed += lineage(f"vol-{volume}", count, len(listed) + 1)
    return ListedRegion(REGION, listed, [Volume(f"vol-{volume}", REGION, 8, "gp3") for volume in counts])


@pytest.mark.parametrize("counts", [{"a": 90, "b": 90}, {"a": 150, "b": 40}, {"a": 150, "b": 150}])
def test_a_run_of_a_set_deletes_as_the_plan_shows(counts: dict[str, int]) -> None:
    region = region_of(**counts)
    shown = plan_region(RegionFacts(REGION, region.listed_volumes, region.listed), POLICIES, NOW, system=SYSTEM)
    made = planner_of(region, [], POLICIES, NOW).plan_sources([f"vol-{volume}" for volume in counts])
    assert ids(verdict.snapshot for verdict in made.deletions) == ids(verdict.snapshot for verdict in shown.deletions)


def ids(snapshots: Sequence[Snapshot]) -> list[str]:
    return sorted(snapshot.id for snapshot in snapshots)
