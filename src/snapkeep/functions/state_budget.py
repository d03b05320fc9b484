"""Fit the functions' answers into the state of a run, which holds 256 KiB (Step Functions developer guide: quotas)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import PlanRefused
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.model import DeletionPlan, Refusal, Snapshot
from snapkeep.domain.records import dataclass, replace
from snapkeep.domain.retention.deletion import DeletionOrder, deletion_orders
from snapkeep.domain.tag_names import OWN_TAGS, RECOVERY_TAGS
from snapkeep.functions.payloads import (
    CopyOrder,
    DeletionAnswer,
    DeletionCall,
    PlanAnswer,
    PlanCounts,
    ReceiveAnswer,
    RetentionAnswer,
    TagAnswer,
)
from snapkeep.usecases.ports import CopyResult, DeletionResult, Problem, ProblemKind

if TYPE_CHECKING:
    from snapkeep.usecases.copies.receive import ReceiveResult
    from snapkeep.usecases.protect import TagResult
    from snapkeep.usecases.retention.delete import Deletions

COPIES_BYTES, COPIES_BYTES_AT_MOST, RESULT_BYTES = 110_000, 219_000, 640
"""The room for copies beside the event, and for the result of each, which is longest when it failed.

Copies of a set with many volumes first carry fewer tags. The second figure is for copies and results; past it they are left to a
sweep.
"""
STATE_BYTES, ENVELOPE_BYTES = 256 * 1024, 4_000
"""The whole state, and the names of its parts."""
EVENT_BYTES, ORDER_BYTES, PROBLEM_BYTES = 290, 1_700, 100
"""The parts of a volume in event and answer, a copy with Snapkeep's own tags alone, a problem without its cause: each at most."""
PLAN_BYTES, SWEEP_PLAN_BYTES, SWEEP_FAILED_BYTES = 48_000, 130_000, 100_000
"""The room for a plan beside the event and the results of copies, for a sweep's plan, and for its failed deletions."""
CAUSES_CHARACTERS, CAUSE_AT_LEAST = 40_000, 40
"""The room for causes of failed deletions: in all, and at least for each. Audit lines have them whole."""


_ENCODER = json.JSONEncoder(ensure_ascii=False)
_NOTHING_BYTES = len("[]")
"""The usual run has no failure, no refusal and no copy that failed."""


def size_bytes(value: Any) -> int:
    """Return the size of a payload as Step Functions counts it: UTF-8."""
    return len(_ENCODER.encode(to_json(value)).encode()) if value else _NOTHING_BYTES


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
    # Equal shares: no copy of a set may use up the room of the others with its tags.
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
    orders = _fit_orders(deletion_orders(plan.deletions), room)
    counts = PlanCounts(kept=len(plan.verdicts) - len(orders), deleted=len(orders))
    return PlanAnswer(plan.id, plan.made_at, counts, (*orders, *removed))


def _fit_orders(orders: list[DeletionOrder], most_bytes: int) -> list[DeletionOrder]:
    """Return the first orders, at least one, as many as fit; all of them where `most_bytes` is 0."""
    while most_bytes and len(orders) > 1 and size_bytes(orders) > most_bytes:
        # By proportion, since sizes differ little: a few turns instead of one for each order.
        orders = orders[: len(orders) * most_bytes // size_bytes(orders) or 1]
    return orders


def plan_bytes(volumes: int, copies: Sequence[CopyResult]) -> int:
    """Return half of the room that a run has beside the event, the copies and their results."""
    orders = min(COPIES_BYTES_AT_MOST - len(copies) * RESULT_BYTES, max(COPIES_BYTES, len(copies) * ORDER_BYTES))
    # The largest state at the time when the plan is added.
    rest = STATE_BYTES - ENVELOPE_BYTES - volumes * EVENT_BYTES - orders - size_bytes(copies)
    return min(PLAN_BYTES, rest // 2)


def fit_retention(plan: DeletionPlan, most_bytes: int) -> RetentionAnswer:
    """Return a run's plan as CountSnapshots answers it, with problems for the refused volumes in at most half of the room."""
    problems = fit_refusals(plan.refusals, most_bytes // 2)
    fitted = fit_plan(plan, most_bytes=most_bytes - size_bytes(problems))
    return RetentionAnswer(fitted.plan_id, fitted.made_at, fitted.counts, fitted.delete, problems)


def fit_refusals(refusals: Sequence[Refusal], most_bytes: int) -> tuple[Problem, ...]:
    """Return a problem for each refused volume, of kind PlanRefused, with as much of its text as has room.

    Where even short texts have no room for all volumes, the last problem counts the others.
    """
    share = max(CAUSE_AT_LEAST, most_bytes // max(1, len(refusals)) - PROBLEM_BYTES)
    count = max(1, most_bytes // (share + PROBLEM_BYTES))
    kind = PlanRefused.__name__
    problems = [Problem(kind, refusal.lineage.volume_id, refusal.text[:share]) for refusal in refusals[:count]]
    if len(refusals) > count:
        problems.append(Problem(kind, f"{len(refusals) - count} other volumes", "their plans are refused too: see snapkeep plan"))
    return tuple(problems)


def deletion_answer(deletions: Deletions, call: DeletionCall) -> DeletionAnswer:
    """Return the answer of DeleteOldSnapshots, fitted into the state of its execution beside the results of copies.

    The state has the requested deletions already. Those that the function planned itself take half of the room, refusals and
    failures a quarter each.
    """
    room = 2 * plan_bytes(len(call.volumes), call.copies)
    problems, failed = (
        fit_refusals(deletions.refusals, room // 4),
        fit_failed(deletions.results, SWEEP_FAILED_BYTES if call.plan else room // 4),
    )
    left_out = sum(not result.done for result in deletions.results) - len(failed)
    if left_out:
        cause = "their audit lines, in the function's log, say why"
        problems += (Problem(ProblemKind.NOT_DELETED, f"{left_out} other snapshots", cause),)
    planned = [] if call.plan and not call.volumes else _fit_orders(deletions.orders, room // 2)
    deleted = sum(result.done for result in deletions.results)
    return DeletionAnswer(deleted, failed, problems, tuple(planned))


def fit_failed(results: Sequence[DeletionResult], most_bytes: int) -> tuple[DeletionResult, ...]:
    """Return the results of snapshots that were not deleted, as many as fit, with as much of each cause as has room."""
    failed = [result for result in results if not result.done]
    share = max(CAUSE_AT_LEAST, min(CAUSES_CHARACTERS, most_bytes // 2) // max(1, len(failed)))
    shortened = [replace(result, cause=result.cause[:share]) for result in failed]
    # A sweep's report counts an order without a failure as deleted: causes are cut further before a result is left out.
    while share > CAUSE_AT_LEAST and size_bytes(shortened) > most_bytes:
        share = max(CAUSE_AT_LEAST, share // 2)
        shortened = [replace(result, cause=result.cause[:share]) for result in failed]
    while len(shortened) > 1 and size_bytes(shortened) > most_bytes:
        shortened = shortened[: len(shortened) * most_bytes // size_bytes(shortened) or 1]
    return tuple(shortened)


def tag_answer(tagged: TagResult, now: datetime) -> tuple[TagAnswer, tuple[str, ...]]:
    """Return the answer of TagSnapshots, and texts that name the tags for which the state has no room."""
    copies = fit_copies(tagged.copies, now)
    problems = (*tagged.problems, *copies.problems)
    return TagAnswer(str(tagged.outcome), tagged.volume_ids, copies.orders, problems), copies.left_out


def receive_answer(received: ReceiveResult, region: str, now: datetime) -> ReceiveAnswer:
    """Return the answer of TagSnapshotCopy; its plan has nothing but the failed copies to delete."""
    failed_copies = [(copy, received.why) for copy in received.remove]
    volumes = sorted({*received.volume_ids, *(copy.origin.volume_id for copy in received.remove)})
    return ReceiveAnswer(
        outcome=str(received.outcome),
        volumes=tuple(volumes),
        retention=received.volume_ids,
        plan=fit_plan(DeletionPlan("", region, now, ()), failed_copies, most_bytes=PLAN_BYTES),
        problems=received.problems,
    )
