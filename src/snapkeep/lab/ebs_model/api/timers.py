"""What happens by itself when its time comes: kind -> function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import copies, locks, snapshots, tiers, volumes
from snapkeep.lab.ebs_model.api import recycle_bin as recyclebin

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import Place
    from snapkeep.lab.ebs_model.store.world_state import Setting


def _deliver(world: Setting, place: Place, resource_id: str, event: Any) -> None:  # noqa: ARG001
    world.deliver(event)


HANDLERS: dict[str, Callable[[Setting, Place, str, Any], None]] = {
    "deliver": _deliver,
    "snapshot": snapshots.finish,
    "copy": copies.finish,
    "copy late": copies.tell_late,
    "volume": volumes.finish_create,
    "lock expiry": locks.tell_expiry,
    "cool-off expiry": locks.tell_cool_off,
    "tier": tiers.finish,
    "restore expiry": tiers.expire_restore,
    "bin exit": recyclebin.leave,
}
