"""Notices in an SQS queue, until the digest publishes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.sqs_messages import SqsMessages
from snapkeep.domain.json_codec import from_json, to_text
from snapkeep.domain.model import NEVER
from snapkeep.usecases.notify import HeldNotice
from snapkeep.usecases.ports import Notice, ProblemKind

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

CAUSE_KEPT = 4000
"""The most characters of a cause or a detail in a notice: a message holds 256 KiB (SQS developer guide: quotas)."""
MOST_AT_ONCE = 5000
"""The most notices that one digest reads."""


class SqsNotices:
    """`Notices` and `NoticeSource` over an SQS client."""

    def __init__(self, *, client_of: Callable[[], SQSClient], queue_url: str) -> None:
        """`client_of` returns the client: most calls of functions send no notice."""
        self._client_of = client_of
        self._queue_url = queue_url
        self._messages = SqsMessages(client_of=client_of, queue_url=queue_url, queue="the notices' queue")

    def add(self, notice: Notice) -> None:
        """Add one notice to the next digest."""
        # A message holds 256 KiB, and a cause may be a whole stack trace.
        kept = replace(notice, cause=notice.cause[:CAUSE_KEPT], detail=notice.detail[:CAUSE_KEPT])
        with translated("send_message to the notices' queue"):
            self._client_of().send_message(QueueUrl=self._queue_url, MessageBody=to_text(kept))

    def receive(self) -> Iterator[HeldNotice]:
        """Return the held notices, each once; those that are not deleted are received again after the visibility time-out."""
        for message in self._messages.receive(MOST_AT_ONCE):
            yield HeldNotice(_notice(message["Body"]), message["ReceiptHandle"])

    def delete(self, held: Sequence[HeldNotice]) -> None:
        """Delete published notices."""
        self._messages.delete([notice.receipt for notice in held])


def _notice(body: str) -> Notice:
    """Return the notice in a message. An unreadable one becomes a notice itself, so that it does not stop the others."""
    try:
        return from_json(Notice, json.loads(body))
    except (ValueError, RecursionError) as error:  # the JSON is nested too deeply
        cause = f"a notice cannot be read ({error!r}): {body}"[:CAUSE_KEPT]
        return Notice(ProblemKind.NOTICE_UNREADABLE, cause, "a notice", "from the notices' queue", "unknown", NEVER)
