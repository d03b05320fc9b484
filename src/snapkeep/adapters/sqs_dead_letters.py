"""The rules' dead-letter queue: standard SQS, filled by EventBridge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from snapkeep.adapters.sqs_messages import SqsMessages
from snapkeep.usecases.sweep.ports import DeadLetter

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

CAUSES = ("ERROR_CODE", "ERROR_MESSAGE")
"""Attributes that EventBridge gives a dead letter (EventBridge user guide, "Using dead-letter queues")."""


class SqsDeadLetters:
    """`DeadLetters` over an SQS client."""

    def __init__(self, *, client: SQSClient, queue_url: str) -> None:
        self._messages = SqsMessages(client_of=lambda: client, queue_url=queue_url, queue="the dead-letter queue")

    def receive(self, most: int) -> Iterator[DeadLetter]:
        """Return up to `most` messages, each once."""
        for message in self._messages.receive(most):
            attributes = message.get("MessageAttributes", {})
            causes = [attributes[name].get("StringValue", "") for name in CAUSES if name in attributes]
            yield DeadLetter(message["Body"], message["ReceiptHandle"], ": ".join(causes))

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete messages."""
        self._messages.delete([letter.receipt for letter in letters])
