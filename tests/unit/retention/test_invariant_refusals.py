"""Each invariant refuses the plan that breaks it, by its id, and says which snapshot."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.model import Action, KeyFault, LockState, Reason, Snapshot, SnapshotLock, SnapshotState, Unusable, Verdict
from snapkeep.domain.policy.model import CopyRule, Limits
from snapkeep.domain.recovery.holders import holder_tag
from snapkeep.domain.retention.holds import CopyFacts, copy_facts, holds_from_facts, image_holds, lock_holds, merge_holds
from snapkeep.domain.retention.invariants import find_problems
from snapkeep.domain.retention.plan import LineagePlan
from snapkeep.domain.tag_names import CHECK, MANAGED, WRONG
from support.lineages import SYSTEM, copy_of, lineage, snapshot

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
DR = "us-east-2"
BEYOND = (Reason("keep_last", "beyond last 2"),)
SNAPSHOTS = lineage(f"2026-11-{day}T03:00" for day in (20, 21, 22, 23))
OLDEST, SECOND, THIRD, NEWEST = SNAPSHOTS


def plan(*to_delete: Snapshot, among: list[Snapshot] = SNAPSHOTS, reasons: tuple[Reason, ...] = BEYOND) -> list[Verdict]:
    return [Verdict(snapshot, Action.DELETE if snapshot in to_delete else Action.KEEP, reasons) for snapshot in among]


def refusal(verdicts: list[Verdict], limits: Limits = Limits(), **more: object) -> str:  # noqa: B008 - frozen
    """The problems in one text; empty where there are none."""
    facts = {"lineage": OLDEST.origin.lineage, "region": verdicts[0].snapshot.region, "system": SYSTEM} | more
    return "; ".join(find_problems(verdicts, limits=limits, **facts))


def test_a_plan_that_keeps_the_newest_passes() -> None:
    assert refusal(plan(OLDEST, SECOND)) == ""
    assert refusal(plan()) == ""


def test_inv_01_another_systems_snapshot_is_not_deleted() -> None:
    assert f"INV-01: {OLDEST.id} is not managed by snapkeep-two" in refusal(plan(OLDEST), system="snapkeep-two")


def test_inv_01_a_snapshot_of_another_region_is_not_in_this_plan() -> None:
    assert f"INV-01: {OLDEST.id} is in us-east-1, outside" in refusal(plan(OLDEST), region=DR)


def test_inv_02_the_newest_completed_stays_even_behind_a_pending_one() -> None:
    pending = snapshot("2026-11-23T04:00", 9, state=SnapshotState.PENDING)
    assert f"INV-02: {NEWEST.id} is the newest completed" in refusal(plan(NEWEST, among=[*SNAPSHOTS, pending]))


UNCOUNTED = {
    "pending": {"state": SnapshotState.PENDING},
    "failed": {"state": SnapshotState.ERROR},
    "of another system": {"tags": {MANAGED: "snapkeep-two"}},
    "archived": {"archived": True},
    "its key is disabled": {"key_fault": KeyFault("arn:key", Unusable.KEY_DISABLED)},
    "the state of its key is not known": {"key_fault": KeyFault("arn:key", Unusable.KEY_NOT_KNOWN)},
}


@pytest.mark.parametrize("change", UNCOUNTED.values(), ids=UNCOUNTED.keys())
def test_inv_02_a_newer_snapshot_that_does_not_count_replaces_none(change: dict[str, Any]) -> None:
    kept = replace(NEWEST, **change)
    assert f"INV-02: {THIRD.id} is the newest completed" in refusal(plan(THIRD, among=[OLDEST, SECOND, THIRD, kept]))


@pytest.mark.parametrize("change", [*UNCOUNTED.values(), {"tags": NEWEST.tags | {CHECK: WRONG}}], ids=[*UNCOUNTED, "found wrong"])
def test_inv_05_a_newer_copy_that_does_not_count_replaces_none(change: dict[str, Any]) -> None:
    older, newer = (copy_of(source, DR, number) for number, source in enumerate((THIRD, NEWEST), start=1))
    assert refusal(plan(older, among=[older, newer])) == ""
    assert f"INV-05: {older.id} is the newest completed copy" in refusal(plan(older, among=[older, replace(newer, **change)]))


def test_inv_02_the_newest_stays_while_older_ones_may_be_deleted() -> None:
    assert refusal(plan(OLDEST, NEWEST)) == f"INV-02: {NEWEST.id} is the newest completed snapshot of vol-0a"


def test_inv_03_retention_deletes_only_completed_snapshots() -> None:
    failed = snapshot("2026-11-19T04:00", 9, state=SnapshotState.ERROR)
    assert f"INV-03: {failed.id} is error" in refusal(plan(failed, among=[*SNAPSHOTS, failed]))


def test_inv_04_a_snapshot_whose_copy_waits_stays() -> None:
    facts = CopyFacts(
        completed=frozenset({(OLDEST.id, DR)}),
        newest_copied={(OLDEST.origin.lineage, DR): NEWEST.start_time},
        waiting=frozenset({(OLDEST.id, DR)}),
    )
    text = refusal(plan(OLDEST), copies=facts, copy_rules=[CopyRule(DR)])
    assert f"INV-04: the copy of {OLDEST.id} to {DR} is waiting or running" in text


def test_inv_04_an_uncopied_snapshot_stays_until_a_newer_one_is_copied() -> None:
    rules = [CopyRule(DR)]
    assert f"INV-04: {OLDEST.id} has no completed copy" in refusal(plan(OLDEST), copy_rules=rules)
    copied = copy_facts(SNAPSHOTS, confirmed=[(SECOND.id, DR)])
    assert refusal(plan(OLDEST, SECOND), copies=copied, copy_rules=rules) == ""
    assert f"INV-04: {THIRD.id}" in refusal(plan(THIRD), copies=copied, copy_rules=rules)


def test_inv_04_each_region_needs_a_copy() -> None:
    listing = {DR: [copy_of(OLDEST, DR, 1)], "eu-west-1": []}
    text = refusal(plan(OLDEST), copies=copy_facts((), listing), copy_rules=list(map(CopyRule, listing)))
    assert f"INV-04: {OLDEST.id} has no completed copy in eu-west-1" in text
    assert f"in {DR}" not in text


def test_inv_05_the_newest_copy_stays() -> None:
    copies = [copy_of(source, DR, number) for number, source in enumerate(SNAPSHOTS, start=1)]
    assert f"INV-05: {copies[-1].id} is the newest completed copy" in refusal(plan(copies[-1], among=copies))


def test_inv_05_a_late_copy_of_an_old_snapshot_is_not_newest() -> None:
    old, new = (copy_of(source, DR, number) for number, source in enumerate((OLDEST, NEWEST), start=1))
    late = replace(old, start_time=NOW)
    assert f"INV-05: {new.id} is the newest completed copy" in refusal(plan(new, among=[late, new]))


def test_inv_05_copies_of_a_like_named_volume_elsewhere_do_not_count() -> None:
    sources = [snapshot("2026-11-20T03:00", 1), snapshot("2026-11-21T03:00", 2, region="eu-west-1")]
    copies = [copy_of(source, DR, number) for number, source in enumerate(sources, start=1)]
    assert f"INV-05: {copies[0].id} is the newest completed copy" in refusal(plan(copies[0], among=copies))
    assert f"INV-01: {copies[1].id} is of vol-0a, outside the plan" in refusal(plan(copies[1], among=copies))


def test_inv_06_snapshots_of_amis_and_locked_ones_stay() -> None:
    assert f"INV-06: {OLDEST.id}" in refusal(plan(OLDEST), protected_ids={OLDEST.id})


def test_inv_07_only_retention_is_a_reason_to_delete() -> None:
    orphaned = (Reason("source-gone", "its volume is gone"),)
    assert f"INV-07: {OLDEST.id}" in refusal(plan(OLDEST, reasons=orphaned))
    assert f"INV-07: {OLDEST.id}" in refusal(plan(OLDEST, reasons=()))
    assert f"INV-07: {OLDEST.id}" in refusal(plan(OLDEST, reasons=BEYOND + orphaned))


@pytest.mark.parametrize("rule", ["newest", "minimum", "no-rule", "no-policy", "not-managed", "pending", "INV-04", "INV-06"])
def test_inv_07_a_reason_to_keep_never_deletes(rule: str) -> None:
    assert f"INV-07: {OLDEST.id}" in refusal(plan(OLDEST, reasons=(Reason(rule, "a reason to keep it"),)))


def test_inv_07_a_second_copy_may_be_deleted_as_one() -> None:
    assert refusal(plan(OLDEST, reasons=(Reason("duplicate", "a second copy"),))) == ""


def test_inv_08_more_than_the_count_or_the_share_is_refused_whole() -> None:
    assert "INV-08: it would delete 2 snapshots of vol-0a; the limit is 1" in refusal(
        plan(OLDEST, SECOND), Limits(max_deletions=1)
    )
    assert refusal(plan(OLDEST, SECOND), Limits(max_deletions=2)) == ""
    many = lineage(f"2026-10-{day:02d}T03:00" for day in range(1, 12))
    text = refusal(plan(*many[:9], among=many), Limits(max_share_percent=75))
    assert "INV-08: it would delete 9 of 11 snapshots of vol-0a; the limit is 75 %" in text
    assert refusal(plan(*many[:8], among=many), Limits(max_share_percent=75)) == ""
    twelve = [*many, snapshot("2026-10-12T03:00", 12)]
    assert refusal(plan(*twelve[:9], among=twelve), Limits(max_share_percent=75)) == ""
    assert refusal(plan(OLDEST, SECOND, THIRD), Limits(max_share_percent=10, small_lineage=4)) == ""


def test_inv_13_a_person_decides_about_unrestorable_snapshots() -> None:
    archived = replace(OLDEST, archived=True)
    text = refusal(plan(archived, among=[archived, *SNAPSHOTS[1:]]))
    assert text == f"INV-13: {OLDEST.id} is not a recovery point ({Unusable.ARCHIVED.label}); a person decides about it"


def test_inv_18_points_of_a_recovery_stay() -> None:
    held = replace(OLDEST, tags=OLDEST.tags | holder_tag("rec-1", NOW))
    assert refusal(plan(held, among=[held, *SNAPSHOTS[1:]])) == f"INV-18: rec-1 holds {OLDEST.id}"


def test_a_refusal_names_the_first_few_and_counts_the_rest() -> None:
    plans = [LineagePlan(OLDEST.origin.lineage, (), tuple(f"INV-0{number}" for number in range(count))) for count in (0, 5, 6)]
    five = "INV-00; INV-01; INV-02; INV-03; INV-04"
    assert [made.refusal for made in plans] == ["", five, f"{five}; and 1 more"]


def test_another_volumes_snapshot_is_neither_deleted_nor_the_newest() -> None:
    others = [snapshot(f"2026-11-{day}T03:00", day, volume="vol-0b") for day in (20, 21)]
    mixed = [SNAPSHOTS[0], others[0], SNAPSHOTS[1], others[1], *SNAPSHOTS[2:]]
    assert f"INV-01: {others[0].id} is of vol-0b, outside the plan of vol-0a" in refusal(plan(others[0], among=mixed))
    assert refusal(plan(OLDEST, among=mixed)) == ""
    others = [snapshot("2026-11-30T03:00", 30, volume="vol-0b")]
    assert f"INV-02: {NEWEST.id}" in refusal(plan(NEWEST, among=[NEWEST, others[0], OLDEST]))


def test_a_held_source_snapshot_names_each_region() -> None:
    listing = {"eu-west-1": [copy_of(THIRD, "eu-west-1", 1), copy_of(NEWEST, "eu-west-1", 2, state=SnapshotState.ERROR)]}
    facts = copy_facts(SNAPSHOTS, listing, [(NEWEST.id, DR)], [(SECOND.id, DR)])
    held = holds_from_facts(SNAPSHOTS, facts, [CopyRule(DR), CopyRule("eu-west-1")])
    texts = {snapshot_id: [reason.text for reason in reasons] for snapshot_id, reasons in held.items()}
    missing = "held: no completed copy in {}, and no newer snapshot has one there"
    assert texts == {
        THIRD.id: [missing.format(DR)],
        NEWEST.id: [f"held: its copy to {DR} is waiting or running", missing.format("eu-west-1")],
    }


def test_the_newest_copy_counts_in_whatever_order_copies_are_listed() -> None:
    copies = [copy_of(source, DR, number) for number, source in enumerate(SNAPSHOTS, start=1)]
    for listed in (copies, copies[::-1]):
        facts = copy_facts((), {DR: listed})
        assert facts.newest_copied == {(NEWEST.origin.lineage, DR): NEWEST.start_time}


def test_a_confirmed_copy_of_an_unlisted_snapshot_is_ignored() -> None:
    facts = copy_facts([OLDEST], confirmed=[(NEWEST.id, DR)])
    assert (facts.completed, facts.newest_copied) == (frozenset(), {})


def test_simultaneous_snapshots_do_not_replace_each_other() -> None:
    twins = [snapshot("2026-11-20T03:00", 1), snapshot("2026-11-20T03:00", 2)]
    held = holds_from_facts(twins, copy_facts(twins, confirmed=[(twins[0].id, DR)]), [CopyRule(DR)])
    assert set(held) == {twins[1].id}
    both = lineage(["2026-11-20T03:00", "2026-11-20T03:00", "2026-11-21T03:00"])
    facts = copy_facts(both, confirmed=[(both[0].id, DR)])
    text = refusal(plan(both[1], among=both), copies=facts, copy_rules=[CopyRule(DR)])
    assert f"INV-04: {both[1].id}" in text


def test_holds_of_several_causes_are_merged() -> None:
    images = image_holds({OLDEST.id: ("ami-1", "ami-2"), SECOND.id: ()})
    locks = lock_holds(
        {OLDEST.id: SnapshotLock(LockState.COMPLIANCE, datetime(2027, 1, 1, tzinfo=UTC), 14)},
        [OLDEST],
        datetime(2026, 12, 2, tzinfo=UTC),
    )
    pending = lock_holds({SECOND.id: SnapshotLock(LockState.GOVERNANCE, None, 14)}, [SECOND], datetime(2026, 12, 2, tzinfo=UTC))
    assert [reason.text for reason in pending[SECOND.id]] == ["locked for 14 d from its completion (governance)"]
    merged = merge_holds(images, locks)
    assert [reason.text for reason in merged[OLDEST.id]] == [
        "in use by ami-1",
        "in use by ami-2",
        "locked until 2027-01-01 00:00 UTC (compliance), at most 0.40 USD until then",
    ]
    assert set(merged) == {OLDEST.id}
