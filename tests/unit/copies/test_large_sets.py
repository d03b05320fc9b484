"""A set with more volumes than a Map's iterations: every copy is in the queue at once, whichever the run waits for."""

from __future__ import annotations

from snapkeep.domain.copies.entry import EntryState
from snapkeep.lab.ebs_model import Quotas
from snapkeep.lab.simulator.executions import PROTECT
from support.flows import DR, HOUR, INCLUDED, PRIMARY, Laboratory, policy_set

VOLUMES = 128
NO_THROTTLING = Quotas(throttling=False)
"""Calls take no time here: those of a whole set at one moment exceed what EC2 admits."""


def start_set(lab: Laboratory, size_gib: int = 8) -> None:
    """Start one run for completed snapshots of many volumes; no event of a single one starts a run of its own."""
    starts, lab.runner.start = lab.runner.start, lambda *_arguments: None  # type: ignore[method-assign, assignment, return-value]
    snapshots = [lab.start_snapshot(lab.make_volume(INCLUDED, size_gib=size_gib)) for _ in range(VOLUMES)]
    lab.runner.advance(2 * HOUR)
    lab.runner.start = starts  # type: ignore[method-assign]
    members = [{"snapshot_id": f"arn:aws:ec2::{PRIMARY}:snapshot/{snapshot}", "status": "completed"} for snapshot in snapshots]
    detail = {"event": "createSnapshots", "result": "succeeded", "cause": "", "snapshots": members}
    event = {
        "source": "aws.ec2",
        "detail-type": "EBS Multi-Volume Snapshots Completion Status",
        "region": PRIMARY,
        "detail": detail,
    }
    lab.runner.start(PROTECT, PRIMARY, event)


def entries(lab: Laboratory, *states: EntryState) -> int:
    return sum(lab.runner.composition.queues[DR].count(state) for state in states or EntryState)


def test_a_large_sets_copies_are_queued_within_a_minute() -> None:
    lab = Laboratory(quotas=NO_THROTTLING)
    start_set(lab, size_gib=500)
    lab.runner.advance(60)
    assert entries(lab) == VOLUMES
    lab.settle()
    assert entries(lab, EntryState.DONE) == VOLUMES
    assert [run.status for run in lab.runs(PROTECT)] == ["SUCCEEDED"]


def test_a_large_set_whose_copies_all_fail_is_requested_once() -> None:
    lab = Laboratory(quotas=NO_THROTTLING, policies=policy_set(kms_key="arn:aws:kms:us-east-2:111122223333:key/no-such-key"))
    start_set(lab)
    lab.settle()
    (run,) = lab.runs(PROTECT)
    assert run.error == "CopyFailed"
    assert [result["error"] for result in run.state["copies"]["results"]] == ["CopyFailed"] * VOLUMES
    assert entries(lab, EntryState.FAILED) == VOLUMES
    assert {subject.split()[0] for _, subject in lab.notified} == set(lab.ids())
