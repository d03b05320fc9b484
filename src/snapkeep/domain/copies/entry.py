"""One copy in the queue: its states, and every step from one state to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from snapkeep.domain.copies.completion import MIB_OF_GIB, TO_BE_CHOSEN, CopyWay, completion_usd, way_of
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.json_codec import NOT_IN_JSON, OPTIONAL, named
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import CLOCK_SKEW
from snapkeep.domain.records import dataclass, replace


class EntryState(LabelledEnum):
    """The state of a copy in the queue. The queue's table stores the values."""

    WAITING = "WAITING", "waiting"
    DELAYED = "DELAYED", "retried later"
    STARTING = "STARTING", "starting"
    RUNNING = "RUNNING", "running"
    DONE = "DONE", "done"
    FAILED = "FAILED", "failed"


NOT_STARTED = (EntryState.WAITING, EntryState.DELAYED, EntryState.STARTING)
"""CopySnapshot is not known to have started the copy."""
OPEN = (*NOT_STARTED, EntryState.RUNNING)
"""The copy is not started or runs; the entry is settled later."""
SETTLED = (EntryState.DONE, EntryState.FAILED)
"""The copy is done, or failed for good. Every state is either open or settled."""


FIRST_WITHIN = timedelta(hours=1)


class EntryStep(StrEnum):
    """A step of an entry. Each value names the method of QueueEntry that takes the step."""

    JOIN = "joined"
    WAKE = "woken"
    DELAY = "delayed"
    START = "starting"
    AWAIT_START = "awaiting_start"
    POSTPONE = "postponed"
    RUN = "running"
    RETRY = "retrying"
    MISS = "missed"
    SUCCEED = "done"
    PROVE = "proved"
    FAIL = "failed"
    RESTART = "restarted"


TRANSITIONS: Mapping[EntryStep, Mapping[EntryState, EntryState]] = {
    EntryStep.JOIN: {state: state for state in OPEN},
    EntryStep.WAKE: {EntryState.DELAYED: EntryState.WAITING},
    EntryStep.DELAY: {EntryState.WAITING: EntryState.DELAYED},
    # A dispatcher that was interrupted left the entry STARTING; the next one starts it again.
    EntryStep.START: dict.fromkeys((EntryState.WAITING, EntryState.STARTING), EntryState.STARTING),
    EntryStep.AWAIT_START: {EntryState.STARTING: EntryState.STARTING},
    EntryStep.POSTPONE: {EntryState.STARTING: EntryState.DELAYED},
    # The entry did not necessarily start the copy that is found running.
    EntryStep.RUN: dict.fromkeys((EntryState.WAITING, EntryState.STARTING), EntryState.RUNNING),
    EntryStep.RETRY: dict.fromkeys((EntryState.STARTING, EntryState.RUNNING), EntryState.DELAYED),
    EntryStep.MISS: {EntryState.RUNNING: EntryState.RUNNING},
    # A copy may complete in any state of its entry, even FAILED. A done entry stays done.
    EntryStep.SUCCEED: dict.fromkeys((*OPEN, EntryState.FAILED), EntryState.DONE),
    EntryStep.PROVE: {EntryState.DONE: EntryState.DONE},
    EntryStep.FAIL: dict.fromkeys((*OPEN, EntryState.FAILED), EntryState.FAILED),
    EntryStep.RESTART: dict.fromkeys(SETTLED, EntryState.WAITING),
}
"""The states from which each step is allowed, and the state to which it leads. A new entry is WAITING."""


class StepNotAllowed(ValueError):
    """A step that the entry's state does not allow. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One copy in the queue, of one source snapshot, for one copy rule. Each step returns the entry after it.

    Tables of deployed systems hold its JSON: the names of the fields there, and the states, stay.
    """

    request: CopyRequest = field(metadata=named("wanted"))
    state: EntryState
    enqueued_at: datetime
    not_before: datetime
    """Before the start: the earliest time of the next step. While it runs: the time when the copy started."""
    attempts: int = 0
    copy_id: str = ""
    cause: str = ""
    """The cause of the last failed attempt; empty without one, and while another attempt runs."""
    tokens: tuple[str, ...] = ()
    """Task tokens of the executions that wait (one for each run of Protect for this snapshot)."""
    runs: tuple[str, ...] = field(default=(), metadata=OPTIONAL)  # entries of earlier versions lack it
    """ARNs of the executions that wait: a sweep finds those that no entry would answer."""
    requester: str = field(default="", metadata=OPTIONAL)  # entries of earlier versions lack it
    """ARN of the execution that requested the copy, the first time or after a failure; empty for a sweep."""
    version: int = field(default=0, metadata=NOT_IN_JSON)
    """Grows with every write; a write names the version that it read (optimistic locking)."""
    full: bool = field(default=False, metadata=OPTIONAL)
    """Whether the completed copy was a full one, although its volume had earlier copies in the region."""
    wrong: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """Copies whose blocks differ from their source's. None belongs to this entry, even if EC2 does not show their mark yet."""
    again: bool = field(default=False, metadata=OPTIONAL)
    """Whether the copy was requested again after it was settled."""
    done_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when the completed copy was checked; None unless the entry is DONE, and in entries of earlier versions."""
    kms_key: str = field(default="", metadata=OPTIONAL)
    """ARN of the key of the completed copy; empty if it is not encrypted."""
    proof: str = field(default="", metadata=OPTIONAL)
    """The strongest proof of the completed copy, in the form of its tag `snapkeep:proof`; EC2 may show a tag late."""
    moved_mib: int = field(default=0, metadata=OPTIONAL)
    """Changed data in MiB when the copy started; 0 if it is not known."""
    seconds: int = field(default=0, metadata=OPTIONAL)
    """The duration of the completed copy; 0 if it is not known."""
    late: str = field(default="", metadata=OPTIONAL)
    """AWS's cause for a time-based copy that missed its completion duration; empty otherwise."""

    @classmethod
    def requested(cls, request: CopyRequest, now: datetime, token: str = "", run: str = "") -> QueueEntry:
        """Return a new entry, and the task token and execution that wait for it, if any."""
        return cls(request, EntryState.WAITING, enqueued_at=now, not_before=now, requester=run).joined(token, run)

    @property
    def key(self) -> str:
        """Identity: `<source region>#<source snapshot>#<destination region>`."""
        return entry_key(self.request.origin.region, self.request.origin.snapshot_id, self.request.region)

    @property
    def is_open(self) -> bool:
        """Whether the entry is not settled yet; settling it answers the executions that wait."""
        return self.state in OPEN

    @property
    def due(self) -> datetime:
        """Position in the order of its state: `not_before` if DELAYED, else the latest start that meets the deadline."""
        return self.not_before if self.state is EntryState.DELAYED else self.request.latest_start

    @property
    def way(self) -> CopyWay:
        """The way of the copy, or of its last attempt. Its price is that of the changed MiB, or else of the whole volume."""
        request = self.request
        to_start = self.state in (EntryState.WAITING, EntryState.DELAYED)
        if request.chooses_completion and (to_start or (self.state is EntryState.FAILED and not self.attempts)):
            return TO_BE_CHOSEN
        within_budget = to_start and bool(request.budget_usd)
        return way_of(
            request.completion_minutes, self._most_mib, automatic=request.chooses_completion, within_budget=within_budget
        )

    @property
    def completion_usd(self) -> float:
        """The most that the requested completion duration adds to the price of the copy, in US dollars."""
        return completion_usd(self.request.completion_minutes, self._most_mib)

    @property
    def _most_mib(self) -> int:
        return self.moved_mib or self.request.size_gib * MIB_OF_GIB

    def is_first_since(self, remembered: datetime, now: datetime) -> bool:
        """Whether the queue alone shows that no copy exists yet. The queue has every entry since `remembered`.

        An entry is written before its copy is started, and is kept for 30 days: a snapshot that began after `remembered` has no
        copy if its entry started none. A queue that was restored from a backup lacks its newest entries: an hour after the
        snapshot began, the answer is always no.
        """
        untried = self.state is EntryState.WAITING and not self.attempts and not self.again
        start = self.request.origin.start_time
        return untried and remembered + CLOCK_SKEW <= start and now - start <= FIRST_WITHIN

    def joined(self, token: str, run: str) -> QueueEntry:
        """Add an execution that waits: its task token and its ARN. Without a token none waits, and nothing changes."""
        return self._after(EntryStep.JOIN, tokens=_with(self.tokens, token), runs=_with(self.runs, run if token else ""))

    def woken(self) -> QueueEntry:
        """End a delay."""
        return self._after(EntryStep.WAKE)

    def delayed(self, until: datetime) -> QueueEntry:
        """Put the entry behind others for a while."""
        return self._after(EntryStep.DELAY, not_before=until)

    def starting(self, look_again_at: datetime) -> QueueEntry:
        """Record that CopySnapshot is about to be called.

        An interrupted start that left no copy does not count as another attempt.
        """
        # The function may have been stopped before its call: such a start is not an attempt.
        attempts = self.attempts + (self.state is not EntryState.STARTING)
        return self._after(EntryStep.START, attempts=attempts, copy_id="", late="", not_before=look_again_at)

    def awaiting_start(self, look_again_at: datetime) -> QueueEntry:
        """Record that CopySnapshot did not return: the copy may exist, and a later dispatch looks for it."""
        return self._after(EntryStep.AWAIT_START, not_before=look_again_at)

    def postponed(self, until: datetime) -> QueueEntry:
        """Record that EC2 did not start a copy (quota, throttling). This does not count as an attempt."""
        return self._after(EntryStep.POSTPONE, attempts=self.attempts - 1, not_before=until)

    def running(self, copy_id: str, now: datetime) -> QueueEntry:
        """Record the copy that runs."""
        return self._after(EntryStep.RUN, copy_id=copy_id, cause="", not_before=now)

    def retrying(self, cause: str, until: datetime) -> QueueEntry:
        """Record a failed attempt and its cause; the next attempt follows after the delay."""
        return self._after(EntryStep.RETRY, cause=cause, copy_id="", not_before=until)

    def missed(self, cause: str) -> QueueEntry:
        """Record that the running copy missed its completion duration."""
        return self._after(EntryStep.MISS, late=cause)

    def done(self, copy_id: str, now: datetime, *, full: bool = False, kms_key: str = "", seconds: int = 0) -> QueueEntry:
        """Record the checked copy, whether it was full, its key and its duration. No execution waits any longer."""
        settled: dict[str, Any] = {"cause": "", "tokens": (), "runs": (), "proof": "", "seconds": seconds}
        return self._after(EntryStep.SUCCEED, copy_id=copy_id, done_at=now, full=full, kms_key=kms_key, **settled)

    def proved(self, proof: str) -> QueueEntry:
        """Record the proof of the completed copy, in the form of its tag."""
        return self._after(EntryStep.PROVE, proof=proof)

    def failed(self, cause: str, copy_id: str) -> QueueEntry:
        """Record that the copy failed for good, or is wrong. No execution waits any longer."""
        return self._after(EntryStep.FAIL, copy_id=copy_id, cause=cause, tokens=(), runs=())

    def restarted(self, request: CopyRequest, now: datetime, requester: str = "", wrong: str = "") -> QueueEntry:
        """Request the copy again, under the current rule. The cause of a failure stays until the copy runs.

        `wrong` is the copy whose blocks differ, which the new one replaces.
        """
        return self._after(
            EntryStep.RESTART,
            request=request,
            attempts=0,
            copy_id="",
            full=False,
            done_at=None,
            kms_key="",
            proof="",
            enqueued_at=now,
            not_before=now,
            requester=requester,
            wrong=_with(self.wrong, wrong),
            again=True,
        )

    def _after(self, step: EntryStep, **changes: Any) -> QueueEntry:
        # The table decides, not the caller: a step out of order is a bug, and changes nothing.
        state = TRANSITIONS[step].get(self.state)
        if state is None:
            raise StepNotAllowed(f"entry {self.key} is {self.state}; it cannot be '{step}' from there")
        return replace(self, state=state, **changes)


def entry_key(source_region: str, snapshot_id: str, destination_region: str) -> str:
    """Return the key in the queue of a snapshot's copy to a region (INV-09)."""
    return f"{source_region}#{snapshot_id}#{destination_region}"


def _with(items: tuple[str, ...], item: str) -> tuple[str, ...]:
    return items if not item or item in items else (*items, item)
