"""Locks in the flows: sources when they are tagged, copies while they are pending, compliance mode after the proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.adapters.lambda_locks import IDS_PER_CALL, LambdaLocks
from snapkeep.domain.copies.entry import entry_key
from snapkeep.domain.errors import AwsUnavailable, SnapkeepError
from snapkeep.domain.locks import LockLimits
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.executions import PROTECT, RECEIVE
from snapkeep.lab.simulator.layout import SystemLayout, limits_for
from support.dispatch_scenarios import PausedDispatcher
from support.flows import DAY, DR, PRIMARY, Laboratory, policy_set

GOVERNANCE = LockRule(LockMode.GOVERNANCE, timedelta(days=7))
COMPLIANCE = LockRule(LockMode.COMPLIANCE, timedelta(days=7), timedelta(hours=24))


def laboratory(
    lock: LockRule | None = GOVERNANCE,
    of_copies: LockRule | None = GOVERNANCE,
    limits: LockLimits = LockLimits(30, compliance=True),  # noqa: B008 - frozen
    kind: type[Laboratory] = Laboratory,
    **more: Any,
) -> Any:
    (policy,) = policy_set(keep=1, keep_copies=1).policies
    (rule,) = policy.copies
    policies = replace(policy_set(), policies=(replace(policy, lock=lock, copies=(replace(rule, lock=of_copies),)),))
    return kind(policies, layout=SystemLayout(lock_limits=limits, verify=True), **more)


def locks(lab: Laboratory, region: str) -> dict[str, str]:
    listed = lab.ec2(region).describe_locked_snapshots()["Snapshots"]
    return {lock["SnapshotId"]: lock["LockState"] for lock in listed}


def protect(lab: Laboratory, volume: str) -> str:
    """Make a snapshot, and let a while pass: `settle` would wait for the end of its lock."""
    snapshot_id = lab.start_snapshot(volume)
    lab.runner.advance(1800)
    return snapshot_id


def test_a_source_and_its_copy_are_locked_and_retention_leaves_them() -> None:
    lab = laboratory()
    volume = lab.make_volume()
    first = protect(lab, volume)
    assert locks(lab, PRIMARY) == {first: "governance"}
    assert locks(lab, DR) == dict.fromkeys(lab.ids(DR), "governance")
    second = protect(lab, volume)  # keeps one
    assert lab.ids(PRIMARY) == [first, second]
    assert len(lab.ids(DR)) == 2
    assert lab.notified == []
    lab.runner.advance(7 * DAY)
    third = protect(lab, volume)
    assert lab.ids(PRIMARY) == [third]
    assert lab.sources_of_copies(DR) == sorted([second, third])  # the newest proved one waits for the next proof


def test_a_copy_gets_its_compliance_lock_with_its_proof() -> None:
    lab = laboratory(lock=None, of_copies=COMPLIANCE)
    states = []
    lab.world.subscribe(lambda event: states.append(event["detail"].get("lockState")))
    protect(lab, lab.make_volume())
    assert [state for state in states if state] == ["governance", "compliance-cooloff"]
    lab.runner.advance(2 * DAY)
    (copy,) = lab.ids(DR)
    with pytest.raises(ClientError):
        lab.ec2(DR).unlock_snapshot(SnapshotId=copy)
    lab.runner.advance(6 * DAY)
    lab.ec2(DR).delete_snapshot(SnapshotId=copy)


def test_without_consent_of_the_stack_a_compliance_rule_locks_in_governance_mode() -> None:
    lab = laboratory(lock=COMPLIANCE, of_copies=COMPLIANCE, limits=LockLimits(30))
    protect(lab, lab.make_volume())
    assert {*locks(lab, PRIMARY).values(), *locks(lab, DR).values()} == {"governance"}


def test_a_stack_without_lock_days_locks_nothing() -> None:
    lab = laboratory(limits=LockLimits())
    lab.protect(lab.make_volume())
    assert (locks(lab, PRIMARY), locks(lab, DR)) == ({}, {})


def test_a_failed_copy_loses_its_lock_and_is_removed() -> None:
    lab = laboratory()
    lab.world.add_fault(FaultRule("copy_fails", times=1))
    source = protect(lab, lab.make_volume())
    (copy,) = lab.ids(DR)
    assert locks(lab, DR) == {copy: "governance"}
    assert lab.runner.composition.queues[DR].get(entry_key(PRIMARY, source, DR)).attempts == 2


def test_a_copy_not_seen_while_pending_is_locked_when_it_arrives() -> None:
    lab = laboratory(kind=PausedDispatcher)
    source = lab.waiting(1)[0]
    lab.run(locks=None)
    assert locks(lab, DR) == {}
    lab.settle()
    assert locks(lab, DR) == dict.fromkeys(lab.ids(DR), "governance")
    assert lab.state(source) == "DONE"


class NoAnswer:
    """Takes no requests."""

    def request(self, snapshot_ids: Sequence[str], version: int = 0) -> None:
        raise AwsUnavailable("no answer from Lambda")


def test_a_lock_that_cannot_be_requested_delays_nothing_and_is_notified() -> None:
    lab = laboratory()
    lab.runner.composition.locks_of = lambda _: NoAnswer()
    source = lab.protect(lab.make_volume())
    assert len(lab.ids(DR)) == 1
    (copy,) = lab.ids(DR)
    assert [len(lab.runs(machine, "FAILED")) for machine in (PROTECT, RECEIVE)] == [1, 1]
    assert sorted(lab.notified) == sorted([("AwsUnavailable", source), ("AwsUnavailable", copy)])


def test_a_dispatch_raises_a_failed_lock_request_at_its_end() -> None:
    lab = laboratory(kind=PausedDispatcher)
    lab.waiting(1)
    with pytest.raises(SnapkeepError, match="no answer from Lambda"):
        lab.run(locks=NoAnswer())
    assert len(lab.ids(DR)) == 1


class Lambda:
    """Records invocations."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **call: Any) -> None:
        self.calls.append(call)


def test_requests_are_asynchronous_calls_of_a_part_of_the_snapshots() -> None:
    client = Lambda()
    locks = LambdaLocks(client_of=lambda: client, function="LockSnapshots")  # type: ignore[arg-type]
    locks.request(())
    locks.request([f"snap-{number}" for number in range(IDS_PER_CALL + 1)])
    assert {(call["FunctionName"], call["InvocationType"]) for call in client.calls} == {("LockSnapshots", "Event")}
    assert [call["Payload"].count(b"snap-") for call in client.calls] == [0, IDS_PER_CALL, 1]


def test_a_simulation_allows_the_locks_of_its_policies() -> None:
    assert limits_for(laboratory(of_copies=COMPLIANCE).policies) == LockLimits(7, compliance=True)
    assert limits_for(policy_set()) == LockLimits()
