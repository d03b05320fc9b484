"""The last snapshot before a volume is deleted: its volume cannot be asked any more, and its earlier snapshots must not suffer by it."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from support.flows import DR, Laboratory
from support.sweeping_world import HOUR, SweepingWorld, kinds

GOLD = Policy(
    "gold", Selector(tags={"Backup": ("gold",)}), Retention(keep_last=9), (CopyRule(DR, retention=Retention(keep_last=9)),)
)
REST = Policy("rest", Selector(), Retention(keep_last=1), (CopyRule(DR, retention=Retention(keep_last=1)),))
TAGS = {"Backup": "gold"}


def make_history(lab: Laboratory, count: int) -> tuple[str, list[str]]:
    volume = lab.make_volume(TAGS)
    return volume, [lab.protect(volume) for _ in range(count)]


def take_the_last(lab: Laboratory, volume: str, **tags: str) -> str:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    specifications = [{"ResourceType": "snapshot", "Tags": listed}] if listed else []
    last = lab.ec2().create_snapshot(VolumeId=volume, TagSpecifications=specifications)["SnapshotId"]
    lab.ec2().delete_volume(VolumeId=volume)
    lab.settle()
    return str(last)


def test_the_last_snapshot_follows_the_earlier_ones_and_no_catch_all_policy() -> None:
    lab = Laboratory(PolicySet((GOLD, REST), Limits()))
    volume, earlier = make_history(lab, 4)
    last = take_the_last(lab, volume)
    assert lab.tags(last)["snapkeep:policy"] == "gold"
    assert lab.ids() == [*earlier, last]
    assert lab.sources_of_copies() == sorted([*earlier, last])


def test_the_last_snapshots_own_policy_tag_has_precedence() -> None:
    lab = Laboratory(PolicySet((GOLD, replace(GOLD, name="silver", selector=Selector(tags={"A": ("b",)})), REST), Limits()))
    volume, _ = make_history(lab, 1)
    last = take_the_last(lab, volume, **{"snapkeep:policy": "silver"})
    assert lab.tags(last)["snapkeep:policy"] == "silver"


def test_earlier_snapshots_with_an_unknown_policy_delete_nothing_and_are_notified() -> None:
    lab = Laboratory(PolicySet((GOLD, REST), Limits()))
    volume, earlier = make_history(lab, 4)
    lab.policies = PolicySet((replace(GOLD, name="platinum"), REST), Limits())
    last = take_the_last(lab, volume)
    assert lab.ids() == [*earlier, last]
    assert lab.sources_of_copies() == sorted(earlier)
    assert lab.notified == [("InvalidConfiguration", last)]
    assert lab.runs("protect")[-1].status == "FAILED"


def test_the_only_snapshot_of_a_deleted_volume_follows_the_first_matching_policy() -> None:
    lab = Laboratory(PolicySet((GOLD, REST), Limits()))
    last = take_the_last(lab, lab.make_volume(TAGS), **TAGS)
    assert lab.tags(last)["snapkeep:policy"] == "gold"


def test_a_last_snapshot_without_a_policy_is_always_notified() -> None:
    """A volume with a policy's tag was deleted while its first snapshot was pending: no copy, and no notice."""
    lab = Laboratory()
    last = take_the_last(lab, lab.make_volume())
    assert lab.notified == [("InvalidConfiguration", last)]
    assert lab.runs("protect")[-1].status == "FAILED"
    assert lab.tags(last) == {}


def test_sweeps_report_a_snapshot_without_policy_until_it_is_tagged() -> None:
    world = SweepingWorld()
    volume = world.volume()
    last = world.snapshot(volume)
    world.ec2.delete_volume(VolumeId=volume)
    world.later(HOUR)
    assert kinds(world.sweep(), Handling.NEEDS_ATTENTION)[FindingKind.POLICY_NOT_KNOWN] == 1
    world.ec2.create_tags(Resources=[last], Tags=[{"Key": "snapkeep:policy", "Value": "gold"}])
    world.sweep()
    assert FindingKind.POLICY_NOT_KNOWN not in kinds(world.sweep())
    assert len(world.managed(DR)) == 1
