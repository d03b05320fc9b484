"""Regions of copy rules and vaults that do not exist, or to which EC2 cannot copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.domain.policy.problem import PolicyProblem
from snapkeep.domain.suggestion import nearest


def region_problems(document: Mapping[str, Any], primary: str, partitions: Mapping[str, str]) -> list[PolicyProblem]:
    """Return the problems of the regions in a parsed document; `partitions` names the partition of every region.

    Snapshots cannot be copied from one partition to another (EBS user guide: copy a snapshot). Without a primary region the
    first region of the document names the partition.
    """
    regions = {
        f"policies[{number}].copies[{rule_number}].region": rule["region"]
        for number, policy in enumerate(document.get("policies", ()))
        for rule_number, rule in enumerate(policy.get("copies", ()))
        if rule.get("region")
    } | {
        f"vaults[{number}].{key}": vault[key]
        for number, vault in enumerate(document.get("vaults", ()))
        for key in ("region", "from")
        if vault.get(key)
    }
    partition = next((partitions[name] for name in (primary, *regions.values()) if name in partitions), "")
    candidates = [name for name in partitions if not partition or partitions[name] == partition]
    problems = []
    for path, region in regions.items():
        if region not in partitions:
            problems.append(PolicyProblem(path, repr(region), "write a region that exists", nearest(region, candidates)))
        elif partitions[region] != partition:
            right = f"write a region of the partition {partition}: EC2 copies no snapshot to another partition"
            problems.append(PolicyProblem(path, repr(region), right))
    return problems
