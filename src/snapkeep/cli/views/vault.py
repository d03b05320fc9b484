"""The points of a vault, and copies for another account, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from snapkeep.cli.views.recoverable import point_as_data
from snapkeep.domain.durations import span_text
from snapkeep.domain.model import Action
from snapkeep.domain.plural import counted
from snapkeep.domain.recovery.choice import is_point, why_unusable
from snapkeep.domain.recovery.copy_steps import CopyPlan
from snapkeep.domain.retention.deletion_days import DayAllowance
from snapkeep.domain.tag_names import PROOF
from snapkeep.domain.tags import format_time
from snapkeep.domain.vault.shares import VaultStatus
from snapkeep.usecases.look.vault import VaultPoint

NOT_COMPARED = "size and key checked on arrival; the copy that was shared is compared in production"


def vault_status_text(standing: VaultStatus) -> str:
    """Return how far a vault has the copies that it should have, in words."""
    vault = standing.vault
    if not standing.known:
        return f"the copies in account {vault.account} are not known: {vault.from_region} could not be read"
    newest = f", the newest of {standing.newest:%Y-%m-%d %H:%M} UTC" if standing.newest else ""
    parts = [f"{counted(standing.copied, 'copy', 'copies')} in account {vault.account}, {vault.region}{newest}"]
    if standing.shared:
        since = f", the first since {standing.shared_since:%Y-%m-%d %H:%M} UTC" if standing.shared_since else ""
        parts.append(f"{standing.shared:,} shared and not copied yet{since}")
    parts += [f"{standing.to_share:,} to be shared"] if standing.to_share else []
    return "; ".join(parts) + (" (late: see `snapkeep report list`)" if standing.late else "")


def points_lines(points: Sequence[VaultPoint], region: str, now: datetime) -> Iterator[str]:
    """Yield each point under its source volume, the newest first."""
    volumes = {point.copy.origin.volume_id for point in points}
    yield f"{counted(len(points), 'point')} of {counted(len(volumes), 'volume')} in {region}, times in UTC"
    former = ""
    for point in points:
        origin = point.copy.origin
        if origin.volume_id != former:
            yield f"{origin.volume_id} of {origin.region}:"
            former = origin.volume_id
        age = span_text(now - origin.start_time)
        yield f"  {origin.start_time:%Y-%m-%d %H:%M:%S}  {point.copy.id}  {point.copy.size_gib} GiB, {age} old: {_state(point)}"
        yield f"    {point.lock.text if point.lock else 'not locked'}; {_fate(point)}"
        yield f"    proof: {point.copy.tags.get(PROOF, NOT_COMPARED)}"


def changes_lines(after: Sequence[VaultPoint], deleted: Sequence[VaultPoint], allowance: DayAllowance) -> Iterator[str]:
    """Yield what a change of the vault's policy deletes, and whether runs may delete all on one day."""
    yield f"the next sweep deletes {len(deleted):,} more of {counted(len(after), 'point')}"
    for point in deleted:
        origin = point.copy.origin
        lock = f", {point.lock.text}" if point.lock else ""
        yield f"  {origin.volume_id}  {origin.start_time:%Y-%m-%d %H:%M:%S}  {point.copy.id}{lock}"
    yield allowance.warning


def _state(point: VaultPoint) -> str:
    return "can be restored" if is_point(point.copy) else f"cannot be restored: {why_unusable(point.copy)}"


def _fate(point: VaultPoint) -> str:
    reasons = "; ".join(reason.text for reason in point.verdict.reasons)
    return f"{'kept' if point.verdict.action is Action.KEEP else 'deleted by the next sweep'}: {reasons}"


def points_as_data(points: Iterable[VaultPoint]) -> list[dict[str, Any]]:
    """Return the points as plain data."""
    return [
        {
            **point_as_data(point.copy),
            "can_be_restored": is_point(point.copy),
            "lock": _lock_as_data(point),
            "action": str(point.verdict.action),
            "reasons": [reason.text for reason in point.verdict.reasons],
        }
        for point in points
    ]


def _lock_as_data(point: VaultPoint) -> dict[str, Any] | None:
    lock = point.lock
    if lock is None:
        return None
    return {"state": str(lock.state), "until": format_time(lock.until) if lock.until else None, "days": lock.days}


def copies_lines(plan: CopyPlan, now: datetime) -> Iterator[str]:
    """Yield the plan of copies for another account."""
    yield f"plan: {counted(len(plan.points), 'copy', 'copies')} in {plan.region} under {plan.key}, for account {plan.account}"
    for point in plan.points:
        start = point.origin.start_time
        lost = f"data written in the last {span_text(now - start)} is lost"
        yield f"  {point.origin.volume_id}: {point.size_gib} GiB from {point.id}, data of {start:%Y-%m-%d %H:%M:%S} UTC: {lost}"
    yield from (f"note: {remark}" for remark in plan.remarks)
    yield from (f"obstacle: {obstacle}" for obstacle in plan.obstacles)


def copies_as_data(plan: CopyPlan) -> dict[str, Any]:
    """Return the plan of copies as plain data."""
    return {
        "region": plan.region,
        "key": plan.key,
        "account": plan.account,
        "points": [point_as_data(point) for point in plan.points],
        "remarks": list(plan.remarks),
        "obstacles": list(plan.obstacles),
    }
