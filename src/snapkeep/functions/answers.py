"""What functions answer their state machine: small JSON objects, as `docs/contracts.md` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snapkeep.domain.ledger import format_time
from snapkeep.domain.model import Plan, Snapshot, Verdict
from snapkeep.usecases.ports import DeletionResult
from snapkeep.usecases.protect import Problem


def plan_answer(plan: Plan, failed_copies: Sequence[tuple[Snapshot, str]] = ()) -> dict[str, Any]:
    """Given a plan, and failed copies to remove with why, return ids, counts and reasons: no listing."""
    deletions = [_order(verdict) for verdict in plan.deletions]
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


def deletions_answer(results: Sequence[DeletionResult]) -> dict[str, Any]:
    """Given how deletions ended, return how many are gone, and those that are not."""
    return {
        "deleted": sum(result.done for result in results),
        "failed": [
            {"snapshot_id": result.snapshot_id, "outcome": str(result.outcome), "cause": result.cause}
            for result in results
            if not result.done
        ],
    }
