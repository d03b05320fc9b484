"""DeleteOldSnapshots: plan retention from EC2's present state, and delete the snapshots that it no longer keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import DeletionPlan
from snapkeep.domain.system import StackKind
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_deletion, logger, started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import DeletionCall
from snapkeep.functions.plan_retention import build as build_planner
from snapkeep.functions.state_budget import deletion_answer
from snapkeep.usecases.retention.delete import DeleteSnapshots
from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions, DayLimit
from snapkeep.usecases.sweep.count_store import StoredCount


def build(parts: Composition) -> DeleteSnapshots:
    """Make the use case of the composition: it plans snapshots in the primary stack, and copies in the others."""
    planner = replace(build_planner(parts), counted=lambda: StoredCount(parts.documents).load())
    return DeleteSnapshots(
        plan=planner.plan_sources if parts.environment.stack == StackKind.PRIMARY else planner.plan_copies,
        reader=parts.reader,
        deleter=parts.deleter,
        holds=parts.holds,
        pacer=parts.clock,
        audit=audit_deletion,
        planned=log_plan,
        day_limit=DayLimit(
            announced=AnnouncedDeletions(parts.documents),
            times_usual=parts.environment.deletions_times_usual,
            notices=parts.notices,
            region=parts.environment.region,
            clock=parts.clock,
        ),
    )


def log_plan(plan: DeletionPlan) -> None:
    """Leave a line for a plan."""
    counts = {"verdicts": len(plan.verdicts), "deleted": len(plan.deletions)}
    logger().info("planned", extra={"plan": plan.id, "counts": counts, "refused": len(plan.refusals)})


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Delete for the volumes of a `DeletionCall`, or what its orders ask for; return a `DeletionAnswer`."""
    started(event, context)
    call = from_json(DeletionCall, event)
    deletions = build(composition()).run(call.volumes, call.copies, call.asked)
    return to_object(deletion_answer(deletions, call))
