"""Start again what an event missed, from nothing but what is there: the least that brings every snapshot to its copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snapkeep.domain.model import Snapshot
from snapkeep.ebsmodel.clock import iso
from snapkeep.simulate.runner import PROTECT, RECEIVE, Runner
from snapkeep.usecases.ports import EntryState


def redrive(runner: Runner) -> int:
    """Given a runner whose regions can all be reached, start a run for everything that none is under way for.

    Return how many were started. Completed sources and ended copies are gone through, oldest first; runs for what is in
    order already change nothing.
    """
    started = 0
    for region in runner.deployment.primaries:
        for snapshot in _ordered(runner, region):
            if snapshot.completed and not snapshot.is_copy:
                runner.start(PROTECT, region, _snapshot_event(snapshot))
                started += 1
    for region in runner.deployment.destinations:
        for copy in _ordered(runner, region):
            if copy.is_copy and copy.managed_by(runner.deployment.system) and copy.state in ("completed", "error"):
                runner.start(RECEIVE, region, _copy_event(copy))
                started += 1
        started += _lost_copies(runner, region)
        runner.wake(region, 1.0)
    return started


def _ordered(runner: Runner, region: str) -> Sequence[Snapshot]:
    return sorted(runner.wiring.reader(region).all_snapshots(), key=lambda one: (one.origin.start_time, one.id))


def _lost_copies(runner: Runner, region: str) -> int:
    """Entries that wait for the end of a copy that is not there any more."""
    present = {copy.id for copy in _ordered(runner, region)}
    lost = [entry for entry in runner.wiring.queues[region].in_state(EntryState.RUNNING) if entry.copy_id not in present]
    for entry in lost:
        origin = entry.wanted.origin
        runner.start(RECEIVE, region, _ended(region, entry.copy_id, origin.region, origin.snapshot_id, "failed"))
    return len(lost)


def _snapshot_event(snapshot: Snapshot) -> Mapping[str, Any]:
    detail = {
        "event": "createSnapshot",
        "result": "succeeded",
        "cause": "",
        "snapshot_id": f"arn:aws:ec2::{snapshot.region}:snapshot/{snapshot.id}",
        "source": f"arn:aws:ec2::{snapshot.region}:volume/{snapshot.origin.volume_id}",
        "startTime": iso(snapshot.start_time.timestamp()),
    }
    return {"detail-type": "EBS Snapshot Notification", "region": snapshot.region, "detail": detail}


def _copy_event(copy: Snapshot) -> Mapping[str, Any]:
    result = "succeeded" if copy.completed else "failed"
    return _ended(copy.region, copy.id, copy.origin.region, copy.origin.snapshot_id, result)


def _ended(region: str, copy_id: str, source_region: str, source_id: str, result: str) -> Mapping[str, Any]:
    detail = {
        "event": "copySnapshot",
        "result": result,
        "cause": "",
        "snapshot_id": f"arn:aws:ec2::{region}:snapshot/{copy_id}",
        "source": f"arn:aws:ec2::{source_region}:snapshot/{source_id}",
    }
    return {"detail-type": "EBS Snapshot Notification", "region": region, "detail": detail}
