"""Dispatch: start the most urgent waiting copies into this region until its quota is full, one dispatcher at a time.

It may be interrupted between any two calls. CopySnapshot has no client token (botocore: ec2 2016-11-15), so the entry is
written as STARTING before the call. A dispatcher that finds this state later looks for the copy by its tags before it starts
another (INV-09).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import field
from datetime import datetime, timedelta
from itertools import islice

from snapkeep.domain.copies.check import as_marked, faults_of_copy, found_wrong_by_content
from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.errors import (
    UNREACHABLE_AFTER,
    AwsRefused,
    AwsThrottled,
    AwsUnavailable,
    CopyQuotaReached,
    EntryChanged,
    KeyNotUsable,
    SnapkeepError,
    SnapshotGone,
)
from snapkeep.domain.model import Snapshot, SnapshotState, Unusable
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.tag_names import MANAGED
from snapkeep.usecases.copies.completion import ChooseCompletion
from snapkeep.usecases.copies.settle import Settlement, copy_failed_notice, copy_wrong_notice, unusable_cause
from snapkeep.usecases.ports import Clock, CopyQueue, Keys, LockRequests, Notices, SnapshotCopier, SnapshotReader

WOKEN_AT_ONCE = 200
"""The most entries with an ended delay that one dispatch wakes; the others follow within a minute."""
LOCKED_WITHIN = timedelta(seconds=10)
"""The age of the oldest unlocked copy at which locks are requested: a batch may take a minute."""


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """Result of one dispatch. `lease_taken` is False while another dispatcher works, which is then asked to continue."""

    lease_taken: bool
    started: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    in_flight: int = 0
    tags_left_out: tuple[str, ...] = ()
    """Copies started with only Snapkeep's tags: their keys, the refused tags, and AWS's cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Starts copies towards one DR region."""

    system: str
    reader: SnapshotReader
    copier: SnapshotCopier
    keys: Keys
    queue: CopyQueue
    settlement: Settlement
    notices: Notices
    completion_of: Callable[[], ChooseCompletion]
    """Returns the chooser of the completion durations of one dispatch."""
    retry_policy: RetryPolicy
    clock: Clock
    quota: int
    lease_seconds: int = 120
    """A time longer than the function's time-out, so that a running dispatcher never loses its lease."""
    work_seconds: int = 60
    """The time after which no copy is started, well within the lease and the function's time-out."""
    busy_delay_seconds: int = 20
    """The delay of an entry that EC2 does not start now. The entry is DELAYED: only WAITING wakes a dispatcher at once."""
    unreachable_delay_seconds: int = 120
    """The delay of an entry whose source region does not respond, so that entries from other regions come first."""
    visible_after_seconds: int = 60
    """The time within which EC2 shows a copy that an interrupted dispatcher started (eventual consistency of describe
    calls)."""
    locks: LockRequests | None = None
    """Requests locks of pending copies; None if nothing is locked."""

    def run(self, holder: str) -> DispatchResult:
        """Fill the quota from the queue, as the holder of the lease (a request id).

        At the end, raise the first error that prevented an answer to an execution, or a request for a lock.
        """
        began = self.clock.now()
        remembered = self.queue.take_lease(holder, began, self.lease_seconds)
        if remembered is None:
            return DispatchResult(lease_taken=False)
        stop_at = began + timedelta(seconds=self.work_seconds)
        round_ = _Round(stop_at, remembered, self.completion_of())
        self._request_locks(round_)  # of copies whose dispatcher was interrupted before its request, or whose lock failed
        # Requests during its work keep the lease taken: the holder does their round too, so that none waits for the schedule.
        released = False
        try:
            self._fill(round_)
            while not released and not self._is_over(round_):
                released = self.queue.release_lease(holder)
                if not released:
                    self._fill(round_)
        except SnapkeepError:
            self._lock_started(round_)
            self._release_anyway(holder)
            raise
        if not released:
            self._release_anyway(holder)
        if round_.unanswered:
            raise round_.unanswered[0]
        return DispatchResult(
            True, tuple(round_.started), tuple(round_.settled), tuple(round_.failed), round_.in_flight, tuple(round_.left_out)
        )

    def _is_over(self, round_: _Round) -> bool:
        round_.stopped = round_.stopped or self.clock.now() >= round_.stop_at
        return round_.stopped

    def _release_anyway(self, holder: str) -> None:
        """Release the lease even if another dispatcher asked to continue: the next one, within a minute, does the rest."""
        if not self.queue.release_lease(holder):
            self.queue.release_lease(holder)

    def _fill(self, round_: _Round) -> None:
        """Continue until the quota is full or nothing waits: an entry that takes no slot (an unusable key) delays no other."""
        self._wake_delayed()
        # Interrupted starts are first: their copies may be running, and each takes a slot.
        interrupted = self._interrupted()
        if not interrupted and not self.queue.most_urgent(1):
            return
        listed = self.reader.copies_in_flight()
        round_.completion.in_flight(listed)
        round_.in_flight = len({snapshot.id for snapshot in listed} | self._not_ended(round_, listed))
        batch = interrupted + self._urgent(self.quota - round_.in_flight, [])
        while batch and not round_.stopped:
            self._dispatch_batch(batch, round_)
            self._lock_started(round_)
            batch = self._urgent(self.quota - round_.in_flight, batch)

    def _not_ended(self, round_: _Round, listed: Collection[Snapshot]) -> set[str]:
        """Return the copies that this dispatcher started and that have not ended, including those that EC2 does not list yet."""
        round_.copy_ids -= {
            copy.id
            for copy in self.reader.snapshots(round_.copy_ids - {copy.id for copy in listed}).values()
            if copy.state is not SnapshotState.PENDING
        }
        return round_.copy_ids

    def _lock_started(self, round_: _Round, waiting: timedelta = timedelta(0)) -> None:
        """Request the locks of started copies, once the first of them has waited long enough."""
        if round_.unlocked_since is not None and self.clock.now() - round_.unlocked_since >= waiting:
            self._request_locks(round_)

    def _request_locks(self, round_: _Round) -> None:
        """Request the locks of the pending copies. CopySnapshot cannot lock in its call; a copy that fails later has no lock."""
        round_.unlocked_since = None
        if self.locks is not None:
            try:
                self.locks.request(())
            except SnapkeepError as error:  # copies continue, and the next dispatch requests the locks again
                round_.unanswered.append(error)

    def _urgent(self, free: int, former: list[QueueEntry]) -> list[QueueEntry]:
        """Return the most urgent entries for the free slots. The index may still show the previous batch unchanged."""
        if free <= 0:
            return []
        handled = {entry.key for entry in former}
        fresh = (entry for entry in self.queue.most_urgent(free + len(handled)) if entry.key not in handled)
        return list(islice(fresh, free))

    def _dispatch_batch(self, batch: list[QueueEntry], round_: _Round) -> None:
        # This precedes each start: the copy may exist although its entry does not know it (INV-09).
        now = self.clock.now()
        existing = self._existing(entry for entry in batch if not entry.is_first_since(round_.remembered, now))
        for entry in batch:
            if self._is_over(round_):
                return
            copy = existing.get(entry.key)
            if copy is not None:
                self._take_over(entry, copy, round_)
            elif round_.no_answers[entry.request.copied[0]] >= UNREACHABLE_AFTER:
                self._delay(entry)
            elif round_.in_flight < self.quota:
                self._start(entry, round_)
                self._lock_started(round_, LOCKED_WITHIN)

    def _wake_delayed(self) -> None:
        for entry in self.queue.due(self.clock.now(), WOKEN_AT_ONCE):
            self._write(entry.woken())

    def _interrupted(self) -> list[QueueEntry]:
        """Return the entries that an interrupted dispatcher was about to start, once EC2 must show their copies."""
        now = self.clock.now()
        return [entry for entry in self.queue.in_state(EntryState.STARTING) if entry.not_before <= now]

    def _existing(self, batch: Iterable[QueueEntry]) -> dict[str, Snapshot]:
        """Return the existing copies by the key of their entry, without those that failed or cannot be restored.

        A copy whose key is not known is included: another copy would not be better known. A copy whose blocks differ is not
        included: it stays, and another one is made.
        """
        entries = {entry.key: entry for entry in batch}
        listed = self.reader.copies_of_snapshots([entry.request.origin.snapshot_id for entry in entries.values()])
        existing: dict[str, Snapshot] = {}
        copies = [as_marked(entries.get(self._key_of(copy)), copy) for copy in listed]
        for copy in sorted(copies, key=lambda copy: not copy.found_wrong):  # a good one replaces a wrong one
            alive = copy.state in (SnapshotState.PENDING, SnapshotState.COMPLETED)
            key = self._key_of(copy)
            replaced = key in entries and found_wrong_by_content(entries[key].request, copy)
            at_risk = copy.key_fault is not None and copy.unusable is not Unusable.KEY_NOT_KNOWN
            usable = alive and not replaced and not at_risk and not copy.archived
            if usable and copy.tags.get(MANAGED) == self.system:
                existing[key] = copy
        return existing

    def _key_of(self, copy: Snapshot) -> str:
        return entry_key(copy.origin.region, copy.origin.snapshot_id, self.reader.region)

    def _take_over(self, entry: QueueEntry, copy: Snapshot, round_: _Round) -> None:
        running = self._write(entry.running(copy.id, self.clock.now()))
        if running is None or not copy.completed:
            return
        if copy.key_fault is not None:
            self._give_up(replace(running, copy_id=""), unusable_cause(copy), round_)  # it is not wrong
            return
        faults = faults_of_copy(entry.request, copy)
        if faults:
            self.notices.add(copy_wrong_notice(running, "; ".join(faults), self.clock.now()))
        try:
            self.settlement.settle(running, copy)
        except SnapkeepError as error:  # the entry stays RUNNING, and a sweep settles it
            round_.unanswered.append(error)
        else:
            round_.settled.append(copy.id)

    def _delay(self, entry: QueueEntry) -> None:
        """Put a waiting entry behind others; an interrupted one is handled again anyway."""
        if entry.state is EntryState.WAITING:
            self._write(entry.delayed(self._in(self.unreachable_delay_seconds)))

    def _start(self, entry: QueueEntry, round_: _Round) -> None:
        key = entry.request.kms_key
        if key and not self._key_usable(entry, key, round_):
            return
        # The key is checked and the entry is written before the call, so that every started copy has a record.
        entry = round_.completion.chosen(entry)
        starting = self._write(entry.starting(self._in(self.visible_after_seconds)))
        if starting is None:
            if entry.state is EntryState.WAITING:  # the end of its copy may have settled an interrupted start
                round_.completion.taken_back(entry)
            return
        try:
            running = self._start_copy(starting, round_)
        except SnapkeepError as error:
            if not isinstance(error, AwsUnavailable):
                round_.completion.taken_back(starting)
            self._not_started(starting, error, round_)
            return
        round_.awaits_lock(self.clock.now())
        if running.request.completion_minutes != starting.request.completion_minutes:
            round_.completion.taken_back(starting)
        # The copy's end repairs a lost write here, or the next dispatcher does, which finds the copy by its tags.
        self._write(running)
        round_.completion.started(running)
        round_.started.append(running.key)
        round_.copy_ids.add(running.copy_id)
        round_.in_flight += 1

    def _start_copy(self, starting: QueueEntry, round_: _Round) -> QueueEntry:
        """Start a copy.

        If AWS refuses it, start it with only Snapkeep's tags, because a policy may deny a carried tag. A copy whose chosen
        completion duration AWS refuses is started as an ordinary one. A refused call made no copy.
        """
        try:
            return starting.running(self.copier.start_copy(starting.request), self.clock.now())
        except AwsRefused as refusal:
            if starting.request.chooses_completion and starting.request.completion_minutes:
                return self._start_copy(replace(starting, request=replace(starting.request, completion_minutes=0)), round_)
            if not starting.request.carried:
                raise
            plain = replace(starting, request=starting.request.without_carried_tags())
            running = plain.running(self.copier.start_copy(plain.request), self.clock.now())
            round_.left_out.append(f"{starting.key}: {', '.join(starting.request.carried)}: {refusal}")
            return running

    def _key_usable(self, entry: QueueEntry, key: str, round_: _Round) -> bool:
        # Each key is checked once a round, so that a thousand copies with one unusable key cost one call.
        if key not in round_.key_faults:
            try:
                self.keys.check(key)
                round_.key_faults[key] = ""
            except KeyNotUsable as error:
                round_.key_faults[key] = str(error)
            except (AwsThrottled, AwsUnavailable):
                round_.stopped = True
                return False
        if round_.key_faults[key]:
            self._give_up(entry, round_.key_faults[key], round_)
            return False
        return True

    def _not_started(self, starting: QueueEntry, error: SnapkeepError, round_: _Round) -> None:
        """Handle a failed call.

        The entry of a copy that may have started stays STARTING, and the copy is looked for by its tags.
        """
        if isinstance(error, AwsUnavailable):
            # It takes a slot (INV-10), and is looked for after other entries.
            round_.awaits_lock(self.clock.now())
            round_.no_answers[starting.request.copied[0]] += 1
            round_.in_flight += 1
            self._write(starting.awaiting_start(self._in(self.unreachable_delay_seconds)))
        elif isinstance(error, (CopyQuotaReached, AwsThrottled)):
            round_.stopped = True
            self._write(starting.postponed(self._in(self.busy_delay_seconds)))
        elif isinstance(error, (SnapshotGone, KeyNotUsable)):
            self._give_up(starting, str(error), round_)
        elif isinstance(error, AwsRefused):
            next_attempt_at = self.retry_policy.next_attempt_at(starting.attempts, self.clock.now())
            if next_attempt_at is None:
                self._give_up(starting, str(error), round_)
            else:
                self._write(starting.retrying(str(error), next_attempt_at))
        else:
            raise error

    def _give_up(self, entry: QueueEntry, cause: str, round_: _Round) -> None:
        """Settle an entry as failed.

        Without a waiting execution the notice is first, so that an interruption does not lose it. A waiting execution may be in
        a region that does not respond: then the entry is delayed, and the others continue. An execution that requested the copy
        and does not wait yet gets the failure when it waits, and notifies. If it never waits, a sweep finds the entry.
        """
        notice = copy_failed_notice(entry.request, cause, self.clock.now())
        if not entry.tokens and not entry.requester:
            self.notices.add(notice)
        try:
            answered = self.settlement.give_up(entry, cause)
        except SnapkeepError as error:
            round_.unanswered.append(error)
            self._delay(entry)
            return
        round_.failed.append(entry.key)
        if entry.tokens and not answered:
            self.notices.add(notice)

    def _write(self, entry: QueueEntry) -> QueueEntry | None:
        """Write an entry and return it; None if it changed since it was read: then the other writer decides."""
        try:
            return self.queue.write(entry)
        except EntryChanged:
            return None

    def _in(self, seconds: int) -> datetime:
        return self.clock.now() + timedelta(seconds=seconds)


@dataclass(slots=True)
class _Round:
    """The state of a dispatcher while it holds the lease."""

    stop_at: datetime
    remembered: datetime
    """The time since which the queue has every copy."""
    completion: ChooseCompletion
    started: list[str] = field(default_factory=list)
    copy_ids: set[str] = field(default_factory=set)
    """The started copies, without those that have ended."""
    settled: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    key_faults: dict[str, str] = field(default_factory=dict)
    no_answers: Counter[str] = field(default_factory=Counter)
    """The number of calls of CopySnapshot without an answer, by source region."""
    unanswered: list[SnapkeepError] = field(default_factory=list)
    """The errors that prevented answers or requests for locks. The first is raised at the end: Lambda retries, and an alarm
    shows it."""
    in_flight: int = 0
    stopped: bool = False
    unlocked_since: datetime | None = None
    """The start of the first copy whose lock is not requested yet."""

    def awaits_lock(self, now: datetime) -> None:
        """Record that a copy was started, or may have been, whose lock is not requested yet."""
        self.unlocked_since = self.unlocked_since or now
