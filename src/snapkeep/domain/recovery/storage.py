"""The quotas of storage in a region, one for each volume type, and whether they admit the volumes of a recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from snapkeep.domain.prices import VOLUME_STORAGE
from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.recovery.recovery_plan import VolumeRecovery

STORAGE_QUOTAS = {
    "gp2": "L-D18FCD1D",
    "gp3": "L-7A658B76",
    "io1": "L-FD252861",
    "io2": "L-09BD8365",
    "st1": "L-82ACEF56",
    "sc1": "L-17AF77E8",
    "standard": "L-9CF3C2EB",
}
"""Codes of Service Quotas, service `ebs`: storage of all volumes of a type in a region, in TiB."""
GIB_IN_TIB = 1024


@dataclass(frozen=True, slots=True)
class RegionStorage:
    """The storage of a region's volumes, and its quotas."""

    used_gib: Mapping[str, int] = field(default_factory=dict)
    quotas_tib: Mapping[str, float] = field(default_factory=dict)
    """By volume type; types whose quota is not known are missing."""
    problem: str = ""
    """The reason why quotas are not known."""

    def obstacles(self, volumes: Iterable[VolumeRecovery]) -> Iterator[str]:
        """Yield an obstacle for each volume type whose quota does not admit the volumes."""
        for volume_type, gib in _planned(volumes).items():
            quota, used = self.quotas_tib.get(volume_type), self.used_gib.get(volume_type, 0)
            if quota is not None and used + gib > quota * GIB_IN_TIB:
                yield (
                    f"{gib:,} GiB of {volume_type} beside {used:,} GiB are more than the quota {STORAGE_QUOTAS[volume_type]}, "
                    f"{quota:,g} TiB: request a higher one, or delete volumes"
                )

    def remarks(self, volumes: Iterable[VolumeRecovery]) -> Iterator[str]:
        """Yield a remark if quotas are not known."""
        unknown = sorted(volume_type for volume_type in _planned(volumes) if volume_type not in self.quotas_tib)
        if unknown:
            yield f"whether the quota of storage admits them is not known for {', '.join(unknown)}" + (
                f": {self.problem}" if self.problem else ""
            )


def dollars_per_month(volumes: Iterable[VolumeRecovery]) -> float | None:
    """Return the documented price of the volumes' storage, without provisioned performance; None if one of them is not gp3."""
    planned = _planned(volumes)
    return planned["gp3"] * VOLUME_STORAGE.dollars if set(planned) <= {"gp3"} else None


def _planned(volumes: Iterable[VolumeRecovery]) -> Counter[str]:
    planned: Counter[str] = Counter()
    for volume in volumes:
        planned[volume.volume_type] += volume.size_gib
    return planned
