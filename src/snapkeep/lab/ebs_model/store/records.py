"""What the model holds: plain records, with slots, since a world may hold a million of them.

Times are seconds since the epoch; 0.0 stands for "not yet". Tags are flat tuples (see ``tags``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from snapkeep.lab.ebs_model.store.blocks import Chain, WriteLog
from snapkeep.lab.ebs_model.store.tags import FlatTags

PENDING, COMPLETED, ERROR = "pending", "completed", "error"


@dataclass(slots=True, eq=False)
class Snapshot:
    """A snapshot or a copy. ``source_id`` is set on copies; ``volume_id`` of a copy is arbitrary."""

    seq: int
    id: str
    owner_id: str
    volume_id: str
    state: str
    start: float
    due: float
    size_gib: int
    description: str
    log: WriteLog
    generation: int
    tags: FlatTags = ()
    message: str = ""
    completed_at: float = 0.0
    encrypted: bool = False
    key_arn: str = ""
    chain: Chain | None = None
    full_blocks: int = 0
    moved_blocks: int = 0
    tier: str = "standard"
    source_region: str = ""
    source_account: str = ""
    source_id: str = ""
    duration_minutes: int = 0
    set_id: str = ""
    failure: str = ""


@dataclass(slots=True, eq=False)
class Volume:
    """A volume. ``change_blocks_per_day`` is written, seeded, before each of its snapshots."""

    seq: int
    id: str
    owner_id: str
    zone: str
    size_gib: int
    type: str
    created: float
    log: WriteLog
    state: str = "creating"
    encrypted: bool = False
    key_arn: str = ""
    snapshot_id: str = ""
    tags: FlatTags = ()
    iops: int = 0
    throughput: int = 0
    instance_id: str = ""
    device: str = ""
    attached_at: float = 0.0
    delete_on_termination: bool = False
    pending: int = 0
    last_snapshot_at: float = 0.0
    change_blocks_per_day: float = 0.0
    changed_at: float = 0.0
    client_token: str = ""


@dataclass(slots=True, eq=False)
class Instance:
    """An instance: what its volumes need of one."""

    seq: int
    id: str
    owner_id: str
    zone: str
    launched: float
    root_device: str = "/dev/xvda"
    image_id: str = ""
    type: str = "t3.micro"
    state: str = "running"
    tags: FlatTags = ()
    volume_ids: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Image:
    """An AMI. ``mappings`` are (device, snapshot id, size in GiB)."""

    seq: int
    id: str
    owner_id: str
    name: str
    created: float
    root_device: str
    mappings: list[tuple[str, str, int]]
    state: str = "available"
    description: str = ""
    tags: FlatTags = ()
    public: bool = False


@dataclass(slots=True, eq=False)
class Key:
    """A KMS key. ``denied`` holds patterns of the principals that may not use it; `*` is everybody."""

    id: str
    arn: str
    owner_id: str
    created: float
    state: str = "Enabled"
    description: str = ""
    manager: str = "CUSTOMER"
    deletion_at: float = 0.0
    denied: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Lock:
    """A snapshot lock [EBS user guide: snapshot lock]."""

    mode: str
    created: float
    duration_days: int
    starts: float
    expires: float
    cool_off_hours: int = 0
    cool_off_ends: float = 0.0
    expired: bool = False


@dataclass(slots=True, eq=False)
class Tiering:
    """The last archive or restore of a snapshot."""

    status: str
    started: float
    ends: float
    archived_at: float = 0.0
    restore_expires: float = 0.0
    temporary_days: int = 0


@dataclass(slots=True, eq=False)
class Binned:
    """A snapshot in Recycle Bin."""

    snapshot: Snapshot
    entered: float
    exits: float


@dataclass(slots=True, eq=False)
class BinRule:
    """A retention rule of Recycle Bin: region-wide when it names no tags."""

    retention_days: int
    tags: list[tuple[str, str]] = field(default_factory=list)
    exclude_tags: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SnapshotSet:
    """A multi-volume set and which of its snapshots are not finished."""

    id: str
    owner_id: str
    start: float
    members: list[tuple[str, str]]
    waiting: int
    failed_ids: list[str] = field(default_factory=list)
