"""Copies made twice: the plan says that the sweep removes them, and which stays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from snapkeep.domain.model import Action, Reason, Snapshot, SnapshotState
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.sweep.dr import DrFacts, decide_dr
from support.lineages import SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DR = "us-east-2"
GOLD = Policy("gold", Selector(), Retention(keep_last=5), (CopyRule(DR, retention=Retention(keep_last=3)),))
POLICIES = PolicySet((GOLD,))
SOURCE = snapshot("2026-11-22T03:00", 1)


def made(number: int, hours: int, **more: object) -> Snapshot:
    return replace(copy_of(SOURCE, DR, number), start_time=NOW - timedelta(hours=hours), **more)  # type: ignore[arg-type]


LAST, SECOND = made(1, hours=1), made(2, hours=5)


def to_delete(copies: list[Snapshot], policies: PolicySet = POLICIES, **more: object) -> dict[str, str]:
    plan = plan_region(RegionFacts(DR, [], copies), policies, NOW, system=SYSTEM, **more)  # type: ignore[arg-type]
    return {verdict.snapshot.id: "; ".join(reason.text for reason in verdict.reasons) for verdict in plan.deletions}


def test_a_second_copy_is_deleted_and_the_last_one_made_stays() -> None:
    assert to_delete([LAST, SECOND]) == {SECOND.id: f"a second copy of {SOURCE.id}, beside {LAST.id}"}


def test_a_second_copy_that_the_rules_delete_is_deleted_by_them() -> None:
    newest = copy_of(snapshot("2026-11-22T09:00", 2), DR, 7)
    last_one = PolicySet(
        (replace(GOLD, copies=(CopyRule(DR, retention=Retention(keep_last=1)),)),), Limits(max_share_percent=100)
    )
    reasons = to_delete([LAST, SECOND, newest], last_one)
    assert reasons[LAST.id] == "beyond last 1"
    assert reasons[SECOND.id].startswith("beyond last 1; a second copy")


def test_the_copy_that_stays_is_the_one_that_counts() -> None:
    """The plan said of the copy that stays that it does not count beside the one that it deletes."""
    plan = plan_region(RegionFacts(DR, [], [LAST, SECOND]), POLICIES, NOW, system=SYSTEM)
    (kept,) = (verdict for verdict in plan.verdicts if verdict.action is Action.KEEP)
    assert (kept.snapshot.id, {reason.rule for reason in kept.reasons}) == (LAST.id, {"newest", "keep_last"})


def test_the_plan_equals_the_actions_of_the_sweep() -> None:
    plan = plan_region(RegionFacts(DR, [], [LAST, SECOND]), POLICIES, NOW, system=SYSTEM)
    decision = decide_dr(DrFacts(system=SYSTEM, plan=plan, snapshots=[LAST, SECOND]), POLICIES)
    assert [verdict.snapshot.id for verdict in decision.deletions] == [verdict.snapshot.id for verdict in plan.deletions]


def test_a_second_copy_that_an_ami_uses_stays_with_both_reasons() -> None:
    used = (Reason("image", "in use by ami-1"),)
    plan = plan_region(RegionFacts(DR, [], [LAST, SECOND]), POLICIES, NOW, system=SYSTEM, protected_ids={SECOND.id: used})
    (verdict,) = (verdict for verdict in plan.verdicts if verdict.snapshot.id == SECOND.id)
    assert verdict.action is Action.KEEP
    assert "in use by ami-1" in [reason.text for reason in verdict.reasons]


def test_only_completed_managed_copies_count_as_second() -> None:
    newest = copy_of(snapshot("2026-11-22T09:00", 2), DR, 7)
    for others in ([], [newest]):
        assert to_delete([SECOND, made(3, hours=1, state=SnapshotState.PENDING), *others]) == {}
        assert to_delete([SECOND, made(3, hours=1, state=SnapshotState.ERROR), *others]) == {}
        assert to_delete([SECOND, made(3, hours=1, tags={}), *others]) == {}


def test_without_a_rule_for_the_region_nothing_is_deleted() -> None:
    assert to_delete([LAST, SECOND], PolicySet((replace(GOLD, copies=()),))) == {}


def test_too_many_second_copies_are_refused_as_any_plan_is() -> None:
    crowd = [made(number, hours=number) for number in range(1, 6)]
    assert to_delete(crowd, PolicySet((GOLD,), Limits(max_deletions=3))) == {}
    assert len(to_delete(crowd)) == 4
