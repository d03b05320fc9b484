"""Put a requested copy into its DR region's queue, once for any number of requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import AwsThrottled, AwsUnavailable, CopyFailed, EntryChanged, EntryNotFound, SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.usecases.copies.settle import describe, success_output
from snapkeep.usecases.ports import Clock, CopyQueue, CopyResultStatus, TaskTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueCopy:
    """Puts copies into the queue, for Protect (with a task token) and for sweeps (without)."""

    queue_of: Callable[[str], CopyQueue]
    task_tokens: TaskTokens
    clock: Clock

    def run_all(self, requests: Iterable[CopyRequest], run: str) -> list[QueueEntry]:
        """Put copies into the queue at once, without tokens: an execution waits for a few copies of a large set at a time.

        Return their entries. A failing region does not prevent copies in other queues. Its error is raised at the end, a
        temporary one before a permanent one.
        """
        entries, errors = [], dict[str, SnapkeepError]()
        for request in requests:
            if request.region not in errors:
                try:
                    entries.append(self.run(request, "", run))
                except SnapkeepError as error:
                    errors[request.region] = error
        if errors:
            raise min(errors.values(), key=lambda error: not isinstance(error, (AwsThrottled, AwsUnavailable)))
        return entries

    def run(self, request: CopyRequest, token: str, run: str = "") -> QueueEntry:
        """Return the entry of a requested copy, which the execution's token joins.

        A completed copy is answered at once, and so is a copy that failed for good after this execution requested it.
        """
        queue = self.queue_of(request.region)
        now = self.clock.now()
        # The insertion is first: exactly one of two concurrent executions makes the entry, and the other one joins it.
        fresh = QueueEntry.requested(request, now, token, run)
        while True:
            try:
                return queue.insert(fresh)
            except EntryChanged:
                entry = queue.get(fresh.key)
            if entry.state is EntryState.DONE:
                if token:
                    answer = success_output(entry.request, entry.copy_id, now, CopyResultStatus.COPIED_EARLIER)
                    self.task_tokens.send_success(request.origin.region, token, answer)
                return entry
            if entry.state is EntryState.FAILED and run and entry.requester == run:
                if token:
                    cause = f"{describe(entry.request)}: {entry.cause}"
                    self.task_tokens.send_failure(request.origin.region, token, CopyFailed.__name__, cause)
                return entry
            # A copy that failed for good is requested again, under the current rule.
            current = entry.restarted(request, now, run) if entry.state is EntryState.FAILED else entry
            after = current.joined(token, run)
            # A repeated request changes nothing, and writes nothing (INV-11).
            if after == entry:
                return entry
            try:
                return queue.write(after)
            except EntryChanged:
                continue


def find_entry(queue: CopyQueue, key: str) -> QueueEntry | None:
    """Return the entry with a key; None if there is none."""
    try:
        return queue.get(key)
    except EntryNotFound:
        return None


def write_or_retry(queue: CopyQueue, entry: QueueEntry) -> None:
    """Write an entry that was read. Raise AwsUnavailable if it changed meanwhile: the state machine repeats the step."""
    try:
        queue.write(entry)
    except EntryChanged as error:
        raise AwsUnavailable(f"the queue's entry {entry.key} changed since it was read; retry") from error
