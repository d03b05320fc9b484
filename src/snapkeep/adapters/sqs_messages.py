"""Messages of one standard SQS queue: received until it is empty, deleted in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
"""Messages of one ReceiveMessage or DeleteMessageBatch (botocore: sqs)."""
EMPTY_RECEIVES = 3
"""Empty answers after which a queue counts as empty: SQS asks only a subset of its servers (SQS developer guide, short
polling)."""


class SqsMessages:
    """One queue over an SQS client; `queue` is its name in error messages."""

    def __init__(self, *, client_of: Callable[[], SQSClient], queue_url: str, queue: str) -> None:
        self._client_of = client_of
        self._queue_url = queue_url
        self._queue = queue

    def receive(self, most: int) -> Iterator[Any]:
        """Return up to `most` messages with their attributes, each once. Raise AwsThrottled, AwsUnavailable, AwsRefused."""
        empty = received = 0
        while empty < EMPTY_RECEIVES and received < most:
            with translated(f"receive_message from {self._queue}"):
                answer = self._client_of().receive_message(
                    QueueUrl=self._queue_url, MaxNumberOfMessages=min(BATCH, most - received), MessageAttributeNames=["All"]
                )
            messages = answer.get("Messages", [])
            # One empty answer proves nothing: short polling asks a subset of SQS's servers (SQS developer guide).
            empty = 0 if messages else empty + 1
            received += len(messages)
            yield from messages

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages by their receipts. Raise AwsThrottled, AwsUnavailable, AwsRefused.

        DeleteMessageBatch answers with success although single messages may fail (botocore: sqs); those are retried.
        """
        failed: list[str] = []
        for first in range(0, len(receipts), BATCH):
            failed += self._delete_batch(receipts[first : first + BATCH])
        for first in range(0, len(failed), BATCH):
            if again := self._delete_batch(failed[first : first + BATCH]):
                raise AwsUnavailable(
                    f"{counted(len(again), 'message')} could not be deleted from {self._queue}, and will come back"
                )

    def _delete_batch(self, receipts: Sequence[str]) -> list[str]:
        """Return the receipts of the messages that were not deleted."""
        batch: list[Any] = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
        with translated(f"delete_message_batch from {self._queue}"):
            answer = self._client_of().delete_message_batch(QueueUrl=self._queue_url, Entries=batch)
        return [receipts[int(entry["Id"])] for entry in answer.get("Failed", [])]
