"""Find the runs of Protect that would get no answer, and give their tokens back to the entries of their copies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import field
from datetime import datetime

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.errors import CopyFailed, SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.findings import CopyWait, Finding, FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.domain.sweep.waiting_runs import runs_to_read
from snapkeep.domain.tag_names import MANAGED
from snapkeep.usecases.copies.enqueue import EnqueueCopy, find_entry
from snapkeep.usecases.copies.settle import describe, success_output
from snapkeep.usecases.ports import CopyQueue, SnapshotReader
from snapkeep.usecases.sweep.ports import WaitingRuns


@dataclass(slots=True)
class RunsReading:
    """The runs that have not ended, as a sweep saw them."""

    waits: list[CopyWait] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    under_way: int = 0
    not_read: int = 0
    """The number of runs that may wait in vain and are read in a later sweep."""


def look_at_runs(
    runs: WaitingRuns, queued: Collection[QueueEntry], missing: Iterable[datetime], now: datetime, most: int
) -> RunsReading:
    """Return the waits of the runs to read (see `runs_to_read`). If they cannot be read, that is a finding."""
    seen = RunsReading()
    try:
        under_way = runs.under_way()
        seen.under_way = len(under_way)
        to_read = runs_to_read(under_way, queued, missing, now, most)
        seen.not_read = to_read.left + len(to_read.ids)
        for run in to_read.ids:
            seen.waits += runs.waits(run)
            seen.not_read -= 1
    except SnapkeepError as error:
        seen.findings.append(Finding(FindingKind.OUT_OF_REACH, "runs of Protect", "", str(error)))
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class RejoinRun:
    """Repeats the step of a waiting run with the run's own token, so that the run gets its answer."""

    queue_of: Callable[[str], CopyQueue]
    reader_of: Callable[[str], SnapshotReader]
    enqueue: EnqueueCopy

    def run(self, wait: CopyWait) -> Handling:
        """Give a wait's token back to the entry of its copy, or answer it. Return NOTED if this was done in between."""
        request, queue = wait.request, self.queue_of(wait.request.region)
        entry = find_entry(queue, entry_key(request.origin.region, request.origin.snapshot_id, request.region))
        # The run joined the entry after the queue was read: nothing is lost.
        if entry is not None and wait.token in entry.tokens:
            return Handling.NOTED
        if entry is None or entry.is_open:
            self.enqueue.run(request, wait.token, wait.run)
            return Handling.REPAIRED
        if entry.state is EntryState.FAILED:
            cause = f"{describe(entry.request)}: {entry.cause}"
            answered = self.enqueue.task_tokens.send_failure(request.origin.region, wait.token, CopyFailed.__name__, cause)
            return Handling.REPAIRED if answered else Handling.NOTED
        # Success releases the source for deletion, so the copy itself is looked at, not the entry alone.
        if copy_is_there(self.reader_of(request.region), entry):
            output = success_output(entry.request, entry.copy_id, self.enqueue.clock.now())
            answered = self.enqueue.task_tokens.send_success(request.origin.region, wait.token, output)
            return Handling.REPAIRED if answered else Handling.NOTED
        queue.write(entry.restarted(request, self.enqueue.clock.now()).joined(wait.token, wait.run))
        return Handling.REPAIRED


def copy_is_there(reader: SnapshotReader, entry: QueueEntry) -> bool:
    """Whether the copy of a done entry still exists, can be restored, and is not another system's."""
    copy = reader.snapshots([entry.copy_id]).get(entry.copy_id)
    if copy is None or not copy.completed or copy.unusable:
        return False
    ours = entry.request.tags.get(MANAGED)
    return copy.tags.get(MANAGED, ours) == ours
