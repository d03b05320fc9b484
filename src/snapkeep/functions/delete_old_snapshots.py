"""DeleteOldSnapshots: carry out the deletions of a plan."""

from __future__ import annotations

from functools import partial
from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_deletion, started
from snapkeep.functions.payloads import DeletionCall, from_json
from snapkeep.functions.state_budget import fit_deletions
from snapkeep.usecases.retention.delete import DeleteSnapshots
from snapkeep.usecases.retention.last_look import LastLook


def build(parts: Composition, plan_id: str) -> DeleteSnapshots:
    """Make the use case of the composition; audit lines carry the plan's id."""
    return DeleteSnapshots(
        deleter=parts.deleter,
        pacer=parts.clock,
        clock=parts.clock,
        audit=partial(audit_deletion, plan_id=plan_id),
        last_look=LastLook(system=parts.environment.system, reader=parts.points, guards=parts.guards, clock=parts.clock),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Carry out the plan of a `DeletionCall`; return a `DeletionAnswer`. Raise PlanStale."""
    started(event, context)
    plan = from_json(DeletionCall, event).plan
    return to_object(fit_deletions(build(composition(), plan.plan_id).run(plan.made_at, plan.delete)))
