"""A hold that a person placed keeps what it covers, with all copies, in every plan and at every deletion (INV-26)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.errors import AwsThrottled, AwsUnavailable
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.model import Action, Reason, Verdict
from snapkeep.domain.policy.model import Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.invariants import find_problems
from snapkeep.domain.retention.placed_holds import HOLD_RULE, PlacedHold, PlacedHolds
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.domain.tags import parse_time
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.placed_holds import HoldsInForce, read_holds
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set
from support.lineages import REGION, SYSTEM, snapshot
from support.placing import hold

SNAPSHOTS = [snapshot(f"2026-01-0{day}T00:00", day) for day in range(1, 5)]
NOW = parse_time("2026-01-05T00:00:00Z")
COPY = replace(SNAPSHOTS[0], id="snap-0c0c0c0c", region="us-west-2", is_copy=True)
VOLUME, SOURCE = SNAPSHOTS[0].origin.volume_id, SNAPSHOTS[0].id
KEEP_ONE = PolicySet((Policy("gold", Selector(), Retention(keep_last=1)),), Limits(max_deletions=10, max_share_percent=100))


@pytest.mark.parametrize(
    ("placed", "covered"),
    [
        (hold(), True),
        (hold(volumes=(VOLUME,)), True),
        (hold(volumes=("vol-other",)), False),
        (hold(snapshots=(SOURCE,)), True),
        (hold(policies=("silver", SNAPSHOTS[0].policy)), True),
        (hold(policies=("silver",)), False),
    ],
)
def test_a_hold_covers_a_snapshot_and_its_copies_alike(placed: PlacedHold, covered: bool) -> None:
    assert [placed.covers(one) for one in (SNAPSHOTS[0], COPY)] == [covered, covered]


def test_a_hold_of_a_copy_covers_only_this_copy() -> None:
    placed = hold(snapshots=(COPY.id,))
    assert (placed.covers(COPY), placed.covers(SNAPSHOTS[0])) == (True, False)


def test_a_hold_of_a_policy_covers_governed_volumes_and_tagged_snapshots() -> None:
    placed = hold(policies=("silver",))
    assert placed.covers(SNAPSHOTS[0], policy="silver")
    assert not placed.covers(SNAPSHOTS[0], policy="bronze")
    assert hold(policies=(SNAPSHOTS[0].policy,)).covers(SNAPSHOTS[0], policy="bronze")


def test_a_hold_that_this_version_does_not_know_covers_everything() -> None:
    text = to_text(hold()).replace("}", ', "instances": ["i-1"]}')
    assert from_text(PlacedHold, text).covers(SNAPSHOTS[0])


def test_a_plan_keeps_held_snapshots_with_the_reason() -> None:
    placed = PlacedHolds((hold(snapshots=(SOURCE,)),))
    plan = plan_region(RegionFacts(REGION, (), SNAPSHOTS), KEEP_ONE, NOW, system=SYSTEM, placed=placed)
    held = next(verdict for verdict in plan.verdicts if verdict.snapshot.id == SOURCE)
    text = "held since 2026-01-01 00:00 UTC by arn:aws:iam::123456789012:user/alice (hold-1): an investigation"
    assert (held.action, held.reasons) == (Action.KEEP, (Reason(HOLD_RULE, text),))
    assert len(plan.deletions) == 2


def test_holds_that_could_not_be_read_cover_everything() -> None:
    placed = PlacedHolds(unread={"us-west-2": "the holds in us-west-2 could not be read: no answer"})
    plan = plan_region(RegionFacts(REGION, (), SNAPSHOTS), KEEP_ONE, NOW, system=SYSTEM, placed=placed)
    assert plan.deletions == []
    assert "not known" in next(iter(plan.verdicts)).reasons[0].text


def test_the_second_check_refuses_a_plan_that_deletes_held_snapshots() -> None:
    delete = Verdict(SNAPSHOTS[0], Action.DELETE, (Reason("keep_last", "beyond last 1"),))
    verdicts = [delete, *(Verdict(one, Action.KEEP, ()) for one in SNAPSHOTS[1:])]
    known = {"system": SYSTEM, "limits": KEEP_ONE.limits}
    assert find_problems(verdicts, SNAPSHOTS[0].origin.lineage, REGION, **known) == []  # type: ignore[arg-type]
    (problem,) = find_problems(
        verdicts,
        SNAPSHOTS[0].origin.lineage,
        REGION,
        placed=PlacedHolds((hold(policies=("gold",)),)),
        policy="gold",
        **known,  # type: ignore[arg-type]
    )
    assert problem.startswith(f"INV-26: {SOURCE}")


def night(snapshots: int = 3) -> tuple[Laboratory, str]:
    """Return a laboratory whose policy keeps the newest snapshot alone, in both regions, and its volume."""
    lab = Laboratory(policies=policy_set(keep=9, keep_copies=9))
    volume = lab.make_volume()
    for _ in range(snapshots):
        lab.protect(volume)
    lab.policies = policy_set(keep=1, keep_copies=1)
    return lab, volume


def delete(lab: Laboratory, volume: str, region: str) -> list[DeletionResult]:
    return lab.runner.composition.delete_snapshots(region).run([volume]).results


@pytest.mark.parametrize("written", [PRIMARY, DR])
@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_hold_counts_in_every_region_wherever_it_is_written(region: str, written: str) -> None:
    lab, volume = night()
    lab.runner.composition.hold_stores[written].place(hold(volumes=(volume,)))
    assert delete(lab, volume, region) == []
    lab.runner.composition.hold_stores[written].release("hold-1")
    assert [result.outcome for result in delete(lab, volume, region)] == [DeletionOutcome.DELETED] * 2


def test_a_dr_region_deletes_nothing_while_holds_cannot_be_read() -> None:
    lab, volume = night()
    lab.runner.composition.hold_stores[PRIMARY].place(hold())
    lab.world.take_region_away(PRIMARY)
    assert delete(lab, volume, DR) == []
    assert len(lab.ids(DR)) == 3


@pytest.mark.parametrize("policy", ["default", "gold"], ids=["carried", "governing"])
def test_a_hold_that_is_placed_after_the_plan_stops_the_deletion(policy: str) -> None:
    lab, volume = night()
    (default,) = lab.policies.policies
    lab.policies = replace(lab.policies, policies=(replace(default, name="gold"), default))
    lab.runner.advance(2 * HOUR)  # a younger snapshot's own tag says what governs the volume
    step = lab.runner.composition.delete_snapshots(PRIMARY)
    store = lab.runner.composition.hold_stores[PRIMARY]
    results = replace(step, planned=lambda _: store.place(hold(policies=(policy,)))).run([volume]).results
    assert [result.outcome for result in results] == [DeletionOutcome.HELD] * 2
    assert "an investigation" in results[0].cause


def test_a_hold_that_is_placed_while_deletions_are_throttled_stops_them() -> None:
    lab, volume = night()
    step = lab.runner.composition.delete_snapshots(PRIMARY)

    class Throttled:
        def delete(self, _: str) -> DeletionResult:
            lab.runner.composition.hold_stores[DR].place(hold())
            raise AwsThrottled("RequestLimitExceeded")

    results = replace(step, deleter=Throttled()).run([volume]).results
    assert [result.outcome for result in results] == [DeletionOutcome.HELD] * 2


def test_a_sweeps_order_for_a_held_snapshot_is_refused_as_held() -> None:
    lab, volume = night()
    step = lab.runner.composition.delete_snapshots(PRIMARY)
    orders = replace(step, deleter=_Nothing()).run([volume]).orders
    lab.runner.composition.hold_stores[PRIMARY].place(hold(volumes=(volume,)))
    assert [result.outcome for result in step.run((), asked=orders).results] == [DeletionOutcome.HELD] * 2


class _Nothing:
    """Deletes nothing, and reports that each snapshot is already gone."""

    def delete(self, snapshot_id: str) -> DeletionResult:
        return DeletionResult(snapshot_id, DeletionOutcome.ALREADY_GONE)


def test_a_failed_copy_is_held_too() -> None:
    lab, volume = night(1)
    lab.runner.composition.hold_stores[DR].place(hold(volumes=(volume,)))
    lab.world.add_fault(FaultRule("copy_fails", times=1))
    lab.protect(volume)
    states = [copy.state for copy in lab.snapshots(DR)]
    assert states.count("error") == 1


def test_holds_of_several_regions_count_once_and_an_unreachable_region_is_named() -> None:
    lab, _ = night(1)
    stores = lab.runner.composition.hold_stores
    for store in stores.values():
        store.place(hold())
    lab.world.take_region_away(DR)
    placed = read_holds({region: lambda region=region: lab.runner.composition.hold_store_of(region) for region in stores})  # type: ignore[misc]
    assert placed.holds == (hold(),)
    assert list(placed.unread) == [DR]


def test_holds_are_not_known_while_the_policies_cannot_be_read() -> None:
    def policies() -> PolicySet:
        raise AwsUnavailable("SSM does not answer")

    composition = Laboratory().runner.composition
    placed = HoldsInForce(region=DR, store_of=composition.hold_store_of, policies=policies).placed([COPY])
    assert (placed.holds, list(placed.unread)) == ((), [DR])
    (reason,) = placed.reasons_for(COPY)
    assert "SSM does not answer" in reason.text


def test_a_hold_is_due_for_review_after_the_time_that_it_names() -> None:
    placed = hold(review_after=timedelta(days=2))
    assert [placed.is_due_for_review(placed.since + timedelta(days=days)) for days in (1, 3)] == [False, True]
