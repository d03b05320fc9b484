"""The administration of a world for tests and people: summary, faults, quotas, speeds, regions, clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld


def summary(locked_world: LockedWorld) -> dict[str, Any]:
    """Return the world's time, its counters, and the resources of each account in each region."""
    with locked_world.lock():
        world = locked_world.world
        region_accounts = [_summary_of(region_account) for region_account in world.state.region_accounts.values()]
        return {
            "now": world.now(),
            "next_due": world.next_due(),
            "calls": world.state.calls_made,
            "events": world.state.events_emitted,
            "speeds": asdict(world.state.speeds),
            "quotas": asdict(world.state.quotas),
            "places": sorted(region_accounts, key=itemgetter("account_id", "region")),
        }


def _summary_of(region_account: Any) -> dict[str, Any]:
    states = Counter(snapshot.state for snapshot in region_account.snapshots.values())
    return {
        "account_id": region_account.account_id,
        "region": region_account.region,
        "volumes": len(region_account.volumes),
        "instances": len(region_account.instances),
        "images": len(region_account.images),
        "snapshots": sum(states.values()),
        "pending": states.get("pending", 0),
        "errors": states.get("error", 0),
    }


def add_fault(locked_world: LockedWorld, rule: Mapping[str, Any]) -> None:
    """Add a fault rule from its fields. Raise ValueError or TypeError if a field is wrong.

    `{"kind": "snapshot_fails", "volume_id": "vol-…", "times": 1}` fails the next snapshot of a volume.
    """
    with locked_world.lock():
        locked_world.world.add_fault(FaultRule(**rule))


def clear_faults(locked_world: LockedWorld) -> None:
    """Remove every fault rule."""
    with locked_world.lock():
        locked_world.world.set_faults(Faults())


def set_quotas(locked_world: LockedWorld, region: str, changes: Mapping[str, Any]) -> None:
    """Change quotas of a region (empty for all regions). Raise TypeError if there is no such quota."""
    with locked_world.lock():
        locked_world.world.change_quotas(region or None, **changes)


def set_speeds(locked_world: LockedWorld, changes: Mapping[str, Any]) -> None:
    """Change speeds for operations that start from now on. Raise TypeError if there is no such speed."""
    with locked_world.lock():
        locked_world.world.change_speeds(**changes)


def set_reach(locked_world: LockedWorld, region: str, *, reachable: bool) -> None:
    """Make a region unreachable, or reachable again."""
    with locked_world.lock():
        world = locked_world.world
        (world.bring_region_back if reachable else world.take_region_away)(region)


def write(locked_world: LockedWorld, document: Mapping[str, Any]) -> None:
    """Write new content to an extent of a volume's blocks. Raise KeyError or ValueError if there is no such volume."""
    with locked_world.lock():
        locked_world.world.write(
            str(document["volume_id"]),
            int(document["first_block"]),
            int(document["count"]),
            region=str(document["region"]),
            account_id=str(document["account"]),
        )


def accept_product(locked_world: LockedWorld, document: Mapping[str, Any]) -> None:
    """Subscribe an account to a product of AWS Marketplace in a region."""
    with locked_world.lock():
        locked_world.world.accept_product(
            str(document["product_code"]), region=str(document["region"]), account_id=str(document["account"])
        )


def put_forward(locked_world: LockedWorld, seconds: float) -> float:
    """Put the world's clock forward, run everything that is due in this time, and return the new time."""
    locked_world.clock.put_forward(seconds)
    locked_world.tick()
    locked_world.changed()
    return locked_world.clock.now()
