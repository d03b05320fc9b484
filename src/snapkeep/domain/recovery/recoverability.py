"""The numbers of volumes that can be recovered, with the regions and moments, and the volumes without a proved copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from snapkeep.domain.model import Snapshot
from snapkeep.domain.protection import VolumeHealth, VolumeProtection
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.verdict import is_proved


@dataclass(frozen=True, slots=True)
class Recoverability:
    """The number of a policy's volumes that can be recovered, with their regions and moments."""

    volumes: int
    recoverable: int
    within_rpo: int
    """Volumes whose newest point is within the RPO."""
    not_recoverable: int
    unknown: int
    """Volumes without a point in the regions that could be read, while others could not be read."""
    regions: tuple[str, ...]
    """The DR regions, or the primary region for volumes whose policy makes no copies."""
    oldest: datetime | None
    """The moment to which the volume with the oldest data can be recovered; None if no volume can be."""


def recoverability_of(volumes: Sequence[VolumeProtection], now: datetime) -> Recoverability:
    """Return the number of volumes that can be recovered, with their regions and moments."""
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
    """Return the volumes without a proved copy in a region to which their policy copies and that was read."""
    proved = {
        region: {copy.origin.lineage for copy in copies if is_proved(copy) and copy.unusable is None}
        for region, copies in copies_by_region.items()
    }
    return [
        volume
        for volume in volumes
        if any(copy.region in proved and volume.lineage not in proved[copy.region] for copy in volume.copies)
    ]
