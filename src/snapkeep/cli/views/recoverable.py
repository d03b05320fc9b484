"""Recovery points as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from snapkeep.cli.output import titled
from snapkeep.domain.drills.ledger import EndedDrill
from snapkeep.domain.durations import span_text
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Snapshot
from snapkeep.domain.plural import counted
from snapkeep.domain.protection import age_text
from snapkeep.domain.recovery.choice import PointChoice
from snapkeep.domain.tag_names import DEVICE, PROOF
from snapkeep.domain.tags import format_time
from snapkeep.usecases.recovery.find_points import BeforeChange, RegionPoints


def short_span_text(span: timedelta) -> str:
    """Return a measured span in words: `45 seconds`, then as `span_text`."""
    return span_text(span) if span >= timedelta(minutes=2) else f"{span.total_seconds():.0f} seconds"


def summary(all_points: Sequence[RegionPoints]) -> str:
    """Return the first line: how many volumes can be recovered, and where."""
    read = [region_points for region_points in all_points if not region_points.problem]
    parts = []
    for region_points in read:
        points = sum(len(choice.points) for choice in region_points.choices.values())
        missing = sum(len(choice.missing) or (not choice.points) for choice in region_points.choices.values())
        parts.append(f"{counted(points, 'volume')} in {region_points.region}" + (f", {missing} cannot" if missing else ""))
    return "can be recovered: " + ("; ".join(parts) if parts else "not known, no region was read")


Drills = Mapping[str, Mapping[str, EndedDrill]]
"""The newest drills that passed, by region and volume."""
NO_DRILLS: Drills = MappingProxyType({})


def lines(all_points: Sequence[RegionPoints], now: datetime, drills: Drills = NO_DRILLS) -> Iterator[str]:
    """Yield a line for each volume, under its region, and a line for each instance with several volumes.

    Volumes that cannot be recovered come first. A line under a volume says what its last drill measured.
    """
    yield summary(all_points)
    for region_points in all_points:
        if region_points.problem:
            yield region_points.problem
            continue
        yield f"{region_points.region}, times in UTC:"
        for owner, choice in sorted(region_points.choices.items(), key=lambda item: item[1].whole and bool(item[1].points)):
            yield from _choice_lines(owner, choice, now, drills.get(region_points.region, {}), region_points.before)


def _choice_lines(
    owner: str,
    choice: PointChoice,
    now: datetime,
    drills: Mapping[str, EndedDrill],
    before: Mapping[str, BeforeChange],
) -> Iterator[str]:
    if not choice.points and not choice.missing:
        yield f"{owner}  {choice.region}  not recoverable: no snapshot here names it"
        return
    indent = ""
    if len(choice.points) + len(choice.missing) > 1:
        yield f"{owner}  {choice.region}  {togetherness(choice)}"
        indent = "  "
    for point in choice.points:
        yield f"{indent}{point_text(point, now)}"
        if point.origin.volume_id in drills:
            yield f"{indent}  {measured_text(drills[point.origin.volume_id])}"
        if point.origin.volume_id in before:
            yield f"{indent}  {change_text(before[point.origin.volume_id])}"
    for volume_id, why in choice.missing.items():
        yield f"{indent}{volume_id}  not recoverable: {why}"
    yield from (f"{indent}note: {note}" for note in choice.notes)


def change_text(before: BeforeChange) -> str:
    """Return an unusual change and the last point before it, in words."""
    point = before.point
    last = f"{point.id} of {point.origin.start_time:%Y-%m-%d %H:%M} UTC" if point else "none here"
    return f"unusual: {before.change.text}; the last point before it: {last}"


def measured_text(drill: EndedDrill) -> str:
    """Return what a drill measured, in words."""
    usable, full_speed = (short_span_text(after or timedelta(0)) for after in (drill.usable_after, drill.full_speed_after))
    return f"drilled {drill.asked_at:%Y-%m-%d}: usable after {usable}, full speed after {full_speed}"


def measured_lines(volume_ids: Iterable[str], drills: Mapping[str, EndedDrill]) -> Iterator[str]:
    """Yield what the last drills of volumes measured, as far as there are any."""
    yield from (f"{volume_id}: {measured_text(drills[volume_id])}" for volume_id in volume_ids if volume_id in drills)


def togetherness(choice: PointChoice) -> str:
    """Return how the points of an instance belong together, in words."""
    if choice.set_id:
        return f"set {choice.set_id}: crash-consistent as one"
    if choice.spread > timedelta(0):
        return f"{span_text(choice.spread)} apart: not crash-consistent as one"
    return "single points"


def point_text(point: Snapshot, now: datetime) -> str:
    """Return a recovery point as one line, which fits 80 columns beside a short name."""
    start = point.origin.start_time
    older = "" if point.origin.start_known else " or older"
    device = f"  {point.tags[DEVICE]}" if DEVICE in point.tags else ""
    verdict = point.tags.get(PROOF, "").partition(" ")[0].lower()
    proof = f"  {verdict or 'not proved'}" if point.is_copy else ""
    named = titled(point.tags.get("Name", ""), point.origin.volume_id)
    return f"{named}{device}  {point.id}  {start:%Y-%m-%d %H:%M}{older}, {age_text(now - start)}{proof}"


def as_data(all_points: Sequence[RegionPoints], drills: Drills = NO_DRILLS) -> list[dict[str, Any]]:
    """Return what can be recovered as plain data."""
    return [
        {
            "region": region_points.region,
            "problem": region_points.problem,
            "owners": [
                {
                    "owner": owner,
                    "set": choice.set_id,
                    "spread_seconds": choice.spread.total_seconds(),
                    "recoverable": choice.whole and bool(choice.points),
                    "points": [
                        _with_drill(point_as_data(point), drills.get(region_points.region, {}))
                        | {"unusual_change": _change_as_data(region_points.before.get(point.origin.volume_id))}
                        for point in choice.points
                    ],
                    "notes": list(choice.notes),
                    "missing": dict(choice.missing),
                }
                for owner, choice in region_points.choices.items()
            ],
        }
        for region_points in all_points
    ]


def _with_drill(point: dict[str, Any], drills: Mapping[str, EndedDrill]) -> dict[str, Any]:
    drill = drills.get(point["volume_id"])
    return point | {"drill": to_object(drill) if drill else None}


def _change_as_data(before: BeforeChange | None) -> dict[str, Any] | None:
    if before is None:
        return None
    last = {"snapshot_id": before.point.id, "start": format_time(before.point.origin.start_time)} if before.point else None
    return to_object(before.change) | {"last_point_before": last}


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
