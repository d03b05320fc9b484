"""One suite for every queue: the table on an emulated DynamoDB, and the queue in memory that virtual time uses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.adapters.dynamodb_queue import SETTLED_KEPT, DynamoDbQueue
from snapkeep.domain.copies.completion import CopySpending
from snapkeep.domain.copies.entry import OPEN, SETTLED, EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import EntryChanged, EntryNotFound
from snapkeep.domain.model import Origin
from snapkeep.domain.tags import format_time
from snapkeep.lab.simulator.memory_queue import MemoryQueue, expires_at
from snapkeep.usecases.ports import CopyQueue
from support.queues import NOW, REGION, TABLE, Between, Subject


def entry(number: int, *, hours: float = 1, volume: str = "vol-1", state: EntryState = EntryState.WAITING) -> QueueEntry:
    origin = Origin("us-east-1", volume, f"snap-{number:04d}", NOW - timedelta(hours=1))
    deadline, tags = NOW + timedelta(hours=hours), {"snapkeep:managed": "snapkeep", "Name": "é ☃"}
    request = CopyRequest(origin, "default", REGION, "", deadline, 8, False, tags, 0, "arn:key")
    return QueueEntry(request, state, NOW, NOW, tokens=("token",))


def test_an_entry_comes_back_as_it_was_put_in(queue: CopyQueue) -> None:
    put = queue.insert(entry(1))
    assert put.version == 1
    assert queue.get(put.key) == put == replace(entry(1), version=1)


def test_the_queue_names_its_region(queue: CopyQueue) -> None:
    assert queue.region == REGION


def test_a_second_entry_with_the_same_key_is_refused(queue: CopyQueue) -> None:
    queue.insert(entry(1))
    with pytest.raises(EntryChanged):
        queue.insert(entry(1, hours=9))
    assert [queued.request.deadline for queued in queue.most_urgent(5)] == [NOW + timedelta(hours=1)]


def test_an_entry_that_is_not_there_is_not_found(queue: CopyQueue) -> None:
    with pytest.raises(EntryNotFound):
        queue.get("us-east-1#snap-none#us-east-2")


def test_a_write_names_the_version_that_it_read(queue: CopyQueue) -> None:
    first = queue.insert(entry(1))
    second = queue.write(replace(first, attempts=1))
    assert second.version == 2
    with pytest.raises(EntryChanged):
        queue.write(replace(first, attempts=7))
    assert queue.get(first.key).attempts == 1


def test_a_deleted_entry_cannot_be_written(queue: CopyQueue) -> None:
    with pytest.raises(EntryChanged):
        queue.write(replace(entry(1), version=1))


def test_the_most_urgent_are_those_with_the_earliest_deadline(queue: CopyQueue) -> None:
    for number, hours in enumerate([5, 1, 4, 2, 3]):
        queue.insert(entry(number, hours=hours))
    assert [queued.request.deadline for queued in queue.most_urgent(3)] == [NOW + timedelta(hours=hours) for hours in (1, 2, 3)]
    assert len(queue.most_urgent(9)) == 5


def test_recently_done_are_those_that_had_to_start_last(queue: CopyQueue) -> None:
    for number, hours in enumerate([5, 1, 4, 2, 3]):
        queue.insert(entry(number, hours=hours, state=EntryState.DONE if hours != 3 else EntryState.FAILED))
    assert [queued.request.deadline for queued in queue.recently_done(3)] == [NOW + timedelta(hours=hours) for hours in (5, 4, 2)]
    assert len(queue.recently_done(9)) == 4


def test_the_larger_of_two_copies_with_one_deadline_is_more_urgent(queue: CopyQueue) -> None:
    small, large = entry(1, hours=48), entry(2, hours=48)
    large = replace(large, request=replace(large.request, size_gib=4096))
    time_based = replace(entry(3, hours=48), request=replace(entry(3, hours=48).request, size_gib=4096, completion_minutes=60))
    for copy in (small, time_based, large):
        queue.insert(copy)
    assert [queued.key for queued in queue.most_urgent(3)] == [large.key, time_based.key, small.key]


def test_only_waiting_entries_are_urgent(queue: CopyQueue) -> None:
    for number, state in enumerate(EntryState):
        queue.insert(entry(number, state=state))
    assert [queued.state for queued in queue.most_urgent(9)] == [EntryState.WAITING]


def test_an_entry_that_changes_its_state_leaves_its_place_in_the_order(queue: CopyQueue) -> None:
    first, second = queue.insert(entry(1, hours=1)), queue.insert(entry(2, hours=2))
    running = queue.write(replace(first, state=EntryState.RUNNING))
    assert [queued.key for queued in queue.most_urgent(5)] == [second.key]
    queue.write(replace(running, state=EntryState.WAITING))
    assert [queued.key for queued in queue.most_urgent(5)] == [first.key, second.key]


def test_asking_for_the_most_urgent_changes_nothing(queue: CopyQueue) -> None:
    for number in range(4):
        queue.insert(entry(number, hours=number + 1))
    assert queue.most_urgent(2) == queue.most_urgent(2)
    assert len(queue.most_urgent(4)) == 4


def test_the_cost_of_the_most_urgent_does_not_grow_with_the_queue(subject: Subject) -> None:
    for number in range(120):
        subject.queue.insert(entry(number, hours=number + 1))
    before = subject.entries_read()
    subject.queue.most_urgent(3)
    assert subject.entries_read() - before <= 3


def test_delayed_entries_are_due_when_their_time_has_come_earliest_first(queue: CopyQueue) -> None:
    for number, minutes in enumerate([30, 10, 20]):
        delayed = replace(entry(number, state=EntryState.DELAYED), not_before=NOW + timedelta(minutes=minutes))
        queue.insert(delayed)
    assert queue.due(NOW + timedelta(minutes=9), 5) == []
    entries = queue.due(NOW + timedelta(minutes=20), 5)
    assert [queued.not_before for queued in entries] == [NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)]
    assert len(queue.due(NOW + timedelta(minutes=60), 1)) == 1


def test_entries_of_a_state_are_listed_most_urgent_first(queue: CopyQueue) -> None:
    for number, hours in enumerate([3, 1, 2]):
        queue.insert(entry(number, hours=hours, state=EntryState.RUNNING))
    assert [queued.request.deadline.hour for queued in queue.in_state(EntryState.RUNNING)] == [13, 14, 15]
    assert list(queue.in_state(EntryState.FAILED)) == []


def test_open_entries_of_a_volume_are_those_not_settled(queue: CopyQueue) -> None:
    for number, state in enumerate(EntryState):
        queue.insert(entry(number, volume="vol-a", hours=9 - number, state=state))
    queue.insert(entry(9, volume="vol-b"))
    entries = queue.open_entries("vol-a")
    assert sorted(queued.state for queued in entries) == sorted(OPEN)
    assert len(entries) == len(EntryState) - len(SETTLED)
    assert queue.open_entries("vol-none") == []


def test_an_entry_is_open_again_when_its_copy_is_requested_again(queue: CopyQueue) -> None:
    running = queue.insert(entry(1, volume="vol-a", state=EntryState.RUNNING))
    failed = queue.write(replace(running, state=EntryState.FAILED))
    assert queue.open_entries("vol-a") == []
    waiting = queue.write(replace(failed, state=EntryState.WAITING))
    assert queue.open_entries("vol-a") == [waiting]
    queue.write(replace(waiting, state=EntryState.DONE))
    assert queue.open_entries("vol-a") == []


def test_open_entries_are_listed_without_reading_settled_ones(subject: Subject) -> None:
    for number in range(9):
        subject.queue.insert(entry(number, volume="vol-a", state=SETTLED[number % 2]))
    waiting = subject.queue.insert(entry(9, volume="vol-a"))
    before = subject.entries_read()
    assert subject.queue.open_entries("vol-a") == [waiting]
    assert subject.entries_read() - before <= 1


def test_a_settled_entry_of_an_earlier_version_is_not_open(table: Any) -> None:
    queue = DynamoDbQueue(client=table, table=TABLE, region=REGION)
    done = queue.insert(entry(1, volume="vol-a", state=EntryState.DONE))
    item = table.get_item(TableName=TABLE, Key={"pk": {"S": done.key}})["Item"]
    table.put_item(TableName=TABLE, Item={**item, "due": {"S": format_time(done.due)}})
    assert queue.open_entries("vol-a") == []


def test_the_spending_of_a_month_is_the_sum_of_its_policy(queue: CopyQueue) -> None:
    assert queue.spending("gold", "2026-03") == CopySpending()
    for policy, month, usd in (
        ("gold", "2026-03", 1.5),
        ("gold", "2026-03", 0.25),
        ("gold", "2026-04", 7),
        ("iron", "2026-03", 9),
    ):
        queue.spend(policy, month, usd)
    queue.spend("gold", "2026-03", -1.5)
    assert queue.spending("gold", "2026-03") == CopySpending(0.25)
    assert queue.spending("gold", "2026-04") == CopySpending(7)


def test_a_month_is_exhausted_for_the_first_time_once(queue: CopyQueue) -> None:
    queue.spend("gold", "2026-03", 2)
    assert [queue.mark_exhausted("gold", "2026-03") for _ in range(3)] == [True, False, False]
    assert queue.mark_exhausted("gold", "2026-04")
    assert queue.spending("gold", "2026-03") == CopySpending(2, exhausted=True)


def test_spending_is_no_entry_of_the_queue_and_expires(table: Any) -> None:
    queue = DynamoDbQueue(client=table, table=TABLE, region=REGION)
    queue.spend("gold", "2026-03", 2)
    assert [list(queue.in_state(state)) for state in EntryState] == [[]] * len(EntryState)
    (item,) = table.scan(TableName=TABLE)["Items"]
    assert int(item["expires_at_epoch"]["N"]) >= datetime(2026, 4, 30, tzinfo=UTC).timestamp()


def test_an_entry_is_read_as_it_was_last_written(table: Any) -> None:
    requests: list[dict[str, Any]] = []
    queue = DynamoDbQueue(client=Between(table, get_item=requests.append), table=TABLE, region=REGION)  # type: ignore[arg-type]
    queue.get(queue.insert(entry(1)).key)
    assert [request["ConsistentRead"] for request in requests] == [True]


def test_every_page_of_an_index_is_read(table: Any) -> None:
    pages: list[dict[str, Any]] = []

    def one_item_a_page(request: dict[str, Any]) -> None:
        request["Limit"] = 1
        pages.append(request)

    queue = DynamoDbQueue(client=Between(table, query=one_item_a_page), table=TABLE, region=REGION)  # type: ignore[arg-type]
    made = [queue.insert(entry(number, hours=number + 1, volume="vol-a")).key for number in range(3)]
    assert [queued.key for queued in queue.open_entries("vol-a")] == made
    assert [queued.key for queued in queue.in_state(EntryState.WAITING)] == made
    assert [queued.key for queued in queue.most_urgent(2)] == made[:2]
    assert len(pages) > 3 + 3


@pytest.mark.parametrize("state", list(EntryState))
def test_the_table_expires_settled_entries_alone(table: Any, state: EntryState) -> None:
    put = DynamoDbQueue(client=table, table=TABLE, region=REGION).insert(entry(1, state=state))
    item = table.get_item(TableName=TABLE, Key={"pk": {"S": put.key}})["Item"]
    if state in (EntryState.DONE, EntryState.FAILED):
        assert int(item["expires_at_epoch"]["N"]) == int((NOW + SETTLED_KEPT).timestamp())
    else:
        assert "expires_at_epoch" not in item


@pytest.mark.parametrize(("enqueued", "rested"), [(0, 7), (7, 0)])
def test_a_settled_entry_expires_counted_from_its_last_change(table: Any, enqueued: int, rested: int) -> None:
    moments = {"enqueued_at": NOW + timedelta(days=enqueued), "not_before": NOW + timedelta(days=rested)}
    done = replace(entry(1, state=EntryState.DONE), **moments)
    put = DynamoDbQueue(client=table, table=TABLE, region=REGION).insert(done)
    item = table.get_item(TableName=TABLE, Key={"pk": {"S": put.key}})["Item"]
    expires = NOW + timedelta(days=7) + SETTLED_KEPT
    assert (int(item["expires_at_epoch"]["N"]), expires_at(done)) == (int(expires.timestamp()), expires)


@pytest.mark.parametrize("state", list(EntryState))
def test_the_memory_expires_the_same_entries_as_the_table(state: EntryState) -> None:
    memory = MemoryQueue(region=REGION)
    put = memory.insert(entry(1, state=state))
    assert memory.expire(NOW + SETTLED_KEPT - timedelta(seconds=1)) == 0
    memory.expire(NOW + SETTLED_KEPT)
    finished = state in (EntryState.DONE, EntryState.FAILED)
    assert len(memory) == (0 if finished else 1)
    assert [queued.key for queued in memory.open_entries("vol-1")] == ([] if finished else [put.key])


def test_a_failed_entry_that_is_requested_again_does_not_expire() -> None:
    memory = MemoryQueue(region=REGION)
    failed = memory.insert(entry(1, state=EntryState.FAILED))
    memory.write(replace(failed, state=EntryState.WAITING))
    assert memory.expire(NOW + SETTLED_KEPT) == 0
    assert len(memory.most_urgent(1)) == 1


def test_many_changes_of_state_do_not_let_the_memory_grow() -> None:
    memory = MemoryQueue(region=REGION)
    kept = memory.insert(entry(1))
    for _ in range(5_000):
        kept = memory.write(replace(kept, attempts=kept.attempts + 1))
    assert len(memory._orders[EntryState.WAITING].heap) <= 2048
    assert memory.most_urgent(1) == [kept]
