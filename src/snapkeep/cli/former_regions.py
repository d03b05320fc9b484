"""DR regions that a system no longer copies to, and whose stacks it still has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from snapkeep.cli.errors import known_errors, one_line
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.side_by_side import side_by_side
from snapkeep.deploy.deployment import PRIMARY_REGION_TAG
from snapkeep.domain.system import StackKind


def former_dr_regions(installed: InstalledSystem, known: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the account's other regions with a DR stack of this primary region, and what of them could not be searched.

    After a move to another DR region, nothing but the tag of the former region's stack names the system.
    """
    primary, problems = installed.settings.region, list[str]()

    def belongs(region: str) -> bool:
        try:
            return installed.stack(StackKind.DR, region).tags.get(PRIMARY_REGION_TAG) == primary
        except known_errors() as error:
            problems.append(f"{region}: whether it has a DR stack is not known: {one_line(error)}")
            return False

    try:
        enabled = {region["RegionName"] for region in installed.settings.client("ec2", primary).describe_regions()["Regions"]}
    except known_errors() as error:
        return [], [f"whether other regions have DR stacks is not known: {one_line(error)}"]
    others = sorted(enabled.difference(known, {primary}))
    found = side_by_side({region: partial(belongs, region) for region in others})
    return [region for region in others if found[region]], problems
