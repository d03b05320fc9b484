"""Settle a copy: check it against what was asked for, answer the executions that wait for it, close its queue entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from snapkeep.domain import tags as ledger
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import CopyFailed, CopyWrong
from snapkeep.domain.model import Snapshot
from snapkeep.usecases.ports import Clock, CopyQueue, EntryChanged, Notice, TaskTokens


def faults_of_copy(request: CopyRequest, copy: Snapshot) -> list[str]:
    """Given what was asked for and a completed copy, return what is wrong with it, in words; nothing when all is right."""
    faults = []
    if copy.size_gib != request.size_gib:
        faults.append(f"its size is {copy.size_gib} GiB, its source's {request.size_gib} GiB")
    if request.encrypted and not copy.encrypted:
        faults.append("it is not encrypted, and was to be")
    if request.kms_key and not _is_alias(request.kms_key) and not copy.kms_key_id.endswith(request.kms_key):
        faults.append(f"it is encrypted with {copy.kms_key_id or 'no key'}, and was to be with {request.kms_key}")
    return faults


def _is_alias(key: str) -> bool:
    """Whether a key is given by alias (`alias/dr`, or the alias's ARN): a snapshot names its key, never the alias."""
    return key.startswith("alias/") or ":alias/" in key


def missing_tags(request: CopyRequest, copy: Snapshot) -> dict[str, str]:
    """Given what was asked for and the copy, return the tags that it lacks or that differ."""
    return {key: value for key, value in request.tags.items() if copy.tags.get(key) != value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Answers the waiting executions first and closes the entry after, so that a stop between the two loses no answer."""

    queue: CopyQueue
    task_tokens: TaskTokens
    clock: Clock

    def settle(self, entry: QueueEntry, copy: Snapshot) -> list[str]:
        """Given an entry and its completed copy, return the copy's faults (none: it is good). Either way it is answered."""
        faults = faults_of_copy(entry.request, copy)
        if faults:
            self._close(entry, EntryState.FAILED, copy.id, "; ".join(faults), CopyWrong.__name__)
        else:
            self._close(entry, EntryState.DONE, copy.id, "", "")
        return faults

    def give_up(self, entry: QueueEntry, cause: str) -> int:
        """Given an entry that fails for good and why, tell all who wait. Return how many did."""
        return self._close(entry, EntryState.FAILED, entry.copy_id, cause, CopyFailed.__name__)

    def _close(self, entry: QueueEntry, state: EntryState, copy_id: str, cause: str, error: str) -> int:
        """Whoever wrote the entry meanwhile may have decided: a copy that arrived stays DONE, one under way again goes on."""
        seen, told, answered = entry.state, set[str](), 0
        while True:
            for token in entry.tokens:
                if token not in told:
                    told.add(token)
                    answered += self._answer(entry, token, copy_id, cause, error)
            try:
                self.queue.write(replace(entry, state=state, copy_id=copy_id, cause=cause, tokens=(), runs=()))
            except EntryChanged:
                entry = self.queue.get(entry.key)
                if entry.state is EntryState.DONE or (state is EntryState.FAILED and entry.state is not seen):
                    return answered
                continue
            return answered

    def _answer(self, entry: QueueEntry, token: str, copy_id: str, cause: str, error: str) -> bool:
        region = entry.request.origin.region
        if error:
            return self.task_tokens.fail(region, token, error, f"{describe(entry.request)}: {cause}")
        return self.task_tokens.succeed(region, token, success_output(entry.request, copy_id, self.clock.now()))


def success_output(request: CopyRequest, copy_id: str, now: datetime) -> Mapping[str, object]:
    """Given a copy that is there and was checked, return what the waiting execution is answered."""
    return {
        "status": "COPIED",
        "snapshot_id": request.origin.snapshot_id,
        "volume_id": request.origin.volume_id,
        "region": request.region,
        "copy_id": copy_id,
        "confirmed_at": ledger.format_time(now),
    }


def describe(request: CopyRequest) -> str:
    """Given a copy that was asked for, return it in words."""
    return f"copy of {request.origin.snapshot_id} ({request.origin.volume_id}) from {request.origin.region} to {request.region}"


def naming_keys(request: CopyRequest, cause: str) -> str:
    """Given a copy that was asked for and EC2's message, return the message, with the keys in question if it is about one.

    EC2 says "Given key ID is not accessible" (EBS user guide, "Copy an Amazon EBS snapshot"), and not which of the two.
    """
    if "key" not in cause.lower():
        return cause
    default = f"{request.region}'s default for EBS: the AWS managed key aws/ebs, unless the account chose another"
    source = f"the source's key {request.source_kms_key} and " if request.source_kms_key else ""
    return f"{cause}; Dispatch's role must be able to use {source}the copy's key, {request.kms_key or default}"


def copy_failed_notice(request: CopyRequest, cause: str, now: datetime) -> Notice:
    """Given a copy that failed for good while no execution waited for it, return what somebody should be told."""
    return Notice(CopyFailed.__name__, cause, request.origin.snapshot_id, describe(request), request.region, now)
