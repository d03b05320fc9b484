"""LockSnapshots: lock snapshots of this region as their policies require. No function unlocks."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.lambda_locks import LockCall
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.usecases.locks import LockSnapshots


def build(parts: Composition) -> LockSnapshots:
    """Make the use case of the composition."""
    return LockSnapshots(
        system=parts.environment.system,
        reader=parts.reader,
        locker=parts.locker,
        policies=parts.policies,
        notices=parts.notices,
        clock=parts.clock,
        limits=parts.environment.lock_limits,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lock those snapshots of a `LockCall` that need it; return how many were locked, and how many AWS refused to lock."""
    log = started(event, context)
    call, parts = from_json(LockCall, event), composition()
    parts.policies_in_force.expect(call.version)
    result = build(parts).run(call.snapshots)
    for order in result.locked:
        fields = {"audit": "lock", "snapshot": order.snapshot_id, "mode": order.mode.value, "days": order.days}
        log.info("lock", extra={**fields, "cool_off_hours": order.cool_off_hours})
    return {"locked": len(result.locked), "refused": len(result.refused)}
