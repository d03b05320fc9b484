"""The actions of the timers, by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import (
    attachments,
    copies,
    instance_states,
    locks,
    recycle_bin,
    root_volumes,
    snapshots,
    tiers,
    volumes,
)

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState


def _deliver(world: WorldState, account: RegionAccount, resource_id: str, event: Any) -> None:  # noqa: ARG001
    world.deliver(event)


HANDLERS: dict[str, Callable[[WorldState, RegionAccount, str, Any], None]] = {
    "deliver": _deliver,
    "snapshot": snapshots.finish,
    "copy": copies.finish,
    "copy late": copies.emit_late,
    "volume": volumes.finish_creation,
    "initialized": volumes.finish_initialization,
    "attachment": attachments.finish_change,
    "instance start": instance_states.finish_start,
    "instance stop": instance_states.finish_stop,
    "replace root": root_volumes.advance,
    "lock expiry": locks.emit_expiry,
    "cool-off expiry": locks.emit_cool_off_end,
    "tier": tiers.finish,
    "restore expiry": tiers.expire_restore,
    "bin exit": recycle_bin.leave,
}
