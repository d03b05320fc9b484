"""Documents of recovery in the S3 bucket of a DR region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, pages, translated
from snapkeep.domain.errors import DocumentChanged, DocumentNotFound
from snapkeep.usecases.recovery.record_ports import LISTED, Document

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
"""A conditional write that lost, also to one that ran at the same time (S3 user guide: conditional writes)."""


class S3Documents:
    """`Documents` over an S3 client. The version of a document is its ETag."""

    def __init__(self, *, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def check(self) -> None:
        """Raise DocumentNotFound where there is no such bucket, or AwsRefused. Needs s3:ListBucket (S3 API: HeadBucket)."""
        with translated(f"head_bucket {self._bucket}"):
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if code_of(error) in ("NoSuchBucket", "404"):
                    raise DocumentNotFound(f"there is no such bucket: {self._bucket}") from error
                raise

    def get(self, key: str) -> Document:
        """Return a document. Raise DocumentNotFound; needs s3:ListBucket, or S3 answers that access is denied."""
        with translated(f"get_object {key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    raise DocumentNotFound(f"there is no s3://{self._bucket}/{key}") from error
                raise
            return Document(answer["Body"].read().decode(), answer["ETag"])

    def put(self, key: str, text: str, version: str = "") -> str:
        """Write a document over a version, or a new one; return its version. Raise DocumentChanged."""
        with translated(f"put_object {key}"):
            try:
                if version:
                    answer = self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json", IfMatch=version
                    )
                else:
                    answer = self._client.put_object(
                        Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json", IfNoneMatch="*"
                    )
            except ClientError as error:
                if code_of(error) in _CHANGED:
                    raise DocumentChanged(f"s3://{self._bucket}/{key} was written meanwhile") from error
                raise
        return answer["ETag"]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        query = {"Bucket": self._bucket, "Prefix": prefix}
        listing = pages(
            self._client, "list_objects_v2", query, f"list {prefix}", more="NextContinuationToken", sent_as="ContinuationToken"
        )
        return [item["Key"] for page in listing for item in page.get("Contents", ())]

    def first_keys(self, prefix: str) -> list[str]:
        """Return the first `LISTED` keys that begin with a prefix, in order, by one request."""
        with translated(f"list {prefix}"):
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=LISTED)
        return [item["Key"] for item in page.get("Contents", ())]
