"""The queue as a DynamoDB table in its DR region. Every write names the version that it read (optimistic locking)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import accepted, code_of, pages, translated
from snapkeep.domain.copies.completion import CopySpending
from snapkeep.domain.copies.entry import SETTLED, EntryState, QueueEntry
from snapkeep.domain.errors import EntryChanged, EntryNotFound, InvalidConfiguration
from snapkeep.domain.json_codec import from_json, to_json
from snapkeep.domain.tags import format_time, parse_time

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY_STATE, BY_VOLUME = "by-state", "by-volume"
LEASE = "lease#dispatch"
LEASE_KEY = {"pk": {"S": LEASE}}
FREE = "0"
"""The expiry of a free lease: before every time."""
NOT_DUE = "finished"
"""The start of a settled entry's sort key: it sorts after every time, so that open entries are read without settled ones."""
SETTLED_KEPT = timedelta(days=30)
SPENDING_KEPT = timedelta(days=62)
"""The retention from the beginning of a month: longer than the month."""
NOT_AS_READ = "ConditionalCheckFailedException"


class DynamoDbQueue:
    """`CopyQueue` over a DynamoDB client of the destination region.

    The indexes are eventually consistent: an entry read from one may have changed since, and writing it then raises
    EntryChanged.
    """

    def __init__(self, *, client: DynamoDBClient, table: str, region: str) -> None:
        self._client = client
        self._table = table
        self.region = region

    def insert(self, entry: QueueEntry) -> QueueEntry:
        """Insert a new entry. Return it with its version. Raise EntryChanged if one with its key exists."""
        return self._put(replace(entry, version=1), "attribute_not_exists(pk)", {})

    def write(self, entry: QueueEntry) -> QueueEntry:
        """Write an entry. Return it with its new version. Raise EntryChanged if it was written since it was read."""
        read = {":read": {"N": str(entry.version)}}
        return self._put(replace(entry, version=entry.version + 1), "version = :read", read)

    def get(self, key: str) -> QueueEntry:
        """Return the entry, read consistently. Raise EntryNotFound if there is none."""
        item = self._item_at({"pk": {"S": key}})
        if not item:
            raise EntryNotFound(f"{self._table} in {self.region} has no entry {key}")
        return _entry(item)

    def most_urgent(self, count: int) -> list[QueueEntry]:
        """Return up to `count` waiting entries, earliest latest start first."""
        return list(self._in_state(EntryState.WAITING, count))

    def due(self, now: datetime, count: int) -> list[QueueEntry]:
        """Return up to `count` delayed entries whose `not_before` has passed, the earliest first."""
        return list(self._in_state(EntryState.DELAYED, count, format_time(now)))

    def in_state(self, state: EntryState) -> Iterator[QueueEntry]:
        """Return all entries in a state, most urgent first."""
        return self._in_state(state)

    def recently_done(self, count: int) -> list[QueueEntry]:
        """Return up to `count` entries whose copies are done, those with the latest start (`due`) first."""
        return list(self._in_state(EntryState.DONE, count, last_first=True))

    def open_entries(self, volume_id: str) -> list[QueueEntry]:
        """Return the entries of a source volume whose copies wait or run, earliest due first."""
        condition = "volume_id = :volume AND due < :not_due"
        values = {":volume": {"S": volume_id}, ":not_due": {"S": NOT_DUE}}
        entries = self._query(BY_VOLUME, condition, values)
        return [entry for entry in entries if entry.is_open]  # earlier versions gave settled entries a time as their sort key

    def spending(self, policy: str, month: str) -> CopySpending:
        """Return the cost of a policy's time-based copies in a month, as `month_of` names it."""
        item = self._item_at(_spending_key(policy, month))
        return CopySpending(float(item["usd"]["N"]) if "usd" in item else 0.0, "exhausted" in item)

    def spend(self, policy: str, month: str, usd: float) -> None:
        """Add the cost of a time-based copy to a policy's month; a negative cost subtracts it."""
        values = {":usd": {"N": f"{usd:.6f}"}, ":end": {"N": _end_of_spending(month)}}
        with translated(f"update_item in {self._table} in {self.region}"):
            self._client.update_item(
                TableName=self._table,
                Key=_spending_key(policy, month),
                UpdateExpression="ADD usd :usd SET expires_at_epoch = :end",
                ExpressionAttributeValues=values,
            )

    def mark_exhausted(self, policy: str, month: str) -> bool:
        """Record that a policy's budget did not cover a copy of a month; return whether it is the first one."""
        return self._conditionally(
            "update_item",
            "attribute_not_exists(exhausted)",
            {":yes": {"BOOL": True}, ":end": {"N": _end_of_spending(month)}},
            Key=_spending_key(policy, month),
            UpdateExpression="SET exhausted = :yes, expires_at_epoch = :end",
        )

    def take_lease(self, holder: str, now: datetime, seconds: int) -> datetime | None:
        """Take the lease if it is free or has expired; return the time when it was first taken in this table.

        If another dispatcher holds it, ask it to continue, and return None.
        """
        moment, expires = format_time(now), format_time(now + timedelta(seconds=seconds))
        values: dict[str, Any] = {":me": {"S": holder}, ":until": {"S": expires}, ":no": {"BOOL": False}, ":now": {"S": moment}}
        taken = "SET holder = :me, expires_at = :until, again = :no, first_taken_at = if_not_exists(first_taken_at, :now)"
        with translated(f"update_item in {self._table} in {self.region}"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=LEASE_KEY,
                    UpdateExpression=taken,
                    ConditionExpression="attribute_not_exists(pk) OR expires_at < :now",
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if code_of(error) != NOT_AS_READ:
                    raise
            else:
                return parse_time(answer["Attributes"]["first_taken_at"]["S"])
        # The holder finds the mark when it releases the lease: no work is lost between its last look and its end.
        marks = {":yes": {"BOOL": True}, ":free": {"S": FREE}}
        self._conditionally("update_item", "expires_at > :free", marks, Key=LEASE_KEY, UpdateExpression="SET again = :yes")
        return None

    def release_lease(self, holder: str) -> bool:
        """Release the lease. If another dispatcher asked its holder to continue, keep it and return False."""
        values = {":me": {"S": holder}, ":no": {"BOOL": False}}
        # The lease must be held and unmarked: both conditions are in one request, or a mark in between would be lost.
        free, freed = values | {":free": {"S": FREE}}, "SET expires_at = :free REMOVE holder"
        if self._conditionally("update_item", "holder = :me AND again = :no", free, Key=LEASE_KEY, UpdateExpression=freed):
            return True
        return not self._conditionally("update_item", "holder = :me", values, Key=LEASE_KEY, UpdateExpression="SET again = :no")

    def _item_at(self, key: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an item; an empty one if there is none."""
        with translated(f"get_item of {self._table} in {self.region}"):
            # An eventually consistent read could miss the entry that another function has just written.
            return self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {})

    def _put(self, entry: QueueEntry, condition: str, values: Mapping[str, Any]) -> QueueEntry:
        if not self._conditionally("put_item", condition, values, Item=_item(entry)):
            raise EntryChanged(entry.key)
        return entry

    def _conditionally(self, operation: str, condition: str, values: Mapping[str, Any], **request: Any) -> bool:
        """Call an operation; return whether its condition held."""
        request |= {"TableName": self._table, "ConditionExpression": condition}
        if values:
            request["ExpressionAttributeValues"] = values
        doing = f"{operation} in {self._table} in {self.region}"
        return accepted(getattr(self._client, operation), doing, (NOT_AS_READ,), **request)

    def _in_state(self, state: EntryState, most: int = 0, until: str = "", *, last_first: bool = False) -> Iterator[QueueEntry]:
        """Yield the entries in a state: the first `most` of them, or only those due until a time, if given."""
        condition, values = "#state = :state", {":state": {"S": str(state)}}
        if until:
            condition, values = condition + " AND due <= :until", values | {":until": {"S": until}}
        limit = {"Limit": most} if most else {}
        names = {"#state": "state"}
        entries = self._query(
            BY_STATE, condition, values, ExpressionAttributeNames=names, ScanIndexForward=not last_first, **limit
        )
        return islice(entries, most or None)

    def _query(self, index: str, condition: str, values: Mapping[str, Any], **more: Any) -> Iterator[QueueEntry]:
        request = {"TableName": self._table, "IndexName": index, "KeyConditionExpression": condition, **more}
        request["ExpressionAttributeValues"] = dict(values)
        doing = f"query of {self._table} in {self.region}"
        for page in pages(self._client, "query", request, doing, more="LastEvaluatedKey", sent_as="ExclusiveStartKey"):
            yield from map(_entry, page.get("Items", []))


def _spending_key(policy: str, month: str) -> dict[str, Any]:
    return {"pk": {"S": f"spending#{policy}#{month}"}}


def _end_of_spending(month: str) -> str:
    return str(int((datetime.fromisoformat(f"{month}-01T00:00:00+00:00") + SPENDING_KEPT).timestamp()))


def _item(entry: QueueEntry) -> dict[str, Any]:
    settled = entry.state in SETTLED
    item: dict[str, Any] = {
        "pk": {"S": entry.key},
        "state": {"S": str(entry.state)},
        "due": {"S": f"{NOT_DUE} {format_time(entry.due)}" if settled else format_time(entry.due)},
        "volume_id": {"S": entry.request.origin.volume_id},
        "version": {"N": str(entry.version)},
        "entry": {"S": json.dumps(to_json(entry), separators=(",", ":"))},
    }
    if settled:
        item["expires_at_epoch"] = {"N": str(int((max(entry.not_before, entry.enqueued_at) + SETTLED_KEPT).timestamp()))}
    return item


def _entry(item: Mapping[str, Any]) -> QueueEntry:
    """Return the entry in an item. Raise InvalidConfiguration, naming the item, if this version cannot read it."""
    try:
        return replace(from_json(QueueEntry, json.loads(item["entry"]["S"])), version=int(item["version"]["N"]))
    except (KeyError, TypeError, ValueError) as error:
        key = item.get("pk", {}).get("S", "without a key")
        raise InvalidConfiguration(f"the queue's item {key} cannot be read ({error!r}); delete it: a sweep asks anew") from error
