"""Recovery points as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from snapkeep.cli.output import titled
from snapkeep.domain.durations import span_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.plural import counted
from snapkeep.domain.recovery.choice import PointChoice
from snapkeep.domain.tag_names import DEVICE, PROOF
from snapkeep.domain.tags import format_time
from snapkeep.usecases.recovery.find_points import RecoverableThings


def summary(found: Sequence[RecoverableThings]) -> str:
    """Return the first line: how many volumes can be recovered, and where."""
    read = [things for things in found if not things.problem]
    parts = []
    for things in read:
        points = sum(len(choice.points) for choice in things.choices.values())
        missing = sum(len(choice.missing) or (not choice.points) for choice in things.choices.values())
        parts.append(f"{counted(points, 'volume')} in {things.region}" + (f", {missing} cannot" if missing else ""))
    return "can be recovered: " + ("; ".join(parts) if parts else "not known, no region was read")


def lines(found: Sequence[RecoverableThings], now: datetime) -> Iterator[str]:
    """Yield a line for each volume, under a line for each instance with several volumes."""
    yield summary(found)
    for things in found:
        if things.problem:
            yield things.problem
            continue
        for owner, choice in things.choices.items():
            yield from _choice_lines(owner, choice, now)


def _choice_lines(owner: str, choice: PointChoice, now: datetime) -> Iterator[str]:
    if not choice.points and not choice.missing:
        yield f"{owner}  {choice.region}  not recoverable: no snapshot here names it"
        return
    if len(choice.points) + len(choice.missing) > 1:
        yield f"{owner}  {choice.region}  {togetherness(choice)}"
    for point in choice.points:
        yield f"  {point_text(point, now)}"
    for volume_id, why in choice.missing.items():
        yield f"  {volume_id}  not recoverable: {why}"
    yield from (f"  note: {note}" for note in choice.notes)


def togetherness(choice: PointChoice) -> str:
    """Return how the points of an instance belong together, in words."""
    if choice.set_id:
        return f"set {choice.set_id}: crash-consistent as one"
    if choice.spread > timedelta(0):
        return f"{span_text(choice.spread)} apart: not crash-consistent as one"
    return "single points"


def point_text(point: Snapshot, now: datetime) -> str:
    """Return a recovery point as one line."""
    start = point.origin.start_time
    older = "" if point.origin.start_known else " or older"
    device = f"  {point.tags[DEVICE]}" if DEVICE in point.tags else ""
    proof = point.tags.get(PROOF, "not proved" if point.is_copy else "no copy")
    named = titled(point.tags.get("Name", ""), point.origin.volume_id)
    return (
        f"{named}{device}  {point.size_gib} GiB  {point.id}  {start:%Y-%m-%d %H:%M} UTC{older}, "
        f"{span_text(now - start)} ago  {proof}"
    )


def as_data(found: Sequence[RecoverableThings]) -> list[dict[str, Any]]:
    """Return what can be recovered as plain data."""
    return [
        {
            "region": things.region,
            "problem": things.problem,
            "owners": [
                {
                    "owner": owner,
                    "set": choice.set_id,
                    "spread_seconds": choice.spread.total_seconds(),
                    "recoverable": choice.whole and bool(choice.points),
                    "points": [point_as_data(point) for point in choice.points],
                    "notes": list(choice.notes),
                    "missing": dict(choice.missing),
                }
                for owner, choice in things.choices.items()
            ],
        }
        for things in found
    ]


def point_as_data(point: Snapshot) -> dict[str, Any]:
    """Return a recovery point as plain data."""
    return {
        "volume_id": point.origin.volume_id,
        "device": point.tags.get(DEVICE, ""),
        "snapshot_id": point.id,
        "region": point.region,
        "start": format_time(point.origin.start_time),
        "start_known": point.origin.start_known,
        "size_gib": point.size_gib,
        "encrypted": point.encrypted,
        "proof": point.tags.get(PROOF, ""),
    }
