"""Texts in an S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import KnownErrors, pages, translated
from snapkeep.domain.errors import SnapkeepError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Bucket:
    """The base of all adapters of a bucket: an S3 client whose errors it translates into Snapkeep's."""

    def __init__(self, *, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def location(self, key: str) -> str:
        """Return the location of an object, such as `s3://bucket/key`."""
        return f"s3://{self._bucket}/{key}"

    def _read(self, key: str, absent: type[SnapkeepError]) -> tuple[str, Mapping[str, Any]]:
        """Return the text of an object, and S3's answer.

        Raise `absent` if there is none. Only absence has its own error: a denied read must not look like an object that was
        never written.
        """
        known = dict.fromkeys(("NoSuchKey", "404"), lambda _: absent(f"there is no {self.location(key)}"))
        with translated(f"get_object {key}", known):
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            return answer["Body"].read().decode(), answer

    def _write(
        self, key: str, text: str, content_type: str = "application/json", *, known: KnownErrors | None = None, **condition: Any
    ) -> Any:
        """Write an object; return S3's answer."""
        with translated(f"put_object {key}", known or {}):
            return self._client.put_object(
                Bucket=self._bucket, Key=key, Body=text.encode(), ContentType=content_type, **condition
            )

    def _keys(self, prefix: str, **query: Any) -> Iterator[str]:
        """Yield the keys that begin with a prefix, in order."""
        request = {"Bucket": self._bucket, "Prefix": prefix, **query}
        more = {"more": "NextContinuationToken", "sent_as": "ContinuationToken"}
        for page in pages(self._client, "list_objects_v2", request, f"list_objects_v2 {prefix}", **more):
            yield from (item["Key"] for item in page.get("Contents", ()))
