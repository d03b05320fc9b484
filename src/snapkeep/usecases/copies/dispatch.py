"""Dispatch: start the most urgent waiting copies into this region until its quota is full, one dispatcher at a time.

It may be killed between any two calls. Before CopySnapshot, which has no client token (botocore: ec2 2016-11-15), an entry
is written as STARTING; whoever finds it so later looks for the copy by its tags before starting another (INV-09).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

from snapkeep.domain.copies.entry import EntryState, QueueEntry, entry_key
from snapkeep.domain.errors import (
    AwsRefused,
    AwsThrottled,
    AwsUnavailable,
    CopyQuotaReached,
    CopyWrong,
    KeyNotUsable,
    SnapkeepError,
    SnapshotGone,
)
from snapkeep.domain.model import Snapshot, SnapshotState
from snapkeep.usecases.copies.retries import RetryPolicy
from snapkeep.usecases.copies.settle import Settlement, copy_failed_notice, describe, faults_of_copy
from snapkeep.usecases.ports import Clock, CopyQueue, EntryChanged, Keys, Notice, Notices, SnapshotCopier, SnapshotReader

WOKEN_AT_ONCE = 200
"""Entries that rest no longer, of which one dispatch lets so many wait again; the others follow within a minute."""
AWAY_AFTER = 2
"""Calls without an answer, after which a source region's other copies rest: one may be chance."""


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """What one dispatch did. `lease_taken` is False when another dispatcher was at work; it was told to go on."""

    lease_taken: bool
    started: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    in_flight: int = 0


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
    attempts: RetryPolicy
    clock: Clock
    quota: int
    lease_seconds: int = 120
    """Longer than the function may run, so that a living dispatcher never loses its lease."""
    work_seconds: int = 60
    """After so long no further copy is started: well within the lease and the function's time."""
    pause_seconds: int = 20
    """How long an entry rests that EC2 would not start now. It rests DELAYED: only WAITING wakes a dispatcher at once."""
    rest_seconds: int = 120
    """How long an entry rests whose source region does not answer, so that those from other regions come first."""
    settle_seconds: int = 60
    """How long EC2 may take to show a copy that a dead dispatcher started (eventual consistency of describe calls)."""

    def run(self, holder: str) -> DispatchResult:
        """Given who dispatches (a request id), fill the quota from the queue and return what was done.

        Raise the first error by which an execution could not be answered, once everything else is done.
        """
        began = self.clock.now()
        if not self.queue.take_lease(holder, began, self.lease_seconds):
            return DispatchResult(lease_taken=False)
        round_ = _Round(stop_at=began + timedelta(seconds=self.work_seconds))
        released = False
        try:
            self._fill(round_)
            while not released and not self._over(round_):
                released = self.queue.release_lease(holder)
                if not released:
                    self._fill(round_)
        except SnapkeepError:
            self._let_go(holder)
            raise
        if not released:
            self._let_go(holder)
        if round_.unanswered:
            raise round_.unanswered[0]
        return DispatchResult(True, tuple(round_.started), tuple(round_.settled), tuple(round_.failed), round_.in_flight)

    def _over(self, round_: _Round) -> bool:
        round_.stopped = round_.stopped or self.clock.now() >= round_.stop_at
        return round_.stopped

    def _let_go(self, holder: str) -> None:
        """Give the lease back whether or not word was left: the next wake, within a minute, does what there is to do."""
        if not self.queue.release_lease(holder):
            self.queue.release_lease(holder)

    def _fill(self, round_: _Round) -> None:
        """Go on until the quota is full or nothing waits: an entry that takes no slot (its key is bad) keeps none waiting."""
        self._wake_delayed()
        interrupted = self._interrupted()
        if not interrupted and not self.queue.most_urgent(1):
            return
        in_flight = {snapshot.id for snapshot in self.reader.copies_in_flight()} | set(round_.copy_ids)
        round_.in_flight = len(in_flight)
        batch = interrupted + self._urgent(self.quota - round_.in_flight, [])
        while batch and not round_.stopped:
            self._go_through(batch, round_)
            batch = self._urgent(self.quota - round_.in_flight, batch)

    def _urgent(self, free: int, former: list[QueueEntry]) -> list[QueueEntry]:
        """The most urgent entries for the free slots. The index may show those of the former batch as they were before."""
        if free <= 0:
            return []
        handled = {entry.key for entry in former}
        fresh = (entry for entry in self.queue.most_urgent(free + len(handled)) if entry.key not in handled)
        return list(islice(fresh, free))

    def _go_through(self, candidates: list[QueueEntry], round_: _Round) -> None:
        existing = self._existing(candidates)
        for entry in candidates:
            if self._over(round_):
                return
            copy = existing.get(entry.key)
            if copy is not None:
                self._take_over(entry, copy, round_)
            elif round_.silent[entry.request.origin.region] >= AWAY_AFTER:
                self._rest(entry)
            elif round_.in_flight < self.quota:
                self._start(entry, round_)

    def _wake_delayed(self) -> None:
        for entry in self.queue.due(self.clock.now(), WOKEN_AT_ONCE):
            self._write(replace(entry, state=EntryState.WAITING))

    def _interrupted(self) -> list[QueueEntry]:
        """Entries that a dispatcher was about to start when it was stopped, once EC2 must show their copies."""
        now = self.clock.now()
        return [entry for entry in self.queue.in_state(EntryState.STARTING) if entry.not_before <= now]

    def _existing(self, candidates: Iterable[QueueEntry]) -> dict[str, Snapshot]:
        """Copies that are there already, by the key of the entry that asks for them; failed ones do not count."""
        request = [entry.request.origin.snapshot_id for entry in candidates]
        found: dict[str, Snapshot] = {}
        for copy in self.reader.copies_of_snapshots(request):
            alive = copy.state in (SnapshotState.PENDING, SnapshotState.COMPLETED)
            if alive and copy.managed_by(self.system):
                found[entry_key(copy.origin.region, copy.origin.snapshot_id, self.reader.region)] = copy
        return found

    def _take_over(self, entry: QueueEntry, copy: Snapshot, round_: _Round) -> None:
        running = self._write(replace(entry, state=EntryState.RUNNING, copy_id=copy.id, not_before=self.clock.now()))
        if running is None or not copy.completed:
            return
        faults = faults_of_copy(entry.request, copy)
        if faults:
            self.notices.add(_copy_wrong_notice(running, "; ".join(faults), self.clock.now()))
        try:
            self.settlement.settle(running, copy)
        except SnapkeepError as error:  # it stays RUNNING, and a sweep settles what has ended unseen
            round_.unanswered.append(error)
        else:
            round_.settled.append(copy.id)

    def _rest(self, entry: QueueEntry) -> None:
        """Let an entry that waits leave the head of the queue for a while; one that was begun is looked at again anyway."""
        if entry.state is EntryState.WAITING:
            until = self.clock.now() + timedelta(seconds=self.rest_seconds)
            self._write(replace(entry, state=EntryState.DELAYED, not_before=until))

    def _start(self, entry: QueueEntry, round_: _Round) -> None:
        """Start a copy. One that was begun and left no copy was no attempt: what does not answer uses none up."""
        key = entry.request.kms_key
        if key and not self._key_usable(entry, key, round_):
            return
        starting = self._write(
            replace(
                entry,
                state=EntryState.STARTING,
                attempts=entry.attempts + (entry.state is not EntryState.STARTING),
                copy_id="",
                not_before=self.clock.now() + timedelta(seconds=self.settle_seconds),
            )
        )
        if starting is None:
            return
        try:
            copy_id = self.copier.start_copy(starting.request)
        except SnapkeepError as error:
            self._not_started(starting, error, round_)
            return
        self._write(replace(starting, state=EntryState.RUNNING, copy_id=copy_id, not_before=self.clock.now(), cause=""))
        round_.started.append(starting.key)
        round_.copy_ids.append(copy_id)
        round_.in_flight += 1

    def _key_usable(self, entry: QueueEntry, key: str, round_: _Round) -> bool:
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
        """The call failed. What may have taken effect nevertheless stays STARTING, to be looked for by its tags."""
        if isinstance(error, AwsUnavailable):
            self._may_have_begun(starting, round_)
        elif isinstance(error, (CopyQuotaReached, AwsThrottled)):
            round_.stopped = True
            rest = self.clock.now() + timedelta(seconds=self.pause_seconds)
            self._write(replace(starting, state=EntryState.DELAYED, attempts=starting.attempts - 1, not_before=rest))
        elif isinstance(error, (SnapshotGone, KeyNotUsable)):
            self._give_up(starting, str(error), round_)
        elif isinstance(error, AwsRefused):
            later = self.attempts.after_failure(starting, str(error), self.clock.now())
            if later.state is EntryState.FAILED:
                self._give_up(starting, str(error), round_)
            else:
                self._write(later)
        else:
            raise error

    def _may_have_begun(self, starting: QueueEntry, round_: _Round) -> None:
        """Take a slot for a copy that nobody answered for (INV-10), and look for it only when others had their turn."""
        round_.silent[starting.request.origin.region] += 1
        round_.in_flight += 1
        self._write(replace(starting, not_before=self.clock.now() + timedelta(seconds=self.rest_seconds)))

    def _give_up(self, entry: QueueEntry, cause: str, round_: _Round) -> None:
        """Where nobody waits, the notice comes before the entry is closed: a stop between the two must not leave silence.

        Whoever waits may be in a region that does not answer: the entry rests, and others go on.
        """
        notice = copy_failed_notice(entry.request, cause, self.clock.now())
        if not entry.tokens:
            self.notices.add(notice)
        try:
            answered = self.settlement.give_up(entry, cause)
        except SnapkeepError as error:
            round_.unanswered.append(error)
            self._rest(entry)
            return
        round_.failed.append(entry.key)
        if entry.tokens and not answered:
            self.notices.add(notice)

    def _write(self, entry: QueueEntry) -> QueueEntry | None:
        """Write; None when somebody else wrote the entry first, who then decides about it."""
        try:
            return self.queue.write(entry)
        except EntryChanged:
            return None


@dataclass(slots=True)
class _Round:
    """What has happened so far while one dispatcher holds the lease."""

    stop_at: datetime
    started: list[str] = field(default_factory=list)
    copy_ids: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    key_faults: dict[str, str] = field(default_factory=dict)
    silent: Counter[str] = field(default_factory=Counter)
    """Calls of CopySnapshot without an answer, by source region."""
    unanswered: list[SnapkeepError] = field(default_factory=list)
    """Why executions could not be answered; raised in the end, for Lambda to try again and an alarm to tell."""
    in_flight: int = 0
    stopped: bool = False


def _copy_wrong_notice(entry: QueueEntry, cause: str, now: datetime) -> Notice:
    request = entry.request
    detail = f"{describe(request)}, {entry.copy_id}"
    return Notice(CopyWrong.__name__, cause, request.origin.snapshot_id, detail, request.region, now)
