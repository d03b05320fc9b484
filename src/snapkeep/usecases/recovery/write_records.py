"""Write the recovery records of the snapshots that Protect handles into each DR region."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

from snapkeep.domain.errors import DocumentChanged, SnapkeepError
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.record import SHORT_HASH, NewestRecord, RecoveryRecord, content_hash, newest_key
from snapkeep.usecases.ports import Clock
from snapkeep.usecases.recovery.record_ports import Documents, Observation, RecordReader, read_version

READ_AGAIN_AFTER = timedelta(days=7)
"""A security group's rules and an instance's attributes change without a change of the instance's description.

To read them takes four to seven calls for each instance: every day that would be more than the rest of a daily snapshot's calls.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRecords:
    """Observes volumes, and writes records after changes."""

    reader: RecordReader
    documents_of: Callable[[str], Documents]
    """The documents of a DR region."""
    clock: Clock

    def observe(self, volume_ids: Collection[str]) -> RecordWriter:
        """Return what writes the records of these volumes. Raise AwsThrottled, AwsUnavailable or AwsRefused."""
        return RecordWriter(self, self.reader.observe(volume_ids) if volume_ids else Observation({}, {}))


class WrittenRecord(NamedTuple):
    """A record's short hash, empty unless all regions have the record; and why regions lack it, by region."""

    short_hash: str
    problems: dict[str, SnapkeepError]


class RecordWriter:
    """Writes the records of one event's volumes: each record once, and no second try where a region did not answer."""

    def __init__(self, records: WriteRecords, observation: Observation) -> None:
        self.observation = observation
        self._records = records
        self._written: dict[tuple[str, tuple[str, ...], bool], WrittenRecord] = {}
        self._failed: dict[str, SnapkeepError] = {}

    def write(self, record: RecoveryRecord, regions: Sequence[str], *, user_data: bool) -> WrittenRecord:
        """Write a record to DR regions.

        EC2 is asked for the rest of the record only where its description changed, or was read a week ago.
        """
        key = record.owner, tuple(regions), user_data
        if key not in self._written:
            self._written[key] = self._write(record, regions, user_data=user_data)
        return self._written[key]

    def _write(self, record: RecoveryRecord, regions: Sequence[str], *, user_data: bool) -> WrittenRecord:
        now = self._records.clock.now()
        description = content_hash([record, user_data])
        complete: RecoveryRecord | None = None
        sha256 = ""
        problems: dict[str, SnapkeepError] = {}
        for region in regions:
            try:
                # One look is enough for all records of the event: each takes as long as a client waits.
                if region in self._failed:
                    raise self._failed[region]
                documents = self._records.documents_of(region)
                newest, version = read_version(documents, NewestRecord, newest_key(record.owner))
                current = newest and newest.description == description and now - newest.read_at < READ_AGAIN_AFTER
                if newest and current and sha256 in ("", newest.sha256):
                    sha256 = newest.sha256
                    continue
                complete = complete or replace(self._records.reader.complete(record, user_data=user_data), observed_at=now)
                with suppress(DocumentChanged):  # these settings were observed before
                    documents.put(complete.key, to_text(complete))
                with suppress(DocumentChanged):  # another run wrote as much
                    documents.put(newest_key(record.owner), to_text(NewestRecord(description, complete.sha256, now)), version)
                sha256 = complete.sha256
            except SnapkeepError as error:
                problems[region] = self._failed[region] = error
        return WrittenRecord("" if problems else sha256[:SHORT_HASH], problems)
