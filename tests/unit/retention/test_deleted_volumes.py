"""Snapshots and copies of deleted volumes are counted and priced, and expire where a policy says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.model import Action, Lineage
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.model import GoneRetention, PolicySet, Retention
from snapkeep.domain.retention.deleted_volumes import deleted_lineages, deleted_volumes
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.retention.verdicts import decide
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, SweepReport
from snapkeep.domain.tags import lineage_id
from snapkeep.usecases.look.status import StatusTotal
from support.all_facts import gather_all_facts
from support.lineages import SYSTEM, snapshot
from support.sweeping_world import DAY, DR, PRIMARY, SweepingWorld, gold

DELETED = (
    Figure.DELETED_VOLUMES,
    Figure.DELETED_VOLUMES_SNAPSHOTS,
    Figure.DELETED_VOLUMES_GIB,
    Figure.DELETED_VOLUMES_DOLLARS,
)


def with_gone(policies: PolicySet, **words: Any) -> PolicySet:
    return replace(policies, policies=tuple(replace(policy, gone=GoneRetention(**words)) for policy in policies.policies))


def world_with_a_deleted_volume(snapshots: int = 4) -> SweepingWorld:
    """Return a world in which a volume of 8 GiB was deleted after daily snapshots, each with its copy, beside a living one."""
    world = SweepingWorld(policies=gold(keep=snapshots, keep_copies=snapshots))
    volume, living = world.volume(), world.volume()
    for _ in range(snapshots):
        world.snapshot(volume)
        world.snapshot(living)
        world.later(DAY)
    world.ec2.delete_volume(VolumeId=volume)
    return world


def figures(report: SweepReport) -> list[int | None]:
    return [report.counts.get(figure) for figure in DELETED]


def remaining(world: SweepingWorld, region: str) -> int:
    return len(world.managed(region))


def test_a_deleted_volume_is_named_counted_and_priced_in_both_regions() -> None:
    world = world_with_a_deleted_volume()
    for region in (DR, PRIMARY):
        report = world.sweep(region)
        assert figures(report) == [1, 4, 32, 2], region
        assert [item.kind for item in report.items].count(FindingKind.VOLUME_DELETED) == 1
        assert remaining(world, region) == 8
    totals = world.status().totals
    assert [totals[StatusTotal(figure.value)] for figure in DELETED] == [1, 8, 64, 4]


def test_snapshots_and_copies_expire_by_gone_and_the_newest_stay() -> None:
    world = world_with_a_deleted_volume()
    world.policies = with_gone(world.policies, keep_within=timedelta(days=3), keep_last=1)
    for region in (DR, PRIMARY):
        world.sweep(region)
        assert remaining(world, region) == 4 + 2, region
    world.later(90 * DAY)
    for region in (DR, PRIMARY):
        assert figures(world.sweep(region))[:2] == [1, 2]
        assert figures(world.sweep(region))[:2] == [1, 1]
        assert remaining(world, region) == 4 + 1, region


def test_copies_stay_while_nothing_is_known_of_their_volumes() -> None:
    world = world_with_a_deleted_volume()
    world.policies = with_gone(world.policies, keep_last=1)
    world.world.take_region_away(PRIMARY)
    report = world.sweep(DR)
    assert figures(report) == [None] * 4
    assert remaining(world, DR) == 8
    world.world.bring_region_back(PRIMARY)
    world.sweep(DR)
    assert remaining(world, DR) == 4 + 1


def test_a_plan_shows_what_gone_would_delete_in_each_region() -> None:
    world = world_with_a_deleted_volume()
    composition = world.composition()
    facts = gather_all_facts(composition.reader(PRIMARY), [composition.reader(DR)])
    for policies, expected in ((world.policies, [0, 0]), (with_gone(world.policies, keep_last=1), [3, 3])):
        plans = [plan_region(region, policies, composition.clock.now(), system=world.runner.layout.system) for region in facts]
        assert [len(plan.deletions) for plan in plans] == expected


def test_gone_counts_keep_within_from_now_and_retention_from_the_newest() -> None:
    made = [snapshot(f"2026-01-0{day}T00:00", day) for day in range(1, 8)]
    now = datetime.fromisoformat("2026-01-10T00:00+00:00")
    words: dict[str, Any] = {"keep_within": timedelta(days=5)}

    def kept(retention: Retention) -> int:
        return sum(verdict.action is Action.KEEP for verdict in decide(made, retention, now, system=SYSTEM))

    assert (kept(Retention(**words)), kept(GoneRetention(**words))) == (5, 2)
    later = decide(made, GoneRetention(**words), now + timedelta(days=365), system=SYSTEM)
    assert [verdict.action for verdict in later] == [Action.DELETE] * 6 + [Action.KEEP]
    assert "of now" in later[0].reasons[0].text


@pytest.mark.parametrize(("gone", "kept"), [(True, 1), (False, 3)])
def test_a_lineage_of_another_region_is_deleted_only_where_that_is_known(gone: bool, kept: int) -> None:
    world = world_with_a_deleted_volume(snapshots=3)
    copies = list(world.composition().reader(DR).all_snapshots())
    volume = min(copies, key=lambda copy: copy.origin.start_time).origin.volume_id
    listed = [copy for copy in copies if copy.origin.volume_id == volume]
    lineages = frozenset({Lineage(PRIMARY, volume)}) if gone else frozenset()
    facts = RegionFacts(DR, (), listed, gone=lineages)
    plan = plan_region(facts, with_gone(world.policies, keep_last=1), world.composition().clock.now(), system="snapkeep")
    assert sum(verdict.action is Action.KEEP for verdict in plan.outcomes) == kept


def test_unmanaged_and_unfinished_snapshots_are_no_part_of_the_price() -> None:
    managed, other = snapshot("2026-01-01T00:00", 1), snapshot("2026-01-02T00:00", 2)
    gone = {managed.origin.lineage}
    assert deleted_volumes([managed, replace(other, tags={})], gone, system=SYSTEM).snapshots == (managed,)
    assert set(deleted_volumes([managed], (), system=SYSTEM).figures.values()) == {0}


def test_a_document_with_gone_is_read_and_written() -> None:
    policy = {"name": "a", "select": {}, "retention": {"keep_last": 7}, "gone": {"keep_within": "180d", "keep_last": 1}}
    policies = parse_document({"version": 1, "policies": [policy]})
    assert policies.policies[0].gone == GoneRetention(keep_within=timedelta(days=180), keep_last=1)
    assert to_document(policies)["policies"] == [policy]


def test_nothing_is_known_of_an_arbitrary_volume() -> None:
    own = snapshot("2026-01-01T00:00", 1)
    imported = replace(own, origin=replace(own.origin, volume_id=lineage_id("vol-ffffffff", own.id)))
    assert deleted_lineages([imported, own], own.origin.region, existing=()) == {own.origin.lineage}
