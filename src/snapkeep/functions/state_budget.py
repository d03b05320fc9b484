"""Fit the functions' answers into the state of a run, which holds 256 KiB (Step Functions developer guide: quotas)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import PlanRefused
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.model import DeletionPlan, Refusal, Snapshot
from snapkeep.domain.retention.deletion import DeletionOrder, deletion_orders
from snapkeep.domain.tag_names import OWN_TAGS, RECOVERY_TAGS
from snapkeep.functions.payloads import (
    CopyOrder,
    DeletionAnswer,
    PlanAnswer,
    PlanCounts,
    ReceiveAnswer,
    RetentionAnswer,
    TagAnswer,
)
from snapkeep.usecases.ports import DeletionResult, Problem, ProblemKind

if TYPE_CHECKING:
    from snapkeep.usecases.copies.receive import ReceiveResult
    from snapkeep.usecases.protect import TagResult

COPIES_BYTES, COPIES_BYTES_AT_MOST, RESULT_BYTES = 110_000, 219_000, 640
"""The room for copies beside the event, and for the result of each, which is longest when it failed.

Copies of a set with many volumes first carry fewer tags. The second figure is for copies and results; past it they are left to a
sweep.
"""
PLAN_BYTES, SWEEP_PLAN_BYTES = 48_000, 130_000
"""The room for a plan beside the event and the results of copies, and in a sweep, whose state has nothing else."""
REFUSALS_BYTES = 12_000
"""The room that the texts of refusals have beside a plan's deletions; each text is cut to its share of it."""
CAUSES_CHARACTERS, CAUSE_AT_LEAST = 40_000, 40
"""The room that the causes of failed deletions share; the audit lines have them whole."""


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def size_bytes(value: Any) -> int:
    """Return the size of a payload as Step Functions counts it: UTF-8."""
    return len(_ENCODER.encode(to_json(value)).encode())


@dataclass(frozen=True, slots=True)
class FittedCopies:
    """The copies that fit into a run's state, a problem for each of the others, and texts that name the tags left out."""

    orders: tuple[CopyOrder, ...]
    problems: tuple[Problem, ...] = ()
    left_out: tuple[str, ...] = ()


def fit_copies(requests: Sequence[CopyRequest], now: datetime) -> FittedCopies:
    """Return as many of the requested copies as fit into a run's state. Our own tags are never left out."""
    orders = [_order(request, now) for request in requests]
    if size_bytes(orders) <= COPIES_BYTES:
        return FittedCopies(tuple(orders))
    share = COPIES_BYTES // len(requests)
    room, fitted, left_out = COPIES_BYTES_AT_MOST, [], []
    for request in requests:
        order = _fit_tags(request, share, now)
        room -= size_bytes(order) + 2 + RESULT_BYTES
        if room < 0:
            break
        fitted.append(order)
        lost = sorted(request.tags.keys() - order.request.tags.keys())
        if lost:
            left_out.append(f"{request.origin.snapshot_id} to {request.region}: {', '.join(lost)}")
    problems = tuple(
        Problem(
            ProblemKind.COPY_LEFT_TO_SWEEP,
            f"{request.origin.snapshot_id} to {request.region}",
            "a run cannot hold as many copies as this set requests; the next sweep requests the rest",
        )
        for request in requests[len(fitted) :]
    )
    return FittedCopies(tuple(fitted), problems, tuple(left_out))


def _order(request: CopyRequest, now: datetime) -> CopyOrder:
    origin = request.origin
    return CopyOrder(origin.snapshot_id, origin.volume_id, request.region, request.seconds_to_wait(now), request)


def _fit_tags(request: CopyRequest, most_bytes: int, now: datetime) -> CopyOrder:
    """Return the copy with as many of recovery's tags, and then of its carried tags in the order of their keys, as fit."""
    tags = {key: value for key, value in request.tags.items() if key in OWN_TAGS and key not in RECOVERY_TAGS}
    room = most_bytes - size_bytes(_order(replace(request, tags=tags), now))
    for key, value in sorted(request.tags.items(), key=lambda tag: (tag[0] not in RECOVERY_TAGS, tag[0])):
        if key in tags:
            continue
        room -= size_bytes({key: value})
        if room < 0:
            break
        tags[key] = value
    return _order(replace(request, tags=tags), now)


def fit_plan(plan: DeletionPlan, failed_copies: Sequence[tuple[Snapshot, str]] = (), *, most_bytes: int = 0) -> PlanAnswer:
    """Return a plan's deletions, and failed copies to remove with why; the snapshots that stay are only counted.

    With `most_bytes` the youngest that do not fit are left to the next run, and failed copies that do not fit into half of it to
    the next sweep: part of a plan is as safe as all of it.
    """
    removed = _fit_orders(deletion_orders((), failed_copies), most_bytes // 2)
    room = most_bytes - size_bytes(removed) if most_bytes else 0
    orders = _fit_orders(deletion_orders(plan.deletions, newer_kept=plan.newer_kept), room)
    counts = PlanCounts(kept=len(plan.verdicts) - len(orders), deleted=len(orders))
    return PlanAnswer(plan.id, plan.made_at, counts, (*orders, *removed))


def _fit_orders(orders: list[DeletionOrder], most_bytes: int) -> list[DeletionOrder]:
    """Return the first orders, at least one, as many as fit; all of them where `most_bytes` is 0."""
    while most_bytes and len(orders) > 1 and size_bytes(orders) > most_bytes:
        orders = orders[: len(orders) * most_bytes // size_bytes(orders) or 1]
    return orders


def fit_retention(plan: DeletionPlan) -> RetentionAnswer:
    """Return a run's plan as CountSnapshots answers it, with a problem for each refused volume."""
    problems = fit_refusals(plan.refusals)
    fitted = fit_plan(plan, most_bytes=PLAN_BYTES - size_bytes(problems))
    return RetentionAnswer(fitted.plan_id, fitted.made_at, fitted.counts, fitted.delete, problems)


def fit_refusals(refusals: Sequence[Refusal]) -> tuple[Problem, ...]:
    """Return a problem for each refused volume, of kind PlanRefused, with as much of its text as has room."""
    share = REFUSALS_BYTES // max(1, len(refusals))
    return tuple(Problem(PlanRefused.__name__, refusal.lineage.volume_id, refusal.text[:share]) for refusal in refusals)


def fit_deletions(results: Sequence[DeletionResult]) -> DeletionAnswer:
    """Return how many snapshots are deleted, and the others with as much of each cause as has room."""
    failed = [result for result in results if not result.done]
    room = max(CAUSE_AT_LEAST, CAUSES_CHARACTERS // max(1, len(failed)))
    return DeletionAnswer(len(results) - len(failed), tuple(replace(result, cause=result.cause[:room]) for result in failed))


def tag_answer(tagged: TagResult, now: datetime) -> tuple[TagAnswer, tuple[str, ...]]:
    """Return the answer of TagSnapshots, and texts that name the tags for which the state has no room."""
    copies = fit_copies(tagged.copies, now)
    problems = (*tagged.problems, *copies.problems)
    return TagAnswer(str(tagged.outcome), tagged.volume_ids, copies.orders, problems), copies.left_out


def receive_answer(received: ReceiveResult, region: str, now: datetime) -> ReceiveAnswer:
    """Return the answer of TagSnapshotCopy, with an empty plan where retention was not planned."""
    plan = received.plan or DeletionPlan("", region, now, ())
    snapshots = [*(verdict.snapshot for verdict in plan.verdicts), *received.remove]
    failed_copies = [(copy, received.why) for copy in received.remove]
    return ReceiveAnswer(
        outcome=str(received.outcome),
        volumes=tuple(sorted({snapshot.origin.volume_id for snapshot in snapshots})),
        plan=fit_plan(plan, failed_copies, most_bytes=PLAN_BYTES),
        problems=received.problems,
    )
