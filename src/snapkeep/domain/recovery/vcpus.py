"""The quotas of vCPUs in a region, one for each group of instance families, and whether they admit a recovery's instances."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.recovery.instance_plan import InstancePlan

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
class RegionVcpus:
    """The vCPUs of a region's running On-Demand instances, and their quotas."""

    used: Mapping[str, int] = field(default_factory=dict)
    """By the code of the quota, for the running instances: EC2 may count more for an instance with CPU options."""
    quotas: Mapping[str, float] = field(default_factory=dict)
    """By code; quotas that are not known are missing."""
    problem: str = ""
    """The reason why quotas are not known."""

    def obstacles(self, plans: Iterable[InstancePlan]) -> Iterator[str]:
        """Yield an obstacle for each quota that does not admit the instances."""
        for code, vcpus in _planned(plans).items():
            quota, used = self.quotas.get(code), self.used.get(code, 0)
            if quota is not None and used + vcpus > quota:
                yield (
                    f"{vcpus} vCPUs beside {used} that run are more than the quota {code}, {quota:g}: request a higher one, "
                    "stop instances, or map the type to a smaller one"
                )

    def remarks(self, plans: Iterable[InstancePlan]) -> Iterator[str]:
        """Yield a remark if quotas are not known."""
        if any(code not in self.quotas for code in _planned(plans)):
            yield "whether the quota of vCPUs admits them is not known" + (f": {self.problem}" if self.problem else "")


def _planned(plans: Iterable[InstancePlan]) -> Counter[str]:
    planned: Counter[str] = Counter()
    for plan in plans:
        if not plan.replaces_root:
            planned[quota_of(plan.instance_type)] += plan.vcpus
    return planned
