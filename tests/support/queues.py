"""Queues for the contract suite: the table on an emulated DynamoDB, and the queue in memory; what they read is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from snapkeep.adapters.dynamodb_queue import BY_STATE, BY_VOLUME
from snapkeep.domain.copies.entry import QueueEntry
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.usecases.ports import CopyQueue

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REGION, TABLE = "us-east-2", "snapkeep-queue"


@dataclass
class Subject:
    """A queue, and the number of items that it has read."""

    queue: CopyQueue
    entries_read: Callable[[], int]


class CountingClient:
    """Forwards calls and counts the items that queries return."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.items = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def query(self, **request: Any) -> Any:
        answer = self._client.query(**request)
        self.items += answer["ScannedCount"]
        return answer


class Between:
    """Forwards calls; a hook before a call may record or change its request, or act otherwise."""

    def __init__(self, client: Any, **before: Callable[[dict[str, Any]], object]) -> None:
        self._client = client
        self._before = before

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            self._before.get(name, lambda _: None)(request)
            return getattr(self._client, name)(**request)

        return call


class CountingQueue(MemoryQueue):
    """Counts the entries that it returns."""

    items = 0

    def most_urgent(self, count: int) -> list[QueueEntry]:
        entries = super().most_urgent(count)
        self.items += len(entries)
        return entries

    def open_entries(self, volume_id: str) -> list[QueueEntry]:
        entries = super().open_entries(volume_id)
        self.items += len(entries)
        return entries


def make_table(client: Any) -> None:
    attributes = [("pk", "S"), ("state", "S"), ("due", "S"), ("volume_id", "S")]
    keys = {BY_STATE: ("state", "due"), BY_VOLUME: ("volume_id", "due")}
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in attributes],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": second, "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (first, second) in keys.items()
        ],
    )
