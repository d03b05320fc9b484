"""A renamed system's snapshots and copies are taken over whole: nothing is copied again, and no other history is touched."""

from __future__ import annotations

from typing import Any

from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.domain.tag_names import MANAGED
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, gold, kinds

OLD, NEW = "snapkeep", "snapkeep-new"


def tag(snapshot: dict[str, Any], key: str) -> str:
    return next((tag["Value"] for tag in snapshot.get("Tags", ()) if tag["Key"] == key), "")


def renamed(*, days: int = 4, keep: int = 7, keep_copies: int = 3) -> tuple[SweepingWorld, str]:
    """A system worked for some days and was destroyed; return the new one over the same world, and the volume."""
    old = SweepingWorld(policies=gold(keep=keep, keep_copies=keep_copies), system=OLD)
    volume = old.volume()
    for _ in range(days):
        old.snapshot(volume)
        old.later(DAY)
    new = SweepingWorld(old.world, old.policies, system=NEW)
    old.world.state.listeners.remove(old.runner._on_event)  # its stacks are deleted
    new.runs[PRIMARY].deployed = new.runner.composition.clock.now()
    return new, volume


def managers(world: SweepingWorld, region: str) -> set[str]:
    return {tag(snapshot, MANAGED) for snapshot in world.snapshots(region)}


def test_without_the_former_name_nothing_is_adopted() -> None:
    world, _ = renamed()
    world.sweep(adopt=True)
    world.sweep(DR, adopt=True)
    assert managers(world, PRIMARY) == managers(world, DR) == {OLD}


def test_sources_and_copies_are_adopted_and_none_is_copied_again() -> None:
    world, _ = renamed()
    copies = {snapshot["SnapshotId"] for snapshot in world.snapshots(DR)}
    report = world.sweep(former=OLD)
    assert kinds(report, Handling.REPAIRED)[FindingKind.ADOPTABLE] == 4
    again = world.sweep(former=OLD, settle=2 * HOUR)
    assert kinds(again)[FindingKind.COPY_MISSING] == 0, "the DR region's sweep has not adopted the copies yet"
    world.sweep(DR, former=OLD)
    assert managers(world, PRIMARY) == managers(world, DR) == {NEW}
    world.later(2 * HOUR)
    world.sweep(former=OLD, settle=2 * HOUR)
    assert {snapshot["SnapshotId"] for snapshot in world.snapshots(DR)} == copies


def test_unmanaged_history_is_left_alone() -> None:
    world, volume = renamed()
    (stranger,) = [world.ec2.create_snapshot(VolumeId=world.volume(Name="other"))["SnapshotId"]]
    world.sweep(former=OLD)
    assert {tag(item, MANAGED) for item in world.snapshots(PRIMARY) if item["SnapshotId"] == stranger} == {""}
    assert volume


def test_the_plan_announces_the_deletions_of_sweeps() -> None:
    world, _ = renamed(days=6)
    world.policies = gold(keep=2, keep_copies=3)
    readers = [world.composition().reader(region) for region in (PRIMARY, DR)]
    facts, now = gather_all_facts(readers[0], readers[1:]), world.composition().clock.now()
    policies = dict.fromkeys((PRIMARY, DR), world.policies)
    plans = make_plans(readers, facts, policies, now, system=NEW, former=OLD)
    announced = {verdict.snapshot.id for plan in plans for verdict in (*plan.deletions, *plan.deletions_after_copies)}
    before = {item["SnapshotId"] for region in (PRIMARY, DR) for item in world.snapshots(region)}
    for _ in range(3):
        world.sweep(DR, former=OLD, settle=2 * HOUR)
        world.sweep(former=OLD, settle=2 * HOUR)
    after = {item["SnapshotId"] for region in (PRIMARY, DR) for item in world.snapshots(region)}
    assert announced == before - after
    assert announced


def test_without_a_rename_the_plan_adopts_none_of_another_system() -> None:
    world, _ = renamed()
    readers = [world.composition().reader(region) for region in (PRIMARY, DR)]
    facts, now = gather_all_facts(readers[0], readers[1:]), world.composition().clock.now()
    plans = make_plans(readers, facts, dict.fromkeys((PRIMARY, DR), world.policies), now, system=NEW, adopt=True)
    assert [volume.adopted for plan in plans for volume in plan.volumes if volume.adopted] == []
