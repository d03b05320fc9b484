"""Items of another version in a queue are reported by name and stop nothing that can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
from snapkeep.adapters.sqs_notices import SqsNotices
from snapkeep.domain.errors import InvalidConfiguration


class Sqs:
    """Two messages, then none."""

    def __init__(self, *bodies: str) -> None:
        self.answers = [{"Messages": [{"Body": body, "ReceiptHandle": body[:5]} for body in bodies]}]

    def receive_message(self, **_: Any) -> dict[str, Any]:
        return self.answers.pop() if self.answers else {}


def notices(*bodies: str) -> SqsNotices:
    sqs: Any = Sqs(*bodies)
    return SqsNotices(client_of=lambda: sqs, queue_url="q")


GOOD = {"kind": "CopyFailed", "cause": "c", "subject": "s", "detail": "d", "region": "r", "at": "2026-11-23T00:00:00Z"}


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps({"kind": "CopyFailed", "cause": "c"}),
        json.dumps(GOOD | {"at": "soon"}),
        json.dumps(GOOD | {"at": "2026-11-23T00:00:00"}),
        json.dumps(GOOD | {"at": 5}),
        json.dumps(GOOD | {"cause": 5}),
        json.dumps(GOOD | {"cause": None}),
        json.dumps(GOOD | {"detail": ["d"]}),
    ],
)
def test_an_unreadable_notice_is_reported_beside_the_others(body: str) -> None:
    """One malformed notice, such as a time without its zone or a cause that is not a text, stopped every digest."""
    source = notices(body, json.dumps(GOOD))
    held = list(source.receive())
    assert [notice.notice.kind for notice in held] == ["NoticeUnreadable", "CopyFailed"]
    assert body in held[0].notice.cause


def test_a_notice_nested_too_deeply_is_reported_beside_the_others() -> None:
    source = notices("[" * 100_000, json.dumps(GOOD))
    assert [notice.notice.kind for notice in source.receive()] == ["NoticeUnreadable", "CopyFailed"]


class Table:
    """A table whose only item no version has written."""

    def __init__(self, entry: str) -> None:
        self.entry = entry

    def query(self, **_: Any) -> dict[str, Any]:
        return {"Items": [{"pk": {"S": "us-east-1#snap-1#us-east-2"}, "version": {"N": "1"}, "entry": {"S": self.entry}}]}


@pytest.mark.parametrize("entry", ["{}", "[]", "no JSON"])
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    queue = DynamoDbQueue(client=Table(entry), table="t", region="us-east-2")  # type: ignore[arg-type]
    with pytest.raises(InvalidConfiguration, match="us-east-1#snap-1#us-east-2"):
        queue.most_urgent(1)
