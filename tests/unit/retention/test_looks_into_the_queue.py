"""A run's plan uses the queue where it knows more of a copy than EC2 shows, and reads no entry of the other copies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.domain.copies.entry import QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import CLOCK_SKEW, DeletionPlan, Snapshot, SnapshotState, Volume
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector, VerifyRule
from snapkeep.domain.tag_names import POLICY, PROOF
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.usecases.ports import CopyResult, CopyResultStatus
from snapkeep.usecases.retention.plan_volumes import ANSWER_GOOD_FOR, is_recent
from support.lineages import REGION, VOLUME, copy_of, snapshot
from support.listed_regions import ListedRegion, planner_of

DR, FAR = "us-east-2", "eu-west-1"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PROVED = "PROVED sample:300 2026-11-22T03:10:00.000Z"
SOURCES = [snapshot(f"2026-11-{day}T03:00", day) for day in (18, 19)]
COMPARED, UNCOMPARED = VerifyRule(), VerifyRule(structure="never")
OLDER, NEWER = (
    replace(copy_of(source, DR, number), start_time=source.start_time, completed_at=source.start_time + timedelta(hours=1))
    for number, source in enumerate(SOURCES, start=1)
)
TWIN = replace(OLDER, id="snap-c9", completed_at=OLDER.start_time + timedelta(hours=2), start_time=OLDER.start_time + SECOND)
LATELY = replace(NEWER, completed_at=NOW - timedelta(hours=23))


class RecordingQueue(MemoryQueue):
    """Records the keys of the entries that are read one by one."""

    def __init__(self, *entries: QueueEntry) -> None:
        super().__init__(region=DR)
        self.read: list[str] = []
        for entry in entries:
            self.insert(entry)

    def get(self, key: str) -> QueueEntry:
        self.read.append(key)
        return super().get(key)


def entry_of(copy: Snapshot) -> QueueEntry:
    """Return the entry of a copy that runs."""
    request = CopyRequest(copy.origin, "gold", DR, "", copy.start_time + timedelta(days=1), 8, encrypted=False)
    return QueueEntry.requested(request, copy.start_time).starting(copy.start_time).running(copy.id, copy.start_time)


def policies(verify: VerifyRule, region: str = DR) -> PolicySet:
    rule = CopyRule(region, retention=Retention(keep_last=1), verify=verify)
    return PolicySet((Policy("gold", Selector(), Retention(keep_last=1), (rule,)),), Limits(max_share_percent=100))


def plan_copies(queue: MemoryQueue, rules: PolicySet, *copies: Snapshot, as_sweep: bool = False) -> DeletionPlan:
    planner = planner_of(ListedRegion(DR, copies), [ListedRegion(REGION, SOURCES)], rules, NOW)
    return replace(planner, queue_of=lambda _: queue).plan_copies([VOLUME], as_sweep=as_sweep)


def deleted(plan: DeletionPlan) -> list[str]:
    assert plan.refusals == ()
    return [verdict.snapshot.id for verdict in plan.deletions]


def test_a_copy_that_completed_lately_displaces_none_before_its_check() -> None:
    running, rules = entry_of(LATELY), policies(UNCOMPARED)
    assert deleted(plan_copies(RecordingQueue(running), rules, OLDER, LATELY)) == []
    assert deleted(plan_copies(RecordingQueue(running.done(LATELY.id, NOW)), rules, OLDER, LATELY)) == [OLDER.id]


def test_a_proof_that_the_queue_alone_shows_holds_its_copy_for_days() -> None:
    done, rules = entry_of(OLDER).done(OLDER.id, NOW), policies(COMPARED)
    assert deleted(plan_copies(RecordingQueue(done.proved(PROVED)), rules, OLDER, NEWER)) == []
    assert deleted(plan_copies(RecordingQueue(done), rules, OLDER, NEWER)) == [OLDER.id]


def test_of_two_copies_the_checked_one_stays_and_only_a_sweep_asks() -> None:
    queue = RecordingQueue(entry_of(OLDER).done(OLDER.id, NOW))
    assert deleted(plan_copies(queue, policies(UNCOMPARED), OLDER, TWIN)) == []
    assert queue.read == []
    assert deleted(plan_copies(queue, policies(UNCOMPARED), OLDER, TWIN, as_sweep=True)) == [TWIN.id]


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        (policies(UNCOMPARED), {}),
        (policies(COMPARED, FAR), {}),
        (policies(COMPARED), {"tags": {**OLDER.tags, POLICY: "absent"}}),
        (policies(COMPARED), {"tags": {**OLDER.tags, PROOF: PROVED}}),
        (policies(COMPARED), {"state": SnapshotState.PENDING, "completed_at": None}),
        (policies(COMPARED), {"state": SnapshotState.ERROR, "completed_at": None}),
    ],
    ids=["not compared", "no rule", "no policy", "proved", "pending", "failed"],
)
def test_no_entry_is_read_of_a_copy_that_ec2_shows_wholly(rules: PolicySet, changes: dict[str, Any]) -> None:
    """A volume has hundreds of copies: each entry would cost each run a request."""
    queue = RecordingQueue(entry_of(OLDER))
    for as_sweep in (False, True):
        plan_copies(queue, rules, replace(OLDER, **changes), as_sweep=as_sweep)
    assert queue.read == []


@pytest.mark.parametrize(
    ("error", "region", "freed"), [("CopyWrong", DR, False), ("CopyWrong", FAR, True), ("CopyFailed", DR, True)]
)
def test_a_copy_that_the_run_knows_to_be_wrong_frees_no_source(error: str, region: str, freed: bool) -> None:
    """EC2 lists the copy without its mark; another failure of its run, or in another region, says nothing against it."""
    source, dr = ListedRegion(REGION, SOURCES, [Volume(VOLUME, REGION, 8, "gp3")]), ListedRegion(DR, [NEWER])
    result = CopyResult(CopyResultStatus.FAILED, SOURCES[1].id, region, error=error)
    plan = planner_of(source, [dr], policies(COMPARED), NOW).plan_sources([VOLUME], [result])
    assert deleted(plan) == ([SOURCES[0].id] if freed else [])


@pytest.mark.parametrize(
    ("age", "recent"),
    [
        (-CLOCK_SKEW - SECOND, False),
        (-CLOCK_SKEW, True),
        (ANSWER_GOOD_FOR, True),
        (ANSWER_GOOD_FOR + SECOND, False),
    ],
)
def test_a_check_is_recent_for_an_hour_whatever_the_clocks_differ(age: timedelta, recent: bool) -> None:
    assert is_recent(NOW - age, NOW) is recent
