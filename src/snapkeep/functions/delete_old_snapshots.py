"""DeleteOldSnapshots: carry out the deletions of a plan."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from snapkeep.domain.tags import parse_time
from snapkeep.functions.answers import deletions_answer
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_deletion, started
from snapkeep.usecases.retention.delete import DeleteSnapshots, DeletionOrder


def build(parts: Composition, plan_id: str) -> DeleteSnapshots:
    """Given the parts and the plan's id, return the use case."""
    return DeleteSnapshots(
        deleter=parts.deleter,
        pacer=parts.clock,
        clock=parts.clock,
        audit=partial(audit_deletion, plan_id=plan_id),
        still_there=lambda snapshot_id: snapshot_id in parts.reader.snapshots([snapshot_id]),
    )


@cache
def _parts() -> Composition:
    return composition()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `plan`, return how many snapshots are gone, and which could not be deleted. Raise PlanStale."""
    started(event, context)
    plan = event["plan"]
    orders = [
        DeletionOrder(one["snapshot_id"], one["volume_id"], one["origin_start"], one["policy"], tuple(one["reasons"]))
        for one in plan["delete"]
    ]
    return deletions_answer(build(_parts(), plan["plan_id"]).run(parse_time(plan["made_at"]), orders))
