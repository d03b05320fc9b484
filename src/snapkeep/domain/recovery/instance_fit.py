"""The fit of an instance with its launch site: the settings that it loses there, and the reasons why EC2 would refuse it.

Sources: [EC2 user guide: boot modes; enhanced networking with ENA; NitroTPM; create an AMI from a snapshot], botocore
(ec2 2016-11-15: InstanceTypeInfo).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.instance_map import InstanceMap, Translation
from snapkeep.domain.recovery.launch_facts import LaunchSite, billing_of
from snapkeep.domain.recovery.record import ImageSettings, InstanceSettings, RecoveryRecord
from snapkeep.domain.recovery.recovery_plan import VolumeRecovery

NOT_RECORDED = (
    "load balancers, DNS records, Auto Scaling and alarms know the instance by its id and addresses, which are new ones"
)


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """The settings in which the recovered instance differs from the record."""

    names: InstanceMap
    without: tuple[str, ...] = ()
    """Devices whose volumes are left out."""
    stopped: bool = False
    rate_mibps: int = 0
    """The rate of the volumes' initialisation; 0: the default rate, which AWS does not promise."""


def volume_notes(volumes: Sequence[VolumeRecovery]) -> Iterator[str]:
    """Yield the settings of volumes that RunInstances cannot make."""
    for volume in volumes:
        if volume.settings and volume.settings.multi_attach:
            yield f"{volume.device}: Multi-Attach is not carried over; EC2 does not launch with it"


def instance_notes(instance: InstanceSettings, words: Translation, options: InstanceOptions) -> Iterator[str]:
    """Yield the settings of the instance that cannot be carried over."""
    yield NOT_RECORDED
    yield from _shape_notes(instance, words)
    yield from _network_notes(instance)
    yield from _identity_notes(instance, words)
    if instance.image.tpm_support:
        yield "secrets sealed to its NitroTPM do not come back"
    if instance.image.product_codes or instance.image.platform_details != "Linux/UNIX":
        yield (
            f"billed as {billing_of(instance.image).text}: a copied snapshot may lack this. The AMI is checked once it is "
            "registered; where it differs, it is deregistered and nothing is launched"
        )
    if options.stopped:
        yield "--stopped: EC2 launches no stopped instance; it boots, and is stopped as soon as it runs"


def _shape_notes(instance: InstanceSettings, words: Translation) -> Iterator[str]:
    shape = instance.shape
    if shape.lifecycle:
        yield f"it was a {shape.lifecycle} instance: it becomes an On-Demand one"
    if words.instance_type != shape.instance_type:
        yield f"type {words.instance_type} in place of {shape.instance_type}: CPU options and credits are the type's"
    if shape.placement.get("GroupName") and not words.placement_group:
        yield f"it is launched outside of its placement group {shape.placement['GroupName']}"


def _network_notes(instance: InstanceSettings) -> Iterator[str]:
    interfaces = instance.network.interfaces
    for interface in interfaces[:1]:
        if interface.public_address:
            yield f"its public address {interface.public_address} stays where it is: the subnet's setting decides about another"
        if len(interface.addresses) > 1:
            yield f"further addresses of its interface: {', '.join(interface.addresses[1:])}"
    for interface in interfaces[1:]:
        yield f"its network interface {interface.id} (device index {interface.device_index}): attach one yourself"


def _identity_notes(instance: InstanceSettings, words: Translation) -> Iterator[str]:
    identity = instance.identity
    if identity.key_pair and not words.key_pair:
        yield f"it is launched without its key pair {identity.key_pair}"
    if identity.instance_profile and not words.instance_profile:
        yield f"it is launched without its instance profile {identity.instance_profile}"
    if identity.launch_template[0]:
        yield f"its launch template {identity.launch_template[0]} is not used"
    yield (
        "its user data runs again: the instance id is a new one" if instance.user_data else "no user data: the record has none"
    )


def obstacles_of(record: RecoveryRecord, instance: InstanceSettings, words: Translation, site: LaunchSite) -> Iterator[str]:
    """Yield the reasons why the instance cannot be launched there."""
    image = instance.image
    if instance.shape.placement.get("Tenancy") == "host":
        yield "it ran on a Dedicated Host, which a recovery does not choose: recover its volumes and launch it on a host of yours"
    if image.virtualization == "paravirtual":
        yield "it is paravirtual, and its kernel is not recorded: recover its volumes and attach them to another instance"
    if not any(volume.root for volume in record.volumes) or not image.architecture or not image.root_device:
        yield "its record lacks the root volume, the architecture or the root device name: recover its volumes instead"
    if not instance.network.subnet_id:
        yield "its record names no subnet: recover its volumes instead"
    yield from _network_obstacles(instance, words, site)
    yield from _type_obstacles(image, words, site)


def _network_obstacles(instance: InstanceSettings, words: Translation, site: LaunchSite) -> Iterator[str]:
    if words.subnet and site.subnet is None:
        yield f"subnet {words.subnet} does not exist in {site.region}: map {instance.network.subnet_id} to another"
    if site.subnet is not None and not site.subnet.free_addresses:
        yield f"subnet {words.subnet} has no free address"
    for group in filter(None, words.security_groups):
        if group not in site.groups:
            yield f"security group {group} does not exist in {site.region}"
        elif site.subnet is not None and site.groups[group] != site.subnet.vpc_id:
            yield f"security group {group} is in {site.groups[group]}, subnet {words.subnet} in {site.subnet.vpc_id}"
    if words.key_pair and not site.key_pair_exists:
        yield f"key pair {words.key_pair} does not exist in {site.region}"


def _type_obstacles(image: ImageSettings, words: Translation, site: LaunchSite) -> Iterator[str]:
    """Yield the reasons why the type cannot start from an AMI with these properties."""
    facts, kind = site.type_facts, words.instance_type
    if facts is None or not site.offered:
        zone = site.subnet.zone if site.subnet else site.region
        yield f"{zone} does not offer {kind}: map it to another type under instance_types, or take another subnet"
        return
    if image.architecture and image.architecture not in facts.architectures:
        yield f"{kind} has the architecture {' or '.join(facts.architectures)}, the instance {image.architecture}"
    if facts.ena_required and not image.ena_support:
        yield f"{kind} needs ENA, which the instance did not have: map it to a type without, or install ENA's driver before"
    boot_mode = image.current_boot_mode or image.boot_mode
    if boot_mode in ("legacy-bios", "uefi") and facts.boot_modes and boot_mode not in facts.boot_modes:
        yield f"{kind} does not boot by {boot_mode}, as the instance did"
    if image.tpm_support and not facts.tpm:
        yield f"{kind} has no NitroTPM, which the instance had"
