"""A copy is settled once: each waiting execution is answered once, and concurrent writes stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.copies.check import (
    belongs_to,
    faults_of_copy,
    found_wrong_by_content,
    has_predecessor,
    is_older_than,
    missing_tags,
)
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.copies.retries import LONGEST_DELAY, RetryPolicy
from snapkeep.domain.model import CLOCK_SKEW, Snapshot, SnapshotState
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.usecases.copies.settle import Settlement, naming_keys
from snapkeep.usecases.ports import CopyResult, TaskTokens
from support.lineages import copy_of, snapshot

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DR = "us-east-2"
SOURCE = snapshot("2026-11-22T03:00", 1)
KEY = "arn:aws:kms:us-east-2:111122223333:key/0123abcd-0123-0123-0123-0123456789ab"
WANTED = CopyRequest(SOURCE.origin, "gold", DR, "", NOW, 8, encrypted=False, tags={"Name": "web"})
GOOD = replace(copy_of(SOURCE, DR, 1), tags={"Name": "web"})
TOO_LARGE = replace(GOOD, size_gib=9)


class StandingClock:
    def now(self) -> datetime:
        return NOW


class Listeners(TaskTokens):
    """Remembers each answer; `meanwhile` happens when the first one is given."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.answers: list[tuple[str, str]] = []
        self.meanwhile = meanwhile

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        return self._heard(token, str(output.status))

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        return self._heard(token, error)

    def _heard(self, token: str, answer: str) -> bool:
        self.answers.append((token, answer))
        if len(self.answers) == 1:
            self.meanwhile()
        return True


class SettlementBench:
    """A queue with one running entry that two executions wait for."""

    def __init__(self) -> None:
        self.queue = MemoryQueue(region=DR)
        fresh = QueueEntry(WANTED, EntryState.RUNNING, NOW, NOW, 1, GOOD.id, tokens=("one", "two"), runs=("run-1", "run-2"))
        self.entry = self.queue.insert(fresh)
        self.task_tokens = Listeners()
        self.settlement = Settlement(queue=self.queue, task_tokens=self.task_tokens, clock=StandingClock())

    def now(self) -> QueueEntry:
        return self.queue.get(self.entry.key)

    def let_somebody_write(self, **changes: object) -> None:
        self.task_tokens.meanwhile = lambda: self.queue.write(replace(self.now(), **changes))  # type: ignore[arg-type]


def test_a_good_copy_closes_its_entry_and_answers_each_execution_once() -> None:
    bench = SettlementBench()
    assert bench.settlement.settle(bench.entry, GOOD) == []
    assert bench.task_tokens.answers == [("one", "COPIED"), ("two", "COPIED")]
    assert (bench.now().state, bench.now().tokens, bench.now().runs) == (EntryState.DONE, (), ())
    assert bench.now().seconds == 0, "how long it took is not known"


def test_a_wrong_copy_succeeds_for_no_execution() -> None:
    bench = SettlementBench()
    assert bench.settlement.settle(bench.entry, TOO_LARGE) == ["its size is 9 GiB, its source's 8 GiB"]
    assert bench.task_tokens.answers == [("one", "CopyWrong"), ("two", "CopyWrong")]
    assert (bench.now().state, bench.now().copy_id) == (EntryState.FAILED, GOOD.id)


def test_an_execution_that_joins_during_answers_is_answered_once() -> None:
    bench = SettlementBench()
    bench.let_somebody_write(tokens=("one", "two", "three"))
    bench.settlement.settle(bench.entry, GOOD)
    assert [token for token, _ in bench.task_tokens.answers] == ["one", "two", "three"]
    assert (bench.now().state, bench.now().tokens) == (EntryState.DONE, ())


def test_an_execution_that_joins_a_failing_copy_is_answered() -> None:
    bench = SettlementBench()
    bench.let_somebody_write(tokens=("one", "two", "three"))
    assert bench.settlement.give_up(bench.entry, "a cause") == 3
    assert [token for token, _ in bench.task_tokens.answers] == ["one", "two", "three"]
    assert (bench.now().state, bench.now().cause, bench.now().tokens) == (EntryState.FAILED, "a cause", ())


@pytest.mark.parametrize("state", [EntryState.DONE, EntryState.DELAYED, EntryState.WAITING])
def test_failing_a_copy_leaves_a_changed_entry(state: EntryState) -> None:
    bench = SettlementBench()
    bench.let_somebody_write(state=state)
    assert bench.settlement.give_up(bench.entry, "a cause") == 2
    assert bench.now().state is state


@pytest.mark.parametrize("state", [EntryState.DELAYED, EntryState.FAILED])
def test_a_good_copy_counts_whatever_the_entry_became_meanwhile(state: EntryState) -> None:
    bench = SettlementBench()
    bench.let_somebody_write(state=state)
    bench.settlement.settle(bench.entry, GOOD)
    assert (bench.now().state, bench.now().copy_id) == (EntryState.DONE, GOOD.id)


def test_a_late_caller_settles_no_copy_twice() -> None:
    bench = SettlementBench()
    bench.let_somebody_write(state=EntryState.DONE, copy_id="snap-0first", tokens=())
    bench.settlement.settle(bench.entry, GOOD)
    assert bench.now().copy_id == "snap-0first"


@pytest.mark.parametrize(
    ("asked", "copy", "fault"),
    [
        (WANTED, replace(GOOD, size_gib=7), "its size is 7 GiB"),
        (WANTED, TOO_LARGE, "its size is 9 GiB"),
        (replace(WANTED, encrypted=True), GOOD, "it is not encrypted, but should be"),
        (replace(WANTED, kms_key=KEY), replace(GOOD, kms_key_id=KEY[:-1] + "c"), "it is encrypted with arn:aws:kms"),
        (replace(WANTED, kms_key=KEY), GOOD, "it is encrypted with no key, but should be"),
    ],
)
def test_a_fault_of_a_copy_is_named(asked: CopyRequest, copy: Snapshot, fault: str) -> None:
    (found,) = faults_of_copy(asked, copy)
    assert found.startswith(fault)


def test_only_the_blocks_of_a_copy_are_wrong_where_nothing_else_is() -> None:
    differs = replace(GOOD, tags={**GOOD.tags, CHECK: WRONG, PROOF: "DIFFERS full 2026-11-22T03:10:00.000Z"})
    assert found_wrong_by_content(WANTED, differs)
    assert not found_wrong_by_content(WANTED, replace(differs, size_gib=9))
    assert not found_wrong_by_content(WANTED, replace(differs, tags={**GOOD.tags, CHECK: WRONG}))
    assert not found_wrong_by_content(WANTED, replace(TOO_LARGE, tags={**GOOD.tags, PROOF: "DIFFERS full"}))


def test_a_copy_could_be_incremental_beside_an_earlier_one_of_its_volume() -> None:
    earlier = replace(GOOD, id="snap-0earlier", start_time=GOOD.start_time - timedelta(seconds=1))
    assert has_predecessor(GOOD, [GOOD, earlier])
    others = [
        GOOD,
        replace(earlier, start_time=GOOD.start_time),
        replace(earlier, state=SnapshotState.PENDING),
        replace(earlier, origin=replace(earlier.origin, volume_id="vol-0b")),
    ]
    assert not has_predecessor(GOOD, others)


def test_a_copy_is_older_than_its_entry_beyond_the_difference_of_clocks() -> None:
    entry = QueueEntry(WANTED, EntryState.RUNNING, NOW, NOW, 1, GOOD.id)
    assert not is_older_than(entry, replace(GOOD, start_time=NOW - CLOCK_SKEW))
    assert is_older_than(entry, replace(GOOD, start_time=NOW - CLOCK_SKEW - timedelta(seconds=1)))


def test_only_a_copy_of_its_own_source_belongs_to_an_entry() -> None:
    entry = QueueEntry.requested(WANTED, NOW)
    assert belongs_to(entry, GOOD)
    others = [
        replace(GOOD, origin=replace(GOOD.origin, snapshot_id="snap-0123456789abcdef0")),
        replace(GOOD, origin=replace(GOOD.origin, region="eu-west-1")),
        replace(GOOD, region="eu-west-1"),
    ]
    assert not any(belongs_to(entry, other) for other in others)
    assert not belongs_to(replace(entry, copy_id="snap-0123456789abcdef0"), GOOD), "the dispatcher recorded another"
    assert not belongs_to(replace(entry, wrong=(GOOD.id,)), GOOD)


@pytest.mark.parametrize("key", [KEY, KEY.rpartition("/")[2], "alias/dr", "arn:aws:kms:us-east-2:111122223333:alias/dr"])
def test_a_key_matches_by_id_or_arn_but_aliases_are_skipped(key: str) -> None:
    assert faults_of_copy(replace(WANTED, kms_key=key, encrypted=True), replace(GOOD, kms_key_id=KEY, encrypted=True)) == []


def test_differing_tags_count_as_missing() -> None:
    request = replace(WANTED, tags={"Name": "web", "Env": "prod"})
    assert missing_tags(request, replace(GOOD, tags={"Name": "other"})) == {"Name": "web", "Env": "prod"}


def test_keys_are_named_only_where_the_cause_is_about_one() -> None:
    assert naming_keys(replace(WANTED, kms_key=KEY), "the source is gone") == "the source is gone"
    assert KEY in naming_keys(replace(WANTED, kms_key=KEY), "Given key ID is not accessible")


def test_the_delay_doubles_up_to_six_hours_until_the_last_attempt() -> None:
    policy = RetryPolicy(limit=9, first_delay=timedelta(minutes=30))
    delays = []
    for attempts in range(1, 9):
        next_attempt_at = policy.next_attempt_at(attempts, NOW)
        assert next_attempt_at is not None
        delays.append(next_attempt_at - NOW)
    assert delays[:4] == [timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2), timedelta(hours=4)]
    assert delays[4:] == [LONGEST_DELAY] * 4
    assert policy.next_attempt_at(9, NOW) is None
