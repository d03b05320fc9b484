"""Retention waits for copies, in both regions."""

from __future__ import annotations

from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set, retry_policy


def test_a_source_stays_during_its_copy_without_the_queue() -> None:
    lab = Laboratory(policies=policy_set(keep=1))
    volume = lab.make_volume()
    lab.world.set_faults(Faults(script=(FaultRule("slow_copy", factor=100.0, times=1),)))
    slow = lab.start_snapshot(volume)
    lab.runner.advance(300)
    lab.runner.composition.queues[DR].lose_everything()
    lab.start_snapshot(volume)
    lab.runner.advance(40)
    lab.world.set_faults(Faults(event_lost=1.0))
    lab.runner.advance(300)
    plan = lab.runner.composition.planner(PRIMARY).plan_sources([volume])
    kept = {verdict.snapshot.id: verdict.reasons[0].text for verdict in plan.verdicts}
    assert kept[slow] == f"held: its copy to {DR} is waiting or running"


def test_a_source_stays_while_its_copy_waits() -> None:
    lab = Laboratory(policies=policy_set(keep=1), layout=SystemLayout(retry_policy=retry_policy(limit=3, minutes=120)))
    volume = lab.make_volume()
    lab.world.set_faults(Faults(script=(FaultRule("copy_fails", times=1),)))
    waiting = lab.start_snapshot(volume)
    lab.runner.advance(300)
    newer = lab.start_snapshot(volume)
    lab.runner.advance(HOUR)
    assert lab.ids() == [waiting, newer]
    lab.settle()
    assert lab.ids() == [newer]


def test_the_newest_copy_outlives_its_source_and_its_volume() -> None:
    lab = Laboratory(policies=policy_set(keep=1, keep_copies=1))
    volume = lab.make_volume()
    snapshot = lab.protect(volume)
    lab.ec2().delete_volume(VolumeId=volume)
    lab.ec2().delete_snapshot(SnapshotId=snapshot)
    lab.protect(lab.make_volume())
    assert snapshot in lab.sources_of_copies()
