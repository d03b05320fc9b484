"""The records of a world: plain, with slots, because a world may hold a million of them.

Times are seconds since the epoch; 0.0 means "not yet". Tags are flat tuples (see ``tags``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from snapkeep.lab.ebs_model.store.blocks import Chain, WriteLog
from snapkeep.lab.ebs_model.store.tags import FlatTags

PENDING, COMPLETED, ERROR = "pending", "completed", "error"


@dataclass(slots=True, eq=False)
class SnapshotRecord:
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
    altered: WriteLog | None = None
    """The content, if planted faults make it differ from that of the lineage."""
    billing: tuple[str, ...] = ()
    """Platform details, usage operation, and product codes that its volume had from an AMI."""


@dataclass(slots=True, eq=False)
class VolumeRecord:
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
    attachment_state: str = "attached"
    multi_attach: bool = False
    auto_enable_io: bool = False
    initialization_rate: int = 0
    """The provisioned MiB/s; 0 for the default rate."""
    initialized_at: float = 0.0
    """The time when all blocks of its snapshot are loaded; 0 for an empty volume."""
    billing: tuple[str, ...] = ()
    modifications: list[dict[str, Any]] = field(default_factory=list)
    """Start, end, original and target of each modification, in order."""
    pending: int = 0
    last_snapshot_at: float = 0.0
    change_blocks_per_day: float = 0.0
    changed_at: float = 0.0


@dataclass(slots=True, eq=False)
class InstanceRecord:
    """An instance. ``details`` are rendered unchanged, ``attributes`` are those of DescribeInstanceAttribute."""

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
    reservation_id: str = ""
    launch_index: int = 0
    client_token: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    interface_ids: list[str] = field(default_factory=list)
    started: float = 0.0
    """The time of its last start, from which its status checks count."""
    ended: float = 0.0
    check_fails: bool = False
    root_volume_ids: list[str] = field(default_factory=list)
    """Every volume that was ever its root."""


@dataclass(slots=True, eq=False)
class ImageRecord:
    """An AMI. ``mappings`` and ``details`` are rendered unchanged."""

    seq: int
    id: str
    owner_id: str
    name: str
    created: float
    root_device: str
    mappings: list[dict[str, Any]]
    state: str = "available"
    description: str = ""
    tags: FlatTags = ()
    public: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    launch_permissions: list[str] = field(default_factory=list)

    def snapshot_ids(self) -> list[str]:
        """Return the snapshots in its block device mapping, each once."""
        ids = (str((mapping.get("Ebs") or {}).get("SnapshotId") or "") for mapping in self.mappings)
        return list(dict.fromkeys(snapshot_id for snapshot_id in ids if snapshot_id))


@dataclass(slots=True, eq=False)
class Key:
    """A KMS key.

    ``denied`` has patterns of the principals that may not use it; `*` is all. ``policy`` is its policy as JSON; empty for the
    default one, which gives its own account every right.
    """

    id: str
    arn: str
    owner_id: str
    created: float
    state: str = "Enabled"
    description: str = ""
    manager: str = "CUSTOMER"
    deletion_at: float = 0.0
    denied: list[str] = field(default_factory=list)
    policy: str = ""


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
class TierChange:
    """The last archive or restore of a snapshot."""

    status: str
    started: float
    ends: float
    archived_at: float = 0.0
    restore_expires: float = 0.0
    temporary_days: int = 0


@dataclass(slots=True, eq=False)
class BinnedSnapshot:
    """A snapshot in Recycle Bin."""

    snapshot: SnapshotRecord
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
    """A multi-volume set, and its snapshots that are not finished."""

    id: str
    owner_id: str
    start: float
    members: list[tuple[str, str]]
    waiting: int
    failed_ids: list[str] = field(default_factory=list)
