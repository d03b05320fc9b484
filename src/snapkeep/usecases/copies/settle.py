"""Settle a copy: check it against its request, answer the executions that wait for it, close its queue entry."""

from __future__ import annotations

from datetime import datetime

from snapkeep.domain.copies.check import faults_of_copy
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import CopyFailed, CopyWrong, EntryChanged
from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import Clock, CopyQueue, CopyResult, CopyResultStatus, Notice, TaskTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Answers the waiting executions first and then closes the entry, so that an interruption in between loses no answer."""

    queue: CopyQueue
    task_tokens: TaskTokens
    clock: Clock

    def settle(self, entry: QueueEntry, copy: Snapshot, *, full: bool = False) -> list[str]:
        """Settle an entry by its completed copy, good or wrong, and full or not. Return its faults; none if it is good."""
        faults = faults_of_copy(entry.request, copy)
        self._close(entry, copy.id, CopyWrong.__name__ if faults else "", "; ".join(faults), copy, full=full)
        return faults

    def give_up(self, entry: QueueEntry, cause: str) -> int:
        """Settle an entry whose copy failed for good. Return the number of executions that were answered."""
        return self._close(entry, entry.copy_id, CopyFailed.__name__, cause)

    def _close(
        self, entry: QueueEntry, copy_id: str, error: str, cause: str, copy: Snapshot | None = None, *, full: bool = False
    ) -> int:
        """Answer with the error, or with the good copy if there is none, and write the settled entry.

        A concurrent write may decide otherwise: a copy that arrived stays DONE, and a copy that was restarted continues.
        """
        seen, tried, answered = entry.state, set[str](), 0
        kms_key, seconds = (copy.kms_key_id, _seconds_of(copy)) if copy else ("", 0)
        while True:
            # Answers precede the write: Step Functions refuses a second answer, while a missing one blocks a run.
            for token in entry.tokens:
                if token not in tried:
                    tried.add(token)
                    answer = None if error else success_output(entry.request, copy_id, self.clock.now())
                    answered += self._answer(entry, token, answer, error, cause)
            try:
                settled = None if error else entry.done(copy_id, self.clock.now(), full=full, kms_key=kms_key, seconds=seconds)
                self.queue.write(settled or entry.failed(cause, copy_id))
            except EntryChanged:
                entry = self.queue.get(entry.key)
                # Another writer decided in between. Otherwise only an execution joined, and is answered in the next turn.
                if entry.state is EntryState.DONE or (error and entry.state is not seen):
                    return answered
                continue
            return answered

    def _answer(self, entry: QueueEntry, token: str, answer: CopyResult | None, error: str, cause: str) -> bool:
        region = entry.request.origin.region
        if answer is None:
            return self.task_tokens.send_failure(region, token, error, f"{describe(entry.request)}: {cause}")
        return self.task_tokens.send_success(region, token, answer)


def _seconds_of(copy: Snapshot) -> int:
    return round((copy.completed_at - copy.start_time).total_seconds()) if copy.completed_at else 0


def success_output(
    request: CopyRequest, copy_id: str, now: datetime, status: CopyResultStatus = CopyResultStatus.COPIED
) -> CopyResult:
    """Return the answer to an execution that waits for a checked copy."""
    origin = request.origin
    return CopyResult(status, origin.snapshot_id, request.region, origin.volume_id, copy_id, now)


def unusable_cause(copy: Snapshot) -> str:
    """Return the reason why a completed copy is not confirmed: its key cannot be used, or is not known. It counts nowhere."""
    text = copy.key_fault.text if copy.key_fault else ""
    return f"{copy.id} completed under {copy.kms_key_id}, and cannot be restored: {text}"


def describe(request: CopyRequest) -> str:
    """Return a requested copy in words."""
    shared = f", shared as {request.shared_id}," if request.shared_id else ""
    source = f"{request.origin.snapshot_id} ({request.origin.volume_id}){shared}"
    return f"copy of {source} from {request.copied[0]} to {request.region}"


def naming_keys(request: CopyRequest, cause: str) -> str:
    """Return EC2's message about a failed copy; if it is about a key, with the names of the possible keys.

    EC2's message is "Given key ID is not accessible" (EBS user guide, "Copy an Amazon EBS snapshot"), and names neither key.
    """
    if "key" not in cause.lower():
        return cause
    default = f"{request.region}'s default for EBS: the AWS managed key aws/ebs, unless the account chose another"
    source = f"the source's key {request.source_kms_key} and " if request.source_kms_key else ""
    return f"{cause}; Dispatch's role must be able to use {source}the copy's key, {request.kms_key or default}"


def copy_failed_notice(request: CopyRequest, cause: str, now: datetime) -> Notice:
    """Return the notice of a copy that failed for good while no execution waited for it."""
    return Notice(CopyFailed.__name__, cause, request.origin.snapshot_id, describe(request), request.region, now)


def copy_wrong_notice(entry: QueueEntry, cause: str, now: datetime) -> Notice:
    """Return the notice of a completed copy that differs from its request."""
    request = entry.request
    detail = f"{describe(request)}, {entry.copy_id}"
    return Notice(CopyWrong.__name__, cause, request.origin.snapshot_id, detail, request.region, now)
