"""Plans of instances, and maps, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from snapkeep.cli.views.recover import INITIALISATION_PRICE, full_speed_text, volume_lines
from snapkeep.cli.views.recoverable import point_as_data
from snapkeep.domain.plural import counted
from snapkeep.domain.recovery.group import GroupPlan
from snapkeep.domain.recovery.instance_map import ProposedMap
from snapkeep.domain.recovery.instance_plan import InstancePlan
from snapkeep.domain.tags import format_time

USABLE = "when its status checks pass; AWS documents no time"
PRICE = "not known; AWS charges for the instance, and for its volumes"
NOT_CHECKED = "RunInstances: EC2 tries it once the AMI exists"


def plan_lines(plan: InstancePlan, now: datetime) -> Iterator[str]:
    """Yield the plan: points, data loss, proof, place, what cannot be carried over, obstacles."""
    name = f" ({plan.name})" if plan.name else ""
    volumes = counted(len(plan.volumes), "volume")
    if not plan.volumes:
        yield f"plan: none of {plan.instance_id}{name} in {plan.region}"
        yield from (f"{kind}: {text}" for kind, texts in (("note", plan.remarks), ("obstacle", plan.obstacles)) for text in texts)
        return
    if plan.replaces_root:
        state = plan.standing or "not there"
        yield f"plan: replace the root volume of {plan.instance_id}{name} in {plan.region}, which is {state}"
    else:
        yield f"plan: {plan.instance_id}{name} again in {plan.region}, zone {plan.zone or '?'}, {plan.instance_type}, {volumes}"
    if plan.standing and not plan.replaces_root:
        yield (
            f"first: {plan.instance_id} is still there, {plan.standing}. --replace-root replaces its root volume alone and keeps "
            "its id, addresses and other volumes; without it a second instance is launched beside it"
        )
    for volume in plan.volumes:
        yield from volume_lines(volume, now, f" as {volume.device}")
    yield f"set {plan.set_id}: crash-consistent as one" if plan.set_id else ""
    yield from (f"{label}: {text}" for label, text in launch_facts(plan).items())
    yield f"usable: {USABLE}" if not plan.stopped else ""
    yield f"full speed: {full_speed_text(plan)}"
    yield f"price: {PRICE}"
    if plan.rate_mibps:
        yield f"price: {INITIALISATION_PRICE}"
    yield "" if plan.replaces_root else f"not checked: {NOT_CHECKED}"
    yield from (f"note: {remark}" for remark in plan.remarks)
    yield from (f"obstacle: {obstacle}" for obstacle in plan.obstacles)


def launch_facts(plan: InstancePlan) -> dict[str, str]:
    """Return how the instance is launched: AMI, network and identity, each in words; nothing where it is not launched."""
    if not plan.launch:
        return {}
    image, launch = plan.image, plan.launch
    boot = f", {image['BootMode']}" if "BootMode" in image else ""
    groups = ", ".join(launch.get("SecurityGroupIds", ())) or "none"
    address = launch.get("PrivateIpAddress", "a new one")
    profile = launch.get("IamInstanceProfile") or {}
    return {
        "AMI": f"{image.get('Architecture', '?')}{boot}, billed as {plan.billing.text}",
        "network": f"{launch.get('SubnetId', '?')}, security groups {groups}, address {address}",
        "identity": f"profile {next(iter(profile.values()), 'none')}, key pair {launch.get('KeyName', 'none')}",
    }


def plan_as_data(plan: InstancePlan) -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "instance_id": plan.instance_id,
        "name": plan.name,
        "region": plan.region,
        "zone": plan.zone,
        "instance_type": plan.instance_type,
        "set": plan.set_id,
        "standing": plan.standing,
        "replaces_root": plan.replaces_root,
        "stopped": plan.stopped,
        "rate_mibps": plan.rate_mibps,
        "full_speed_seconds": plan.full_speed_after.total_seconds() if plan.full_speed_after is not None else None,
        "vcpus": plan.vcpus,
        "volumes": [
            {
                **point_as_data(volume.point),
                "attach_as": volume.device,
                "size_gib": volume.size_gib,
                "volume_type": volume.volume_type,
            }
            for volume in plan.volumes
        ],
        "billing": asdict(plan.billing),
        "register_image": {name: value for name, value in plan.image.items() if name != "UefiData"},
        "run_instances": {name: value for name, value in plan.launch.items() if name != "UserData"},
        "tags": dict(plan.tags),
        "remarks": list(plan.remarks),
        "obstacles": list(plan.obstacles),
    }


def group_lines(plan: GroupPlan) -> Iterator[str]:
    """Yield the group's plan: its moment, its stages, and its own obstacles. The plans of its instances follow."""
    instances = counted(sum(map(len, plan.stages)), "instance")
    moment = f" to {plan.moment:%Y-%m-%d %H:%M:%S} UTC" if plan.moment else ""
    yield f"group {plan.name}: {instances}{moment}"
    for number, stage in enumerate(plan.stages, 1):
        yield f"  stage {number}: {', '.join(f'{each.instance_id} ({each.name})' for each in stage)}"
    yield from (f"obstacle: {obstacle}" for obstacle in plan.obstacles)


def group_as_data(plan: GroupPlan) -> dict[str, Any]:
    """Return what a group's plan has besides the plans of its instances."""
    return {
        "group": plan.name,
        "moment": format_time(plan.moment) if plan.moment else None,
        "stages": [[each.instance_id for each in stage] for stage in plan.stages],
        "obstacles": list(plan.obstacles),
    }


def map_lines(proposed: ProposedMap, region: str) -> Iterator[str]:
    """Yield a map as YAML, with what was not matched as comments."""
    yield f"# Replacements in {region}. Check each line before you use it."
    for kind, entries in asdict(proposed.entries).items():
        if entries:
            yield f"{kind}:"
            yield from (f"  {old}: {new}" for old, new in sorted(entries.items()))
    yield from (f"# see {text}" for text in proposed.to_check)
    yield from (f"# missing {text}" for text in proposed.unmatched)


def map_as_data(proposed: ProposedMap) -> dict[str, Any]:
    """Return a map as plain data."""
    entries = {kind: values for kind, values in asdict(proposed.entries).items() if values}
    return {"map": entries, "to_check": list(proposed.to_check), "unmatched": list(proposed.unmatched)}
