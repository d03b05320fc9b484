"""What happens by itself when its time comes: kind -> function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import copies, locks, recycle_bin, snapshots, tiers, volumes

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState


def _deliver(world: WorldState, account: RegionAccount, resource_id: str, event: Any) -> None:  # noqa: ARG001
    world.deliver(event)


HANDLERS: dict[str, Callable[[WorldState, RegionAccount, str, Any], None]] = {
    "deliver": _deliver,
    "snapshot": snapshots.finish,
    "copy": copies.finish,
    "copy late": copies.tell_late,
    "volume": volumes.finish_create,
    "lock expiry": locks.tell_expiry,
    "cool-off expiry": locks.tell_cool_off,
    "tier": tiers.finish,
    "restore expiry": tiers.expire_restore,
    "bin exit": recycle_bin.leave,
}
