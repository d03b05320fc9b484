"""The event of a snapshot whose copy was deleted since must not free the snapshot: that it was copied once is not a copy."""

from __future__ import annotations

from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set, retry_policy

FAR = "eu-west-1"


def test_a_repeated_event_frees_no_snapshot_whose_copy_was_deleted() -> None:
    lab = Laboratory(policies=policy_set(keep=1), layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    volume = lab.make_volume()
    first = lab.protect(volume)
    event = next(sent for sent in lab.events if sent["detail"].get("event") == "createSnapshot")
    (copy,) = lab.snapshots(DR)
    lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    lab.world.add_fault(FaultRule("copy_fails"))
    lab.protect(volume)
    lab.world.deliver(event)
    lab.settle()
    assert first in lab.ids()


def test_a_deleted_copy_that_a_long_run_saw_complete_frees_no_snapshot() -> None:
    layout = SystemLayout(destinations=(DR, FAR), retry_policy=retry_policy(minutes=120))
    lab = Laboratory(policies=policy_set(keep=1, regions=(DR, FAR)), regions=(PRIMARY, DR, FAR), layout=layout)
    volume = lab.make_volume()
    first = lab.protect(volume)
    lab.world.add_fault(FaultRule("copy_fails", region=FAR, times=1))
    lab.start_snapshot(volume)
    lab.runner.advance(HOUR)
    copies = lab.ids(DR)
    assert len(copies) == 2
    for copy in copies:
        lab.ec2(DR).delete_snapshot(SnapshotId=copy)
    lab.settle()
    assert len(lab.ids(FAR)) == 2
    assert first in lab.ids()
