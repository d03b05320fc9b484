"""Attachments of recovered volumes: instances and devices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import DEVICE

DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""Names for data volumes of Linux instances (EC2 user guide: device naming)."""
_DEVICE = re.compile(r"(?:/dev/)?(?:sd|xvd)([a-z]{1,2})[0-9]*")
ATTACHABLE = ("running", "stopped")
"""The states of an instance that a volume can be attached to (EC2 API reference: AttachVolume)."""


def device_slot(name: str) -> str:
    """Return the part that all names of a device have in common.

    `/dev/sdf` and `xvdf` are the same device, and so are `/dev/sda1` and `/dev/xvda`. An operating system may show either (EC2
    user guide: device naming). A name of another form is returned unchanged.
    """
    match = _DEVICE.fullmatch(name)
    return match[1] if match else name


@dataclass(frozen=True, slots=True)
class InstancePlace:
    """The state and the place of an instance to which volumes are attached."""

    instance_id: str
    zone: str
    state: str
    """`running`, `stopped`, `terminated` … (botocore: ec2 2016-11-15, InstanceState.Name)."""
    devices: Mapping[str, str]
    """Its volumes by the devices that they occupy."""


def places_for(
    points: Sequence[Snapshot], instance_id: str, devices: Sequence[str], occupied: Iterable[str]
) -> list[tuple[str, str]]:
    """Return an instance and a device for each point: a named device, else the recorded one, else the next free one.

    Raise ValueError if a named device is occupied, or none is free.
    """
    # A device has several names (/dev/sdf, xvdf): slots are compared, not names.
    taken = {device_slot(device): device for device in occupied}
    places: list[tuple[str, str]] = []
    for number, point in enumerate(points):
        named = devices[number] if number < len(devices) else ""
        if device_slot(named) in taken:
            raise ValueError(f"{instance_id} has something at {taken[device_slot(named)]} already, not free for {named}")
        candidates = (named, point.tags.get(DEVICE, ""), *DEVICES)
        free = [device for device in candidates if device and device_slot(device) not in taken]
        if not free:
            raise ValueError(
                f"{instance_id} has no free device from {DEVICES[0]} to {DEVICES[-1]} for {point.origin.volume_id}, the "
                f"{number + 1}. of {len(points)} volumes: name devices (--attach {instance_id}:DEVICE), or attach them yourself"
            )
        taken[device_slot(free[0])] = free[0]
        places.append((instance_id, free[0]))
    return places
