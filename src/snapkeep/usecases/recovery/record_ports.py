"""The ports of recovery records, and the documents in the bucket of a DR region."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from snapkeep.domain.errors import DocumentNotFound
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.model import Volume
    from snapkeep.domain.recovery.record import RecoveryRecord


Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Observation:
    """Volumes as they are now, and the records of what they belong to, by the owner's id."""

    volumes: Mapping[str, Volume]
    records: Mapping[str, RecoveryRecord]

    def record_of(self, volume: Volume | None) -> RecoveryRecord | None:
        """Return the record that a volume is in; None for a volume that is deleted."""
        return self.records.get(next(iter(volume.instance_ids), volume.id)) if volume else None


class RecordReader(Protocol):
    """Reads what recovery records hold, in one region."""

    def observe(self, volume_ids: Collection[str]) -> Observation:
        """Return the volumes that exist and their records, without what `complete` adds."""

    def complete(self, record: RecoveryRecord, *, user_data: bool) -> RecoveryRecord:
        """Return an instance's record with what costs more calls. Raise AwsRefused, AwsThrottled or AwsUnavailable."""


class Document(NamedTuple):
    """A text in the bucket, and the version of it that was read."""

    text: str
    version: str


LISTED = 1000
"""The most keys in one answer of S3 (S3 API reference: ListObjectsV2)."""


class Documents(Protocol):
    """Small documents in the bucket of a DR region; a write says which version it replaces."""

    def get(self, key: str) -> Document:
        """Return a document. Raise DocumentNotFound."""

    def put(self, key: str, text: str, version: str = "") -> str:
        """Write a document over the version that was read, or a new one; return its version. Raise DocumentChanged."""

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""

    def first_keys(self, prefix: str) -> list[str]:
        """Return the first `LISTED` keys that begin with a prefix, in order: all, if they are fewer."""


def read_version(documents: Documents, kind: type[Record], key: str) -> tuple[Record | None, str]:
    """Return what a document holds, and its version; None where there is none, or one of another version of Snapkeep."""
    try:
        document = documents.get(key)
    except DocumentNotFound:
        return None, ""
    try:
        return from_text(kind, document.text), document.version
    except ValueError:
        return None, document.version
