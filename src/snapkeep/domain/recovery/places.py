"""Where recovered volumes are attached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.recovery_plan import DEVICES, device_slot
from snapkeep.domain.tag_names import DEVICE


def places_for(
    points: Sequence[Snapshot], instance_id: str, devices: Sequence[str], occupied: Iterable[str]
) -> list[tuple[str, str]]:
    """Return an instance and a device for each point: a named device, else the recorded one, else the next that is free.

    Raise ValueError where a named device is occupied, or none is free.
    """
    # One place has several names (/dev/sdf, xvdf): slots are compared, not names.
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
