"""DeleteMessageBatch answers with success although single messages failed: these are deleted again."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.adapters.sqs_messages import BATCH, SqsMessages
from snapkeep.domain.errors import AwsUnavailable


class Sqs:
    """Fails to delete some messages, so many times each."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.deleted: list[str] = []

    def delete_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803 - as boto3
        assert len(Entries) <= BATCH
        failed = []
        for entry in Entries:
            if self.failures.get(entry["ReceiptHandle"], 0):
                self.failures[entry["ReceiptHandle"]] -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.deleted.append(entry["ReceiptHandle"])
        return {"Successful": [], "Failed": failed}


def messages(sqs: Sqs) -> SqsMessages:
    return SqsMessages(client_of=lambda: sqs, queue_url="q", queue="the queue")  # type: ignore[arg-type]


def test_messages_that_were_not_deleted_are_deleted_again() -> None:
    """Their failure was ignored, and a digest was published twice."""
    receipts = [f"receipt_{number}" for number in range(25)]
    sqs = Sqs(receipt_3=1, receipt_17=1)
    messages(sqs).delete(receipts)
    assert sorted(sqs.deleted) == sorted(receipts)


def test_a_message_that_is_never_deleted_is_an_error() -> None:
    sqs = Sqs(receipt_3=2)
    with pytest.raises(AwsUnavailable, match="1 message could not be deleted from the queue"):
        messages(sqs).delete(["receipt_3", "receipt_4"])
    assert sqs.deleted == ["receipt_4"]
