"""Whether a region has room for the instances of a recovery: the quotas of vCPUs, one for each group of instance families."""

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
    """Return the code of the quota that an instance type counts to; empty for a family that none is known of."""
    family = re.match(r"[a-z]+", instance_type)
    # Families such as `is4gen` and `mac2` begin with the letter of theirs; `im4gn` is of I.
    return (_OF_FAMILIES.get(family[0]) or _OF_FAMILIES.get(family[0][0], "")) if family else ""


@dataclass(frozen=True, slots=True)
class RegionVcpus:
    """The vCPUs of a region's running On-Demand instances, and their quotas."""

    used: Mapping[str, int] = field(default_factory=dict)
    """By code of the quota, as the instances run: EC2 may count more of an instance with CPU options."""
    quotas: Mapping[str, float] = field(default_factory=dict)
    """By code; those that are not known are missing."""
    problem: str = ""
    """Why quotas are not known."""

    def obstacles(self, plans: Iterable[InstancePlan]) -> Iterator[str]:
        """Yield the quotas that do not admit the instances."""
        for code, vcpus in _planned(plans).items():
            quota, used = self.quotas.get(code), self.used.get(code, 0)
            if quota is not None and used + vcpus > quota:
                yield (
                    f"{vcpus} vCPUs beside {used} that run are more than the quota {code}, {quota:g}: request a higher one, "
                    "stop instances, or map the type to a smaller one"
                )

    def remarks(self, plans: Iterable[InstancePlan]) -> Iterator[str]:
        """Yield what is not known."""
        if any(code not in self.quotas for code in _planned(plans)):
            yield "whether the quota of vCPUs admits them is not known" + (f": {self.problem}" if self.problem else "")


def _planned(plans: Iterable[InstancePlan]) -> Counter[str]:
    planned: Counter[str] = Counter()
    for plan in plans:
        if not plan.replaces_root:
            planned[quota_of(plan.instance_type)] += plan.vcpus
    return planned
