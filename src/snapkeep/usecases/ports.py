"""The ports of the use cases.

Adapters implement them over AWS; the model of EBS is used through the same adapters. Every port raises only
`snapkeep.domain.errors`. Reading, tagging, copying and deleting are separate ports, so that each function's role, and a dry
run, has exactly the part that it may use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from snapkeep.domain.json_codec import OPTIONAL
from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.commands import CommandResult
    from snapkeep.domain.copies.completion import CopySpending
    from snapkeep.domain.copies.entry import EntryState, QueueEntry
    from snapkeep.domain.copies.request import CopyRequest
    from snapkeep.domain.locks import LockOrder
    from snapkeep.domain.model import Snapshot, SnapshotLock, Volume


class Clock(Protocol):
    """The source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""


class Pacer(Protocol):
    """Waits."""

    def pause(self, seconds: float) -> None:
        """Wait."""


class PacingClock(Clock, Pacer, Protocol):
    """A clock that can wait."""


class DeletionGuards(Protocol):
    """Reads the AMIs and the locks of snapshots: a used or locked snapshot must never be deleted (INV-06)."""

    def images_using(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the AMIs (disabled ones too) that use each snapshot; unused snapshots are absent."""

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        """Return the lock of each snapshot; snapshots that are not locked are absent."""


class SnapshotReader(DeletionGuards, Protocol):
    """Reads EBS of one region. Listings have all pages, and only snapshots of the own account."""

    @property
    def region(self) -> str:
        """The region that is read."""

    def volumes(self, volume_ids: Collection[str]) -> dict[str, Volume]:
        """Return the volumes that exist, by id."""

    def all_volumes(self) -> Iterator[Volume]:
        """Return every volume of the region."""

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        """Return the snapshots that exist, by id."""

    def snapshots_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        """Return all snapshots of this region's volumes that were made here (managed or not, in any state)."""

    def copies_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        """Return the copies in this region of the snapshots of source volumes (of any region)."""

    def copies_of_snapshots(self, snapshot_ids: Collection[str]) -> list[Snapshot]:
        """Return the copies in this region of source snapshots, by tag, in any state."""

    def tagged_snapshots(self, keys: Collection[str]) -> list[Snapshot]:
        """Return the snapshots of this region that have a tag with one of these keys."""

    def all_snapshots(self) -> Iterator[Snapshot]:
        """Return every snapshot that the account owns in the region."""

    def copies_in_flight(self) -> list[Snapshot]:
        """Return every pending copy in this region, including those by others: each counts towards the quota."""


class SnapshotTagger(Protocol):
    """Writes tags. Its role cannot delete."""

    def tag(self, snapshot_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Write the tags. Raise SnapshotGone if a snapshot does not exist, TagsDoNotFit if the limit of 50 is exceeded."""


class SnapshotCopier(Protocol):
    """Starts copies into this region. Its role cannot delete."""

    def start_copy(self, request: CopyRequest) -> str:
        """Start a copy with its tags in the call; return its id. Raise CopyQuotaReached, SnapshotGone, or AwsRefused."""


class Keys(Protocol):
    """Checks KMS keys of one region."""

    def check(self, key: str) -> str:
        """Return the ARN of a key given by id, ARN or alias. Raise KeyNotUsable, naming the key and why."""


class DeletionOutcome(LabelledEnum):
    """The outcome of a deletion. State machines and audit lines carry the values."""

    DELETED = "deleted", "deleted"
    ALREADY_GONE = "already_gone", "already deleted"
    IN_USE = "in_use", "in use"
    LOCKED = "locked", "locked"
    NOT_ALLOWED = "not_allowed", "not allowed"
    UNSAFE = "unsafe", "not safe to delete"
    """Another function planned the deletion, and the plan of the deleting function keeps the snapshot."""
    HELD = "held", "held"
    """A person placed a hold that covers it (INV-26)."""
    UNUSUAL = "unusual", "stays: far more deletions today than usual"
    """Runs delete no more on this day, or the limit of the day is not known."""


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """The outcome of one deletion; `cause` is AWS's message if it was refused."""

    snapshot_id: str
    outcome: DeletionOutcome
    cause: str = field(default="", metadata=OPTIONAL)

    @property
    def done(self) -> bool:
        """Whether the snapshot is deleted."""
        return self.outcome in (DeletionOutcome.DELETED, DeletionOutcome.ALREADY_GONE)


class SnapshotDeleter(Protocol):
    """Deletes managed snapshots. Its role cannot tag."""

    def delete(self, snapshot_id: str) -> DeletionResult:
        """Delete one snapshot and return its outcome. A refusal is a result; only AwsThrottled and AwsUnavailable are raised."""


class SnapshotLocker(Protocol):
    """Locks managed snapshots. Nothing unlocks: there is no such port, and no role that may."""

    def lock(self, order: LockOrder) -> None:
        """Lock a snapshot, or change its lock. Raise SnapshotGone, AwsRefused, AwsThrottled or AwsUnavailable."""


class LockRequests(Protocol):
    """Requests the locks that policies require from the only function that may lock."""

    def request(self, snapshot_ids: Sequence[str], version: int = 0) -> None:
        """Request the locks of snapshots of this region, or without ids of its pending copies.

        They are locked soon after; a repeated request changes nothing. `version` is that of the policy document that requires
        the locks: no earlier version decides them.
        """


class Commands(Protocol):
    """Runs commands in instances. A role may send only the documents that its template names."""

    def send(self, instance_id: str, document: str, comment: str, *, within: timedelta) -> None:
        """Send a command, which does not run if it has not started within a time (30 seconds at least).

        It has no client token: callers look for the comment first. Raise AwsRefused, AwsThrottled or AwsUnavailable.
        """

    def find(self, instance_id: str, comment: str, since: datetime) -> CommandResult | None:
        """Return the command with a comment that was sent since a time; None if Systems Manager does not list it, or not yet."""


class CopyQueue(Protocol):
    """The queue of copies into one DR region: a table in that region."""

    @property
    def region(self) -> str:
        """The destination region."""

    def insert(self, entry: QueueEntry) -> QueueEntry:
        """Insert a new entry. Return it with its version. Raise EntryChanged if one with its key exists."""

    def get(self, key: str) -> QueueEntry:
        """Return the entry. Raise EntryNotFound if there is none."""

    def write(self, entry: QueueEntry) -> QueueEntry:
        """Write an entry that was not written since it was read. Return it with its new version. Raise EntryChanged."""

    def most_urgent(self, count: int) -> list[QueueEntry]:
        """Return up to `count` waiting entries in the order of their latest start (`due`). The queue's length adds no cost."""

    def due(self, now: datetime, count: int) -> list[QueueEntry]:
        """Return up to `count` delayed entries whose `not_before` has passed, the earliest first."""

    def in_state(self, state: EntryState) -> Iterator[QueueEntry]:
        """Return all entries in a state, most urgent first."""

    def recently_done(self, count: int) -> list[QueueEntry]:
        """Return up to `count` entries whose copies are done, those with the latest start (`due`) first."""

    def open_entries(self, volume_id: str) -> list[QueueEntry]:
        """Return the entries of a source volume whose copies wait or run. Settled entries add no cost."""

    def spending(self, policy: str, month: str) -> CopySpending:
        """Return the cost of a policy's time-based copies in a month, as `month_of` names it."""

    def spend(self, policy: str, month: str, usd: float) -> None:
        """Add the cost of a time-based copy to a policy's month; a negative cost subtracts it."""

    def mark_exhausted(self, policy: str, month: str) -> bool:
        """Record that a policy's budget did not cover a copy of a month; return whether it is the first one."""

    def take_lease(self, holder: str, now: datetime, seconds: int) -> datetime | None:
        """Take the dispatcher's lease if it is free or has expired; return the time when it was first taken in this table.

        A new table after a loss begins again. If another dispatcher holds the lease, ask it to continue, and return None.
        """

    def release_lease(self, holder: str) -> bool:
        """Release the lease, unless another dispatcher asked to continue: then keep it and return False (dispatch again)."""


class CopyResultStatus(StrEnum):
    """The status of a run's ended wait for one copy. Protect's definition reads the values."""

    COPIED = "COPIED"
    COPIED_EARLIER = "COPIED_EARLIER"
    """The copy completed in an earlier run. It may have been deleted since, so retention lists the region (INV-04)."""
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The result of a run's wait for one copy: a checked copy, or an error and its cause."""

    status: CopyResultStatus
    snapshot_id: str
    """The source snapshot."""
    region: str
    volume_id: str = field(default="", metadata=OPTIONAL)
    copy_id: str = field(default="", metadata=OPTIONAL)
    confirmed_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time of the answer, for people. Retention uses only the queue's entry."""
    error: str = field(default="", metadata=OPTIONAL)
    cause: str = field(default="", metadata=OPTIONAL)

    @property
    def failed(self) -> bool:
        """Whether the wait ended without a copy."""
        return self.status is CopyResultStatus.FAILED


class TaskTokens(Protocol):
    """Answers executions that wait for a task token, in any region."""

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        """Answer with success. Return False if the execution no longer waits (TaskTimedOut, TaskDoesNotExist, InvalidToken)."""

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        """Answer with failure. Return False if the execution no longer waits."""


class ProblemKind(StrEnum):
    """The kinds of problems and notices without an error class."""

    NOT_DELETED = "NotDeleted"
    COPY_LEFT_TO_SWEEP = "CopyLeftToSweep"
    RUN_FAILED = "RunFailed"
    """A run failed, and its state has no cause."""
    STEP_FAILED = "Failed"
    """A step failed with an unnamed error."""
    NOTICE_UNREADABLE = "NoticeUnreadable"
    COPY_LATE = "CopyLate"
    """A time-based copy missed its completion duration."""
    PROOF_BUDGET_SPENT = "ProofBudgetSpent"
    """The month's budget for comparisons is spent: only structure is compared."""
    NOT_LOCKED = "NotLocked"
    """AWS refused a lock."""
    COPY_BUDGET_SPENT = "CopyBudgetSpent"
    """The month's budget for time-based copies is spent: ordinary copies are made."""
    SCRIPT_FAILED = "ScriptFailed"
    """A command before or after snapshots failed on its instance."""
    NOT_SHARED = "NotShared"
    """A copy could not be shared with its vault, or its share could not be withdrawn."""
    DELETIONS_UNUSUAL = "DeletionsUnusual"
    """Runs planned far more deletions on a day than usual, and stopped."""
    SIGNAL = "Signal"
    """A call of another principal can weaken the protection of recovery points."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem to notify people of: an error's name, the id concerned, and the cause."""

    kind: str
    subject: str
    cause: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A problem to notify people of. Notices with one `kind` and `cause` become one message."""

    kind: str
    """The name of an error of Snapkeep or AWS, or a `ProblemKind`."""
    cause: str
    subject: str
    """Id of the snapshot, volume or plan concerned."""
    detail: str
    region: str
    at: datetime
    execution: str = field(default="", metadata=OPTIONAL)
    count: int = field(default=1, metadata=OPTIONAL)
    """The number of similar cases that the notice is about."""
    published: bool = field(default=False, metadata=OPTIONAL)
    """Whether the notice only records that a message of this kind and cause was published at its time."""

    @property
    def urgent(self) -> bool:
        """Whether its message does not wait for a quiet time."""
        return self.kind == ProblemKind.SIGNAL


class Publisher(Protocol):
    """Publishes messages to the people who subscribed."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        """Publish one message; subscriptions can filter by its attributes."""


class PageStore(Protocol):
    """Stores pages and records for people."""

    def put(self, name: str, content: str, content_type: str) -> str:
        """Store a text under a name; return its location (`s3://bucket/key`)."""


class Notices(Protocol):
    """Collects notices for the next digest."""

    def add(self, notice: Notice) -> None:
        """Add one notice to the next digest."""
