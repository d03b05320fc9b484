"""How many volumes can be recovered, where, and to when; and which have no proved copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from snapkeep.domain.model import Snapshot
from snapkeep.domain.protection import VolumeHealth, VolumeProtection
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.verdict import is_proved


@dataclass(frozen=True, slots=True)
class Recoverability:
    """How many of the volumes that a policy governs can be recovered, where, and to when."""

    volumes: int
    recoverable: int
    within_rpo: int
    """Those whose newest point is no older than the RPO."""
    not_recoverable: int
    unknown: int
    """Those without a point in the regions that could be read, while others could not."""
    regions: tuple[str, ...]
    """Where: the DR regions, or the primary region for volumes whose policy makes no copies."""
    oldest: datetime | None
    """The moment to which the volume furthest behind can be recovered; None where none can."""


def recoverability_of(volumes: Sequence[VolumeProtection], now: datetime) -> Recoverability:
    """Return how many of the volumes can be recovered, where, and to when."""
    governed = [volume for volume in volumes if volume.health is not VolumeHealth.NO_POLICY]
    newest = {
        volume.lineage: max(point.start_time for point in volume.recovery_points) for volume in governed if volume.recovery_points
    }
    rest = [volume for volume in governed if volume.lineage not in newest]
    unknown = sum(volume.health is VolumeHealth.UNKNOWN for volume in rest)
    return Recoverability(
        volumes=len(governed),
        recoverable=len(newest),
        within_rpo=sum(now - newest[volume.lineage] <= volume.rpo for volume in governed if volume.lineage in newest),
        not_recoverable=len(rest) - unknown,
        unknown=unknown,
        regions=tuple(sorted({point.region for volume in governed for point in volume.recovery_points})),
        oldest=min(newest.values(), default=None),
    )


def not_proved(volumes: Iterable[VolumeProtection], copies_by_region: Mapping[str, Iterable[Snapshot]]) -> list[VolumeProtection]:
    """Return the volumes without a proved copy in a region that their policy copies to and that was read."""
    proved = {
        region: {copy.origin.lineage for copy in copies if is_proved(copy) and copy.unusable is None}
        for region, copies in copies_by_region.items()
    }
    return [
        volume
        for volume in volumes
        if any(copy.region in proved and volume.lineage not in proved[copy.region] for copy in volume.copies)
    ]
