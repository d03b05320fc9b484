"""The rules' dead-letter queue: standard SQS, filled by EventBridge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import translated
from snapkeep.usecases.sweep_ports import DeadLetter

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Messages of one ReceiveMessage or DeleteMessageBatch (botocore: sqs)."""
EMPTY_RECEIVES = 3
"""SQS asks a subset of its servers: one empty answer does not mean an empty queue (SQS developer guide, short polling)."""
CAUSES = ("ERROR_CODE", "ERROR_MESSAGE")
"""Attributes that EventBridge gives a dead letter (EventBridge user guide, "Using dead-letter queues")."""


class SqsDeadLetters:
    """`DeadLetters` over an SQS client."""

    def __init__(self, *, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def receive(self, most: int) -> Iterator[DeadLetter]:
        """Return up to so many messages, each once."""
        empty = received = 0
        while empty < EMPTY_RECEIVES and received < most:
            with translated("receive_message from the dead-letter queue"):
                answer = self._client.receive_message(
                    QueueUrl=self._queue_url, MaxNumberOfMessages=min(BATCH, most - received), MessageAttributeNames=["All"]
                )
            messages = answer.get("Messages", [])
            empty = 0 if messages else empty + 1
            received += len(messages)
            for message in messages:
                attributes = message.get("MessageAttributes", {})
                causes = [attributes[name].get("StringValue", "") for name in CAUSES if name in attributes]
                yield DeadLetter(message.get("Body", ""), message.get("ReceiptHandle", ""), ": ".join(causes))

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete messages."""
        for first in range(0, len(letters), BATCH):
            entries = [{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(letters[first : first + BATCH])]
            with translated("delete_message_batch from the dead-letter queue"):
                self._client.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)  # type: ignore[arg-type]
