"""`completion: auto`: a copy is ordinary where that is in time, and time-based where it is not; late ones are noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from snapkeep.domain.copies.completion import UNCERTAINTY, PastCopy, ordinary_seconds
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.events import LateCopyEvent, parse_late_copy
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.system import StackKind
from snapkeep.functions.dispatch import build_late
from snapkeep.lab.ebs_model import Quotas, Speeds
from snapkeep.usecases.copies.completion import ChooseCompletion
from snapkeep.usecases.ports import ProblemKind
from support.flows import DR, HOUR, INCLUDED, PRIMARY, Laboratory, policy_set


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


def test_a_copy_of_few_changes_is_ordinary_for_a_large_volume() -> None:
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
    volumes = [laboratory.make_volume(size_gib=440) for _ in range(10)]
    for volume in volumes:
        laboratory.world.write(volume, 0, 440 * 2048, region=PRIMARY)
    for volume in volumes:
        laboratory.start_snapshot(volume)
    laboratory.settle()
    # A copy of 440 GiB needs 250 MiB/s for 30 minutes: seven leave 248 MiB/s of 2,000.
    assert sorted(durations(laboratory)) == [0, *[30] * 7, 45, 105]
    assert ProblemKind.COPY_LATE not in {kind for kind, _ in laboratory.notified}


def test_throughput_of_other_callers_is_in_use_too() -> None:
    laboratory = Laboratory(auto(timedelta(minutes=20)), quotas=Quotas(copy_mib_per_second=2000))
    volume = laboratory.make_volume(size_gib=440)
    source = laboratory.protect(laboratory.make_volume({}, size_gib=3500))
    for _ in range(4):  # each uses 498 MiB/s
        laboratory.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, CompletionDurationMinutes=120)
    others = set(laboratory.ids(DR))
    laboratory.protect(volume)
    (own,) = [copy for copy in laboratory.snapshots(DR) if copy.id not in others]
    assert own.duration_minutes == 0


@pytest.mark.parametrize(
    ("minutes", "full", "counts"),
    [(0, False, True), (60, False, False), (0, True, False)],
    ids=["ordinary", "time_based", "full"],
)
def test_only_ordinary_incremental_copies_are_the_history(minutes: int, full: bool, counts: bool) -> None:
    laboratory = Laboratory(auto(timedelta(hours=4)))
    laboratory.protect(laboratory.make_volume(size_gib=400))
    (entry,) = done(laboratory)
    fast = replace(entry, request=replace(entry.request, completion_minutes=minutes), moved_mib=1000, seconds=1, full=full)
    parts: dict[str, Any] = {
        "reader": SimpleNamespace(copies_of_volumes=lambda _: []),
        "queue": SimpleNamespace(recently_done=lambda _: [fast] * 30),
        "changes_of": None,
        "notices": None,
        "clock": SimpleNamespace(now=lambda: entry.request.deadline - timedelta(hours=3)),
    }
    assert (ChooseCompletion(**parts).chosen(entry).request.completion_minutes == 0) is counts


def test_a_copy_under_another_key_counts_as_full() -> None:
    policies = auto(timedelta(hours=4))
    laboratory = Laboratory(policies)
    kms = laboratory.world.client("kms", DR)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    volume = laboratory.make_volume(size_gib=400)
    laboratory.protect(volume)
    (policy,) = policies.policies
    rules = tuple(replace(rule, kms_key=key) for rule in policy.copies)
    laboratory.policies = replace(policies, policies=(replace(policy, copies=rules),))
    laboratory.protect(volume)
    assert durations(laboratory) == [225, 225]
    assert {entry.moved_mib for entry in done(laboratory)} == {0}


@pytest.mark.parametrize(("mib", "seconds"), [(500, 99), (1000, 99), (2000, 198)])
def test_an_ordinary_copy_is_estimated_by_similar_ones(mib: int, seconds: int) -> None:
    history = [PastCopy(1000, past) for past in range(1, 101)] + [PastCopy(10**6, 10**6)] * 100
    assert ordinary_seconds(mib, history) == pytest.approx(seconds * UNCERTAINTY)


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
    before = list(laboratory.notified)
    note = build_late(laboratory.runner.composition.stack(DR, StackKind.DR))
    assert not note.run(LateCopyEvent(copy, "EventBridge delivers an event again"))
    assert laboratory.notified == before


@pytest.mark.parametrize("tags", [{}, INCLUDED], ids=["of_another_volume", "tagged_like_ours"])
def test_a_late_copy_by_another_caller_is_not_noted(tags: dict[str, str]) -> None:
    laboratory = Laboratory(auto(timedelta(hours=24)), quotas=Quotas(copy_mib_per_second=50))
    volume = laboratory.make_volume(tags, size_gib=440)
    laboratory.world.write(volume, 0, 440 * 2048, region=PRIMARY)
    source = laboratory.protect(volume)
    events: list[Mapping[str, Any]] = []
    laboratory.world.state.listeners.append(events.append)
    ours = [{"Key": key, "Value": value} for copy_id in laboratory.ids(DR) for key, value in laboratory.tags(copy_id, DR).items()]
    tagged = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": ours}]} if ours else {}
    laboratory.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source, CompletionDurationMinutes=60, **tagged)
    laboratory.settle()
    assert any(parse_late_copy(event) for event in events)
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
