"""The map of a recovery: the replacements of an instance's subnet, security groups and the like in the target region.

Security groups, instance profiles and the like come only from the map, never from a default: an instance with other rules than
before is worse than none. In its own region, an instance keeps everything that the map does not replace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, fields
from typing import Any

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.launch_facts import LaunchInventory, RegionResource
from snapkeep.domain.recovery.record import InstanceSettings
from snapkeep.domain.suggestion import nearest

MAY_BE_LEFT_OUT = frozenset({"instance_profiles", "key_pairs", "placement_groups"})
"""Kinds whose entries may be `null`, which launches the instance without one."""


@dataclass(frozen=True, slots=True)
class InstanceMap:
    """The replacements of an instance's names and ids, by kind; an empty text launches it without one."""

    subnets: Mapping[str, str] = field(default_factory=dict)
    security_groups: Mapping[str, str] = field(default_factory=dict)
    instance_profiles: Mapping[str, str] = field(default_factory=dict)
    """By name or ARN."""
    key_pairs: Mapping[str, str] = field(default_factory=dict)
    instance_types: Mapping[str, str] = field(default_factory=dict)
    """A type without an entry stays the same."""
    kms_keys: Mapping[str, str] = field(default_factory=dict)
    """By the ARN of the volume's key; a volume whose key has no entry gets the key of its point."""
    placement_groups: Mapping[str, str] = field(default_factory=dict)


def parse_map(data: Any) -> InstanceMap:
    """Return the map in a document. Raise InvalidConfiguration, which names the key and says what would be right."""
    kinds = [part.name for part in fields(InstanceMap)]
    if not isinstance(data, dict):
        raise InvalidConfiguration("the map: write an object with the keys " + ", ".join(kinds))
    read: dict[str, dict[str, str]] = {}
    for kind, entries in data.items():
        if kind not in kinds:
            advice = nearest(str(kind), kinds)
            raise InvalidConfiguration(
                f"the map: {kind}: no such key; there are: {', '.join(kinds)}" + (f" (did you mean {advice}?)" if advice else "")
            )
        if not isinstance(entries, dict):
            raise InvalidConfiguration(f"the map: {kind}: write what takes the place of what, such as {{old: new}}")
        read[kind] = {str(old): _value(kind, old, new) for old, new in entries.items()}
    return InstanceMap(**read)


def _value(kind: str, old: Any, new: Any) -> str:
    if new is None and kind in MAY_BE_LEFT_OUT:
        return ""
    if not isinstance(new, str) or not new:
        otherwise = ", or null to launch without it" if kind in MAY_BE_LEFT_OUT else ""
        raise InvalidConfiguration(f"the map: {kind}.{old}: {new!r}: write the name or id that takes its place{otherwise}")
    return new


@dataclass(frozen=True, slots=True)
class Translation:
    """Names and ids with which an instance is launched. `missing` has those without an entry in the map."""

    subnet: str
    security_groups: tuple[str, ...]
    instance_profile: str
    key_pair: str
    instance_type: str
    placement_group: str
    missing: tuple[str, ...] = ()


def translate(instance: InstanceSettings, names: InstanceMap, *, same_region: bool) -> Translation:
    """Return the replacements of an instance's names and ids; in its own region, those without an entry stay the same."""
    missing: list[str] = []

    def pick(kind: str, about: str, old: str, *aliases: str) -> str:
        entries: Mapping[str, str] = getattr(names, kind)
        known = next((name for name in (old, *aliases) if name in entries), "")
        if known or not old:
            return entries.get(known, "")
        if not same_region:
            missing.append(f"{about} {old}{_in_words(aliases)}: the map has nothing under {kind} for it")
        return old if same_region else ""

    network, identity, shape = instance.network, instance.identity, instance.shape
    profile = identity.instance_profile
    return Translation(
        subnet=pick("subnets", "subnet", network.subnet_id),
        security_groups=tuple(pick("security_groups", "security group", group.id, group.name) for group in network.groups),
        instance_profile=pick("instance_profiles", "instance profile", profile, profile.rpartition("/")[2]),
        key_pair=pick("key_pairs", "key pair", identity.key_pair),
        instance_type=names.instance_types.get(shape.instance_type, shape.instance_type),
        placement_group=pick("placement_groups", "placement group", str(shape.placement.get("GroupName", ""))),
        missing=tuple(missing),
    )


def _in_words(aliases: Sequence[str]) -> str:
    return f" ({', '.join(filter(None, aliases))})" if any(aliases) else ""


@dataclass(frozen=True, slots=True)
class ProposedMap:
    """A first map, and the names that it could not match."""

    entries: InstanceMap
    unmatched: tuple[str, ...]
    to_check: tuple[str, ...]


def propose_map(
    instances: Iterable[InstanceSettings],
    inventory: LaunchInventory,
    subnet_names: Mapping[str, str],
    region: str,
) -> ProposedMap:
    """Return a first map by names and CIDRs, with those that have exactly one match.

    `subnet_names` are the tags `Name` of the recorded subnets, as far as their region could be read.
    """
    proposal = _Proposal(inventory, region)
    for instance in instances:
        proposal.add_network(instance, subnet_names.get(instance.network.subnet_id, ""))
        proposal.add_identity(instance)
    return ProposedMap(InstanceMap(**proposal.entries), tuple(proposal.unmatched), tuple(proposal.to_check))


class _Proposal:
    """A first map while it is made. The lists are dictionaries because instances share subnets and groups."""

    def __init__(self, inventory: LaunchInventory, region: str) -> None:
        self.inventory, self.region = inventory, region
        self.entries: dict[str, dict[str, str]] = {part.name: {} for part in fields(InstanceMap)}
        self.unmatched: dict[str, None] = {}
        self.to_check: dict[str, None] = {}

    def add_network(self, instance: InstanceSettings, subnet_name: str) -> None:
        """Match the subnet by its name or CIDR, and the groups by their names in its VPC."""
        network = instance.network
        subnet = _match_subnet(self.inventory.subnets, subnet_name, network.subnet_cidr)
        if network.subnet_id and subnet:
            self.entries["subnets"][network.subnet_id] = subnet.id
        elif network.subnet_id:
            known = ", ".join(filter(None, (subnet_name, network.subnet_cidr)))
            self._miss(f"subnets.{network.subnet_id}: no one subnet of {self.region} has its name or CIDR ({known})")
        for group in network.groups:
            key, groups = f"security_groups.{group.id}", self.inventory.security_groups
            same = [own for own in groups if own.name == group.name and (subnet is None or own.vpc_id == subnet.vpc_id)]
            if group.name == "default":
                self._miss(f"{key}: it is a VPC's default group; name the group that takes its place")
            elif len(same) == 1:
                self.entries["security_groups"][group.id] = same[0].id
                self._doubt(f"{key}: {same[0].id} has its name, {group.name}; its rules were not compared")
            else:
                self._miss(f"{key}: no one group of {self.region} is named {group.name}")

    def add_identity(self, instance: InstanceSettings) -> None:
        """Match the instance profile and the key pair by name; the type stays the same if the region offers it."""
        identity, shape, region = instance.identity, instance.shape, self.region
        profile = identity.instance_profile.rpartition("/")[2]
        if profile:
            self.entries["instance_profiles"][profile] = profile
            self._doubt(f"instance_profiles.{profile}: the same in every region; see that its policies hold in {region}")
        if identity.key_pair in self.inventory.key_pairs:
            self.entries["key_pairs"][identity.key_pair] = identity.key_pair
            self._doubt(f"key_pairs.{identity.key_pair}: {region} has one of this name, perhaps with another key")
        elif identity.key_pair:
            self._miss(f"key_pairs.{identity.key_pair}: {region} has none of this name; null launches without it")
        if placement := str(shape.placement.get("GroupName", "")):
            self._miss(f"placement_groups.{placement}: name one of {region}; null launches without it")
        if shape.instance_type not in self.inventory.instance_types:
            self._miss(f"instance_types.{shape.instance_type}: {region} does not offer it")

    def _miss(self, text: str) -> None:
        self.unmatched[text] = None

    def _doubt(self, text: str) -> None:
        self.to_check[text] = None


def _match_subnet(subnets: Iterable[RegionResource], name: str, cidr: str) -> RegionResource | None:
    """Return the only subnet with a name, or else the only one with a CIDR."""
    subnets = list(subnets)
    named = [subnet for subnet in subnets if name and subnet.name == name]
    of_cidr = [subnet for subnet in subnets if cidr and subnet.cidr == cidr]
    return named[0] if len(named) == 1 else of_cidr[0] if len(of_cidr) == 1 and not named else None
