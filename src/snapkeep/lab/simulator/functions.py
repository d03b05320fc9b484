"""The functions of Protect and Receive over a world: what the state machines call, with the payloads of the deployed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

from snapkeep.domain import events
from snapkeep.domain.copies.codec import request_from_json
from snapkeep.domain.model import Plan
from snapkeep.domain.tags import parse_time
from snapkeep.functions.answers import PLAN_BYTES, copies_answer, deletions_answer, plan_answer, problems_answer, retention_answer
from snapkeep.lab.simulator.executions import Execution
from snapkeep.lab.simulator.wiring import Wiring
from snapkeep.usecases.notify import notices_of_run
from snapkeep.usecases.ports import DeletionResult
from snapkeep.usecases.retention.delete import DeletionOrder
from snapkeep.usecases.retention.plan_volumes import confirmed_copies

Function = Callable[[Execution, Mapping[str, Any]], Any]
"""Given the execution that calls it and a payload, return the answer."""


class Surroundings(Protocol):
    """What functions touch beside the ports."""

    def wake_by_stream(self, region: str) -> None:
        """Let the queue's stream wake a DR region's dispatcher."""
        ...

    def plan_made(self, plan: Plan) -> None:
        """Show a plan that is about to be carried out to the observers."""
        ...

    def deleted(self, order: DeletionOrder, result: DeletionResult) -> None:
        """Count a deletion, and show it to the observers."""
        ...


class Functions:
    """The functions by the names of their resources."""

    def __init__(self, wiring: Wiring, surroundings: Surroundings) -> None:
        self._wiring = wiring
        self._surroundings = surroundings

    @cached_property
    def by_name(self) -> dict[str, Function]:
        """Return each function under the name by which the definitions call it."""
        return {
            "TagSnapshots": self.tag_snapshots,
            "CopySnapshotToDR": self.copy_snapshot_to_dr,
            "CountSnapshots": self.count_snapshots,
            "DeleteOldSnapshots": self.delete_old_snapshots,
            "Notification": self.notification,
            "TagSnapshotCopy": self.tag_snapshot_copy,
        }

    def tag_snapshots(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Tag the snapshots of an event. Return the copies that their policies ask for."""
        ended = events.parse_snapshot_event(payload["event"])
        if isinstance(ended, events.NotOurs):
            return {"outcome": "NOT_OURS", "volumes": [], "copies": [], "problems": []}
        tagged = self._wiring.tag_snapshots(execution.region).run(ended)
        copies, left_to_sweep, _ = copies_answer(tagged.copies, self._wiring.clock.now())
        return {
            "outcome": str(tagged.outcome),
            "volumes": list(tagged.volume_ids),
            "copies": copies,
            "problems": problems_answer([*tagged.problems, *left_to_sweep]),
        }

    def copy_snapshot_to_dr(self, execution: Execution, payload: Mapping[str, Any]) -> None:
        """Put a copy into the queue of its DR region."""
        request = request_from_json(payload["copy"]["wanted"])
        self._wiring.enqueue().run(request, payload["token"], execution.id)
        self._surroundings.wake_by_stream(request.region)

    def count_snapshots(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Plan the retention of volumes."""
        copies = confirmed_copies(payload["copies"], self._wiring.clock.now())
        plan = self._wiring.planner(execution.region).plan_sources(payload["volumes"], copies)
        self._surroundings.plan_made(plan)
        return retention_answer(plan)

    def tag_snapshot_copy(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Check a copy that has ended, answer the execution that waits for it, and plan the retention of its lineage."""
        ended = events.parse_copy_event(payload["event"])
        no_plan = Plan("", execution.region, self._wiring.clock.now(), ())
        if isinstance(ended, events.NotOurs):
            return {"outcome": "NOT_OURS", "volumes": [], "plan": plan_answer(no_plan), "problems": []}
        received = self._wiring.receive(execution.region).run(ended)
        self._surroundings.wake_by_stream(execution.region)
        if received.plan:
            self._surroundings.plan_made(received.plan)
        plan = received.plan or no_plan
        return {
            "outcome": str(received.outcome),
            "volumes": sorted({verdict.snapshot.origin.volume_id for verdict in plan.verdicts}),
            "plan": plan_answer(plan, [(copy, received.why) for copy in received.remove], most_bytes=PLAN_BYTES),
            "problems": problems_answer(received.problems),
        }

    def delete_old_snapshots(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the deletions of a plan."""
        plan = payload["plan"]
        orders = [
            DeletionOrder(one["snapshot_id"], one["volume_id"], one["origin_start"], one["policy"], tuple(one["reasons"]))
            for one in plan["delete"]
        ]
        step = self._wiring.delete_snapshots(execution.region, self._surroundings.deleted)
        return deletions_answer(step.run(parse_time(plan["made_at"]), orders))

    def notification(self, execution: Execution, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Add a notice for everything in an execution's state that failed."""
        notices = notices_of_run(payload["state"], execution.region, execution.id, self._wiring.clock.now())
        for notice in notices:
            self._wiring.notices_of(execution.region).add(notice)
        return {"notices": len(notices)}
