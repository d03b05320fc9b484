"""The recovery record: the settings to rebuild a volume, or an instance with all its volumes, from snapshots.

Fields have EC2's names in words (botocore: ec2 2016-11-15, Instance, Volume); a value is empty if EC2 did not return it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from snapkeep.domain.json_codec import OPTIONAL, to_json, to_object
from snapkeep.domain.records import dataclass

SHORT_HASH = 16
"""Characters of a record's hash in the tag `snapkeep:record`."""
LAUNCH_TEMPLATE_TAGS = ("aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version")
"""EC2 tags an instance with the launch template that it was launched from (EC2 user guide: launch templates)."""


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """The settings of a volume and of its attachment; `device` is empty if it was not attached."""

    volume_id: str
    volume_type: str
    size_gib: int
    iops: int
    throughput_mibps: int
    multi_attach: bool
    encrypted: bool
    kms_key: str
    zone: str
    tags: Mapping[str, str]
    device: str = ""
    root: bool = False
    delete_on_termination: bool = False


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The properties of an AMI of the root volume. RegisterImage has other defaults, such as the architecture i386."""

    image_id: str
    architecture: str
    boot_mode: str
    current_boot_mode: str
    virtualization: str
    ena_support: bool
    sriov_support: str
    tpm_support: str
    root_device: str
    platform_details: str
    usage_operation: str
    product_codes: tuple[str, ...]
    uefi_data: str = ""


@dataclass(frozen=True, slots=True)
class ShapeSettings:
    """Type, processor, placement and behaviour of an instance."""

    instance_type: str
    cpu: Mapping[str, Any]
    cpu_credits: str
    placement: Mapping[str, Any]
    metadata: Mapping[str, Any]
    """The metadata options as RunInstances takes them."""
    monitoring: bool
    ebs_optimized: bool
    lifecycle: str
    """`spot`, `scheduled`, `capacity-block`; empty for an On-Demand Instance."""
    shutdown_behaviour: str = ""
    termination_protection: bool = False


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group with its rules, in the form of DescribeSecurityGroups."""

    id: str
    name: str
    description: str = ""
    ingress: tuple[Any, ...] = ()
    egress: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface."""

    id: str
    device_index: int
    subnet_id: str
    addresses: tuple[str, ...]
    """Private IPv4 addresses, the primary one first, and IPv6 addresses."""
    public_address: str
    groups: tuple[str, ...]
    source_dest_check: bool


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The place of an instance in the network."""

    vpc_id: str
    subnet_id: str
    groups: tuple[SecurityGroup, ...]
    interfaces: tuple[Interface, ...]
    subnet_cidr: str = ""

    @property
    def address(self) -> str:
        """The primary private address; empty if none is recorded."""
        return next((interface.addresses[0] for interface in self.interfaces if interface.addresses), "")


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Key pair, instance profile and tags of an instance."""

    key_pair: str
    instance_profile: str
    """The profile's ARN."""
    tags: Mapping[str, str]

    @property
    def launch_template(self) -> tuple[str, str]:
        """Id and version of the launch template of the instance; empty if it had none."""
        template, version = (self.tags.get(name, "") for name in LAUNCH_TEMPLATE_TAGS)
        return template, version


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """An instance without its volumes."""

    instance_id: str
    image: ImageSettings
    shape: ShapeSettings
    network: NetworkSettings
    identity: IdentitySettings
    user_data: str = ""
    """In base64, and only if the policy requests it."""


@dataclass(frozen=True, slots=True)
class RecoveryRecord:
    """An instance with all its volumes, or a volume that was not attached.

    The settings held at `observed_at` and, if a snapshot names the record, right after that snapshot completed too. Where
    `observed_at` is later than a snapshot's start, they may have changed in between.
    """

    region: str
    volumes: tuple[VolumeSettings, ...]
    instance: InstanceSettings | None = None
    observed_at: datetime | None = field(default=None, metadata=OPTIONAL)
    """The time when these settings were first observed; not part of the hash."""

    @property
    def owner(self) -> str:
        """The id of the instance, or of the volume."""
        return self.instance.instance_id if self.instance else self.volumes[0].volume_id

    @property
    def sha256(self) -> str:
        """The hash of the content, in hexadecimal digits."""
        return content_hash(to_object(replace(self, observed_at=None)))

    @property
    def key(self) -> str:
        """The name of the record in the bucket."""
        return f"{folder_of(self.owner)}{self.sha256}.json"

    def volume(self, volume_id: str) -> VolumeSettings | None:
        """Return the settings of a volume; None if it is not in the record."""
        return next((volume for volume in self.volumes if volume.volume_id == volume_id), None)


@dataclass(frozen=True, slots=True)
class NewestRecord:
    """The newest record of an instance or a volume. While its description stays the same, no further EC2 call is made."""

    description: str
    """Hash of the answers of DescribeInstances and DescribeVolumes."""
    sha256: str
    read_at: datetime
    """The time when everything was read: attributes and rules can change although the description stays the same."""


def folder_of(owner: str) -> str:
    """Return the prefix of the keys of an instance's or a volume's records."""
    return f"records/{owner}/"


def newest_key(owner: str) -> str:
    """Return the key of an owner's `NewestRecord`."""
    return f"{folder_of(owner)}newest.json"


def content_hash(value: Any) -> str:
    """Return the SHA-256 of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_of_text(text: str) -> str:
    """Return the hash of a record's text, including fields that this version does not know.

    Raise ValueError if it is not JSON.
    """
    return content_hash({key: value for key, value in json.loads(text).items() if key != "observed_at"})
