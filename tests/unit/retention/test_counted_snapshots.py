"""A policy with `snapshot_tags` counts only the snapshots with such tags: the others are left alone, and displace none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from snapkeep.domain.creation.due_times import next_due
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.gaps import policy_gaps
from snapkeep.domain.policy.model import Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.domain.policy.selection import select_for_snapshot
from snapkeep.domain.protection import volume_protections
from snapkeep.domain.retention.exclusions import NOT_COUNTED
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.sweep.deletions_by_others import deleted_by_others, memory_of
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.primary import PrimaryFacts, decide_primary
from snapkeep.domain.tag_names import MADE
from support.lineages import REGION, SYSTEM, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
VOLUME = Volume("vol-0a", REGION, 8, "gp3")
DAILY = Selector(snapshot_tags={"Schedule": ("daily*",)})
POLICIES = PolicySet((Policy("gold", DAILY, Retention(keep_last=2), snapshots=SnapshotRule(every=timedelta(hours=24))),))


def taken(day: int, schedule: str = "", *, managed: bool = True) -> Snapshot:
    one = snapshot(f"2026-11-{day}T03:00", day, managed=managed)
    return replace(one, tags={**one.tags, "Schedule": schedule} if schedule else one.tags)


def test_a_snapshot_without_the_tags_displaces_none_and_stays() -> None:
    listed = [taken(day, "daily-1") for day in (18, 19, 20)] + [taken(21, "hourly"), taken(22)]
    plan = plan_region(RegionFacts(REGION, [VOLUME], listed), POLICIES, NOW, system=SYSTEM)
    assert [verdict.snapshot.id for verdict in plan.verdicts] == [item.id for item in listed]
    assert [verdict.snapshot.id for verdict in plan.deletions] == [listed[0].id]
    apart = {verdict.snapshot.id for verdict in plan.verdicts if verdict.reasons == (NOT_COUNTED,)}
    assert apart == {listed[3].id, listed[4].id}


def test_no_policy_governs_a_snapshot_that_does_not_count() -> None:
    def chosen(one: Snapshot) -> str:
        selection = select_for_snapshot(one, VOLUME, POLICIES, system=SYSTEM, lineage=list)
        return selection.policy.name if selection.policy else selection.why

    assert chosen(taken(22, "daily-2")) == "gold"
    assert chosen(taken(22, "hourly")) == "policy gold does not count it: tag Schedule=hourly is not daily*"
    made = taken(22, managed=False)
    assert chosen(made) == "policy gold does not count it: no tag Schedule"
    assert chosen(replace(made, tags={MADE: "2026-11-22T03:00:00.000Z"})) == "gold"


def test_a_sweep_protects_the_newest_snapshot_that_counts() -> None:
    listed = [taken(20, "daily", managed=False), taken(21, "hourly", managed=False), taken(22, managed=False)]
    plan = plan_region(RegionFacts(REGION, [VOLUME], listed), POLICIES, NOW, system=SYSTEM)
    since = NOW - timedelta(days=30)
    facts = PrimaryFacts(system=SYSTEM, plan=plan, volumes={VOLUME.id: VOLUME}, snapshots=listed, since=since)
    findings = decide_primary(facts, POLICIES, NOW).findings
    assert [(finding.kind, finding.subject) for finding in findings] == [(FindingKind.UNHANDLED, listed[0].id)]


def test_only_snapshots_that_count_make_another_one_superfluous() -> None:
    policy = POLICIES.policies[0]
    assert next_due(VOLUME, policy, [taken(23, "hourly")], {}, NOW) < NOW  # type: ignore[operator]
    assert next_due(VOLUME, policy, [taken(23, "daily")], {}, NOW) == datetime(2026, 11, 24, tzinfo=UTC)


def test_a_volumes_protection_is_that_of_the_snapshots_that_count() -> None:
    listed = [taken(20, "daily"), taken(23, "hourly")]
    (protection,) = volume_protections(REGION, [VOLUME], listed, {}, POLICIES, NOW, system=SYSTEM)
    assert (protection.snapshot.id, protection.snapshots) == (listed[0].id, 1)


def test_own_deletions_are_none_of_others_although_memory_has_no_tags() -> None:
    listed = [taken(day, "daily") for day in (18, 19, 20)] + [taken(21, "hourly")]
    plan = plan_region(RegionFacts(REGION, [VOLUME], listed), POLICIES, NOW, system=SYSTEM)
    remembered = memory_of(plan, listed, [], {}, NOW, system=SYSTEM).snapshots
    assert [item.id for item in remembered] == [listed[1].id, listed[2].id]
    newer = [taken(21, "daily"), taken(22, "daily")]
    facts = RegionFacts(REGION, [VOLUME], newer)
    assert deleted_by_others(remembered, facts, POLICIES, NOW, system=SYSTEM) == []
    assert [
        item.id for item in deleted_by_others(remembered, replace(facts, snapshots=newer[:1]), POLICIES, NOW, system=SYSTEM)
    ] == [listed[2].id]


def test_an_earlier_policy_matches_all_volumes_whichever_snapshots_it_counts() -> None:
    later = Policy("rest", Selector(), Retention(keep_last=2))
    gaps = [gap.path for gap in policy_gaps(PolicySet((*POLICIES.policies, later)), NOW)]
    assert gaps == ["policies[0].copies", "policies[1].select", "policies[1].copies"]
