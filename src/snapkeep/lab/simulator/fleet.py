"""The volumes of a simulation: random ones, those of a world file, or those of an account."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from snapkeep.domain.model import Volume, VolumeRole
from snapkeep.domain.policy.model import PolicySet
from snapkeep.lab.ebs_model import Faults, Quotas, Speeds, VirtualClock, World
from snapkeep.lab.ebs_model.api.key_policies import FOR_ALL
from snapkeep.lab.ebs_model.api.keys import EBS_ALIAS
from snapkeep.lab.ebs_model.store.blocks import BLOCKS_PER_GIB
from snapkeep.lab.ebs_model.store.records import InstanceRecord, Key
from snapkeep.lab.ebs_model.store.region_account import RegionAccount
from snapkeep.lab.ebs_model.store.tags import flat

USUAL_SIZE_GIB, SPREAD = 40.0, 1.1
SMALLEST_GIB, LARGEST_GIB = 1, 4096
ROOT_DEVICE, DATA_DEVICE = "/dev/xvda", "/dev/sdf"
ROOMY = Quotas(pending_snapshots=5_000, snapshots_per_region=10_000_000)
"""Quotas that a simulated fleet never reaches. AWS raises the second on request; it allows 100 pending snapshots at once."""


@dataclass(frozen=True, slots=True)
class SimulatedVolume:
    """One volume: its size, its used part, and the daily change of this part."""

    size_gib: int
    tags: Mapping[str, str] = field(default_factory=dict)
    volume_type: str = "gp3"
    encrypted: bool = False
    used_share: float = 0.6
    changed_share_per_day: float = 0.02
    id: str = ""
    """The id in the account; if it is empty, the model makes one."""
    instance_id: str = ""
    role: VolumeRole = VolumeRole.UNATTACHED
    instance_tags: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    """Empty for the first zone of the region."""


def generate(count: int, seed: int, tags: Mapping[str, str]) -> list[SimulatedVolume]:
    """Return random volumes, most of them small, as in usual fleets."""
    dice = Random(seed)  # noqa: S311 - a simulation's dice
    return [
        SimulatedVolume(
            size_gib=min(LARGEST_GIB, max(SMALLEST_GIB, round(dice.lognormvariate(math.log(USUAL_SIZE_GIB), SPREAD)))),
            tags=tags,
            encrypted=dice.random() < 0.5,  # noqa: PLR2004 - one in two
            used_share=dice.uniform(0.3, 0.9),
            changed_share_per_day=min(0.3, dice.lognormvariate(math.log(0.015), 0.8)),
        )
        for _ in range(count)
    ]


def from_account(volumes: Iterable[Volume], changed_share_per_day: float) -> list[SimulatedVolume]:
    """Return an account's volumes for a simulation, with every property by which a policy may select them.

    The daily change is an assumption: EC2 does not report it. A shared volume counts with its first instance.
    """
    return [
        SimulatedVolume(
            size_gib=volume.size_gib,
            tags=dict(volume.tags),
            volume_type=volume.volume_type,
            encrypted=volume.encrypted,
            used_share=1.0,
            changed_share_per_day=changed_share_per_day,
            id=volume.id,
            instance_id=next(iter(volume.instance_ids), ""),
            role=volume.role,
            instance_tags=next(iter(volume.instance_tags), {}),
            zone=volume.zone,
        )
        for volume in volumes
    ]


def make_world(
    volumes: Iterable[SimulatedVolume], primary: str, dr_regions: tuple[str, ...], *, seed: int = 0, faults: Faults | None = None
) -> World:
    """Return a world in virtual time with these volumes in its primary region."""
    clock = VirtualClock()
    world = World(
        clock=clock,
        seed=seed,
        quotas=ROOMY,
        speeds=Speeds(jitter=0.2),
        regions=(primary, *dr_regions),
    )
    client = world.client("ec2", primary)
    world.change_quotas(throttling=False)
    as_given: dict[str, SimulatedVolume] = {}
    for volume in volumes:
        listed = [{"Key": key, "Value": value} for key, value in volume.tags.items() if not key.startswith("aws:")]
        request: dict[str, Any] = {"AvailabilityZone": f"{primary}a", "Size": volume.size_gib, "VolumeType": volume.volume_type}
        if listed:
            request["TagSpecifications"] = [{"ResourceType": "volume", "Tags": listed}]
        if volume.encrypted:
            request["Encrypted"] = True
        if volume.volume_type in ("io1", "io2"):
            # IOPS are required for these types; the number does not matter to snapshots.
            request["Iops"] = 100
        made = client.create_volume(**request)["VolumeId"]
        as_given[made] = volume
        used = max(1, int(volume.size_gib * BLOCKS_PER_GIB * volume.used_share))
        world.write(made, 0, used, region=primary)
        world.region_account(primary).volumes[made].change_blocks_per_day = used * volume.changed_share_per_day
    world.change_quotas(throttling=True)
    world.run_until(world.now() + 10)
    _name(world.region_account(primary), as_given, world.now())
    # Faults begin only here: they must not affect the making of the fleet.
    if faults is not None:
        world.set_faults(faults)
    return world


def _name(place: RegionAccount, as_given: Mapping[str, SimulatedVolume], now: float) -> None:
    """Restore the volumes' own ids and attachments; `as_given` maps the model's ids to the volumes."""
    made = [(volume, as_given[volume.id]) for volume in place.volumes.values()]
    for volume, simulated in made:
        volume.id = volume.log.origin = simulated.id or volume.id
        volume.zone = simulated.zone or volume.zone
        if simulated.instance_id:
            volume.state, volume.instance_id, volume.attached_at = "in-use", simulated.instance_id, now
            volume.device = ROOT_DEVICE if simulated.role is VolumeRole.ROOT else DATA_DEVICE
            instance = InstanceRecord(
                volume.seq,
                simulated.instance_id,
                place.account_id,
                volume.zone,
                now,
                ROOT_DEVICE,
                tags=flat(simulated.instance_tags),
            )
            place.instances.setdefault(instance.id, instance)
    place.volumes.clear()
    place.volumes.update((volume.id, volume) for volume, _ in made)


def give_keys(world: World, policies: PolicySet) -> None:
    """Create every KMS key in the policies: a simulation is about policies, not about the account's keys."""
    for region, name in {(rule.region, rule.kms_key) for policy in policies.policies for rule in policy.copies}:
        if name and name != EBS_ALIAS:
            _give_key(world, region, name)


def _give_key(world: World, region: str, name: str) -> None:
    """Create a key with this id, ARN, alias or alias ARN."""
    resource = name.rpartition(":")[2].removeprefix("key/")
    place = world.region_account(region, name.split(":")[4] if name.startswith("arn:") else None)
    is_alias = resource.startswith("alias/")
    key_id = world.state.ids.uuid() if is_alias else resource
    arn = name if name.startswith("arn:") and not is_alias else f"arn:aws:kms:{region}:{place.account_id}:key/{key_id}"
    place.keys[key_id] = Key(key_id, arn, place.account_id, world.now(), policy=FOR_ALL)  # another account may own the key
    if is_alias:
        place.aliases[resource] = key_id


def make_roomy(world: World) -> World:
    """Raise the quotas of a world from a file for a simulation, and return it."""
    world.set_quotas(ROOMY)
    return world
