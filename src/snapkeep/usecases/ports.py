"""The ports of the use cases. Adapters implement them over AWS; the model of EBS stands behind the same adapters.

Every port raises only `snapkeep.domain.errors`. Reading, tagging, copying and deleting are separate ports, so that each
function's role, and a dry run, holds exactly the part that it may use.
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

UNREACHABLE_AFTER = 2
"""Calls to a region without an answer after which a run makes no further one there: one may be chance, and must not cost more."""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""


class Pacer(Protocol):
    """Lets time pass."""

    def pause(self, seconds: float) -> None:
        """Wait."""


class PacingClock(Clock, Pacer, Protocol):
    """Tells the time, and lets it pass."""


class DeletionGuards(Protocol):
    """Knows the snapshots that AMIs use, and those that are locked: they must never be deleted (INV-06)."""

    def images_using(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the AMIs (disabled ones too) that use each snapshot; unused snapshots are absent."""

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        """Return the lock of each snapshot; snapshots that are not locked are absent."""


class SnapshotReader(DeletionGuards, Protocol):
    """Reads EBS of one region. Listings take all pages and only our own account's snapshots."""

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
        """Return all snapshots of volumes of this region that were made here (managed or not, in any state)."""

    def copies_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        """Return the copies in this region of the snapshots of source volumes (of any region)."""

    def copies_of_snapshots(self, snapshot_ids: Collection[str]) -> list[Snapshot]:
        """Return the copies in this region of source snapshots, by tag, in any state."""

    def tagged_snapshots(self, keys: Collection[str]) -> list[Snapshot]:
        """Return the snapshots of this region that have a tag with one of these keys."""

    def all_snapshots(self) -> Iterator[Snapshot]:
        """Return every snapshot that the account owns in the region."""

    def copies_in_flight(self) -> list[Snapshot]:
        """Return every pending copy in this region, also those by others: each counts against the quota."""


class SnapshotTagger(Protocol):
    """Writes tags. The role behind it cannot delete."""

    def tag(self, snapshot_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Write the tags. Raise SnapshotGone if a snapshot is not there, TagsDoNotFit if the limit of 50 is passed."""


class SnapshotCopier(Protocol):
    """Starts copies into this region. The role behind it cannot delete."""

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
    """It was planned elsewhere, and the plan of the deleting function keeps it."""
    HELD = "held", "held"
    """A person placed a hold that covers it (INV-26)."""
    UNUSUAL = "unusual", "stays: far more deletions today than usual"
    """Runs delete no more on this day, or whether they may is not known."""


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """The outcome of one deletion; `cause` in AWS's words where it was refused."""

    snapshot_id: str
    outcome: DeletionOutcome
    cause: str = field(default="", metadata=OPTIONAL)

    @property
    def done(self) -> bool:
        """Whether the snapshot is deleted."""
        return self.outcome in (DeletionOutcome.DELETED, DeletionOutcome.ALREADY_GONE)


class SnapshotDeleter(Protocol):
    """Deletes managed snapshots. The role behind it cannot tag."""

    def delete(self, snapshot_id: str) -> DeletionResult:
        """Delete one snapshot and return its outcome. A refusal is a result; only AwsThrottled and AwsUnavailable are raised."""


class SnapshotLocker(Protocol):
    """Locks managed snapshots. Nothing unlocks: there is no such port, and no role that may."""

    def lock(self, order: LockOrder) -> None:
        """Lock a snapshot, or change its lock. Raise SnapshotGone, AwsRefused, AwsThrottled or AwsUnavailable."""


class LockRequests(Protocol):
    """Has snapshots locked that their policies want locked, by what alone may lock."""

    def request(self, snapshot_ids: Sequence[str], version: int = 0) -> None:
        """Name snapshots of this region, or none for its pending copies. They are locked soon after, once or again alike.

        `version` is that of the policy document that wants the locks: they are not decided by an earlier one.
        """


class Commands(Protocol):
    """Runs commands in instances. A role may send the documents that its template names alone."""

    def send(self, instance_id: str, document: str, comment: str, *, within: timedelta) -> None:
        """Send a command, which does not run if it has not started within a time (30 seconds at least).

        It has no client token: callers look for the comment first. Raise AwsRefused, AwsThrottled or AwsUnavailable.
        """

    def find(self, instance_id: str, comment: str, since: datetime) -> CommandResult | None:
        """Return the command with a comment that was sent since a moment; None if Systems Manager shows none, or not yet."""


class CopyQueue(Protocol):
    """The queue towards one DR region: a table that lives there."""

    @property
    def region(self) -> str:
        """The destination region."""

    def insert(self, entry: QueueEntry) -> QueueEntry:
        """Put a new entry in. Return it with its version. Raise EntryChanged if one with its key is there already."""

    def get(self, key: str) -> QueueEntry:
        """Return the entry. Raise EntryNotFound if there is none."""

    def write(self, entry: QueueEntry) -> QueueEntry:
        """Write an entry that was read, if it was not written since. Return it with its new version. Raise EntryChanged."""

    def most_urgent(self, count: int) -> list[QueueEntry]:
        """Return up to `count` waiting entries, those that must start first (`due`) first. The queue's length adds no cost."""

    def due(self, now: datetime, count: int) -> list[QueueEntry]:
        """Return up to `count` delayed entries whose `not_before` has come, earliest first."""

    def in_state(self, state: EntryState) -> Iterator[QueueEntry]:
        """Return all entries in a state, most urgent first."""

    def recently_done(self, count: int) -> list[QueueEntry]:
        """Return up to `count` entries whose copies are done, those that had to start last first."""

    def open_entries(self, volume_id: str) -> list[QueueEntry]:
        """Return the entries of a source volume whose copies wait or run. Settled ones, however many, add no cost."""

    def spending(self, policy: str, month: str) -> CopySpending:
        """Return the cost of a policy's time-based copies in a month, as `month_of` names it."""

    def spend(self, policy: str, month: str, usd: float) -> None:
        """Add the cost of a time-based copy to a policy's month; a negative one takes it back."""

    def mark_exhausted(self, policy: str, month: str) -> bool:
        """Note that a policy's budget did not cover a copy of a month; return whether it is the first one."""

    def take_lease(self, holder: str, now: datetime, seconds: int) -> datetime | None:
        """Take the dispatcher's lease if it is free or has expired; return when it was first taken in this table.

        A table that was lost and made anew begins anew. If another dispatcher holds it, ask that one to go on, and return None.
        """

    def release_lease(self, holder: str) -> bool:
        """Give the lease back, unless another dispatcher asked to go on: then keep it and return False (dispatch once more)."""


class CopyResultStatus(StrEnum):
    """How a run's wait for one copy ended. Protect's definition reads the values."""

    COPIED = "COPIED"
    COPIED_EARLIER = "COPIED_EARLIER"
    """An earlier run saw the copy complete; it may be deleted since, so retention lists the region (INV-04)."""
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class CopyResult:
    """How a run's wait for one copy ended: with a copy that was checked, or with an error and its cause."""

    status: CopyResultStatus
    snapshot_id: str
    """The source snapshot."""
    region: str
    volume_id: str = field(default="", metadata=OPTIONAL)
    copy_id: str = field(default="", metadata=OPTIONAL)
    confirmed_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """When it was answered, for people. Retention believes the queue's entry alone."""
    error: str = field(default="", metadata=OPTIONAL)
    cause: str = field(default="", metadata=OPTIONAL)

    @property
    def failed(self) -> bool:
        """Whether the run has no copy to rely on."""
        return self.status is CopyResultStatus.FAILED


class TaskTokens(Protocol):
    """Answers executions that wait with a task token, in any region."""

    def send_success(self, region: str, token: str, output: CopyResult) -> bool:
        """Answer with success. Return False if the execution waits no more (TaskTimedOut, TaskDoesNotExist, InvalidToken)."""

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        """Answer with failure. Return False if the execution waits no more."""


class ProblemKind(StrEnum):
    """The kinds of problems and notices that no class of an error names."""

    NOT_DELETED = "NotDeleted"
    COPY_LEFT_TO_SWEEP = "CopyLeftToSweep"
    RUN_FAILED = "RunFailed"
    """A run failed, and its state does not say why."""
    STEP_FAILED = "Failed"
    """A step failed with an error that has no name."""
    NOTICE_UNREADABLE = "NoticeUnreadable"
    COPY_LATE = "CopyLate"
    """A time-based copy missed its completion duration."""
    PROOF_BUDGET_SPENT = "ProofBudgetSpent"
    """The month's budget for comparisons is spent: structure alone is compared."""
    NOT_LOCKED = "NotLocked"
    """AWS refused a lock."""
    COPY_BUDGET_SPENT = "CopyBudgetSpent"
    """The month's budget for time-based copies is spent: ordinary copies are made."""
    SCRIPT_FAILED = "ScriptFailed"
    """A command before or after snapshots failed on its instance."""
    NOT_SHARED = "NotShared"
    """A copy could not be shared with its vault, or its share not be taken back."""
    DELETIONS_UNUSUAL = "DeletionsUnusual"
    """Runs planned far more deletions on a day than usual, and make no more."""
    SIGNAL = "Signal"
    """A call of another principal that can weaken what protects recovery points."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem to notify people of: an error's name, the id concerned, and the cause."""

    kind: str
    subject: str
    cause: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A problem that a person should know. Notices with one `kind` and `cause` become one message."""

    kind: str
    """The name of an error, ours or AWS's, or a `ProblemKind`."""
    cause: str
    subject: str
    """Id of the snapshot, volume or plan concerned."""
    detail: str
    region: str
    at: datetime
    execution: str = field(default="", metadata=OPTIONAL)
    count: int = field(default=1, metadata=OPTIONAL)
    """The number of like cases that the notice stands for."""
    published: bool = field(default=False, metadata=OPTIONAL)
    """It stands for no case: a message of this kind and cause was published at its time."""

    @property
    def urgent(self) -> bool:
        """Whether its message waits for no quiet time."""
        return self.kind == ProblemKind.SIGNAL


class Publisher(Protocol):
    """Publishes messages to the people who subscribed."""

    def publish(self, subject: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        """Publish one message; subscriptions can filter by its attributes."""


class PageStore(Protocol):
    """Keeps pages and records for people."""

    def put(self, name: str, content: str, content_type: str) -> str:
        """Keep a text under a name; return where it is, as people write it (`s3://bucket/key`)."""


class Notices(Protocol):
    """Collects notices for the next digest."""

    def add(self, notice: Notice) -> None:
        """Keep one notice for the next digest."""
