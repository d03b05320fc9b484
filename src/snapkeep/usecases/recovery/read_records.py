"""Read the recovery records that points name."""

from __future__ import annotations

from collections.abc import Iterable

from snapkeep.domain.errors import DocumentNotFound, SnapkeepError
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.record import NewestRecord, RecoveryRecord, folder_of, hash_of_text, newest_key
from snapkeep.domain.tag_names import INSTANCE, RECORD
from snapkeep.usecases.recovery.record_ports import Documents


def records_of(documents: Documents | None, points: Iterable[Snapshot]) -> tuple[dict[str, RecoveryRecord], list[str]]:
    """Return the records by point, and remarks about those that are not the point's own or cannot be read."""
    if documents is None:
        return {}, ["the recovery records cannot be reached"]
    records, remarks = {}, []
    for point in points:
        try:
            record, remark = _record(documents, point)
        except (SnapkeepError, ValueError) as error:
            remarks.append(f"{point.origin.volume_id}: its recovery record cannot be read: {error}")
            continue
        records[point.id] = record
        if remark:
            remarks.append(f"{point.origin.volume_id}: {remark}; the newest one is taken")
    return records, remarks


def _record(documents: Documents, point: Snapshot) -> tuple[RecoveryRecord, str]:
    """Return the record that a point names, or else the newest one of its owner and why. Raise DocumentNotFound."""
    owner = point.tags.get(INSTANCE, point.origin.volume_id)
    short_hash = point.tags.get(RECORD, "")
    named = documents.keys(f"{folder_of(owner)}{short_hash}") if short_hash else []
    if named:
        return read_record(documents, owner, named[0]), ""
    remark = "the record that its point names is not in the bucket" if short_hash else "its point names no record"
    return newest_record(documents, owner), remark


def read_record(documents: Documents, owner: str, key: str) -> RecoveryRecord:
    """Return the record under a key. Raise DocumentNotFound where its name is not the hash of its content."""
    text = documents.get(key).text
    if f"{folder_of(owner)}{hash_of_text(text)}.json" != key:
        raise DocumentNotFound(f"{key} was changed: its name is not the hash of its content")
    return from_text(RecoveryRecord, text)


def newest_record(documents: Documents, owner: str) -> RecoveryRecord:
    """Return the newest record of an instance or a volume. Raise DocumentNotFound or ValueError."""
    newest = from_text(NewestRecord, documents.get(newest_key(owner)).text)
    return read_record(documents, owner, f"{folder_of(owner)}{newest.sha256}.json")
