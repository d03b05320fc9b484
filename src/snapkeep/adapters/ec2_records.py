"""The content of recovery records: an instance with its volumes, read through EC2's describe calls."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.adapters.ec2_reader import Ec2Reader, attachments_of, tags_from, volume_from
from snapkeep.domain.recovery.record import (
    IdentitySettings,
    ImageSettings,
    InstanceSettings,
    Interface,
    NetworkSettings,
    RecoveryRecord,
    SecurityGroup,
    ShapeSettings,
    VolumeSettings,
)
from snapkeep.usecases.recovery.record_ports import Observation

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_BURSTABLE = ("t2.", "t3.", "t3a.", "t4g.")
"""Instance types with CPU credits (EC2 user guide: burstable performance instances)."""


class Ec2Records:
    """`RecordReader` over an EC2 client of one region."""

    def __init__(self, *, client: EC2Client, region: str) -> None:
        self._client = client
        self._reader = Ec2Reader(client=client, region=region)
        self.region = region

    def observe(self, volume_ids: Collection[str]) -> Observation:
        """Return the volumes that exist, and the record of the instance or volume to which each belongs, by two calls.

        The records lack the facts that `complete` adds.
        """
        instances = self._reader.instances("block-device-mapping.volume-id", volume_ids)
        mapped = {mapping["Ebs"]["VolumeId"] for item in instances.values() for mapping in _mappings(item)}
        items = {item["VolumeId"]: item for item in self._reader.volume_items(mapped | set(volume_ids))}
        attached = {attachment["InstanceId"] for item in items.values() for attachment in attachments_of(item)}
        instances |= self._reader.instances("instance-id", attached - instances.keys())  # attached in between
        volumes = {
            volume_id: volume_from(items[volume_id], self.region, instances) for volume_id in volume_ids if volume_id in items
        }
        records: dict[str, RecoveryRecord] = {}
        for volume in volumes.values():
            owner = next(iter(volume.instance_ids), volume.id)
            if owner not in records:
                records[owner] = self._record(instances.get(owner), owner, items)
        return Observation(volumes, records)

    def complete(self, record: RecoveryRecord, *, user_data: bool) -> RecoveryRecord:
        """Return an instance's record with facts that its description lacks: the rules of its security groups, and attributes.

        Raise AwsRefused, AwsThrottled or AwsUnavailable.
        """
        instance = record.instance
        if instance is None:
            return record
        with translated(f"describe {instance.instance_id}"):
            network, shape, image = instance.network, instance.shape, instance.image
            if network.subnet_id:
                subnets = self._client.describe_subnets(SubnetIds=[network.subnet_id])["Subnets"]
                network = replace(network, subnet_cidr=subnets[0].get("CidrBlock", ""))
            if network.groups:
                groups = self._client.describe_security_groups(GroupIds=[group.id for group in network.groups])["SecurityGroups"]
                network = replace(network, groups=tuple(sorted(map(_group, groups), key=lambda group: group.id)))
            shape = replace(
                shape,
                termination_protection=bool(self._attribute(instance.instance_id, "disableApiTermination")),
                shutdown_behaviour=str(self._attribute(instance.instance_id, "instanceInitiatedShutdownBehavior") or ""),
            )
            if shape.instance_type.startswith(_BURSTABLE):
                answer = self._client.describe_instance_credit_specifications(InstanceIds=[instance.instance_id])
                specification: Mapping[str, Any] = next(iter(answer["InstanceCreditSpecifications"]), {})
                shape = replace(shape, cpu_credits=specification.get("CpuCredits", ""))
            if image.current_boot_mode == "uefi":
                data = self._client.get_instance_uefi_data(InstanceId=instance.instance_id)
                image = replace(image, uefi_data=data.get("UefiData", ""))
            text = str(self._attribute(instance.instance_id, "userData") or "") if user_data else ""
        return replace(record, instance=replace(instance, network=network, shape=shape, image=image, user_data=text))

    def _attribute(self, instance_id: str, name: Any) -> Any:
        answer: Mapping[str, Any] = self._client.describe_instance_attribute(InstanceId=instance_id, Attribute=name)
        return answer.get(name[0].upper() + name[1:], {}).get("Value")

    def _record(self, instance: Mapping[str, Any] | None, owner: str, items: Mapping[str, Mapping[str, Any]]) -> RecoveryRecord:
        if instance is None:
            return RecoveryRecord(self.region, (_volume(items[owner], {}, ""),) if owner in items else ())
        root = str(instance.get("RootDeviceName", ""))
        mappings = [mapping for mapping in _mappings(instance) if mapping["Ebs"]["VolumeId"] in items]
        volumes = [_volume(items[mapping["Ebs"]["VolumeId"]], mapping, root) for mapping in mappings]
        return RecoveryRecord(self.region, tuple(sorted(volumes, key=lambda volume: volume.device)), _instance(instance))


def _mappings(instance: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the block device mappings of an instance that are EBS volumes."""
    return [mapping for mapping in instance.get("BlockDeviceMappings") or () if mapping.get("Ebs", {}).get("VolumeId")]


def _volume(item: Mapping[str, Any], mapping: Mapping[str, Any], root: str) -> VolumeSettings:
    device = str(mapping.get("DeviceName", ""))
    return VolumeSettings(
        volume_id=item["VolumeId"],
        volume_type=item.get("VolumeType", ""),
        size_gib=item.get("Size", 0),
        iops=item.get("Iops", 0),
        throughput_mibps=item.get("Throughput", 0),
        multi_attach=bool(item.get("MultiAttachEnabled")),
        encrypted=bool(item.get("Encrypted")),
        kms_key=item.get("KmsKeyId", ""),
        zone=item.get("AvailabilityZone", ""),
        tags=tags_from(item),
        device=device,
        root=bool(device) and device == root,
        delete_on_termination=bool(mapping.get("Ebs", {}).get("DeleteOnTermination")),
    )


def _instance(item: Mapping[str, Any]) -> InstanceSettings:
    return InstanceSettings(
        instance_id=item["InstanceId"],
        image=ImageSettings(
            image_id=item.get("ImageId", ""),
            architecture=item.get("Architecture", ""),
            boot_mode=item.get("BootMode", ""),
            current_boot_mode=item.get("CurrentInstanceBootMode", ""),
            virtualization=item.get("VirtualizationType", ""),
            ena_support=bool(item.get("EnaSupport")),
            sriov_support=item.get("SriovNetSupport", ""),
            tpm_support=item.get("TpmSupport", ""),
            root_device=item.get("RootDeviceName", ""),
            platform_details=item.get("PlatformDetails", ""),
            usage_operation=item.get("UsageOperation", ""),
            product_codes=tuple(sorted(code["ProductCodeId"] for code in item.get("ProductCodes") or ())),
        ),
        shape=ShapeSettings(
            instance_type=item.get("InstanceType", ""),
            cpu=dict(item.get("CpuOptions") or {}),
            cpu_credits="",
            placement={name: value for name, value in (item.get("Placement") or {}).items() if value != ""},
            metadata={name: value for name, value in (item.get("MetadataOptions") or {}).items() if name != "State"},
            monitoring=(item.get("Monitoring") or {}).get("State") in ("enabled", "pending"),
            ebs_optimized=bool(item.get("EbsOptimized")),
            lifecycle=item.get("InstanceLifecycle", ""),
        ),
        network=NetworkSettings(
            vpc_id=item.get("VpcId", ""),
            subnet_id=item.get("SubnetId", ""),
            groups=tuple(
                sorted(
                    {SecurityGroup(group["GroupId"], group.get("GroupName", "")) for group in item.get("SecurityGroups") or ()},
                    key=lambda group: group.id,
                )
            ),
            interfaces=tuple(
                sorted(map(_interface, item.get("NetworkInterfaces") or ()), key=lambda interface: interface.device_index)
            ),
        ),
        identity=IdentitySettings(
            key_pair=item.get("KeyName", ""),
            instance_profile=(item.get("IamInstanceProfile") or {}).get("Arn", ""),
            tags=tags_from(item),
        ),
    )


def _interface(item: Mapping[str, Any]) -> Interface:
    private = sorted(item.get("PrivateIpAddresses") or (), key=lambda address: not address.get("Primary"))
    ipv6 = (address["Ipv6Address"] for address in item.get("Ipv6Addresses") or ())
    return Interface(
        id=item["NetworkInterfaceId"],
        device_index=item.get("Attachment", {}).get("DeviceIndex", 0),
        subnet_id=item.get("SubnetId", ""),
        addresses=tuple(chain((address["PrivateIpAddress"] for address in private), ipv6)),
        public_address=item.get("Association", {}).get("PublicIp", ""),
        groups=tuple(sorted(group["GroupId"] for group in item.get("Groups") or ())),
        source_dest_check=bool(item.get("SourceDestCheck", True)),
    )


def _group(item: Mapping[str, Any]) -> SecurityGroup:
    ingress, egress = (_rules(item.get(name) or ()) for name in ("IpPermissions", "IpPermissionsEgress"))
    return SecurityGroup(item["GroupId"], item.get("GroupName", ""), item.get("Description", ""), ingress, egress)


def _rules(rules: Collection[Any]) -> tuple[Any, ...]:
    """Return sorted rules, so that the same rules make the same record."""
    return tuple(sorted(rules, key=lambda rule: json.dumps(rule, sort_keys=True)))
