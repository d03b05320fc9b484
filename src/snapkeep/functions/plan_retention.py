"""CountSnapshots: which of these volumes' snapshots go. Answers ids and counts, never a listing."""

from __future__ import annotations

from functools import cache
from typing import Any

from snapkeep.functions.answers import PLAN_BYTES, plan_answer
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.retention.plan_volumes import RetentionPlanner, confirmed_copies


def build(parts: Composition) -> RetentionPlanner:
    """Given the parts, return the use case."""
    return RetentionPlanner(
        system=parts.environment.system,
        reader=parts.reader,
        guards=parts.guards,
        policies=parts.policies,
        clock=parts.clock,
        reader_of=parts.reader_of,
        queue_of=parts.queue_of,
    )


@cache
def _ready() -> RetentionPlanner:
    return build(composition())


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `volumes`, and `copies` (what became of this run's copies), return the plan. Raise PlanRefused."""
    log = started(event, context)
    planner = _ready()
    plan = planner.plan_sources(event["volumes"], confirmed_copies(event.get("copies", []), planner.clock.now()))
    answer = plan_answer(plan, most_bytes=PLAN_BYTES)
    log.info("planned", extra={"plan": plan.id, "counts": answer["counts"]})
    return answer
