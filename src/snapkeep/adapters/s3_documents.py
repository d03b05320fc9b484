"""Documents of recovery in the S3 bucket of a DR region."""

from __future__ import annotations

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.s3_bucket import S3Bucket
from snapkeep.domain.errors import DocumentChanged, DocumentNotFound
from snapkeep.usecases.recovery.record_ports import LISTED, Document

_CHANGED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
"""The codes of a conditional write that failed, also because of a concurrent one (S3 user guide: conditional writes)."""


class S3Documents(S3Bucket):
    """`Documents` over an S3 client. The version of a document is its ETag."""

    def check(self) -> None:
        """Raise DocumentNotFound if there is no such bucket, or AwsRefused. The call needs s3:ListBucket (S3 API: HeadBucket)."""
        absent = dict.fromkeys(("NoSuchBucket", "404"), lambda _: DocumentNotFound(f"there is no such bucket: {self._bucket}"))
        with translated(f"head_bucket {self._bucket}", absent):
            self._client.head_bucket(Bucket=self._bucket)

    def get(self, key: str) -> Document:
        """Return a document. Raise DocumentNotFound. Without s3:ListBucket, S3 denies access to a missing document."""
        text, answer = self._read(key, DocumentNotFound)
        return Document(text, answer["ETag"])

    def put(self, key: str, text: str, version: str = "") -> str:
        """Write a document over a version, or a new one; return its version. Raise DocumentChanged."""
        lost = dict.fromkeys(_CHANGED, lambda _: DocumentChanged(f"{self.location(key)} was written meanwhile"))
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        return str(self._write(key, text, known=lost, **condition)["ETag"])

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        return list(self._keys(prefix))

    def first_keys(self, prefix: str) -> list[str]:
        """Return the first `LISTED` keys that begin with a prefix, in order, by one request."""
        with translated(f"list {prefix}"):
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=LISTED)
        return [item["Key"] for item in page.get("Contents", ())]
