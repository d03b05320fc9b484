"""What functions answer their state machine: small JSON objects, as `docs/contracts.md` lists them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from snapkeep.domain.copies.codec import request_to_json
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import PlanRefused
from snapkeep.domain.model import Plan, Refusal, Snapshot, Verdict
from snapkeep.domain.tag_names import OWN_TAGS
from snapkeep.domain.tags import format_time
from snapkeep.usecases.ports import DeletionResult
from snapkeep.usecases.protect import Problem, seconds_to_wait

COPIES_BYTES, COPIES_BYTES_AT_MOST, PLAN_BYTES = 110_000, 160_000, 48_000
"""What a run's state, which holds 256 KiB (Step Functions developer guide: quotas), has room for beside its event and results.

Copies of a set of many volumes first carry fewer tags; past the second figure they are left to a sweep.
"""


def size_bytes(value: Any) -> int:
    """Given JSON values, return their size as Step Functions counts it: UTF-8."""
    return len(json.dumps(value, ensure_ascii=False).encode())


def copies_answer(copies: Sequence[CopyRequest], now: datetime) -> tuple[list[dict[str, Any]], list[Problem], list[str]]:
    """Given the copies that are asked for, return them as a run's state holds them, those without room there, and what was cut.

    Our own tags are never cut.
    """
    listed = [_copy(request, now) for request in copies]
    if size_bytes(listed) <= COPIES_BYTES:
        return listed, [], []
    share = COPIES_BYTES // len(copies)
    fitted = [_fitted(request, share, now) for request in copies]
    room, kept, cut = COPIES_BYTES_AT_MOST, 0, []
    for request, before, after in zip(copies, listed, fitted, strict=True):
        room -= size_bytes(after) + 2
        if room < 0:
            break
        kept += 1
        lost = sorted(before["wanted"]["tags"].keys() - after["wanted"]["tags"].keys())
        if lost:
            cut.append(f"{request.origin.snapshot_id} to {request.region}: {', '.join(lost)}")
    problems = [
        Problem(
            "CopyLeftToSweep",
            f"{request.origin.snapshot_id} to {request.region}",
            "a run cannot hold as many copies as this set asks for; the next sweep asks for the rest",
        )
        for request in copies[kept:]
    ]
    return fitted[:kept], problems, cut


def _copy(request: CopyRequest, now: datetime) -> dict[str, Any]:
    return {
        "snapshot_id": request.origin.snapshot_id,
        "volume_id": request.origin.volume_id,
        "region": request.region,
        "timeout_seconds": seconds_to_wait(request, now),
        "wanted": request_to_json(request),
    }


def _fitted(request: CopyRequest, most_bytes: int, now: datetime) -> dict[str, Any]:
    """The copy with as many of its carried tags, in the order of their keys, as fit."""
    tags = {key: value for key, value in request.tags.items() if key in OWN_TAGS}
    room = most_bytes - size_bytes(_copy(replace(request, tags=tags), now))
    for key, value in sorted(request.tags.items()):
        if key in OWN_TAGS:
            continue
        room -= size_bytes({key: value})
        if room < 0:
            break
        tags[key] = value
    return _copy(replace(request, tags=tags), now)


def plan_answer(plan: Plan, failed_copies: Sequence[tuple[Snapshot, str]] = (), *, most_bytes: int = 0) -> dict[str, Any]:
    """Given a plan, and failed copies to remove with why, return ids, counts and reasons: no listing.

    With `most_bytes` what does not fit, of the youngest, is left to the next run: part of a plan is as safe as all of it.
    """
    deletions = [_order(verdict) for verdict in plan.deletions]
    while most_bytes and len(deletions) > 1 and size_bytes(deletions) > most_bytes:
        deletions = deletions[: len(deletions) * most_bytes // size_bytes(deletions) or 1]
    return {
        "plan_id": plan.id,
        "made_at": format_time(plan.made_at),
        "counts": {"kept": len(plan.verdicts) - len(deletions), "deleted": len(deletions)},
        "delete": deletions + [_removal(copy, why) for copy, why in failed_copies],
    }


def _order(verdict: Verdict) -> dict[str, Any]:
    return _deletion(verdict.snapshot, [reason.text for reason in verdict.reasons])


def _removal(copy: Snapshot, why: str) -> dict[str, Any]:
    return _deletion(copy, [f"failed copy: {why}"])


def _deletion(snapshot: Snapshot, reasons: list[str]) -> dict[str, Any]:
    return {
        "snapshot_id": snapshot.id,
        "volume_id": snapshot.origin.volume_id,
        "origin_start": format_time(snapshot.origin.start_time),
        "policy": snapshot.policy,
        "reasons": reasons,
    }


def problems_answer(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Given problems, return them as the state holds them."""
    return [{"kind": problem.kind, "subject": problem.subject, "cause": problem.cause} for problem in problems]


REFUSALS_BYTES = 12_000
"""The room that the texts of refusals have beside a plan's deletions; each text is cut to its share of it."""


def retention_answer(plan: Plan) -> dict[str, Any]:
    """Return a run's plan as CountSnapshots answers it, with a problem for each refused volume."""
    problems = refusals_answer(plan.refusals)
    return {**plan_answer(plan, most_bytes=PLAN_BYTES - size_bytes(problems)), "problems": problems}


def refusals_answer(refusals: Sequence[Refusal]) -> list[dict[str, str]]:
    """Return a problem for each refused volume, of kind PlanRefused, with as much of its text as has room."""
    share = REFUSALS_BYTES // max(1, len(refusals))
    return problems_answer(
        [Problem(PlanRefused.__name__, refusal.lineage.volume_id, refusal.text[:share]) for refusal in refusals]
    )


CAUSES_CHARACTERS, CAUSE_AT_LEAST = 40_000, 40
"""What the causes of failed deletions share in a run's state; the audit lines have them whole."""


def deletions_answer(results: Sequence[DeletionResult]) -> dict[str, Any]:
    """Given how deletions ended, return how many are gone, and those that are not, with as much of each cause as has room."""
    failed = [result for result in results if not result.done]
    room = max(CAUSE_AT_LEAST, CAUSES_CHARACTERS // max(1, len(failed)))
    return {
        "deleted": len(results) - len(failed),
        "failed": [{"snapshot_id": one.snapshot_id, "outcome": str(one.outcome), "cause": one.cause[:room]} for one in failed],
    }
