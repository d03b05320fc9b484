"""Deletions keep the pace that DeleteSnapshot's bucket allows (100 calls, 5 a second)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.errors import AwsThrottled, PlanStale
from snapkeep.domain.retention.deletion import DeletionOrder
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult, SnapshotDeleter
from snapkeep.usecases.retention.delete import DeleteSnapshots
from support.flows import DR, CallCounter, Laboratory, policy_set

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def order(snapshot_id: str, volume_id: str = "vol-1") -> DeletionOrder:
    return DeletionOrder(snapshot_id, volume_id, datetime(2026, 1, 1, tzinfo=UTC), "default", ("beyond last 3",))


def ignore(_: DeletionOrder, __: DeletionResult) -> None:
    """Keep no audit."""


def orders_of_managed(lab: Laboratory, count: int) -> list[DeletionOrder]:
    """Orders for snapshots of the system beside the newest of each volume, made a while apart, so that every bucket is full again."""
    volumes = [lab.make_volume() for _ in range(count // 10)]
    for _ in range(11):
        for volume in volumes:
            lab.start_snapshot(volume)
            lab.runner.advance(20)
    lab.settle()
    lab.runner.advance(600)
    return [order(snapshot.id, snapshot.volume_id) for snapshot in lab.snapshots()[:count]]


def test_three_hundred_deletions_pass_a_bucket_of_a_hundred() -> None:
    counter = CallCounter()
    lab = Laboratory(policies=policy_set(keep=100, regions=()), hook=counter)
    to_delete = orders_of_managed(lab, 300)
    assert len(to_delete) == 300
    counter.calls.clear()
    step = lab.runner.composition.delete_snapshots("us-east-1", ignore)
    started = lab.runner.composition.clock.now()
    results = step.run(started, to_delete)
    assert [result.outcome for result in results] == [DeletionOutcome.DELETED] * 300
    assert len(lab.ids()) == 30
    assert counter.count("deleter.delete") <= 1.1 * 300
    assert lab.runner.composition.clock.now() - started < timedelta(minutes=5), "well within one function's time"


def test_deletions_continue_though_others_use_the_rate_limit() -> None:
    counter = CallCounter()
    lab = Laboratory(policies=policy_set(keep=100, regions=()), hook=counter)
    to_delete = orders_of_managed(lab, 60)
    throttled = FaultRule("api_error", action="DeleteSnapshot", code="RequestLimitExceeded", http_status=503, times=9)
    lab.world.set_faults(Faults(script=(throttled,)))
    counter.calls.clear()
    results = lab.runner.composition.delete_snapshots("us-east-1", ignore).run(lab.runner.composition.clock.now(), to_delete)
    assert all(result.done for result in results)
    assert counter.count("deleter.delete") >= 60


class Deleter(SnapshotDeleter):
    def __init__(self, throttled: int) -> None:
        self.throttled = throttled
        self.calls = 0

    def delete(self, snapshot_id: str) -> DeletionResult:
        self.calls += 1
        if self.calls <= self.throttled:
            raise AwsThrottled("RequestLimitExceeded")
        return DeletionResult(snapshot_id, DeletionOutcome.DELETED)


class StandingClock:
    def __init__(self) -> None:
        self.paused = 0.0

    def now(self) -> datetime:
        return NOW

    def pause(self, seconds: float) -> None:
        self.paused += seconds


class NoObjection:
    """Objects to no deletion, and records the ids whose existence is read."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    def run(self, _: object) -> dict[str, DeletionResult]:
        return {}

    def exists(self, snapshot_id: str) -> bool:
        self.reads.append(snapshot_id)
        return True


def make_step(deleter: Deleter, clock: StandingClock) -> DeleteSnapshots:
    return DeleteSnapshots(deleter=deleter, pacer=clock, clock=clock, audit=ignore, last_look=NoObjection())


def test_a_throttled_deletion_is_tried_again_after_a_pause() -> None:
    deleter, clock = Deleter(throttled=3), StandingClock()
    assert make_step(deleter, clock).run(NOW, [order("snap-1")])[0].done
    assert (deleter.calls, clock.paused) == (4, 6.0)


def test_throttling_without_end_is_handed_to_the_state_machine() -> None:
    deleter, clock = Deleter(throttled=10_000), StandingClock()
    with pytest.raises(AwsThrottled):
        make_step(deleter, clock).run(NOW, [order("snap-1")])
    assert deleter.calls <= 25


def test_a_plan_that_has_grown_old_is_not_carried_out() -> None:
    deleter, clock = Deleter(throttled=0), StandingClock()
    with pytest.raises(PlanStale, match="start a new run"):
        make_step(deleter, clock).run(NOW - timedelta(minutes=16), [order("snap-1")])
    assert deleter.calls == 0


def test_a_plan_is_carried_out_until_its_last_valid_minute() -> None:
    deleter, clock = Deleter(throttled=0), StandingClock()
    assert make_step(deleter, clock).run(NOW - timedelta(minutes=15), [order("snap-1")])[0].done


def test_half_a_bucket_is_taken_at_once_and_each_further_deletion_waits() -> None:
    deleter, clock = Deleter(throttled=0), StandingClock()
    make_step(deleter, clock).run(NOW, [order(f"snap-{number}") for number in range(52)])
    assert clock.paused == 2 * 0.25


def test_existence_is_checked_only_after_a_refused_deletion() -> None:
    look = NoObjection()
    step = replace(make_step(Deleter(throttled=0), StandingClock()), last_look=look)
    assert [result.outcome for result in step.run(NOW, [order("snap-1")])] == [DeletionOutcome.DELETED]
    assert look.reads == []


def test_a_snapshot_that_does_not_exist_counts_as_deleted() -> None:
    lab = Laboratory()
    result = lab.runner.composition.delete_snapshots(DR, ignore).run(
        lab.runner.composition.clock.now(), [order("snap-0123456789abcdef0")]
    )
    assert [(deleted.outcome, deleted.done) for deleted in result] == [(DeletionOutcome.ALREADY_GONE, True)]
