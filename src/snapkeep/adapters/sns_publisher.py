"""Messages to one SNS topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBJECT_LIMIT = 99


class SnsPublisher:
    """`Publisher` over an SNS client."""

    def __init__(self, *, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, subject: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        """Publish a message; subscriptions can filter by its attributes (`{"outcome": ["PARTIAL", "FAILED"]}`).

        SNS accepts subjects of less than 100 ASCII characters (botocore: sns, PublishInput): a longer one is cut, and every
        other character becomes a question mark.
        """
        with translated(f"publish to {self._topic_arn}"):
            self._client.publish(
                TopicArn=self._topic_arn,
                Subject=subject[:SUBJECT_LIMIT].encode("ascii", "replace").decode(),
                Message=text,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()
                },
            )
