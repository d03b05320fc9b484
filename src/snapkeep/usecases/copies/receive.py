"""Receive the end of a copy in this DR region: check a managed copy, and answer the executions that wait for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from snapkeep.domain.copies.check import as_marked, belongs_to, faults_of_copy, has_predecessor, is_older_than, missing_tags
from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.errors import (
    AwsRefused,
    AwsUnavailable,
    CopyFailed,
    CopyWrong,
    KeyNotUsable,
    SnapkeepError,
    SnapshotGone,
    TagsDoNotFit,
)
from snapkeep.domain.events import CopyEndEvent
from snapkeep.domain.model import Snapshot, SnapshotState
from snapkeep.domain.policy.model import PolicySet, VerifyRule
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.recovery.schedule import method_due
from snapkeep.domain.tag_names import CHECK, WRONG
from snapkeep.usecases.copies.enqueue import find_entry, write_or_retry
from snapkeep.usecases.copies.settle import Settlement, naming_keys, unusable_cause
from snapkeep.usecases.ports import Clock, CopyQueue, LockRequests, Problem, SnapshotReader, SnapshotTagger
from snapkeep.usecases.recovery.ports import Verifications

_UNDER_WAY = (EntryState.STARTING, EntryState.RUNNING)


class ReceiveOutcome(StrEnum):
    """Outcome of receiving a copy's end."""

    RECEIVED = "RECEIVED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"
    NOT_OURS = "NOT_OURS"


@dataclass(frozen=True, slots=True)
class ReceiveResult:
    """Result of receiving a copy: its outcome, the volumes whose copies retention plans now, and the failed copies to remove."""

    outcome: ReceiveOutcome
    why: str
    volume_ids: tuple[str, ...] = ()
    remove: tuple[Snapshot, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveCopy:
    """Handles the end of one copy. Running it again changes nothing (INV-11)."""

    system: str
    reader: SnapshotReader
    tagger: SnapshotTagger
    queue: CopyQueue
    settlement: Settlement
    retry_policy: RetryPolicy
    policies: Callable[[], PolicySet]
    verifications: Verifications | None
    """Starts comparisons; None in a vault, which cannot read the sources."""
    clock: Clock
    locks: LockRequests | None = None
    """Requests locks; None if nothing is locked."""

    def run(self, ended: CopyEndEvent) -> ReceiveResult:
        """Return the outcome of a copy that ended.

        Raise AwsUnavailable while EC2 does not show the end yet. The event is only a hint, because every principal that may
        start executions can forge it: EC2's own facts decide the copy's entry.
        """
        # The event's source is only a hint for the search: the copy's own description decides the entry.
        hinted_key = entry_key(ended.source_region, ended.source_snapshot_id, self.reader.region)
        hinted = find_entry(self.queue, hinted_key) if ended.source_region else None
        copies = self.reader.copies_of_volumes([hinted.request.origin.volume_id]) if hinted else []
        copy = next((listed for listed in copies if listed.id == ended.copy_id), None)
        if copy is None:
            copy = self.reader.snapshots([ended.copy_id]).get(ended.copy_id)
        if copy is None:
            return self._vanished(ended, hinted)
        key = entry_key(copy.origin.region, copy.origin.snapshot_id, self.reader.region)
        entry = hinted if hinted and hinted.key == key else find_entry(self.queue, key)
        copy = as_marked(entry, copy)
        recorded = entry is not None and entry.copy_id == copy.id
        if not (copy.managed_by(self.system) or recorded):
            return ReceiveResult(ReceiveOutcome.NOT_OURS, f"{copy.id} is not a managed copy of {self.system}")
        if hinted is None or hinted.request.origin.volume_id != copy.origin.volume_id:
            copies = self.reader.copies_of_volumes([copy.origin.volume_id])
        if copy.completed:
            return self._completed(copy, entry, copies, full=ended.full)
        # EC2's listing lags behind the event: the state machine retries.
        if copy.state is not SnapshotState.ERROR:
            raise AwsUnavailable(f"the event says that {copy.id} has ended; EC2 says it is {copy.state}")
        return self._failed(copy, entry, copy.state_message or ended.cause or "EC2 gave no cause")

    def _vanished(self, ended: CopyEndEvent, entry: QueueEntry | None) -> ReceiveResult:
        """Handle a deleted copy: a failed one that was removed, or a completed one that was deleted since."""
        if entry is None or entry.copy_id != ended.copy_id or entry.state is not EntryState.RUNNING:
            return ReceiveResult(ReceiveOutcome.NOT_OURS, f"{ended.copy_id} is deleted, and no entry waits for a copy of this id")
        cause = ended.cause or f"{ended.copy_id} was deleted before it could be checked"
        return self._again_or_give_up(entry, cause, remove=())

    def _completed(self, copy: Snapshot, entry: QueueEntry | None, copies: list[Snapshot], *, full: bool) -> ReceiveResult:
        faults: list[str] = []
        if entry is not None and belongs_to(entry, copy):
            copy = self._retagged(copy, entry)
            if entry.state is not EntryState.DONE:
                if copy.key_fault is not None:
                    return self._not_confirmed(entry, copy)
                faults = faults_of_copy(entry.request, copy)
                if faults:  # the copy is marked before the waiting runs get an answer: they plan retention at once
                    self._mark_wrong(copy, entry)
                self.settlement.settle(entry, copy, full=full and has_predecessor(copy, copies))
        elif entry is not None:
            faults = faults_of_copy(entry.request, copy)
            if faults:
                self._mark_wrong(copy, entry)
        if faults:  # no retention: a wrong copy must not lead to the deletion of a good one
            return _failure(CopyWrong, copy.id, "; ".join(faults))
        # The copy itself may be missing in a listing from before its completion.
        siblings = [listed for listed in copies if listed.id != copy.id and listed.origin.lineage == copy.origin.lineage]
        # A refusal of either becomes a problem, and does not prevent retention.
        problems = self._lock(copy) + self._verify(copy, siblings)
        volume_ids = (copy.origin.volume_id,)
        return ReceiveResult(ReceiveOutcome.RECEIVED, f"{copy.id} is good", volume_ids, problems=problems)

    def _lock(self, copy: Snapshot) -> tuple[Problem, ...]:
        """Request the lock of a copy that completed before a dispatcher found it pending. A failed request becomes a problem."""
        if self.locks is not None:
            try:
                self.locks.request([copy.id], self.policies().source.version)
            except SnapkeepError as error:
                return (Problem(type(error).__name__, copy.id, f"it may not be locked; the next sweep locks it: {error}"),)
        return ()

    def _verify(self, copy: Snapshot, siblings: list[Snapshot]) -> tuple[Problem, ...]:
        """Start the comparison of a copy with its source, under the rule of its policy. A refusal becomes a problem."""
        policy = self.policies().named(copy.policy)
        rule = policy.copy_rule(copy.region) if policy else None
        verify = rule.verify if rule else VerifyRule()
        method = method_due(verify, copy, siblings)
        if method is None or self.verifications is None:
            return ()
        try:
            self.verifications.start(copy.id, method, f"{copy.id}-arrived", month_usd=verify.month_usd)
        except AwsRefused as error:
            return (Problem(AwsRefused.__name__, copy.id, f"its comparison with its source was not started: {error}"),)
        return ()

    def _not_confirmed(self, entry: QueueEntry, copy: Snapshot) -> ReceiveResult:
        """Fail an entry whose copy cannot be restored.

        The entry does not name the copy, which is not wrong: its key may become usable.
        """
        cause = unusable_cause(copy)
        self.settlement.give_up(replace(entry, copy_id=""), cause)
        return _failure(KeyNotUsable, copy.id, cause)

    def _mark_wrong(self, copy: Snapshot, entry: QueueEntry) -> None:
        """Write the finding on the copy, where it outlives the queue entry; if this is refused, a sweep writes it."""
        if copy.tags.get(CHECK) == WRONG or is_older_than(entry, copy):
            return
        with suppress(AwsRefused, SnapshotGone, TagsDoNotFit):
            self.tagger.tag([copy.id], {CHECK: WRONG})

    def _retagged(self, copy: Snapshot, entry: QueueEntry) -> Snapshot:
        """Return the copy with its lost tags written again. The role may tag only managed copies; a sweep tags the others."""
        lost = missing_tags(entry.request, copy)
        if not lost:
            return copy
        try:
            self.tagger.tag([copy.id], lost)
        except SnapshotGone as error:
            raise AwsUnavailable(str(error)) from error
        except AwsRefused:
            # The role may not tag it; in this run's plan, the queue's facts about it count.
            return replace(copy, origin=entry.request.origin)
        return replace(copy, tags={**copy.tags, **lost}, origin=entry.request.origin)

    def _failed(self, copy: Snapshot, entry: QueueEntry | None, cause: str) -> ReceiveResult:
        """Handle a failed copy.

        A copy that failed for good is reported again: the run that settled it may have ended too early.
        """
        if entry is not None and entry.state is EntryState.FAILED and entry.copy_id == copy.id:
            return _failure(CopyFailed, entry.request.origin.snapshot_id, entry.cause, remove=(copy,))
        if entry is None or not belongs_to(entry, copy) or entry.state not in _UNDER_WAY:
            return ReceiveResult(ReceiveOutcome.RETRYING, f"{copy.id} failed, and no entry waits for it: {cause}", remove=(copy,))
        return self._again_or_give_up(entry, naming_keys(entry.request, cause), remove=(copy,))

    def _again_or_give_up(self, entry: QueueEntry, cause: str, remove: tuple[Snapshot, ...]) -> ReceiveResult:
        next_attempt_at = self.retry_policy.next_attempt_at(entry.attempts, self.clock.now())
        if next_attempt_at is None:
            self.settlement.give_up(entry, cause)
            return _failure(CopyFailed, entry.request.origin.snapshot_id, cause, remove=remove)
        write_or_retry(self.queue, entry.retrying(cause, next_attempt_at))
        return ReceiveResult(ReceiveOutcome.RETRYING, f"attempt {entry.attempts} failed: {cause}", remove=remove)


def _failure(kind: type[SnapkeepError], subject: str, cause: str, remove: tuple[Snapshot, ...] = ()) -> ReceiveResult:
    return ReceiveResult(ReceiveOutcome.FAILED, cause, remove=remove, problems=(Problem(kind.__name__, subject, cause),))
