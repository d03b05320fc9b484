"""Quotas and speeds of the model. Every number is configuration; the defaults are AWS's documented values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from snapkeep.lab.ebs_model.conditions.clock import finite

MIB = 1024 * 1024
GIB = 1024 * MIB
SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Quotas:
    """EBS quotas of one account in one region.

    ``copies_per_destination``: [EBS user guide: copy a snapshot], 20. ``pending_snapshots``: L-94D7AB7D, 100.
    ``snapshots_per_volume``: 5, st1 and sc1 1 [EBS user guide: quotas]. ``seconds_between_snapshots``: 15 between
    concurrent snapshots of a volume [EC2 API reference: error codes, SnapshotCreationPerVolumeRateExceeded].
    ``copy_mib_per_second``: cumulative for time-based copies of a pair of regions, 2,000, and 500 for one
    [EBS user guide: time-based copies]. ``archives_in_progress``: sources differ (5 or 25).
    ``initialization_mib_per_second``: L-A37D9CF3, over all volumes that initialise at a provisioned rate.
    ``storage_tib``: volume type -> TiB of all its volumes, 50 (io2: 20) in a new account, and no limit here unless it is set.
    ``buckets`` overrides request buckets: action -> (size, refill per second).
    """

    copies_per_destination: int = 20
    snapshots_per_region: int = 100_000
    pending_snapshots: int = 100
    snapshots_per_volume: int = 5
    snapshots_per_throughput_volume: int = 1
    seconds_between_snapshots: float = 15.0
    copy_mib_per_second: float = 2_000.0
    one_copy_mib_per_second: float = 500.0
    archived_per_volume: int = 25
    archives_in_progress: int = 25
    restores_in_progress: int = 5
    tags_per_resource: int = 50
    initialization_mib_per_second: float = 5_000.0
    volume_modifications_per_day: int = 4
    throttling: bool = True
    storage_tib: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Speeds:
    """Durations and speeds. AWS documents none for these: the defaults are assumptions, and all can be set.

    A snapshot or a copy takes ``*_base_seconds`` plus the bytes that move at ``*_mib_per_second``, stretched by up to
    ``jitter`` (a share, drawn from the seed). ``initialization_mib_per_second`` is the default rate at which a volume gets its
    snapshot's blocks; the event of the end follows within 5 minutes [EBS user guide: EventBridge events].
    """

    snapshot_base_seconds: float = 30.0
    snapshot_mib_per_second: float = 250.0
    copy_base_seconds: float = 60.0
    copy_mib_per_second: float = 120.0
    key_check_seconds: float = 20.0
    failure_seconds: float = 30.0
    volume_create_seconds: float = 1.0
    archive_mib_per_second: float = 100.0
    restore_mib_per_second: float = 50.0
    tier_base_seconds: float = 600.0
    initialization_mib_per_second: float = 50.0
    initialize_event_seconds: float = 0.0
    modification_seconds: float = 0.0
    attachment_seconds: float = 0.0
    instance_start_seconds: float = 0.0
    instance_stop_seconds: float = 0.0
    status_check_seconds: float = 120.0
    replace_root_seconds: float = 60.0
    event_delay_seconds: float = 0.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            if finite(getattr(self, each.name), each.name) < 0:
                raise ValueError(f"{each.name} is {getattr(self, each.name)}: 0 or more")
