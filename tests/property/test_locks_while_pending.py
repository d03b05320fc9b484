"""A completed copy under a lock rule can be deleted at no moment, with a step killed at any call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.ec2_writers import Ec2Locker
from snapkeep.domain import locks
from snapkeep.domain.errors import AwsThrottled
from snapkeep.domain.locks import LockLimits, LockOrder
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.lab.ebs_model import Speeds
from snapkeep.lab.ebs_model.store.records import COMPLETED
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import StepKill
from snapkeep.usecases.copies.dispatch import Dispatch
from snapkeep.usecases.locks import LockSnapshots
from support.flows import DR, Laboratory, policy_set

WEEK = LockRule(LockMode.GOVERNANCE, timedelta(days=7))
SLOW, FAST = Speeds(copy_base_seconds=150.0), Speeds(copy_base_seconds=20.0)
STEPS = ("copier.start_copy", "queue.write", "locks.request", "reader.copies_in_flight", "locker.lock", "reader.locks")
"""The calls around which a function is ended, or other things happen."""


class Attacked(Laboratory):
    """A system under attack: each completed copy is to be deleted before and after every call and at every event."""

    def __post_init__(self) -> None:
        self.layout = SystemLayout(lock_limits=LockLimits(30))
        policies = policy_set()
        rule = replace(policies.policies[0].copies[0], lock=WEEK)
        self.policies = replace(policies, policies=(replace(policies.policies[0], copies=(rule,)),))
        self.kill_at: dict[str, int] = {}
        self.deleted: list[str] = []
        self.attacks = 0
        self.hook = self._step
        super().__post_init__()
        self.world.subscribe(self._on_any_event)

    def _on_any_event(self, _: Mapping[str, Any]) -> None:
        self.attack()

    def _step(self, name: str) -> None:
        self.attack()
        if name in self.kill_at:
            self.kill_at[name] -= 1
            if self.kill_at[name] < 0:
                del self.kill_at[name]
                raise StepKill(name)

    def attack(self) -> None:
        """Try to delete every completed copy. A pending one is left: its deletion leaves nothing to protect, and it is made again."""
        for copy in [listed for listed in self.snapshots(DR) if listed.state == COMPLETED]:
            self.attacks += 1
            try:
                self.ec2(DR).delete_snapshot(SnapshotId=copy.id)
            except ClientError:
                continue
            self.deleted.append(copy.id)

    def run(self, seconds: float) -> None:
        """Let time pass second by second, with an attack at each."""
        for _ in range(int(seconds)):
            self.runner.advance(1)
            self.attack()

    def locked(self) -> dict[str, int]:
        listed = self.ec2(DR).describe_locked_snapshots()["Snapshots"]
        return {lock["SnapshotId"]: lock["LockDuration"] for lock in listed if lock["LockState"] == "governance"}


def attacked(speeds: Speeds, *, kills: Mapping[str, int] | None = None, snapshots: int = 2, apart: float = 7.0) -> Attacked:
    """Copy some snapshots under attack, with functions that are ended at their nth calls; return the world a while later."""
    lab = Attacked(speeds=speeds)
    lab.kill_at = dict(kills or {})
    volumes = [lab.make_volume() for _ in range(snapshots)]
    for volume in volumes:
        lab.start_snapshot(volume)
        lab.run(apart)
    lab.run(700)
    return lab


@settings(max_examples=25)
@given(apart=st.sampled_from([1.0, 7.0, 31.0]), kills=st.dictionaries(st.sampled_from(STEPS), st.integers(0, 12), max_size=2))
def test_a_copy_that_takes_more_than_a_minute_can_never_be_deleted(apart: float, kills: dict[str, int]) -> None:
    lab = attacked(SLOW, kills=kills, apart=apart)
    assert lab.deleted == []
    assert lab.attacks > 100
    assert set(lab.locked()) == set(lab.ids(DR))


def test_a_fast_copy_can_never_be_deleted_while_nothing_is_killed() -> None:
    lab = attacked(FAST)
    assert lab.deleted == []
    assert lab.attacks > 100
    assert lab.locked() == dict.fromkeys(lab.ids(DR), 7)


def test_a_throttled_lock_is_made_by_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Attacked(speeds=SLOW)
    real, calls = LockSnapshots.run, 0

    def throttled(self: LockSnapshots, ids: Any = ()) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise AwsThrottled("slowly")
        return real(self, ids)

    monkeypatch.setattr(LockSnapshots, "run", throttled)
    lab.start_snapshot(lab.make_volume())
    lab.run(400)
    assert (lab.deleted, len(lab.locked())) == ([], 1)


def only_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: copies are locked after their completion only."""
    monkeypatch.setattr(Dispatch, "_request_locks", lambda *_: None)


def without_pending_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: a pending copy is not locked."""
    real = locks.due_lock

    def due(rule: Any, snapshot: Any, *rest: Any) -> LockOrder | None:
        return real(rule, snapshot, *rest) if snapshot.completed else None

    monkeypatch.setattr("snapkeep.usecases.locks.due_lock", due)


def without_a_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: EC2 refuses a lock without its mode."""

    def lock(self: Any, order: LockOrder) -> None:
        with translated("lock_snapshot"):
            self._client.lock_snapshot(SnapshotId=order.snapshot_id, LockDuration=order.days)

    monkeypatch.setattr(Ec2Locker, "lock", lock)


@pytest.mark.parametrize("plant", [only_at_the_end, without_pending_ones, without_a_mode])
def test_a_planted_bug_lets_a_completed_copy_be_deleted(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert attacked(SLOW).deleted != []
