"""TagSnapshotCopy: a copy has ended in this DR region. Check it, answer who waits, plan the lineage's retention."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from snapkeep.domain import events
from snapkeep.domain.model import Plan, Snapshot
from snapkeep.functions.answers import PLAN_BYTES, plan_answer, problems_answer
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import audit_copy, started
from snapkeep.functions.plan_retention import build as build_planner
from snapkeep.usecases.copies.receive import ReceiveCopy, ReceiveResult


def build(parts: Composition) -> ReceiveCopy:
    """Given the parts, return the use case."""
    return ReceiveCopy(
        system=parts.environment.system,
        reader=parts.reader,
        tagger=parts.tagger,
        queue=parts.queue_of(parts.environment.region),
        settlement=parts.settlement,
        retry_policy=parts.retry_policy,
        planner=build_planner(parts),
        clock=parts.clock,
    )


@cache
def _ready() -> tuple[Composition, ReceiveCopy]:
    parts = composition()
    return parts, build(parts)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `event`, return what became of the copy, with the retention plan of its lineage."""
    log = started(event, context)
    parts, use_case = _ready()
    ended = events.parse_copy_event(event["event"])
    if isinstance(ended, events.NotOurs):
        log.info("not ours", extra={"why": ended.why})
        return _answer("NOT_OURS", _no_plan(parts))
    received = use_case.run(ended)
    audit_copy(
        f"{ended.source_region}#{ended.source_snapshot_id}#{ended.region}", ended.copy_id, str(received.outcome), received.why
    )
    return _received(received, parts)


def _received(received: ReceiveResult, parts: Composition) -> dict[str, Any]:
    plan = received.plan or _no_plan(parts)
    answer = _answer(str(received.outcome), plan, [(copy, received.why) for copy in received.remove])
    answer["problems"] = problems_answer(received.problems)
    return answer


def _no_plan(parts: Composition) -> Plan:
    return Plan("", parts.environment.region, parts.clock.now(), ())


def _answer(outcome: str, plan: Plan, failed: Sequence[tuple[Snapshot, str]] = ()) -> dict[str, Any]:
    snapshots = [verdict.snapshot for verdict in plan.verdicts] + [copy for copy, _ in failed]
    return {
        "outcome": outcome,
        "volumes": sorted({snapshot.origin.volume_id for snapshot in snapshots}),
        "plan": plan_answer(plan, failed, most_bytes=PLAN_BYTES),
        "problems": [],
    }
