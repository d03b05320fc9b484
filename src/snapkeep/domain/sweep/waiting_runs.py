"""Runs of Protect that wait for a copy and would get no answer.

Pure; see `snapkeep.domain.sweep.findings`. A run waits with a task token. The entry of its copy carries the token and the run's
name; settling the entry answers the run. If the entry or the answer was lost, the run waits until its time-out and then fails,
although its copy may have completed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.model import NEVER, Lineage, SnapshotInRegion
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import CopyWait, Finding, FindingKind, RejoinRepair
from snapkeep.domain.sweep.rotation import rotating_sample

VISIBLE_AFTER = timedelta(minutes=5)
"""The age from which runs and their waits are read: listings of executions and of the queue lag behind."""
ONE_SET = timedelta(minutes=1)
"""The time within which the snapshots of a multi-volume set begin; one run waits for all of their copies."""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """An execution of Protect that has not ended."""

    id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class RunsToRead:
    """The runs whose history a sweep reads, and the number of those left to later sweeps."""

    ids: tuple[str, ...]
    left: int


def runs_to_read(
    under_way: Iterable[OpenRun], queued: Collection[QueueEntry], missing: Iterable[datetime], now: datetime, most: int
) -> RunsToRead:
    """Return the runs whose history a sweep reads.

    `missing` are the starts of snapshots whose copy neither exists nor is queued. A run that an entry names will be answered,
    and is not read. A run that waits for several copies may have lost only one entry: if one is lost, the runs that began at
    the same time are read too, after the others.
    """
    answering = [entry for entry in queued if entry.is_open and entry.tokens]
    orphans = sorted({*missing, *(entry.request.origin.start_time for entry in queued if entry.is_open and not entry.tokens)})
    named = {run for entry in answering for run in entry.runs}
    related = {run for entry in answering if _is_near(entry.request.origin.start_time, orphans) for run in entry.runs}
    # A run that began a moment ago has not written its entry yet.
    old = sorted((run for run in under_way if run.started_at <= now - VISIBLE_AFTER), key=lambda run: (run.started_at, run.id))
    unnamed = [run for run in old if run.id not in named]
    siblings = [run for run in old if run.id in related]
    # Each history is one call: a sweep reads some of them, and the next sweeps read others.
    chosen = rotating_sample(unnamed, most, now)
    chosen += rotating_sample(siblings, most - len(chosen), now)
    return RunsToRead(tuple(run.id for run in chosen), len(unnamed) + len(siblings) - len(chosen))


def _is_near(moment: datetime, moments: Sequence[datetime]) -> bool:
    position = bisect_left(moments, moment - ONE_SET)
    return position < len(moments) and moments[position] <= moment + ONE_SET


def unanswered(
    waits: Iterable[CopyWait],
    queued: Mapping[SnapshotInRegion, QueueEntry],
    reachable: Collection[str],
    newest_copied: Mapping[tuple[Lineage, str], datetime],
    now: datetime,
) -> Iterator[Finding]:
    """Return the waiting runs that no entry would answer.

    `queued` has open and failed entries. Unreachable regions are left out.
    """
    for wait in waits:
        origin, region = wait.request.origin, wait.request.region
        entry = queued.get(wait.request.snapshot_in_region)
        if region not in reachable or wait.since > now - VISIBLE_AFTER or (entry is not None and wait.token in entry.tokens):
            continue
        text = f"waits for a copy to {region} since {wait.since:%Y-%m-%d %H:%M} UTC; {_why(entry)}"
        urgency = newest_copied.get((origin.lineage, region), NEVER)
        yield Finding(FindingKind.RUN_UNANSWERED, origin.snapshot_id, origin.volume_id, text, urgency, RejoinRepair(wait))


def _why(entry: QueueEntry | None) -> str:
    if entry is None:
        return "no entry of the queue would answer it"
    if entry.state is EntryState.FAILED:
        return "the copy failed for good, and the run got no answer"
    return "the copy's entry does not know of it"
