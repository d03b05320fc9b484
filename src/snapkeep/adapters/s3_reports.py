"""Reports in an S3 bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, translated
from snapkeep.domain.errors import ReportNotFound

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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
        """Return what was kept. Raise ReportNotFound if there is nothing."""
        with translated(f"get_object {name}"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read().decode()
            except ClientError as error:
                # Only absence has its own error: a denied read must not pass for a report that was never made.
                if code_of(error) in ("NoSuchKey", "404"):
                    raise ReportNotFound(f"there is no s3://{self._bucket}/{name}") from error
                raise
