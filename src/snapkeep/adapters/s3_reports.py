"""Reports in an S3 bucket."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, translated
from snapkeep.domain.errors import ReportNotFound
from snapkeep.usecases.sweep.report_names import REPORTS

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
        return self.location(name)

    def location(self, name: str) -> str:
        """Return where a report is kept."""
        return f"s3://{self._bucket}/{name}"

    def get(self, name: str) -> str:
        """Return what was kept. Raise ReportNotFound if there is nothing."""
        with translated(f"get_object {name}"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read().decode()
            except ClientError as error:
                # Only absence has its own error: a denied read must not pass for a report that was never made.
                if code_of(error) in ("NoSuchKey", "404"):
                    raise ReportNotFound(f"there is no {self.location(name)}") from error
                raise

    def names_since(self, day: date, prefix: str = REPORTS) -> list[str]:
        """Return the names of the reports of sweeps (JSON), or of what has another prefix, from a day on, the oldest first."""
        pages = self._client.get_paginator("list_objects_v2")
        with translated(f"list_objects_v2 {prefix}"):
            found = pages.paginate(Bucket=self._bucket, Prefix=prefix, StartAfter=f"{prefix}{day:%Y/%m/%d}")
            return [name for page in found for item in page.get("Contents", ()) if (name := item["Key"]).endswith(".json")]
