"""The resources of recoveries and drills as EC2 describes them now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.launch_facts import Billing

GONE = ("shutting-down", "terminated")


class Attachment(NamedTuple):
    """An attachment to an instance, unless it has ended."""

    device: str
    state: str
    """`attaching`, `attached`, `detaching` or `busy` (botocore: ec2 2016-11-15, VolumeAttachment)."""


@dataclass(frozen=True, slots=True)
class VolumeState:
    """A volume as EC2 describes it now."""

    id: str
    state: str
    tags: Mapping[str, str]
    attachments: Mapping[str, Attachment] = field(default_factory=dict)
    """Attachments by instance."""
    snapshot_id: str = ""
    """The snapshot that it was made of; empty for none."""

    def attachment_state(self, instance_id: str, device: str) -> str:
        """Return the state of its attachment to an instance at a device; empty if there is none."""
        attachment = self.attachments.get(instance_id)
        return attachment.state if attachment and attachment.device == device else ""


@dataclass(frozen=True, slots=True)
class MadeSnapshot:
    """A snapshot that a recovery or a drill made, as EC2 describes it now."""

    id: str
    state: str
    """`pending`, `completed` or `error` (botocore: ec2 2016-11-15, SnapshotState)."""
    tags: Mapping[str, str] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, slots=True)
class ImageState:
    """An AMI as EC2 describes it now."""

    id: str
    state: str
    billing: Billing
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstanceState:
    """An instance as EC2 describes it now."""

    id: str
    state: str
    root_device: str
    volumes: Mapping[str, str] = field(default_factory=dict)
    """The attached volumes by device."""
    reason: str = ""
    """Why it is in this state, in EC2's words."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RootReplacement:
    """A task that replaces a root volume."""

    id: str
    state: str
    tags: Mapping[str, str]
