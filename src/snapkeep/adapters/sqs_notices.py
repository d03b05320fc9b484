"""Notices in an SQS queue, until the digest publishes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.ledger import format_time, parse_time
from snapkeep.usecases.notify import HeldNotice, Message
from snapkeep.usecases.ports import Notice

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Messages of one ReceiveMessage or DeleteMessageBatch (botocore: sqs)."""
EMPTY_RECEIVES = 3
"""SQS asks a subset of its servers: one empty answer does not mean an empty queue (SQS developer guide, short polling)."""
CAUSE_KEPT = 4000
MOST_AT_ONCE = 5000
NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class SqsNotices:
    """`Notices` and `NoticeSource` over an SQS client."""

    def __init__(self, *, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def add(self, notice: Notice) -> None:
        """Keep one notice for the next digest."""
        body = {
            "kind": notice.kind,
            "cause": notice.cause[:CAUSE_KEPT],
            "subject": notice.subject,
            "detail": notice.detail[:CAUSE_KEPT],
            "region": notice.region,
            "at": format_time(notice.at),
            "execution": notice.execution,
        }
        with translated("send_message to the notices' queue"):
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(body))

    def receive(self) -> Iterator[HeldNotice]:
        """Return what is there, each once; what is not deleted comes back after the queue's visibility time-out."""
        empty = received = 0
        while empty < EMPTY_RECEIVES and received < MOST_AT_ONCE:
            with translated("receive_message from the notices' queue"):
                answer = self._client.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=BATCH)
            messages = answer.get("Messages", [])
            empty = 0 if messages else empty + 1
            received += len(messages)
            for message in messages:
                yield HeldNotice(_notice(message["Body"]), message["ReceiptHandle"])

    def delete(self, held: Sequence[HeldNotice]) -> None:
        """Delete what was published."""
        for first in range(0, len(held), BATCH):
            entries = [{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(held[first : first + BATCH])]
            with translated("delete_message_batch from the notices' queue"):
                self._client.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)  # type: ignore[arg-type]


class SnsPublisher:
    """`Publisher` over an SNS client."""

    def __init__(self, *, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, message: Message) -> None:
        """Publish one message."""
        with translated("publish"):
            self._client.publish(TopicArn=self._topic_arn, Subject=message.subject, Message=message.text)


def _notice(body: str) -> Notice:
    """The notice in a message. One that cannot be read, of another version say, is told as it is: it must not stop the rest."""
    try:
        data = json.loads(body)
        return Notice(**{**data, "at": parse_time(data["at"])})
    except (KeyError, TypeError, ValueError) as error:
        cause = f"a notice cannot be read ({error!r}): {body}"[:CAUSE_KEPT]
        return Notice("NoticeUnreadable", cause, "a notice", "from the notices' queue", "unknown", NEVER)
