"""Measure the change of a volume since its last snapshot, and store unusual changes. It only lists blocks, and reads no data."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from snapkeep.domain.errors import DocumentChanged, SnapkeepError
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery import blocks
from snapkeep.domain.recovery.changes import ChangeHistory, UnusualChange, most_usual, unusual
from snapkeep.usecases.recovery.ports import BlockReader
from snapkeep.usecases.recovery.record_ports import Documents, read_version

LIST_BLOCKS = 100_000
"""Indexes of one request to the reader: ten pages of ListChangedBlocks."""
UNUSUAL = "proofs/unusual/"
_TIME = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(rf"{UNUSUAL}([a-z0-9-]+)/(vol-\w+)/(snap-\w+)_(\d{{8}}T\d{{6}}Z)_(\d+)_(\d+)\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureChanges:
    """Lists the changes in a copy's source since the volume's previous snapshot, if both exist."""

    documents: Documents
    blocks_of: Callable[[str], BlockReader]
    """Returns the reader of a region."""

    def run(self, copy: Snapshot) -> UnusualChange | None:
        """Return the change of a copy's source if it is unusual, and keep it. Unreadable blocks raise no error."""
        try:
            return self._measure(copy)
        except SnapkeepError:  # the comparison of the copy matters more
            return None

    def _measure(self, copy: Snapshot) -> UnusualChange | None:
        source = copy.origin
        history, version = read_version(self.documents, ChangeHistory, _key_of_history(copy))  # begins again
        if history is None:
            self._keep(copy, ChangeHistory(source.snapshot_id, source.start_time), version)
            return None
        # A copy that is compared again, or that was made late, is not after the last one.
        if source.start_time <= history.start_time:
            return None
        changed = self._changed(history, copy)
        change: UnusualChange | None = None
        if changed is not None and unusual(history, changed, copy.size_gib):
            change = UnusualChange(source.region, source.volume_id, source.snapshot_id, source.start_time, changed, history.usual)
            # Before the history: after a failure in between, the next comparison of the copy finds the change again.
            keep_unusual(self.documents, change)
        self._keep(copy, history.after(source.snapshot_id, source.start_time, changed), version)
        return change

    def _changed(self, history: ChangeHistory, copy: Snapshot) -> int | None:
        """Return the number of changed blocks; for an unusual change, enough to show it. None if AWS does not compare the two."""
        enough = most_usual(history.changed, copy.size_gib)
        reader, changed, first, ended = self.blocks_of(copy.origin.region), 0, 0, False
        # A change that is unusual already is listed no further: each page is a paid request.
        while not ended and (enough is None or changed <= enough):
            try:
                listing = reader.changes(history.snapshot_id, copy.origin.snapshot_id, first, LIST_BLOCKS)
            except SnapkeepError:  # the snapshot before it is deleted, for example
                return None
            if not listing.related:
                return None
            changed, first, ended = changed + blocks.count(listing.extents), listing.until, listing.ended
        return changed

    def _keep(self, copy: Snapshot, history: ChangeHistory, version: str) -> None:
        with suppress(DocumentChanged):  # another copy of the volume is compared at the same moment
            self.documents.put(_key_of_history(copy), to_text(history), version)


def keep_unusual(documents: Documents, change: UnusualChange) -> None:
    """Store an unusual change, under a name with its content. A stored change stays unchanged."""
    with suppress(DocumentChanged):
        documents.put(_key_of(change), to_text(change))


def unusual_changes(documents: Documents) -> list[UnusualChange]:
    """Return the stored unusual changes. The names of the documents have their content: none is read."""
    return [change for key in documents.keys(UNUSUAL) if (change := _change_in(key)) is not None]


def _key_of_history(copy: Snapshot) -> str:
    return f"proofs/{copy.region}/{copy.origin.volume_id}/changes.json"


def _key_of(change: UnusualChange) -> str:
    numbers = f"{change.changed}_{change.usual}"
    return f"{UNUSUAL}{change.region}/{change.volume_id}/{change.snapshot_id}_{change.start_time:{_TIME}}_{numbers}.json"


def _change_in(key: str) -> UnusualChange | None:
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    start_time = datetime.strptime(match[4], _TIME).replace(tzinfo=UTC)
    return UnusualChange(match[1], match[2], match[3], start_time, int(match[5]), int(match[6]))
