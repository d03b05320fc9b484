"""The plan of an instance's recovery: the requests that make it again, and the settings that cannot be carried over.

Sources: botocore (ec2 2016-11-15: RegisterImage, RunInstances, InstanceTypeInfo), [EC2 user guide: create an AMI from a
snapshot; boot modes; NitroTPM; replace a root volume].
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from snapkeep.domain.durations import span_text
from snapkeep.domain.plural import counted
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import PointChoice
from snapkeep.domain.recovery.instance_fit import InstanceOptions, instance_notes, obstacles_of, volume_notes
from snapkeep.domain.recovery.instance_map import InstanceMap, Translation
from snapkeep.domain.recovery.launch_facts import Billing, LaunchSite, billing_of
from snapkeep.domain.recovery.rates import RATE
from snapkeep.domain.recovery.record import InstanceSettings, RecoveryRecord, ShapeSettings
from snapkeep.domain.recovery.recovery_plan import VolumeRecovery, carried_tags, full_speed_of, shared_remarks, volume_remarks
from snapkeep.domain.tags import TAG_LIMIT

METADATA_OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags")
"""The members of RunInstances' MetadataOptions."""
CPU_OPTIONS = ("CoreCount", "ThreadsPerCore", "AmdSevSnp", "NestedVirtualization")


@dataclass(frozen=True, slots=True)
class InstancePlan:
    """The steps of one instance's recovery, before consent."""

    region: str
    instance_id: str
    name: str
    zone: str
    instance_type: str
    volumes: tuple[VolumeRecovery, ...]
    """The volumes, the root first; `device` is the device name of each."""
    billing: Billing
    image: Mapping[str, Any]
    """The request of RegisterImage, without its name and tags."""
    launch: Mapping[str, Any]
    """The request of RunInstances, without its image, tags and token."""
    tags: Mapping[str, str]
    source_dest_check: bool
    set_id: str
    remarks: tuple[str, ...]
    """Remarks about settings that cannot be carried over, or are not known."""
    obstacles: tuple[str, ...] = ()
    """The reasons why it would fail: nothing begins while there is one."""
    stopped: bool = False
    standing: str = ""
    """The state of the recorded instance, if it still exists in this region."""
    replaces_root: str = ""
    """The root volume that is replaced in place; empty if an instance is launched."""
    vcpus: int = 0
    """The vCPUs that count towards the quota; 0 if not known."""
    free_addresses: int = 0
    """The free addresses of the subnet of its launch."""
    rate_mibps: int = 0
    """The rate of the volumes' initialisation; 0: the default rate."""
    together: int = 0
    """The number of volumes of all plans that run together and share the quota of rates; 0 for its own volumes."""

    @property
    def point_ids(self) -> tuple[str, ...]:
        """The points that the plan restores."""
        return tuple(volume.point.id for volume in self.volumes)

    @property
    def full_speed_after(self) -> timedelta | None:
        """The time until the last volume is at full speed; None if it cannot be predicted."""
        return full_speed_of(self.volumes, self.rate_mibps, self.together)


def no_plan(region: str, instance_id: str, *obstacles: str) -> InstancePlan:
    """Return the plan of an instance for which nothing can be planned, with the reasons."""
    return InstancePlan(region, instance_id, "", "", "", (), Billing("", ""), {}, {}, {}, True, "", (), obstacles)


def missing_addresses(plans: Iterable[InstancePlan]) -> Iterator[str]:
    """Yield the subnets with fewer free addresses than instances to launch."""
    in_subnets = [(str(plan.launch["SubnetId"]), plan.free_addresses) for plan in plans if plan.launch]
    for (subnet, free), count in Counter(in_subnets).items():
        if count > free:
            yield f"subnet {subnet} has {counted(free, 'free address', 'free addresses')} for {counted(count, 'instance')}"


def required_volumes(record: RecoveryRecord, without: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids of the volumes to restore, and the reasons why devices cannot be left out."""
    devices = {volume.device: volume for volume in record.volumes}
    problems = []
    for device in without:
        if device not in devices:
            problems.append(f"--without {device}: it has {', '.join(sorted(devices))}")
        elif devices[device].root:
            problems.append(f"--without {device}: no instance starts without its root volume")
    return [volume.volume_id for volume in record.volumes if volume.root or volume.device not in without], problems


def plan_instance(
    choice: PointChoice,
    record: RecoveryRecord,
    data_bytes: Mapping[str, int],
    words: Translation,
    site: LaunchSite,
    options: InstanceOptions,
) -> InstancePlan:
    """Return the plan of an instance, with all volumes of its record except those left out, or with an obstacle.

    The record is that of an instance, and `choice` has its volumes.
    """
    instance = record.instance
    if instance is None:
        raise ValueError(f"the record of {record.owner} is of no instance")
    volumes = sorted(
        (
            VolumeRecovery(point, settings, data_bytes.get(point.id, 0), device=settings.device)
            for point in choice.points
            if (settings := record.volume(point.origin.volume_id))
        ),
        key=lambda volume: (not (volume.settings and volume.settings.root), volume.device),
    )
    tags, tags_left_out = carried_tags(instance.identity.tags)
    keys = {volume.device: _key(volume, options.names) for volume in volumes}
    address, address_remark = _address(instance, site)
    devices = {volume.device for volume in record.volumes}
    remarks = [
        *shared_remarks((volume, remark) for volume in volumes for remark in volume_remarks(volume, record, keys[volume.device])),
        *volume_notes(volumes),
        *([f"volumes {span_text(choice.spread)} apart: not crash-consistent as one"] if choice.spread else []),
        *choice.notes,
        *[f"without {device}: its volume is not restored" for device in options.without if device in devices],
        *([f"tags that do not fit within {TAG_LIMIT}: {', '.join(tags_left_out)}"] if tags_left_out else []),
        *([address_remark] if address_remark else []),
        *instance_notes(instance, words, options),
    ]
    mappings = [_mapping(volume) for volume in volumes]
    launch = _launch(instance, words, site, address) | {
        "BlockDeviceMappings": [_launched(mapping, keys[mapping["DeviceName"]], options.rate_mibps) for mapping in mappings]
    }
    obstacles = [
        *(f"{_device_of(record, volume_id)}{volume_id}: {why}" for volume_id, why in choice.missing.items()),
        *words.missing,
        *obstacles_of(record, instance, words, site),
    ]
    return InstancePlan(
        region=site.region,
        instance_id=instance.instance_id,
        name=instance.identity.tags.get("Name", ""),
        zone=site.subnet.zone if site.subnet else "",
        instance_type=words.instance_type,
        volumes=tuple(volumes),
        billing=billing_of(instance.image),
        image=_image(instance) | {"BlockDeviceMappings": mappings},
        launch=launch,
        tags=tags,
        source_dest_check=all(interface.source_dest_check for interface in instance.network.interfaces[:1]),
        set_id=choice.set_id,
        remarks=tuple(remarks),
        obstacles=tuple(dict.fromkeys(obstacles)),
        stopped=options.stopped,
        standing=site.standing,
        vcpus=_vcpus(launch, site),
        free_addresses=site.subnet.free_addresses if site.subnet else 0,
        rate_mibps=options.rate_mibps,
    )


def plan_root(
    choice: PointChoice,
    record: RecoveryRecord,
    data_bytes: Mapping[str, int],
    region: str,
    standing: str,
    rate_mibps: int = 0,
) -> InstancePlan:
    """Return the plan that replaces the root volume of an instance in place; `choice` has only this volume."""
    instance = record.instance
    if instance is None:
        raise ValueError(f"the record of {record.owner} is of no instance")
    root = next((volume for volume in record.volumes if volume.root), None)
    volumes = tuple(
        VolumeRecovery(point, root, data_bytes.get(point.id, 0), device=root.device if root else "") for point in choice.points
    )
    obstacles = [f"{volume_id}: {why}" for volume_id, why in choice.missing.items()]
    obstacles += [
        f"{volume.point.id} is a copy: EC2 replaces a root volume only by snapshots of that volume"
        for volume in volumes
        if volume.point.is_copy
    ]
    if standing != "running":
        state = f"is {standing}" if standing else f"is not in {region}"
        obstacles.append(f"{instance.instance_id} {state}: EC2 replaces the root volume of a running instance alone")
    remarks = shared_remarks((volume, remark) for volume in volumes for remark in volume_remarks(volume, record))
    remarks.append(f"{instance.instance_id} keeps its id, addresses and other volumes, as they are now, and is rebooted")
    remarks.append("the former root volume stays, detached, and takes its place again with undo")
    return replace(
        no_plan(region, instance.instance_id, *obstacles),
        name=instance.identity.tags.get("Name", ""),
        zone=root.zone if root else "",
        instance_type=instance.shape.instance_type,
        volumes=volumes,
        billing=billing_of(instance.image),
        remarks=tuple(remarks),
        standing=standing,
        replaces_root=root.volume_id if root else "",
        rate_mibps=rate_mibps,
    )


def _device_of(record: RecoveryRecord, volume_id: str) -> str:
    settings = record.volume(volume_id)
    return f"{settings.device} " if settings else ""


def _image(instance: InstanceSettings) -> dict[str, Any]:
    """Return the properties of the AMI. EC2's defaults would be the architecture i386, and no ENA."""
    image = instance.image
    tokens = instance.shape.metadata.get("HttpTokens")
    request: dict[str, Any] = {
        "Architecture": image.architecture,
        "VirtualizationType": image.virtualization,
        "EnaSupport": image.ena_support,
        "RootDeviceName": image.root_device,
        "SriovNetSupport": image.sriov_support,
        # NitroTPM needs the boot mode uefi, and does not work with uefi-preferred.
        "BootMode": "uefi" if image.tpm_support else image.boot_mode,
        "TpmSupport": image.tpm_support,
        "UefiData": image.uefi_data,
        "ImdsSupport": "v2.0" if tokens == "required" else "",
    }
    return {name: value for name, value in request.items() if value not in ("", None)}


def _mapping(volume: VolumeRecovery) -> dict[str, Any]:
    ebs: dict[str, Any] = {
        "SnapshotId": volume.point.id,
        "VolumeSize": volume.size_gib,
        "VolumeType": volume.volume_type,
        "DeleteOnTermination": bool(volume.settings and volume.settings.delete_on_termination),
        **volume.performance,
    }
    return {"DeviceName": volume.device, "Ebs": ebs}


def _key(volume: VolumeRecovery, names: InstanceMap) -> str:
    return names.kms_keys.get(volume.settings.kms_key, "") if volume.settings else ""


def _launched(mapping: Mapping[str, Any], key: str, rate_mibps: int) -> Mapping[str, Any]:
    """Return a mapping with its key and its rate: RunInstances accepts them, RegisterImage refuses a key for a snapshot."""
    of_launch = {"Encrypted": True, "KmsKeyId": key} if key else {}
    rate = {RATE: rate_mibps} if rate_mibps else {}
    return {**mapping, "Ebs": {**mapping["Ebs"], **of_launch, **rate}}


def _vcpus(launch: Mapping[str, Any], site: LaunchSite) -> int:
    cores, threads = site.type_facts.default_cpu if site.type_facts else (0, 0)
    options: Mapping[str, int] = launch.get("CpuOptions", {})
    return options.get("CoreCount", cores) * options.get("ThreadsPerCore", threads)


def _launch(instance: InstanceSettings, words: Translation, site: LaunchSite, address: str) -> dict[str, Any]:
    shape, same_type = instance.shape, words.instance_type == instance.shape.instance_type
    metadata = {name: value for name, value in shape.metadata.items() if name in METADATA_OPTIONS}
    placement = {"Tenancy": str(shape.placement.get("Tenancy", "")), "GroupName": words.placement_group}
    if words.placement_group and shape.placement.get("PartitionNumber"):
        placement["PartitionNumber"] = shape.placement["PartitionNumber"]
    request: dict[str, Any] = {
        "InstanceType": words.instance_type,
        "SubnetId": words.subnet,
        "SecurityGroupIds": [group for group in words.security_groups if group],
        "PrivateIpAddress": address,
        "KeyName": words.key_pair,
        "IamInstanceProfile": _profile(words.instance_profile),
        # Options of the original type may be invalid for another type, which has its own defaults.
        "CpuOptions": _cpu_options(shape, site) if same_type else {},
        "CreditSpecification": {"CpuCredits": shape.cpu_credits} if shape.cpu_credits and same_type else {},
        "EbsOptimized": shape.ebs_optimized and same_type,
        "MetadataOptions": metadata,
        "Monitoring": {"Enabled": True} if shape.monitoring else {},
        "Placement": {name: value for name, value in placement.items() if value not in ("", "default")},
        "InstanceInitiatedShutdownBehavior": shape.shutdown_behaviour,
        "DisableApiTermination": shape.termination_protection,
        "UserData": instance.user_data,
    }
    return {name: value for name, value in request.items() if value} | {"MinCount": 1, "MaxCount": 1}


def _profile(name: str) -> dict[str, str]:
    return ({"Arn": name} if name.startswith("arn:") else {"Name": name}) if name else {}


def _cpu_options(shape: ShapeSettings, site: LaunchSite) -> dict[str, Any]:
    """Return the CPU options, unless they are the type's defaults: some types accept none."""
    options = {name: value for name, value in shape.cpu.items() if name in CPU_OPTIONS}
    default = site.type_facts.default_cpu if site.type_facts else (0, 0)
    return (
        {} if (options.get("CoreCount"), options.get("ThreadsPerCore")) == default and len(options) == len(default) else options
    )


def _address(instance: InstanceSettings, site: LaunchSite) -> tuple[str, str]:
    """Return the private address of the launch, empty if EC2 chooses it, and a remark."""
    recorded = instance.network.address
    if not recorded or site.subnet is None:
        return "", ""
    if not site.subnet.cidr or ipaddress.ip_address(recorded) not in ipaddress.ip_network(site.subnet.cidr):
        return "", f"its private address {recorded} is not in {site.subnet.id} ({site.subnet.cidr}): EC2 chooses one"
    return (recorded, "") if site.address_free else ("", f"its private address {recorded} is in use: EC2 chooses another")
