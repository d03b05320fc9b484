"""The event of a snapshot whose copy was deleted since must not free the snapshot: that it was copied once is no copy."""

from __future__ import annotations

from snapkeep.ebsmodel import FaultRule
from snapkeep.simulate.wiring import Deployment
from support.flows import DR, Laboratory, attempts, policy_set


def test_the_same_event_again_frees_no_snapshot_whose_copy_is_gone() -> None:
    lab = Laboratory(policies=policy_set(keep=1), deployment=Deployment(attempts=attempts(limit=1)))
    volume = lab.make_volume()
    first = lab.protect(volume)
    event = next(one for one in lab.events if one["detail"].get("event") == "createSnapshot")
    (copy,) = lab.snapshots(DR)
    lab.ec2(DR).delete_snapshot(SnapshotId=copy.id)
    lab.world.add_fault(FaultRule("copy_fails"))
    lab.protect(volume)
    lab.world.deliver(event)
    lab.settle()
    assert first in lab.ids()
