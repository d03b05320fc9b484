"""`completion: auto`: a copy is ordinary where that is in time, and time-based where it is not; late ones are noted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.policy.model import PolicySet
from snapkeep.lab.ebs_model import Quotas, Speeds
from snapkeep.usecases.ports import ProblemKind
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set


def auto(copy_within: timedelta) -> PolicySet:
    policies = policy_set(copy_within=copy_within, keep=9, keep_copies=9)
    (policy,) = policies.policies
    rules = tuple(replace(rule, completion="auto") for rule in policy.copies)
    return PolicySet((replace(policy, rpo=copy_within, copies=rules),), policies.limits)


def durations(laboratory: Laboratory) -> list[int]:
    return [copy.duration_minutes for copy in laboratory.snapshots(DR)]


def done(laboratory: Laboratory) -> list[QueueEntry]:
    return laboratory.runner.composition.queues[DR].recently_done(9)


@pytest.mark.parametrize(
    ("within", "minutes"),
    [(timedelta(hours=24), 0), (timedelta(hours=4), 225), (timedelta(minutes=65), 60), (timedelta(minutes=5), 15)],
)
def test_the_time_until_the_deadline_chooses_the_way(within: timedelta, minutes: int) -> None:
    laboratory = Laboratory(auto(within))
    laboratory.protect(laboratory.make_volume(size_gib=400))
    assert durations(laboratory) == [minutes]


def test_a_copy_that_changed_little_is_ordinary_where_the_whole_volume_is_not() -> None:
    laboratory = Laboratory(auto(timedelta(hours=1)))
    volume = laboratory.make_volume(size_gib=400)
    laboratory.world.write(volume, 0, 400 * 2048, region=PRIMARY)
    laboratory.protect(volume)
    laboratory.world.write(volume, 0, 2048, region=PRIMARY)
    laboratory.protect(volume)
    assert [minutes > 0 for minutes in durations(laboratory)] == [True, False]
    first, second = sorted(done(laboratory), key=lambda entry: entry.request.origin.start_time)
    assert (first.moved_mib, second.moved_mib) == (0, 1024)
    assert second.seconds > 0


def test_blocks_that_cannot_be_listed_stop_no_copy() -> None:
    laboratory = Laboratory(auto(timedelta(hours=4)))
    volume = laboratory.make_volume(size_gib=400)
    source = laboratory.protect(volume)
    laboratory.ec2().delete_snapshot(SnapshotId=source)
    laboratory.protect(volume)
    assert durations(laboratory) == [225, 225]
    assert {entry.moved_mib for entry in done(laboratory)} == {0}


def test_throughput_in_use_makes_a_duration_longer_or_the_copy_ordinary() -> None:
    laboratory = Laboratory(auto(timedelta(minutes=20)), quotas=Quotas(copy_mib_per_second=2000))
    volumes = [laboratory.make_volume(size_gib=440) for _ in range(6)]
    for volume in volumes:
        laboratory.world.write(volume, 0, 440 * 2048, region=PRIMARY)
    for volume in volumes:
        laboratory.start_snapshot(volume)
    laboratory.settle()
    # Each uses its 440 GiB in 30 minutes (250 MiB/s) or more: EC2 refuses none, and none is late for a lack of throughput.
    assert all(durations(laboratory))
    assert ProblemKind.COPY_LATE not in {kind for kind, _ in laboratory.notified}


def test_a_late_copy_is_noted_once() -> None:
    # Another account's load is not seen: AWS gives less throughput than was left.
    laboratory = Laboratory(auto(timedelta(hours=1)), quotas=Quotas(copy_mib_per_second=50))
    volume = laboratory.make_volume(size_gib=440)
    laboratory.world.write(volume, 0, 440 * 2048, region=PRIMARY)
    laboratory.protect(volume)
    (copy,) = laboratory.ids(DR)
    assert [subject for kind, subject in laboratory.notified if kind == ProblemKind.COPY_LATE] == [copy]
    (entry,) = done(laboratory)
    assert (entry.state, "throughput quota" in entry.late) == (EntryState.DONE, True)


def test_a_late_copy_of_somebody_else_is_none_of_ours() -> None:
    laboratory = Laboratory(auto(timedelta(hours=1)), quotas=Quotas(copy_mib_per_second=50))
    volume = laboratory.make_volume({}, size_gib=440)
    laboratory.world.write(volume, 0, 440 * 2048, region=PRIMARY)
    source = laboratory.protect(volume)
    laboratory.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, CompletionDurationMinutes=60)
    laboratory.settle()
    assert laboratory.notified == []


def test_a_duration_that_ec2_refuses_becomes_an_ordinary_copy() -> None:
    laboratory = Laboratory(auto(timedelta(hours=1)), quotas=Quotas(one_copy_mib_per_second=1), speeds=Speeds())
    volume = laboratory.make_volume(size_gib=440)
    laboratory.world.write(volume, 0, 440 * 2048, region=PRIMARY)
    laboratory.protect(volume)
    assert durations(laboratory) == [0]
    assert done(laboratory)[0].request.completion_minutes == 0


def test_the_lateness_of_one_attempt_is_forgotten_by_the_next() -> None:
    laboratory = Laboratory(auto(timedelta(hours=4)))
    volume = laboratory.make_volume(size_gib=400)
    laboratory.world.write(volume, 0, 400 * 2048, region=PRIMARY)
    laboratory.start_snapshot(volume)
    laboratory.runner.advance(HOUR)
    (running,) = laboratory.runner.composition.queues[DR].in_state(EntryState.RUNNING)
    late = running.missed("throughput")
    now = running.not_before
    assert late.late == "throughput"
    assert late.retrying("failed", now).woken().starting(now).late == ""
