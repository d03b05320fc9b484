"""The lease of each queue: one dispatcher at a time, and since when the queue remembers its copies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from snapkeep.adapters.dynamodb_queue import LEASE, DynamoDbQueue
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.tags import format_time
from snapkeep.usecases.ports import CopyQueue
from support.queues import NOW, REGION, TABLE, Between


def test_one_dispatcher_holds_the_lease(queue: CopyQueue) -> None:
    assert queue.take_lease("one", NOW, 60)
    assert not queue.take_lease("two", NOW + timedelta(seconds=60), 60)
    assert queue.release_lease("two")
    assert not queue.take_lease("two", NOW + timedelta(seconds=1), 60)


def test_a_lease_that_was_given_back_is_free(queue: CopyQueue) -> None:
    assert queue.take_lease("one", NOW, 60)
    assert queue.release_lease("one")
    assert queue.take_lease("two", NOW, 60)


def test_a_lease_that_has_expired_is_free(queue: CopyQueue) -> None:
    assert queue.take_lease("one", NOW, 60)
    assert queue.take_lease("two", NOW + timedelta(seconds=61), 60)
    assert queue.release_lease("one")
    assert not queue.take_lease("three", NOW + timedelta(seconds=62), 60)


def test_word_that_there_is_more_to_do_keeps_the_lease_once(queue: CopyQueue) -> None:
    assert queue.take_lease("one", NOW, 60)
    assert not queue.take_lease("two", NOW, 60)
    assert not queue.release_lease("one")
    assert not queue.take_lease("three", NOW, 60)
    assert not queue.release_lease("one")
    assert queue.release_lease("one")
    assert queue.take_lease("two", NOW, 60)


def test_releasing_a_free_lease_is_no_error(queue: CopyQueue) -> None:
    assert queue.release_lease("one")


def test_a_message_for_a_released_lease_does_not_block_it(table: Any) -> None:
    first = DynamoDbQueue(client=table, table=TABLE, region=REGION)
    released: list[bool] = []

    def release_before_the_mark(request: dict[str, Any]) -> None:
        if ":yes" in request["ExpressionAttributeValues"]:
            released.append(first.release_lease("one"))

    late = DynamoDbQueue(
        client=Between(table, update_item=release_before_the_mark),  # type: ignore[arg-type]
        table=TABLE,
        region=REGION,
    )
    assert first.take_lease("one", NOW, 60)
    assert not late.take_lease("two", NOW, 60)
    assert released == [True]
    assert first.take_lease("three", NOW, 60)


def test_the_lease_knows_since_when_the_queue_remembers(queue: CopyQueue) -> None:
    assert queue.take_lease("one", NOW, 60) == NOW
    assert queue.release_lease("one")
    assert queue.take_lease("two", NOW + timedelta(days=40), 60) == NOW
    assert queue.take_lease("three", NOW + timedelta(days=80), 60) == NOW


def test_the_lease_of_an_earlier_version_is_taken_and_given_back(table: Any) -> None:
    """Earlier versions wrote no first moment, and deleted the item on release."""
    queue = DynamoDbQueue(client=table, table=TABLE, region=REGION)
    held = {"holder": {"S": "former"}, "expires_at": {"S": format_time(NOW)}, "again": {"BOOL": False}}
    table.put_item(TableName=TABLE, Item={"pk": {"S": LEASE}} | held)
    assert not queue.take_lease("one", NOW, 60)
    later = NOW + timedelta(seconds=1)
    assert queue.take_lease("one", later, 60) == later
    assert queue.release_lease("one")


def test_the_lease_is_no_entry(queue: CopyQueue) -> None:
    queue.take_lease("one", NOW, 60)
    assert queue.most_urgent(9) == []
    assert all(not list(queue.in_state(state)) for state in EntryState)


def test_the_table_never_expires_the_lease(table: Any) -> None:
    DynamoDbQueue(client=table, table=TABLE, region=REGION).take_lease("one", NOW, 60)
    assert "expires_at_epoch" not in table.get_item(TableName=TABLE, Key={"pk": {"S": LEASE}})["Item"]
