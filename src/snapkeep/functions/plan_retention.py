"""CountSnapshots: plan the retention of a run's volumes, and delete nothing.

Executions of Protect that began under an earlier version call it before DeleteOldSnapshots, which plans by itself.
"""

from __future__ import annotations

from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.functions.payloads import PlanCall
from snapkeep.functions.state_budget import fit_retention, plan_bytes
from snapkeep.usecases.retention.plan_volumes import RetentionPlanner


def build(parts: Composition) -> RetentionPlanner:
    """Make the use case of the composition."""
    return RetentionPlanner(
        system=parts.environment.system,
        reader=parts.points,
        guards=parts.guards,
        holds=parts.holds,
        policies=parts.policies,
        clock=parts.clock,
        reader_of=parts.points_of,
        source_of=parts.source_of,
        queue_of=parts.queue_of,
        fault_of_key=lambda region, key: parts.keys_of(region).fault_of(key),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Plan retention for the volumes of a `PlanCall`; return a `RetentionAnswer`, with a problem for each refused volume."""
    log = started(event, context)
    call = from_json(PlanCall, event)
    plan = build(composition()).plan_sources(call.volumes, call.copies)
    answer = to_object(fit_retention(plan, plan_bytes(len(call.volumes), call.copies)))
    log.info("planned", extra={"plan": plan.id, "counts": answer["counts"], "refused": len(plan.refusals)})
    return answer
