"""Deletions keep the pace that DeleteSnapshot's bucket allows (100 calls, 5 a second)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import cast

import pytest

from snapkeep.domain.errors import AwsThrottled
from snapkeep.domain.model import Action, DeletionPlan, Origin, Reason, Snapshot, SnapshotState, Verdict
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.simulator.memory_ports import no_audit, no_notice
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult, SnapshotDeleter, SnapshotReader
from snapkeep.usecases.retention.delete import DeleteSnapshots
from support.flows import DR, CallCounter, Laboratory, policy_set
from support.placing import SomeHolds

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VOLUME = "vol-1"
FREE = Limits(max_deletions=1000, max_share_percent=100)


def volumes_past_retention(lab: Laboratory, count: int) -> list[str]:
    """Return volumes with ten snapshots each beside the newest, made a while apart, so that every bucket is full again."""
    volumes = [lab.make_volume() for _ in range(count // 10)]
    for _ in range(11):
        for volume in volumes:
            lab.start_snapshot(volume)
            lab.runner.advance(20)
    lab.settle()
    lab.runner.advance(600)
    lab.policies = policy_set(keep=1, regions=(), limits=FREE)
    return volumes


def test_three_hundred_deletions_pass_a_bucket_of_a_hundred() -> None:
    counter = CallCounter()
    lab = Laboratory(policies=policy_set(keep=100, regions=()), hook=counter)
    volumes = volumes_past_retention(lab, 300)
    counter.calls.clear()
    started = lab.runner.composition.clock.now()
    results = lab.runner.composition.delete_snapshots("us-east-1").run(volumes).results
    assert [result.outcome for result in results] == [DeletionOutcome.DELETED] * 300
    assert len(lab.ids()) == 30
    assert counter.count("deleter.delete") <= 1.1 * 300
    assert counter.count("reader.snapshots_of_volumes") == 6, "one listing for each fifty deletions"
    assert lab.runner.composition.clock.now() - started < timedelta(minutes=5), "well within one function's time"


def test_deletions_continue_though_others_use_the_rate_limit() -> None:
    counter = CallCounter()
    lab = Laboratory(policies=policy_set(keep=100, regions=()), hook=counter)
    volumes = volumes_past_retention(lab, 60)
    throttled = FaultRule("api_error", action="DeleteSnapshot", code="RequestLimitExceeded", http_status=503, times=9)
    lab.world.set_faults(Faults(script=(throttled,)))
    counter.calls.clear()
    results = lab.runner.composition.delete_snapshots("us-east-1").run(volumes).results
    assert len(results) == 60
    assert all(result.done for result in results)
    assert counter.count("deleter.delete") >= 60


class Deleter(SnapshotDeleter):
    def __init__(self, throttled: int = 0) -> None:
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


class Reads:
    """Records the ids that are read, each of which exists."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, None]:
        self.ids += snapshot_ids
        return dict.fromkeys(snapshot_ids)


def plan_of(number: int, volume: str = VOLUME) -> tuple[Verdict, ...]:
    """Return verdicts that delete so many snapshots of a volume."""

    def verdict(index: int) -> Verdict:
        origin = Origin("us-east-1", volume, f"snap-{volume}-{index}", NOW)
        snapshot = Snapshot(origin.snapshot_id, "us-east-1", SnapshotState.COMPLETED, NOW, origin, 8)
        return Verdict(snapshot, Action.DELETE, (Reason("keep_last", "beyond last 1"),))

    return tuple(verdict(index) for index in range(number))


def make_step(deleter: Deleter, clock: StandingClock, *verdicts: Verdict, reads: Reads | None = None) -> DeleteSnapshots:
    def plan(volume_ids: Sequence[str], _: object = (), /, *, as_sweep: bool = False) -> DeletionPlan:
        assert not as_sweep
        left = tuple(verdict for verdict in verdicts if verdict.snapshot.origin.volume_id in volume_ids)
        return DeletionPlan("plan-1", "us-east-1", NOW, left)

    reader = cast("SnapshotReader", reads or Reads())
    return DeleteSnapshots(
        plan=plan, reader=reader, deleter=deleter, holds=SomeHolds(), pacer=clock, audit=no_audit, planned=no_notice
    )


def test_a_plan_that_throttling_made_old_is_made_again() -> None:
    class GoingClock(StandingClock):
        def now(self) -> datetime:
            return NOW + timedelta(seconds=self.paused)

    clock, made = GoingClock(), list[int]()

    def plan(volume_ids: Sequence[str], _: object = (), /, *, as_sweep: bool = False) -> DeletionPlan:
        assert not as_sweep
        made.append(len(volume_ids))
        return DeletionPlan("plan-1", "us-east-1", clock.now(), tuple(chain(*(plan_of(2, volume) for volume in volume_ids))))

    volumes = [f"vol-{number}" for number in range(4)]
    # The first deletion alone takes more than a minute.
    step = replace(make_step(Deleter(throttled=20), clock), plan=plan, seconds_after_throttling=4.0)
    assert len(step.run(volumes).results) == 8
    assert made == [4, 3]


def test_a_throttled_deletion_is_tried_again_after_a_pause() -> None:
    deleter, clock = Deleter(throttled=3), StandingClock()
    assert make_step(deleter, clock, *plan_of(1)).run([VOLUME]).results[0].done
    assert (deleter.calls, clock.paused) == (4, 6.0)


def test_throttling_without_end_is_handed_to_the_state_machine() -> None:
    deleter, clock = Deleter(throttled=10_000), StandingClock()
    with pytest.raises(AwsThrottled):
        make_step(deleter, clock, *plan_of(1)).run([VOLUME])
    assert deleter.calls <= 25


def test_half_a_bucket_is_used_at_once_and_later_deletions_wait() -> None:
    deleter, clock = Deleter(), StandingClock()
    make_step(deleter, clock, *plan_of(52)).run([VOLUME])
    assert clock.paused == 2 * 0.25


def test_a_call_begins_no_volume_after_four_hundred_deletions() -> None:
    verdicts = [verdict for number in range(10) for verdict in plan_of(90, f"vol-{number}")]
    done = make_step(Deleter(), StandingClock(), *verdicts).run([f"vol-{number}" for number in range(10)])
    assert len(done.results) == 450
    assert {order.volume_id for order in done.orders} == {f"vol-{number}" for number in range(5)}


def test_existence_is_checked_only_after_a_refused_deletion() -> None:
    reads = Reads()
    step = make_step(Deleter(), StandingClock(), *plan_of(1), reads=reads)
    assert [result.outcome for result in step.run([VOLUME]).results] == [DeletionOutcome.DELETED]
    assert reads.ids == []


@pytest.mark.parametrize("kind", list(DeletionKind))
def test_a_snapshot_that_does_not_exist_counts_as_deleted(kind: DeletionKind) -> None:
    order = DeletionOrder("snap-0123456789abcdef0", VOLUME, NOW, "default", ("beyond last 3",), kind)
    results = Laboratory().runner.composition.delete_snapshots(DR).run((), asked=[order]).results
    assert [(result.outcome, result.done) for result in results] == [(DeletionOutcome.ALREADY_GONE, True)]
