"""Volumes whose snapshots AWS Backup makes: they are protected like others, and EC2 lets AWS Backup alone delete them."""

from __future__ import annotations

from snapkeep.domain.model import Action
from snapkeep.domain.sweep.report import SweepOutcome
from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.store.tags import BACKUP_TAG, flat
from support.flows import PRIMARY, Laboratory, policy_set
from support.sweeping_world import DR, HOUR, SweepingWorld, gold


def mark(world: World, snapshot_id: str) -> None:
    """Put the tag on a snapshot that AWS Backup puts on what it makes, and that no request can write."""
    place = world.region_account(PRIMARY)
    snapshot = place.snapshots[snapshot_id]
    volume = f"arn:aws:ec2:{PRIMARY}:{snapshot.owner_id}:volume/{snapshot.volume_id}"
    place.set_tags(snapshot, snapshot.tags + flat({BACKUP_TAG: volume}))


def backed_up(lab: Laboratory, volume: str) -> str:
    made = lab.start_snapshot(volume)
    mark(lab.world, made)
    lab.settle()
    return made


def test_snapshots_of_aws_backup_are_left_alone_without_a_failure() -> None:
    lab = Laboratory(policies=policy_set(keep=1))
    volume = lab.make_volume()
    made = [backed_up(lab, volume) for _ in range(3)]
    assert lab.ids() == made
    assert lab.runs("protect", "FAILED") == []
    assert lab.notified == []


def test_aws_backups_snapshot_is_held_and_others_are_deleted() -> None:
    lab = Laboratory(policies=policy_set(keep=1))
    volume = lab.make_volume()
    held, _, newest = backed_up(lab, volume), lab.protect(volume), lab.protect(volume)
    assert lab.ids() == [held, newest]
    (verdict, _) = lab.runner.composition.planner(PRIMARY).plan_sources([volume]).verdicts
    assert (verdict.snapshot.id, verdict.action) == (held, Action.KEEP)
    assert [reason.text for reason in verdict.reasons] == ["AWS Backup manages it: only AWS Backup deletes it"]


def test_a_sweep_leaves_it_too() -> None:
    world = SweepingWorld(policies=gold(keep=1))
    volume = world.volume()
    made = []
    for _ in range(3):
        made.append(world.snapshot(volume))
        mark(world.world, made[-1])
        world.later(HOUR)
    world.sweep(DR)
    assert world.sweep().outcome is SweepOutcome.OK
    assert {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)} == set(made)
