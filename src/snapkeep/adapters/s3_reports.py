"""Reports in a bucket, and on their way to the people who subscribed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient


class S3Reports:
    """`ReportStore` over an S3 client; the bucket encrypts by default."""

    def __init__(self, *, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, content: str, content_type: str) -> str:
        """Keep a report; return where it is."""
        with translated(f"put_object {name}"):
            self._client.put_object(Bucket=self._bucket, Key=name, Body=content.encode(), ContentType=content_type)
        return f"s3://{self._bucket}/{name}"

    def get(self, name: str) -> str:
        """Return what was kept. Raise KeyError if there is nothing."""
        with translated(f"get_object {name}"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read().decode()
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    raise KeyError(name) from error
                raise


class SnsReports:
    """`ReportTopic` over an SNS client."""

    def __init__(self, *, client: SNSClient, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, subject: str, text: str, outcome: str) -> None:
        """Publish one report; a subscription's filter policy can ask for an outcome (`{"outcome": ["PARTIAL", "FAILED"]}`)."""
        attributes = {"kind": {"DataType": "String", "StringValue": "sweep"}}
        attributes["outcome"] = {"DataType": "String", "StringValue": outcome}
        with translated("publish"):
            self._client.publish(
                TopicArn=self._topic_arn,
                Subject=subject.encode("ascii", "replace").decode(),
                Message=text,
                MessageAttributes=attributes,  # type: ignore[arg-type]
            )
