"""Whether a region has room for a recovery: quotas of storage, by volume type, and of vCPUs, by group of instance families."""

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
    """Return the code of the quota that an instance type counts to; empty for a family that none is known of."""
    family = re.match(r"[a-z]+", instance_type)
    # Families such as `is4gen` and `mac2` begin with the letter of theirs; `im4gn` is of I.
    return (_OF_FAMILIES.get(family[0]) or _OF_FAMILIES.get(family[0][0], "")) if family else ""


@dataclass(frozen=True, slots=True)
class RegionQuotas:
    """Quotas of a region, and how much is in use, by the quotas' codes: GiB of a volume type, or vCPUs."""

    used: Mapping[str, int] = field(default_factory=dict)
    """As instances run: EC2 may count more of one with CPU options."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Those that are not known are missing."""
    problem: str = "Service Quotas does not list it"
    """Why they are missing."""

    def obstacles(self, planned: Mapping[str, int]) -> Iterator[str]:
        """Yield the quotas that do not admit what is planned."""
        for code, amount in planned.items():
            limit, used, unit = self.limits.get(code), self.used.get(code, 0), _unit_of(code)
            if limit is not None and used + amount > limit:
                remedy = "stop instances, or map the type to a smaller one" if unit == _VCPUS else "delete volumes"
                yield (
                    f"{amount:,} {unit} beside {used:,} in use are more than the quota {code}, {limit:,.0f}: "
                    f"request a higher one, or {remedy}"
                )

    def remarks(self, planned: Iterable[str]) -> Iterator[str]:
        """Yield what is not known of the quotas that a plan counts to."""
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
    """Return the documented price of volumes' storage, without provisioned performance; None where one is not gp3."""
    planned = storage_of(volumes)
    gp3 = STORAGE_QUOTAS["gp3"]
    return planned[gp3] * VOLUME_STORAGE.dollars if set(planned) <= {gp3} else None
