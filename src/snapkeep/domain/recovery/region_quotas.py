"""A region's quotas of storage and of vCPUs, by volume type and group of instance families; whether they admit a recovery."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from snapkeep.domain.prices import VOLUME_STORAGE
from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.recovery.instance_plan import InstancePlan
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

_VCPUS = "vCPUs"
_STANDARD = "L-1216C47A"
_OF_FAMILIES = {
    "dl": "L-6E869C2A",
    "f": "L-74FC7D96",
    "g": "L-DB2E81BA",
    "vt": "L-DB2E81BA",
    "hpc": "L-F7808C92",
    "u": "L-43DA4232",
    "inf": "L-1945791B",
    "p": "L-417A185B",
    "trn": "L-2C3B7624",
    "x": "L-7295265B",
    **dict.fromkeys("acdhimrtz", _STANDARD),
}
"""Codes of Service Quotas, service `ec2`: vCPUs of running On-Demand instances [EC2 user guide: On-Demand Instance quotas]."""


def quota_of(instance_type: str) -> str:
    """Return the code of an instance type's quota; empty for an unknown family."""
    family = re.match(r"[a-z]+", instance_type)
    # Families such as `is4gen`, `im4gn` and `mac2` have the quota of their first letter.
    return (_OF_FAMILIES.get(family[0]) or _OF_FAMILIES.get(family[0][0], "")) if family else ""


@dataclass(frozen=True, slots=True)
class RegionQuotas:
    """The quotas of a region by their codes, in GiB of a volume type or in vCPUs, and how much of each is in use."""

    used: Mapping[str, int] = field(default_factory=dict)
    """For the running instances: EC2 may count more for an instance with CPU options."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Quotas that are not known are missing."""
    problem: str = "Service Quotas does not list it"
    """The reason why quotas are not known."""

    def obstacles(self, planned: Mapping[str, int]) -> Iterator[str]:
        """Yield an obstacle for each quota that does not admit the planned amount."""
        for code, amount in planned.items():
            limit, used, unit = self.limits.get(code), self.used.get(code, 0), _unit_of(code)
            if limit is not None and used + amount > limit:
                remedy = "stop instances, or map the type to a smaller one" if unit == _VCPUS else "delete volumes"
                yield (
                    f"{amount:,} {unit} beside {used:,} in use are more than the quota {code}, {limit:,.0f}: "
                    f"request a higher one, or {remedy}"
                )

    def remarks(self, planned: Iterable[str]) -> Iterator[str]:
        """Yield a remark if quotas of a plan are not known."""
        unknown = sorted({_unit_of(code) for code in planned if code not in self.limits})
        if unknown:
            yield f"whether the quota admits them is not known for {', '.join(unknown)}: {self.problem}"


def _unit_of(code: str) -> str:
    if code in {"", *_OF_FAMILIES.values()}:
        return _VCPUS
    return f"GiB of {next((kind for kind, quota in STORAGE_QUOTAS.items() if quota == code), code)}"


def storage_of(volumes: Iterable[VolumeRecovery]) -> Counter[str]:
    """Return the GiB of volumes, by the codes of their quotas."""
    planned: Counter[str] = Counter()
    for volume in volumes:
        planned[STORAGE_QUOTAS.get(volume.volume_type, volume.volume_type)] += volume.size_gib
    return planned


def vcpus_of(plans: Iterable[InstancePlan]) -> Counter[str]:
    """Return the vCPUs of the instances that are launched, by the codes of their quotas."""
    planned: Counter[str] = Counter()
    for plan in plans:
        if not plan.replaces_root:
            planned[quota_of(plan.instance_type)] += plan.vcpus
    return planned


def dollars_per_month(volumes: Iterable[VolumeRecovery]) -> float | None:
    """Return the documented price of the volumes' storage, without provisioned performance; None if one of them is not gp3."""
    planned = storage_of(volumes)
    gp3 = STORAGE_QUOTAS["gp3"]
    return planned[gp3] * VOLUME_STORAGE.dollars if set(planned) <= {gp3} else None
