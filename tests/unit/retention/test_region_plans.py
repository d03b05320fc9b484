"""The plan for a whole region: policies, verdicts, missing copies, adoption, and what other policies would change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.model import Action, Reason, Snapshot, SnapshotState, Verdict, Volume
from snapkeep.domain.policy.model import CopyRule, GoneRetention, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention import plan as lineage_plan
from snapkeep.domain.retention.comparison import changes, compare
from snapkeep.domain.retention.region_plan import CopyStatus, RegionFacts, plan_region
from snapkeep.domain.retention.verdicts import NO_HOLDS, decide
from snapkeep.domain.tag_names import ORIGINAL_NAME, ORIGINAL_REGION
from support.lineages import REGION, SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DR = "us-east-2"
GOLD = Policy(
    "gold",
    Selector(tags={"Backup": ("gold",)}),
    Retention(keep_last=2),
    (CopyRule(DR, copy_within=timedelta(hours=4), retention=Retention(keep_last=1)),),
)
PLAIN = Policy("plain", Selector(tags={"Backup": ("*",)}), Retention(keep_last=1))
POLICIES = PolicySet((GOLD, PLAIN))
VOLUME = Volume("vol-0a", REGION, 8, "gp3", tags={"Backup": "gold"})
OTHER = Volume("vol-0b", REGION, 8, "gp3", tags={"Backup": "plain"})
FREE = Volume("vol-0c", REGION, 8, "gp3")
SOURCES = [snapshot(f"2026-11-{day}T03:00", day) for day in (20, 21, 22, 23)]


def facts(
    snapshots: list[Snapshot], *, copies: list[Snapshot] | None = None, volumes: tuple[Volume, ...] = (VOLUME,), **more: object
) -> RegionFacts:
    return RegionFacts(REGION, list(volumes), snapshots, {DR: copies or []}, **more)


def all_copies(sources: list[Snapshot]) -> list[Snapshot]:
    return [copy_of(source, DR, number) for number, source in enumerate(sources, start=1)]


def actions(plan: object) -> dict[str, str]:
    return {verdict.snapshot.id: verdict.action.value for verdict in plan.verdicts}


def test_each_volume_has_its_policy_with_the_reason_even_without_snapshots() -> None:
    plan = plan_region(facts([], volumes=(FREE, OTHER, VOLUME)), POLICIES, NOW, system=SYSTEM)
    assert [(volume.lineage.volume_id, volume.selection.policy and volume.selection.policy.name) for volume in plan.volumes] == [
        ("vol-0a", "gold"),
        ("vol-0b", "plain"),
        ("vol-0c", None),
    ]
    assert plan.volumes[1].selection.passed_over == (("gold", "tag Backup=plain is not gold"),)


def test_with_all_copies_there_only_retention_speaks() -> None:
    plan = plan_region(facts(SOURCES, copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM)
    assert [verdict.snapshot for verdict in plan.deletions] == SOURCES[:2]
    assert plan.missing == []


def test_a_region_that_was_not_listed_has_no_copies_and_everything_stays() -> None:
    plan = plan_region(RegionFacts(REGION, [VOLUME], SOURCES), POLICIES, NOW, system=SYSTEM)
    assert plan.deletions == []
    assert {copy.status for copy in plan.missing} == {CopyStatus.MISSING}


def test_missing_copies_say_how_they_stand_and_when_they_are_due() -> None:
    copies = [copy_of(SOURCES[0], DR, 1), copy_of(SOURCES[1], DR, 2, state=SnapshotState.ERROR)]
    plan = plan_region(facts(SOURCES, copies=copies, waiting=frozenset({(SOURCES[2].id, DR)})), POLICIES, NOW, system=SYSTEM)
    assert [(copy.snapshot_id, copy.status) for copy in plan.missing] == [
        (SOURCES[1].id, CopyStatus.FAILED),
        (SOURCES[2].id, CopyStatus.IN_PROGRESS),
        (SOURCES[3].id, CopyStatus.MISSING),
    ]
    assert plan.missing[0].deadline == SOURCES[1].start_time + timedelta(hours=4)


def test_a_period_has_its_copy_once_it_is_completed_or_in_progress() -> None:
    daily = PolicySet((replace(GOLD, copies=(replace(GOLD.copies[0], every=timedelta(days=1)),)),))
    made = [snapshot(f"2026-11-23T0{hour}:00", hour) for hour in (3, 4)]
    failed = copy_of(made[0], DR, 1, state=SnapshotState.ERROR)
    plan = plan_region(facts(made, copies=[failed]), daily, NOW, system=SYSTEM)
    assert [(copy.snapshot_id, copy.status) for copy in plan.missing] == [(made[0].id, CopyStatus.FAILED)]
    plan = plan_region(facts(made, waiting=frozenset({(made[1].id, DR)})), daily, NOW, system=SYSTEM)
    assert [(copy.snapshot_id, copy.status) for copy in plan.missing] == [(made[1].id, CopyStatus.IN_PROGRESS)]


def test_only_a_volume_that_is_known_to_be_deleted_is_retained_as_such() -> None:
    # By `gone`, the older one would be deleted.
    policies = PolicySet((replace(PLAIN, retention=Retention(keep_last=4), gone=GoneRetention(keep_last=1)),))
    listed = [snapshot(f"2026-11-{day}T03:00", day, policy="plain") for day in (20, 21)]
    assert plan_region(facts(listed, volumes=()), policies, NOW, system=SYSTEM).deletions
    not_read = facts(listed, volumes=(), not_read=frozenset({VOLUME.id}))
    assert plan_region(not_read, policies, NOW, system=SYSTEM).deletions == []
    imported = [replace(item, origin=replace(item.origin, volume_id="snap-0imported")) for item in listed]
    assert plan_region(facts(imported, volumes=()), policies, NOW, system=SYSTEM).deletions == []


def test_an_adopted_snapshot_needs_a_copy_until_a_newer_one_is_requested() -> None:
    adoptable, newest = snapshot("2026-11-22T03:00", 22, managed=False), SOURCES[3]
    plan = plan_region(facts([adoptable, newest]), POLICIES, NOW, system=SYSTEM, adopt=True)
    assert [copy.snapshot_id for copy in plan.missing] == [newest.id]
    failed = copy_of(newest, DR, 1, state=SnapshotState.ERROR)
    plan = plan_region(facts([adoptable, newest], copies=[failed]), POLICIES, NOW, system=SYSTEM, adopt=True)
    assert [copy.snapshot_id for copy in plan.missing] == [adoptable.id, newest.id]


def test_a_snapshot_without_a_run_is_copied_like_newer_ones() -> None:
    without_run = replace(SOURCES[2], tags={})
    plan = plan_region(facts([SOURCES[0], without_run, SOURCES[3]], since=SOURCES[1].start_time), POLICIES, NOW, system=SYSTEM)
    assert [copy.snapshot_id for copy in plan.missing] == [without_run.id, SOURCES[3].id]


def test_an_older_snapshot_needs_no_copy_once_a_newer_one_has_one() -> None:
    plan = plan_region(facts(SOURCES, copies=[copy_of(SOURCES[-1], DR, 1)]), POLICIES, NOW, system=SYSTEM)
    assert plan.missing == []


def test_a_copy_that_no_sweep_would_make_is_not_missing() -> None:
    """The plan counted a copy of every old snapshot as missing; the sweep makes only those that the DR region keeps."""
    plan = plan_region(facts(SOURCES), POLICIES, NOW, system=SYSTEM)
    assert [copy.snapshot_id for copy in plan.missing] == [SOURCES[-1].id]


def test_a_waiting_copy_is_shown_even_if_retention_would_delete_it() -> None:
    plan = plan_region(facts(SOURCES, waiting=frozenset({(SOURCES[0].id, DR)})), POLICIES, NOW, system=SYSTEM)
    assert {copy.snapshot_id: copy.status for copy in plan.missing} == {
        SOURCES[0].id: CopyStatus.IN_PROGRESS,
        SOURCES[3].id: CopyStatus.MISSING,
    }


def test_a_snapshot_without_a_copy_is_missing_despite_its_simultaneous_twin() -> None:
    twins = [snapshot("2026-11-23T03:00", 1), snapshot("2026-11-23T03:00", 2)]
    plan = plan_region(facts(twins, copies=[copy_of(twins[1], DR, 1)]), POLICIES, NOW, system=SYSTEM)
    assert [copy.snapshot_id for copy in plan.missing] == [twins[0].id]


def test_copies_follow_the_copy_rule_of_the_policy_that_they_carry() -> None:
    copies = all_copies(SOURCES)
    plan = plan_region(RegionFacts(DR, [], copies), POLICIES, NOW, system=SYSTEM)
    assert [verdict.snapshot for verdict in plan.deletions] == copies[:3]
    assert plan.volumes[0].volume is None


def test_copies_of_an_unknown_policy_stay_and_are_reported() -> None:
    sources = [snapshot(f"2026-11-{day}T03:00", day, policy="bronze") for day in (20, 21)]
    plan = plan_region(RegionFacts(DR, [], all_copies(sources)), POLICIES, NOW, system=SYSTEM)
    assert plan.deletions == []
    assert "bronze" in plan.volumes[0].selection.problem


def test_snapshots_of_a_volume_without_a_policy_all_stay() -> None:
    mine = [replace(source, origin=replace(source.origin, volume_id="vol-0c")) for source in SOURCES]
    plan = plan_region(facts(mine, volumes=(FREE,)), POLICIES, NOW, system=SYSTEM)
    assert set(actions(plan).values()) == {"keep"}


def test_snapshots_of_a_deleted_volume_follow_the_policy_in_their_tags() -> None:
    plan = plan_region(facts(SOURCES, copies=all_copies(SOURCES), volumes=()), POLICIES, NOW, system=SYSTEM)
    assert [verdict.snapshot for verdict in plan.deletions] == SOURCES[:2]


def test_snapshots_of_an_ami_stay_with_the_reason() -> None:
    first = plan_region(facts(SOURCES, copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM)
    reasons = first.deletions[0].reasons
    plan = plan_region(
        facts(SOURCES, copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM, protected_ids={SOURCES[0].id: reasons[:1]}
    )
    assert [verdict.snapshot for verdict in plan.deletions] == SOURCES[1:2]
    assert plan_region(facts(SOURCES), POLICIES, NOW, system=SYSTEM, protected_ids=NO_HOLDS).deletions == []


def test_a_refused_plan_deletes_nothing_and_has_its_reason() -> None:
    strict = replace(POLICIES, limits=Limits(max_deletions=1))
    plan = plan_region(facts(SOURCES, copies=all_copies(SOURCES)), strict, NOW, system=SYSTEM)
    assert plan.deletions == []
    assert plan.volumes[0].refusals == ("INV-08: it would delete 2 snapshots of vol-0a; the limit is 1 in one plan",)


def test_unhandled_and_originally_tagged_snapshots_are_adopted() -> None:
    strange = [snapshot(f"2026-11-{day}T03:00", day, managed=False) for day in (20, 21, 22)]
    copied = [
        replace(copy_of(source, DR, number, managed=False), tags={ORIGINAL_NAME: "x", ORIGINAL_REGION: REGION})
        for number, source in enumerate(strange, start=1)
    ]
    foreign = copy_of(strange[0], DR, 9, managed=False)
    before = plan_region(facts(strange, copies=copied), POLICIES, NOW, system=SYSTEM)
    after = plan_region(facts(strange, copies=copied), POLICIES, NOW, system=SYSTEM, adopt=True)
    assert before.deletions == []
    assert after.volumes[0].adopted == tuple(snapshot.id for snapshot in strange)
    assert [verdict.snapshot.id for verdict in after.deletions] == [strange[0].id]
    in_dr = plan_region(RegionFacts(DR, [], [*copied, foreign]), POLICIES, NOW, system=SYSTEM, adopt=True)
    assert in_dr.volumes[0].adopted == tuple(copy.id for copy in copied)
    assert foreign.id not in {verdict.snapshot.id for verdict in in_dr.deletions}


def test_changes_are_the_snapshots_whose_action_differs() -> None:
    given = facts(SOURCES, copies=all_copies(SOURCES))
    wider = PolicySet((replace(GOLD, retention=Retention(keep_last=3)), PLAIN))
    now = plan_region(given, POLICIES, NOW, system=SYSTEM)
    then = plan_region(given, wider, NOW, system=SYSTEM)
    assert [(change.after.snapshot, change.before.action, change.after.action) for change in changes(now, then)] == [
        (SOURCES[1], Action.DELETE, Action.KEEP)
    ]
    assert changes(now, now) == []


def test_a_comparison_counts_moved_volumes_and_additional_copies() -> None:
    given = facts(SOURCES, copies=all_copies(SOURCES), volumes=(VOLUME, OTHER))
    farther = replace(GOLD, copies=(*GOLD.copies, CopyRule("eu-west-1")))
    other = PolicySet((replace(PLAIN, name="all", selector=Selector(tags={"Backup": ("plain",)})), farther))
    comparison = compare(plan_region(given, POLICIES, NOW, system=SYSTEM), plan_region(given, other, NOW, system=SYSTEM))
    assert [(lineage.volume_id, before, after) for lineage, before, after in comparison.reassigned] == [
        ("vol-0b", "plain", "all")
    ]
    assert [change.after.snapshot for change in comparison.kept] == SOURCES[:2]
    assert comparison.deleted == ()
    assert {copy.region for copy in comparison.copies} == {"eu-west-1"}


def test_deletions_that_are_no_longer_refused_are_a_change() -> None:
    given = facts(SOURCES, copies=all_copies(SOURCES))
    strict = replace(POLICIES, limits=Limits(max_deletions=1))
    refused, allowed = (plan_region(given, policies, NOW, system=SYSTEM) for policies in (strict, POLICIES))
    assert refused.volumes[0].refusals
    assert [verdict.snapshot for verdict in allowed.deletions] == SOURCES[:2]
    wider = compare(refused, allowed)
    assert [change.after.snapshot for change in wider.deleted] == SOURCES[:2]
    assert [change.before.reasons[0].text for change in wider.deleted] == ["its plan is refused: nothing is deleted"] * 2
    narrower = compare(allowed, refused)
    assert narrower.deleted == ()
    assert [change.after.snapshot for change in narrower.kept] == SOURCES[:2]
    assert [plan.lineage.volume_id for plan in narrower.refused] == ["vol-0a"]
    assert compare(refused, refused).empty


def test_a_comparison_shows_dropped_copies_and_adopted_snapshots() -> None:
    strange = snapshot("2026-11-23T04:00", 9, managed=False)
    given = facts([*SOURCES, strange], copies=all_copies(SOURCES[:-1]))
    now = plan_region(given, POLICIES, NOW, system=SYSTEM)
    local = PolicySet((replace(GOLD, copies=()), PLAIN))
    dropped = compare(now, plan_region(given, local, NOW, system=SYSTEM))
    assert [copy.snapshot_id for copy in dropped.copies_dropped] == [SOURCES[-1].id]
    adopting = compare(now, plan_region(given, POLICIES, NOW, system=SYSTEM, adopt=True))
    assert [plan.adopted for plan in adopting.adopted] == [(strange.id,)]
    assert not adopting.empty


def test_a_plan_for_the_same_facts_is_the_same_plan() -> None:
    given = facts(SOURCES, copies=all_copies(SOURCES))
    assert plan_region(given, POLICIES, NOW, system=SYSTEM) == plan_region(given, POLICIES, NOW, system=SYSTEM)


def test_copies_in_their_sources_region_or_without_a_source_are_kept_uncounted() -> None:
    returned = replace(SOURCES[3], id="snap-b1", is_copy=True)
    unknown = [replace(snapshot(f"2026-11-{day:02}T04:00", 90 + day, volume="vol-ffffffff"), is_copy=True) for day in range(1, 9)]
    expected = plan_region(facts(SOURCES, copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM)
    plan = plan_region(facts([*SOURCES, returned, *unknown], copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM)
    assert plan.deletions == expected.deletions
    assert plan.missing == []
    assert [v.reasons[0].rule for v in plan.verdicts if v.snapshot.is_copy] == ["stray-copy"] * 9


def test_a_foreign_copy_is_listed_at_its_origins_time() -> None:
    stray = replace(SOURCES[1], id="snap-b1", is_copy=True)
    plan = plan_region(facts([*SOURCES, stray], copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM)
    starts = [verdict.snapshot.origin.start_time for verdict in plan.verdicts]
    assert starts == sorted(starts)
    assert all(not volume.selection.problem and not volume.refusals for volume in plan.volumes)


@pytest.mark.parametrize("broken", ["INV-04: the copy of", "INV-04", "INV-06"])
def test_the_second_check_refuses_deletions_decided_without_holds(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    to_delete = SOURCES[0]
    known = facts(
        SOURCES,
        copies=[] if broken == "INV-04" else all_copies(SOURCES),
        waiting=frozenset({(to_delete.id, DR)} if broken == "INV-04: the copy of" else ()),
    )
    protected_ids = {to_delete.id: (Reason("INV-06", "locked"),)} if broken == "INV-06" else {}
    assert plan_region(known, POLICIES, NOW, system=SYSTEM, protected_ids=protected_ids).volumes[0].refusals == ()

    def without_holds(snapshots: list[Snapshot], retention: Retention, now: datetime, **_: object) -> list[Verdict]:
        return decide(snapshots, retention, now, system=SYSTEM)

    monkeypatch.setattr(lineage_plan, "decide", without_holds)
    refused = plan_region(known, POLICIES, NOW, system=SYSTEM, protected_ids=protected_ids)
    assert any(text.startswith(broken) and to_delete.id in text for text in refused.volumes[0].refusals)
    assert refused.deletions == []


def test_only_a_completed_snapshot_misses_its_copy_or_can_be_adopted() -> None:
    pending = snapshot("2026-11-23T04:00", 9, state=SnapshotState.PENDING)
    bare = replace(snapshot("2026-11-23T05:00", 10, state=SnapshotState.ERROR), tags={})
    plan = plan_region(facts([*SOURCES, pending, bare], copies=all_copies(SOURCES)), POLICIES, NOW, system=SYSTEM, adopt=True)
    assert plan.missing == []
    assert plan.volumes[0].adopted == ()


def test_a_snapshot_with_two_holds_shows_both() -> None:
    locked = {SOURCES[0].id: (Reason("INV-06", "locked"),)}
    plan = plan_region(facts(SOURCES), POLICIES, NOW, system=SYSTEM, protected_ids=locked)
    rules = [reason.rule for reason in plan.volumes[0].verdicts[0].reasons]
    assert rules == ["INV-04", "INV-06"]
