"""What can be done to a world from outside, for tests and for people: look, break, put the clock forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.embedded_aws.host import Host


def summary(host: Host) -> dict[str, Any]:
    """Given the host, return the world's time, counters, and what each account has in each region."""
    with host.locked():
        world = host.world
        places = [_place(place) for place in world.state.region_accounts.values()]
        return {
            "now": world.now(),
            "next_due": world.next_due(),
            "calls": world.state.calls_made,
            "events": world.state.events_emitted,
            "speeds": asdict(world.state.speeds),
            "quotas": asdict(world.state.quotas),
            "places": sorted(places, key=lambda place: (place["account_id"], place["region"])),
        }


def _place(place: Any) -> dict[str, Any]:
    states = Counter(snapshot.state for snapshot in place.snapshots.values())
    return {
        "account_id": place.account_id,
        "region": place.region,
        "volumes": len(place.volumes),
        "instances": len(place.instances),
        "images": len(place.images),
        "snapshots": sum(states.values()),
        "pending": states.get("pending", 0),
        "errors": states.get("error", 0),
    }


def add_fault(host: Host, rule: Mapping[str, Any]) -> None:
    """Given a fault rule's fields, let it be in force from now on. Raise ValueError or TypeError when a field is wrong.

    `{"kind": "snapshot_fails", "volume_id": "vol-…", "times": 1}` lets the next snapshot of a volume fail.
    """
    with host.locked():
        host.world.add_fault(FaultRule(**rule))


def clear_faults(host: Host) -> None:
    """Given the host, let nothing go wrong any more."""
    with host.locked():
        host.world.set_faults(Faults())


def set_quotas(host: Host, region: str, changes: Mapping[str, Any]) -> None:
    """Given a region (empty: all) and fields of the quotas, change those. Raise TypeError when there is no such field."""
    with host.locked():
        host.world.change_quotas(region or None, **changes)


def set_speeds(host: Host, changes: Mapping[str, Any]) -> None:
    """Given fields of the speeds, change those for what starts from now on. Raise TypeError when there is no such field."""
    with host.locked():
        host.world.change_speeds(**changes)


def set_reach(host: Host, region: str, *, reachable: bool) -> None:
    """Given a region, let it be out of reach, or bring it back."""
    with host.locked():
        world = host.world
        (world.bring_region_back if reachable else world.take_region_away)(region)


def write(host: Host, document: Mapping[str, Any]) -> None:
    """Given a volume and an extent of blocks, give them new content. Raise KeyError or ValueError when there is no such."""
    with host.locked():
        host.world.write(
            str(document["volume_id"]),
            int(document["first_block"]),
            int(document["count"]),
            region=str(document["region"]),
            account_id=str(document["account"]),
        )


def put_forward(host: Host, seconds: float) -> float:
    """Given seconds, put the world's clock forward, let everything in that time happen, and return the new time."""
    host.clock.put_forward(seconds)
    host.tick()
    host.changed()
    return host.clock.now()
