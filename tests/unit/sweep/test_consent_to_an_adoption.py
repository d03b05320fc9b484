"""The sweeps of the next hours do what the plan of an adoption announces."""

import pytest

from snapkeep.lab.ebs_model import Faults
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, gold


@pytest.mark.parametrize("keep_copies", [1, 3])
def test_an_adoption_deletes_and_copies_as_its_plan_announced(keep_copies: int) -> None:
    """The plan of an adoption said that 20 stay and none goes; three sweeps later 7 were left."""
    world = SweepingWorld(policies=gold(keep=7, keep_copies=keep_copies))
    volume = world.volume(Backup="gold")
    world.world.set_faults(Faults(event_lost=1.0))
    for _ in range(20):
        world.snapshot(volume)
        world.later(DAY)
    world.world.set_faults(Faults())
    world.runs[PRIMARY].deployed = world.runner.composition.clock.now()
    before = {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)}
    readers = [world.composition().reader(region) for region in (PRIMARY, DR)]
    now, policies = world.composition().clock.now(), dict.fromkeys((PRIMARY, DR), world.policies)
    primary, _ = make_plans(readers, gather_all_facts(readers[0], readers[1:]), policies, now, system="snapkeep", adopt=True)
    announced = {verdict.snapshot.id for verdict in (*primary.deletions, *primary.deletions_after_copies)}
    for _ in range(3):
        world.sweep(adopt=True, settle=2 * HOUR)
        world.sweep(DR, adopt=True, settle=2 * HOUR)
    assert announced == before - {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)}
    assert len(announced) == 13
    assert len(primary.missing) == len(world.snapshots(DR)) == keep_copies
