"""A policy's `hold_tags`: a tagged snapshot and its copies stay, in every region, and take no place of retention (INV-26)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import Action, Reason, Verdict
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.gaps import policy_gaps
from snapkeep.domain.policy.model import CarryTags, CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.holds import NO_COPY_FACTS
from snapkeep.domain.retention.invariants import find_problems
from snapkeep.domain.retention.placed_holds import HOLD_RULE
from snapkeep.domain.retention.tag_holds import tag_holds
from snapkeep.usecases.ports import SnapshotReader
from snapkeep.usecases.retention.plan_regions import make_plans, tagged_sources
from support.flows import DR, PRIMARY, CallCounter, Laboratory, policy_set
from support.lineages import REGION, SYSTEM, at, snapshot
from support.sweeping_world import SweepingWorld, gold

PROTECTED = {"Protected": ("true",)}


def holding(policies: PolicySet) -> PolicySet:
    return replace(policies, policies=tuple(replace(policy, hold_tags=PROTECTED) for policy in policies.policies))


def night(snapshots: int = 4, hook: CallCounter | None = None) -> tuple[Laboratory, str]:
    """Return a laboratory that has more snapshots and copies of a volume than the policy keeps from now on."""
    lab = Laboratory(policies=holding(policy_set(keep=9, keep_copies=9)), hook=hook)
    volume = lab.make_volume()
    for _ in range(snapshots):
        lab.protect(volume)
    lab.policies = holding(policy_set(keep=1, keep_copies=1))
    return lab, volume


def protect(lab: Laboratory, snapshot_id: str, region: str = PRIMARY, value: str = "true") -> None:
    lab.ec2(region).create_tags(Resources=[snapshot_id], Tags=[{"Key": "Protected", "Value": value}])
    lab.runner.advance(60)


def delete(lab: Laboratory, volume: str, region: str) -> list[str]:
    """Run retention; return the source snapshots of what is left."""
    lab.runner.composition.delete_snapshots(region).run([volume])
    return lab.sources_of_copies() if region == DR else sorted(lab.ids())


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_tagged_snapshot_stays_with_its_copy_and_does_not_count(region: str) -> None:
    lab, volume = night()
    first, _, third, newest = lab.ids()
    for one in (first, newest):
        protect(lab, one)
    assert delete(lab, volume, region) == sorted([first, third, newest])


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_tag_with_another_value_or_one_that_was_removed_holds_nothing(region: str) -> None:
    lab, volume = night(3)
    first, second, newest = lab.ids()
    protect(lab, first, value="no")
    protect(lab, second)
    lab.ec2().delete_tags(Resources=[second], Tags=[{"Key": "Protected"}])
    lab.runner.advance(60)
    assert delete(lab, volume, region) == [newest]


def test_a_tag_on_a_copy_holds_only_this_copy() -> None:
    lab, volume = night(3)
    first, _, newest = lab.ids()
    protect(lab, lab.ids(DR)[0], DR)
    assert delete(lab, volume, DR) == sorted([first, newest])
    assert delete(lab, volume, PRIMARY) == [newest]


def test_copies_stay_while_their_sources_tags_cannot_be_read() -> None:
    copies = [replace(snapshot(f"2026-01-0{day}T00:00", day), region="us-west-2", is_copy=True) for day in (1, 2)]

    def unreachable(region: str) -> SnapshotReader:
        raise AwsUnavailable(f"no answer from {region}")

    sources = tagged_sources(copies, "us-west-2", holding(policy_set()), unreachable)
    held = tag_holds(copies, PROTECTED, sources)
    assert list(held) == [copy.id for copy in copies]
    assert f"not known: {REGION} could not be read" in held[copies[0].id][0].text


def test_a_tagged_snapshots_copy_is_held_without_its_source() -> None:
    lab, volume = night(1)
    started = lab.start_snapshot(volume)
    protect(lab, started)
    lab.settle()
    lab.protect(volume)
    lab.ec2().delete_snapshot(SnapshotId=started)
    lab.runner.advance(60)
    assert started in delete(lab, volume, DR)


def test_sources_are_read_only_where_a_policy_holds_by_tags() -> None:
    counter = CallCounter()
    lab, volume = night(2, counter)
    delete(lab, volume, DR)
    assert counter.count("reader.tagged_snapshots") >= 1
    counter.calls.clear()
    lab.policies = policy_set(keep=1, keep_copies=1)
    delete(lab, volume, DR)
    assert counter.count("reader.tagged_snapshots") == 0


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_sweep_keeps_a_tagged_snapshot_and_its_copy(region: str) -> None:
    world = SweepingWorld(policies=holding(gold(keep=9, keep_copies=9)))
    volume = world.volume()
    first = world.snapshot(volume)
    for _ in range(2):
        world.later(3600)
        world.snapshot(volume)
    world.later(3600)
    world.ec2.create_tags(Resources=[first], Tags=[{"Key": "Protected", "Value": "true"}])
    world.policies = holding(gold(keep=1, keep_copies=1))
    world.sweep(region)
    assert len(world.managed(region)) == 2


def test_the_plan_command_shows_snapshots_held_by_tag_in_every_region() -> None:
    world = SweepingWorld(policies=holding(gold(keep=9, keep_copies=9)))
    volume = world.volume()
    first = world.snapshot(volume)
    world.later(3600)
    world.snapshot(volume)
    world.later(3600)
    world.ec2.create_tags(Resources=[first], Tags=[{"Key": "Protected", "Value": "true"}])
    policies = holding(gold(keep=1, keep_copies=1))
    guards = [world.composition().stack(region, "primary").guards_of(region) for region in (PRIMARY, DR)]
    now = world.composition().clock.now()
    plans = make_plans(guards, world.facts(), {PRIMARY: policies, DR: policies}, now, system=SYSTEM)
    for plan in plans:
        (held,) = [verdict for verdict in plan.verdicts if verdict.reasons[0].rule == HOLD_RULE]
        assert (held.action, held.snapshot.origin.snapshot_id) == (Action.KEEP, first)
        assert "tag Protected" in held.reasons[0].text
        assert plan.deletions == []


def test_the_second_check_refuses_a_deletion_of_a_tagged_snapshot() -> None:
    first, second = snapshot("2026-01-01T00:00", 1), snapshot("2026-01-02T00:00", 2)
    verdicts = [Verdict(first, Action.DELETE, (Reason("keep_last", "beyond last 1"),)), Verdict(second, Action.KEEP, ())]
    (problem,) = find_problems(
        verdicts, first.origin.lineage, REGION, system=SYSTEM, limits=Limits(), copies=NO_COPY_FACTS, held_by_tag={first.id}
    )
    assert problem == f"INV-26: a tag holds {first.id}"


def test_a_document_with_hold_tags_is_read_and_written() -> None:
    policy = {"name": "a", "select": {}, "retention": {"keep_last": 7}, "hold_tags": {"Protected": ["true", "yes-*"]}}
    policies = parse_document({"version": 1, "policies": [policy]})
    assert policies.policies[0].hold_tags == {"Protected": ("true", "yes-*")}
    assert to_document(policies)["policies"] == [policy]


@pytest.mark.parametrize(
    ("selected", "held", "excluded", "warned"),
    [
        (("true",), ("true",), (), True),
        (("*",), ("*",), (), True),
        (("true", "no"), ("true",), (), False),
        (("true",), ("true",), ("Protect*",), False),
    ],
)
def test_a_tag_that_every_snapshot_gets_of_its_volume_is_a_gap(
    selected: tuple[str, ...], held: tuple[str, ...], excluded: tuple[str, ...], warned: bool
) -> None:
    policy = Policy(
        "gold",
        Selector(tags={"Protected": selected}),
        Retention(keep_last=1),
        (CopyRule(DR),),
        hold_tags={"Protected": held},
        carry_tags=CarryTags(excluded),
    )
    paths = [gap.path for gap in policy_gaps(PolicySet((policy,)), at("2026-11-23"))]
    assert paths == (["policies[0].hold_tags.Protected"] if warned else [])
