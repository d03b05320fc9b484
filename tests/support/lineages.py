"""Builders of one volume's snapshots in one region, for tests of retention."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.tag_names import MANAGED, POLICY

SYSTEM = "snapkeep"
REGION = "us-east-1"
VOLUME = "vol-0a"
LAST_COPY_AT = datetime(2027, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    """Return the aware time of ISO 8601; in UTC if it names no zone."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def snapshot(
    start: datetime | str,
    number: int = 0,
    *,
    state: SnapshotState = SnapshotState.COMPLETED,
    managed: bool = True,
    policy: str = "gold",
    volume: str = VOLUME,
    region: str = REGION,
) -> Snapshot:
    """Return a source snapshot by its start; its id is made of its number, or of its start."""
    moment = at(start) if isinstance(start, str) else start
    snapshot_id = f"snap-{number or int(moment.timestamp() * 1000):017x}"
    tags = {MANAGED: SYSTEM, POLICY: policy} if managed else {}
    return Snapshot(snapshot_id, region, state, moment, Origin(region, volume, snapshot_id, moment), 8, tags)


def copy_of(
    source: Snapshot, region: str, number: int, *, state: SnapshotState = SnapshotState.COMPLETED, managed: bool = True
) -> Snapshot:
    """Return a copy of a source snapshot in another region, made later than its source.

    The older the source, the later: the order of copies by their own time is the reverse.
    """
    tags = dict(source.tags) if managed else {}
    made_at = LAST_COPY_AT + (LAST_COPY_AT - source.start_time)
    return Snapshot(f"snap-c{number:016x}", region, state, made_at, source.origin, 8, tags, is_copy=True)


def lineage(starts: Iterable[datetime | str]) -> list[Snapshot]:
    """Return a snapshot for each start time, with ids in the same order."""
    return [snapshot(start, number) for number, start in enumerate(starts, start=1)]
