"""The copies in a queue, with their progress and their expected completion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from statistics import fmean

from snapkeep.domain.copies.completion import ORDINARY, CopyWay
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.json_codec import named
from snapkeep.domain.model import Lineage, Snapshot, SnapshotState
from snapkeep.domain.records import dataclass


@dataclass(frozen=True, slots=True)
class QueuedCopy:
    """One copy in a queue, with its progress."""

    snapshot_id: str
    volume_id: str
    source_region: str = field(metadata=named("from"))
    region: str = field(metadata=named("to"))
    state: EntryState
    size_gib: int
    deadline: datetime
    attempts: int
    copy_id: str = ""
    progress_percent: int = 0
    cause: str = ""
    expected_at: datetime | None = None
    """The expected completion, by the pace of the running copies; None if it is not known."""
    late: bool = False
    way: CopyWay = ORDINARY

    @property
    def lineage(self) -> Lineage:
        """The source volume."""
        return Lineage(self.source_region, self.volume_id)

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at it."""
        return self.late or self.state is EntryState.FAILED


def queued_copies(entries: Sequence[QueueEntry], copies: Iterable[Snapshot], now: datetime, quota: int) -> list[QueuedCopy]:
    """Return a queue's entries with their progress and their expected completion.

    The time of a running copy derives from its own pace, that of a waiting one from the mean pace of the running copies:
    `quota` of them run at once, the earliest deadline first.
    """
    by_id = {copy.id: copy for copy in copies if copy.state is SnapshotState.PENDING}
    ends = {copy_id: _expected(copy, now) for copy_id, copy in by_id.items()}
    durations = [end - by_id[copy_id].start_time for copy_id, end in ends.items() if end is not None]
    mean_duration = timedelta(seconds=fmean(span.total_seconds() for span in durations)) if durations else None
    waiting = sorted((entry for entry in entries if entry.state is EntryState.WAITING), key=lambda entry: entry.request.deadline)
    place = {entry.key: number for number, entry in enumerate(waiting)}
    queue = []
    for entry in entries:
        copy = by_id.get(entry.copy_id)
        expected = ends.get(entry.copy_id)
        # `quota` copies run at once: a waiting one ends with its round.
        if entry.key in place and mean_duration is not None:
            expected = now + mean_duration * (place[entry.key] // max(quota, 1) + 1)
        request = entry.request
        queue.append(
            QueuedCopy(
                snapshot_id=request.origin.snapshot_id,
                volume_id=request.origin.volume_id,
                source_region=request.origin.region,
                region=request.region,
                state=entry.state,
                size_gib=request.size_gib,
                deadline=request.deadline,
                attempts=entry.attempts,
                copy_id=entry.copy_id,
                progress_percent=copy.progress_percent if copy else 0,
                cause=entry.cause,
                expected_at=expected,
                late=entry.state is not EntryState.FAILED and now > request.deadline,
                way=entry.way,
            )
        )
    return queue


def _expected(copy: Snapshot, now: datetime) -> datetime | None:
    if not 0 < copy.progress_percent < 100:  # noqa: PLR2004 - per cent
        return None
    return copy.start_time + (now - copy.start_time) * 100 / copy.progress_percent
