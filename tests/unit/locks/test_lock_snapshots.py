"""LockSnapshots over the model of EBS: what it locks, what it leaves, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.adapters.ec2_writers import Ec2Locker
from snapkeep.domain.errors import AwsRefused, AwsThrottled, SnapshotGone
from snapkeep.domain.locks import LockLimits, LockOrder
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.functions import lock_snapshots
from snapkeep.lab.simulator.memory_ports import MemoryNotices
from snapkeep.usecases.locks import LockResult, LockSnapshots
from support.flows import DAY, DR, PRIMARY, Laboratory, policy_set

WEEK = LockRule(LockMode.GOVERNANCE, timedelta(days=7))


def laboratory() -> Laboratory:
    policies = policy_set()
    rule = replace(policies.policies[0].copies[0], lock=WEEK)
    return Laboratory(replace(policies, policies=(replace(policies.policies[0], copies=(rule,), lock=WEEK),)))


def locking(lab: Laboratory, region: str = PRIMARY, **changes: Any) -> LockSnapshots:
    composition = lab.runner.composition
    return LockSnapshots(
        **{
            "system": "snapkeep",
            "reader": composition.reader(region),
            "locker": Ec2Locker(client=lab.ec2(region)),
            "policies": lambda: lab.policies,
            "notices": MemoryNotices(),
            "clock": composition.clock,
            "limits": LockLimits(30),
            **changes,
        }
    )


class RefusingLocker:
    """Raises an error for each lock, by turns; None lets one through."""

    def __init__(self, real: Ec2Locker, *errors: Exception | None) -> None:
        self.real, self.errors = real, list(errors)

    def lock(self, order: LockOrder) -> None:
        if self.errors and (error := self.errors.pop(0)):
            raise error
        self.real.lock(order)


def locks(lab: Laboratory, region: str = PRIMARY) -> dict[str, tuple[str, int]]:
    listed = lab.ec2(region).describe_locked_snapshots()["Snapshots"]
    return {lock["SnapshotId"]: (lock["LockState"], lock["LockDuration"]) for lock in listed}


def test_named_snapshots_are_locked_once() -> None:
    lab = laboratory()
    snapshot = lab.protect(lab.make_volume())
    assert locking(lab).run([snapshot]) == LockResult((LockOrder(snapshot, LockMode.GOVERNANCE, 7),))
    assert locking(lab).run([snapshot]) == LockResult()
    assert locks(lab) == {snapshot: ("governance", 7)}
    with pytest.raises(ClientError, match="locked"):
        lab.ec2().delete_snapshot(SnapshotId=snapshot)


def test_without_names_the_pending_copies_are_locked() -> None:
    lab = laboratory()
    done = lab.protect(lab.make_volume())
    copy = lab.ids(DR)[0]
    lab.start_snapshot(lab.make_volume(size_gib=500))
    while len(lab.ids(DR)) == 1:
        lab.runner.advance(10)
    pending = lab.ids(DR)[1]
    assert [order.snapshot_id for order in locking(lab, DR).run().locked] == [pending]
    lab.settle()
    assert locks(lab, DR) == {pending: ("governance", 7)}
    assert locking(lab, DR).run() == LockResult()
    assert [order.snapshot_id for order in locking(lab, DR).run([copy, pending, done]).locked] == [copy]


def test_no_request_is_made_for_snapshots_without_a_rule() -> None:
    lab = Laboratory()
    snapshot = lab.protect(lab.make_volume())
    assert locking(lab).run([snapshot, "snap-0123456789abcdef0"]) == LockResult()
    assert locks(lab) == {}


def test_a_refusal_stops_no_other_lock_and_is_notified() -> None:
    lab = laboratory()
    first, second, third = (lab.protect(lab.make_volume()) for _ in range(3))
    locker = RefusingLocker(Ec2Locker(client=lab.ec2()), AwsRefused("lock_snapshot: UnauthorizedOperation"), SnapshotGone(""))
    made = locking(lab, locker=locker)
    result = made.run([first, second, third])
    assert (len(result.locked), len(result.refused)) == (1, 1)
    [notice] = made.notices.added  # type: ignore[attr-defined]
    assert (notice.kind, notice.subject) == ("NotLocked", result.refused[0])
    assert "UnauthorizedOperation" in notice.detail


def test_errors_that_can_be_repeated_are_raised() -> None:
    lab = laboratory()
    snapshot = lab.protect(lab.make_volume())
    locker = RefusingLocker(Ec2Locker(client=lab.ec2()), AwsThrottled("slowly"))
    with pytest.raises(AwsThrottled):
        locking(lab, locker=locker).run([snapshot])
    assert locks(lab) == {}


def test_a_lock_ends_so_many_days_after_the_copy_is_completed() -> None:
    lab = laboratory()
    snapshot = lab.protect(lab.make_volume())
    locking(lab).run([snapshot])
    lab.runner.advance(7 * DAY + 60)
    lab.ec2().delete_snapshot(SnapshotId=snapshot)


def test_the_call_names_a_cool_off_period_only_in_compliance_mode() -> None:
    lab = laboratory()
    snapshot = lab.protect(lab.make_volume())
    locker = Ec2Locker(client=lab.ec2())
    locker.lock(LockOrder(snapshot, LockMode.GOVERNANCE, 2))
    locker.lock(LockOrder(snapshot, LockMode.COMPLIANCE, 2, 24))
    assert locks(lab) == {snapshot: ("compliance-cooloff", 2)}
    with pytest.raises(SnapshotGone):
        locker.lock(LockOrder("snap-0123456789abcdef0", LockMode.GOVERNANCE, 2))


def test_the_function_decides_by_no_document_earlier_than_the_call_names(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []
    parts = SimpleNamespace(policies_in_force=SimpleNamespace(expect=steps.append))
    lock = SimpleNamespace(run=lambda snapshot_ids: steps.append(snapshot_ids) or LockResult())
    monkeypatch.setattr(lock_snapshots, "started", lambda *_: None)
    monkeypatch.setattr(lock_snapshots, "composition", lambda: parts)
    monkeypatch.setattr(lock_snapshots, "build", lambda _: lock)
    assert lock_snapshots.handler({"snapshots": ["snap-1"], "version": 3}, None) == {"locked": 0, "refused": 0}
    assert steps == [3, ("snap-1",)]
