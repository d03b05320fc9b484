"""Volumes, snapshots, origins of copies, verdicts and plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import CHECK, CONSISTENCY, MADE, MANAGED, POLICY, WRONG

NEVER = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
"""A time before all others: the start of a snapshot that does not exist."""
CLOCK_SKEW = timedelta(minutes=15)
"""The time by which a start time may be ahead of another clock: of this process, or of another region."""
EBS_KEY = "alias/aws/ebs"
"""The key of an account that AWS manages for EBS, in every region (EBS user guide, "Amazon EBS encryption").

KMS makes it when it is first described (KMS API reference: DescribeKey). Its policy cannot be changed, so no other account
can use it.
"""


class SnapshotState(StrEnum):
    """`Snapshot.State` in the EC2 service model (ec2 2016-11-15)."""

    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"
    RECOVERABLE = "recoverable"
    RECOVERING = "recovering"


class Unusable(LabelledEnum):
    """Why a completed snapshot or copy is not a recovery point: it cannot be restored now. Values are identifiers.

    The states of keys are those of KMS (KMS developer guide, "Key states of AWS KMS keys").
    """

    KEY_PENDING_DELETION = "key_pending_deletion", "its key is pending deletion"
    KEY_DISABLED = "key_disabled", "its key is disabled"
    KEY_PENDING_IMPORT = "key_pending_import", "its key waits for its key material"
    KEY_UNAVAILABLE = "key_unavailable", "its key is unavailable"
    KEY_MISSING = "key_missing", "its key does not exist"
    KEY_NOT_KNOWN = "key_not_known", "the state of its key is not known"
    ARCHIVED = "archived", "it is archived: a restore takes up to 72 hours"
    FOUND_WRONG = "found_wrong", "its check found it wrong"


@dataclass(frozen=True, slots=True)
class KeyFault:
    """The fault of a KMS key: nothing that it encrypts can be restored."""

    key_arn: str
    reason: Unusable
    deletion_at: datetime | None = None
    """The time when KMS deletes it; None if it is not pending deletion, or if KMS does not name the time."""
    cause: str = ""
    """AWS's message, if it refused to describe the key."""

    @property
    def text(self) -> str:
        """Its state in words: `its key is pending deletion on 2026-12-07`."""
        date = f" on {self.deletion_at:%Y-%m-%d}" if self.deletion_at else ""
        return self.reason.label + date + (f": {self.cause}" if self.cause else "")


class VolumeRole(StrEnum):
    """The role of a volume on the instance that it is attached to."""

    ROOT = "root"
    DATA = "data"
    UNATTACHED = "unattached"


@dataclass(frozen=True, slots=True)
class Volume:
    """An EBS volume, as far as selection needs it."""

    id: str
    region: str
    size_gib: int
    volume_type: str
    encrypted: bool = False
    role: VolumeRole = VolumeRole.UNATTACHED
    instance_ids: tuple[str, ...] = ()
    instance_tags: tuple[Mapping[str, str], ...] = ()
    """The tags of each of these instances, in their order."""
    zone: str = ""
    """Its Availability Zone; empty if only its snapshots describe the volume."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a snapshot's data: a source snapshot is its own origin; the origin of a copy is its source."""

    region: str
    volume_id: str
    snapshot_id: str
    start_time: datetime
    start_known: bool = field(default=True, metadata={"json_name": ""})  # never in JSON: a request's origin is a source
    """False if `start_time` is only an upper bound: the start of the copy itself."""

    @property
    def lineage(self) -> Lineage:
        """All snapshots and copies of one source volume share this."""
        return Lineage(self.region, self.volume_id)


class Lineage(NamedTuple):
    """The source volume that ties snapshots and copies together."""

    region: str
    volume_id: str

    @property
    def of_volume(self) -> bool:
        """False for the lineage of a single snapshot, whose own id replaces an arbitrary volume id (`tags.lineage_id`)."""
        return not self.volume_id.startswith("snap-")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An EBS snapshot or copy as EC2 describes it, with the origin in its tags.

    `start_time` is EC2's own: for a copy it is when the *copy* started. Order by `origin.start_time`.
    """

    id: str
    region: str
    state: SnapshotState
    start_time: datetime
    origin: Origin
    size_gib: int
    tags: Mapping[str, str] = field(default_factory=dict)
    encrypted: bool = False
    kms_key_id: str = ""
    state_message: str = ""
    progress_percent: int = 100
    is_copy: bool = False
    completed_at: datetime | None = None
    """None while it is not completed, and where EC2 does not say."""
    not_copyable: str = ""
    """Why EC2 does not copy it to another region; empty if it does."""
    archived: bool = False
    """Whether it is in the archive tier, and not temporarily restored from there."""
    completion_minutes: int = 0
    """The completion duration of a time-based copy; 0 of an ordinary one."""
    key_fault: KeyFault | None = None
    """Why its KMS key cannot be used; None if it can, and from a reader that does not read keys."""

    @property
    def completed(self) -> bool:
        """Only completed snapshots count (INV-03)."""
        return self.state is SnapshotState.COMPLETED

    def managed_by(self, system: str) -> bool:
        """Whether this snapshot carries our tag (INV-01), and is not a copy that was found wrong (INV-13)."""
        return self.tags.get(MANAGED) == system and not self.found_wrong

    @property
    def found_wrong(self) -> bool:
        """Whether the check of this copy found it wrong: it counts nowhere, and a person decides about it."""
        return self.is_copy and self.tags.get(CHECK) == WRONG

    @property
    def unusable(self) -> Unusable | None:
        """Why it cannot be restored now, although it is completed; None if it can."""
        if self.found_wrong:
            return Unusable.FOUND_WRONG
        if self.key_fault is not None:
            return self.key_fault.reason
        return Unusable.ARCHIVED if self.archived else None

    def counts_for(self, system: str) -> bool:
        """Whether it is a recovery point of the system."""
        return bool(countable((self,), system))

    @property
    def policy(self) -> str:
        """The name of the policy that it was tagged with; empty when it has none."""
        return self.tags.get(POLICY, "")

    @property
    def consistency(self) -> str:
        """`application` if the command before the snapshot succeeded, `crash` if not; empty without a command."""
        return self.tags.get(CONSISTENCY, "") if self.is_copy or MADE in self.tags else ""


def countable(snapshots: Iterable[Snapshot], system: str) -> list[Snapshot]:
    """Return the recovery points of a system: completed, managed by it, and restorable now (INV-01, INV-03, INV-13)."""
    # One expression over a list: a sweep has a million snapshots, and each property would take as long as all of this.
    completed, managed = SnapshotState.COMPLETED, MANAGED
    return [
        snapshot
        for snapshot in snapshots
        if snapshot.state is completed
        and snapshot.tags.get(managed) == system
        and snapshot.key_fault is None
        and not snapshot.archived
        and not (snapshot.is_copy and snapshot.found_wrong)
    ]


SnapshotInRegion = tuple[str, str]
"""A source snapshot's id, and the region of a copy of it: a copy's identity within one source region."""


class LockState(StrEnum):
    """`LockState` in the EC2 service model (ec2 2016-11-15), without `expired`: an expired lock is none."""

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"
    COOL_OFF = "compliance-cooloff"
    UNKNOWN = "unknown"
    """A state that this version does not know: the snapshot is locked, and its lock is never changed."""

    @classmethod
    def _missing_(cls, value: object) -> LockState:  # noqa: ARG003 - the enum's form
        return cls.UNKNOWN


class SnapshotLock(NamedTuple):
    """A lock that is in force."""

    state: LockState
    until: datetime | None = None
    """None until the snapshot is completed: then the duration begins."""
    days: int = 0
    """Its duration; 0 if EC2 names none."""

    @property
    def text(self) -> str:
        """The lock in words."""
        if self.until is None:
            duration = f" for {self.days} d from its completion" if self.days else ""
            return f"locked{duration} ({self.state})"
        return f"locked until {self.until:%Y-%m-%d %H:%M} UTC ({self.state})"


class Action(StrEnum):
    """Result of a plan for one snapshot."""

    KEEP = "keep"
    DELETE = "delete"


class Reason(NamedTuple):
    """One reason of a verdict: `rule` for machines (a retention word, an invariant, "held"), `text` for people."""

    rule: str
    text: str


class Verdict(NamedTuple):
    """Keep or delete for one snapshot, with every reason."""

    snapshot: Snapshot
    action: Action
    reasons: tuple[Reason, ...]


class Refusal(NamedTuple):
    """The reason why the plan of one lineage deletes nothing: the invariants that it would break."""

    lineage: Lineage
    text: str


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """All verdicts for one or many lineages of a region, in the form in which they are carried out."""

    id: str
    region: str
    made_at: datetime
    verdicts: tuple[Verdict, ...]
    refusals: tuple[Refusal, ...] = ()
    """The lineages whose plan is refused: their snapshots are kept."""
    governing: Mapping[Lineage, str] = field(default_factory=dict)
    """The name of the policy that governs each lineage; a hold may cover a policy."""

    @property
    def deletions(self) -> tuple[Verdict, ...]:
        """The verdicts that delete, in the order in which they are to be carried out (oldest origin first)."""
        return tuple(v for v in self.verdicts if v.action is Action.DELETE)
