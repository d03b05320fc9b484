"""A copy is in the queue once, however often it is requested, and every execution that waits for it is known there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import AwsRefused, AwsUnavailable, SnapkeepError
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.usecases.copies.enqueue import EnqueueCopy
from snapkeep.usecases.ports import CopyResult, CopyResultStatus, TaskTokens
from support.lineages import snapshot

NOW = datetime(2026, 11, 23, tzinfo=UTC)
REQUEST = CopyRequest(snapshot("2026-11-22T03:00", 1).origin, "gold", "us-east-2", "", NOW, 8, encrypted=False)


class Clock:
    def now(self) -> datetime:
        return NOW


class RecordingTokens(TaskTokens):
    """Remembers the answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, CopyResult]] = []
        self.failures: list[tuple[str, str, str]] = []

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        self.answers.append((token, output))
        return True

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        self.failures.append((token, error, cause))
        return True


class BusyQueue(MemoryQueue):
    """A queue in which something else happens before the first write."""

    def __init__(self, meanwhile: Callable[[MemoryQueue], object]) -> None:
        super().__init__(region="us-east-2")
        self.meanwhile: Callable[[MemoryQueue], object] | None = meanwhile

    def write(self, entry: QueueEntry) -> QueueEntry:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile(self)
        return super().write(entry)


def enqueue(queue: MemoryQueue, tokens: TaskTokens | None = None) -> EnqueueCopy:
    return EnqueueCopy(queue_of=lambda _: queue, task_tokens=tokens or RecordingTokens(), clock=Clock())


def queue_with(entry: QueueEntry) -> tuple[MemoryQueue, QueueEntry]:
    queue = MemoryQueue(region="us-east-2")
    return queue, queue.insert(entry)


WAITING = QueueEntry.requested(REQUEST, NOW, "one", "run-1")


def test_an_execution_waits_for_a_copy_without_an_entry() -> None:
    queue = MemoryQueue(region="us-east-2")
    assert enqueue(queue).run(REQUEST, "one", "run-1") == replace(WAITING, version=1) == queue.get(WAITING.key)


def test_a_second_execution_joins_and_a_repeated_request_changes_nothing() -> None:
    queue, first = queue_with(WAITING)
    assert enqueue(queue).run(REQUEST, "one", "run-1") == first
    joined = enqueue(queue).run(REQUEST, "two", "run-2")
    assert (joined.tokens, joined.runs, joined.version) == (("one", "two"), ("run-1", "run-2"), 2)


def test_a_failed_copy_is_requested_again_under_the_current_rule() -> None:
    queue, _ = queue_with(WAITING.failed("no key", ""))
    request = replace(REQUEST, kms_key="alias/new")
    again = enqueue(queue).run(request, "two", "run-2")
    assert (again.state, again.request, again.attempts) == (EntryState.WAITING, request, 0)
    assert again.tokens == ("two",)


def test_a_copy_failed_since_its_request_is_answered_with_failure() -> None:
    queue, failed = queue_with(QueueEntry.requested(REQUEST, NOW, "", "run-1").failed("no key", ""))
    tokens = RecordingTokens()
    assert enqueue(queue, tokens).run(REQUEST, "one", "run-1") == failed
    assert [(token, error) for token, error, _ in tokens.failures] == [("one", "CopyFailed")]
    assert "no key" in tokens.failures[0][2]
    assert enqueue(queue).run(REQUEST, "two", "run-2").requester == "run-2"


def test_a_set_is_put_in_without_tokens_and_an_execution_joins_later() -> None:
    queue = MemoryQueue(region="us-east-2")
    (entry,) = enqueue(queue).run_all([REQUEST], "run-1")
    assert (entry.tokens, entry.runs, entry.requester) == ((), (), "run-1")
    joined = enqueue(queue).run(REQUEST, "one", "run-1")
    assert (joined.tokens, joined.runs) == (("one",), ("run-1",))
    assert enqueue(queue).run_all([REQUEST], "run-1") == [joined]


@pytest.mark.parametrize("first", [AwsRefused("no table"), AwsUnavailable("no answer")])
def test_a_region_that_fails_keeps_no_copy_from_another_queue(first: SnapkeepError) -> None:
    queue = MemoryQueue(region="us-east-2")
    errors = {"eu-west-1": first, "eu-west-2": AwsUnavailable("no answer either")}

    def queue_of(region: str) -> MemoryQueue:
        if region in errors:
            raise errors[region]
        return queue

    requests = [replace(REQUEST, region=region) for region in (*errors, "us-east-2")]
    with pytest.raises(AwsUnavailable):
        EnqueueCopy(queue_of=queue_of, task_tokens=RecordingTokens(), clock=Clock()).run_all(requests, "run-1")
    assert queue.count(EntryState.WAITING) == 1


@pytest.mark.parametrize("token", ["two", ""])
def test_a_waiting_execution_for_a_finished_copy_is_answered_at_once(token: str) -> None:
    queue, done = queue_with(WAITING.done("snap-copy", NOW))
    tokens = RecordingTokens()
    assert enqueue(queue, tokens).run(REQUEST, token, "run-2") == done
    answers = [(answered, output.status, output.copy_id) for answered, output in tokens.answers]
    assert answers == ([("two", CopyResultStatus.COPIED_EARLIER, "snap-copy")] if token else [])


def test_an_execution_that_joins_a_settled_copy_is_answered() -> None:
    queue = BusyQueue(lambda queue: queue.write(queue.get(WAITING.key).done("snap-copy", NOW)))
    queue.insert(WAITING)
    tokens = RecordingTokens()
    assert enqueue(queue, tokens).run(REQUEST, "two", "run-2").state is EntryState.DONE
    assert [answered for answered, _ in tokens.answers] == ["two"]
