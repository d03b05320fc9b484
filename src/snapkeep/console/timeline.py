"""A volume's recovery points as a time line: a lane for each region, a mark for each snapshot or copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot, SnapshotState
from snapkeep.domain.recovery.choice import is_point
from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.tags import format_time

WIDTH, LANE, TOP = 1000, 44, 30
"""The drawing's width and a lane's height, in units of its view box, and the room for the axis above the lanes."""
LEFT, RIGHT = 110, 30
"""The room for the regions' names, and the margin behind the present moment."""
STEPS = tuple(timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 48, 24 * 7, 24 * 14, 24 * 30, 24 * 91, 24 * 365))
"""Distances of the axis's ticks; the finest that makes at most `TICKS` of them is drawn."""
TICKS = 8
COVERED = 2
"""Marks of one state within so many units are one: of thousands of points a page has some hundred marks."""


class PointState(LabelledEnum):
    """The state of a snapshot or copy for a recovery. Each has a shape of its own on the time line."""

    PROVED = "proved", "proved copy"
    COMPLETED = "completed", "can be restored"
    PENDING = "pending", "pending"
    ARCHIVED = "archived", "archived: has to be restored first"
    UNUSABLE = "unusable", "cannot be restored"
    UNKNOWN = "unknown", "not known: its key could not be read"


def state_of(snapshot: Snapshot) -> PointState:
    """Return the state of a snapshot or copy for a recovery."""
    if snapshot.state is SnapshotState.PENDING:
        return PointState.PENDING
    if snapshot.archived:
        return PointState.ARCHIVED
    if not is_point(snapshot):
        return PointState.UNUSABLE
    if snapshot.unusable:
        return PointState.UNKNOWN
    return PointState.PROVED if is_proved(snapshot) else PointState.COMPLETED


@dataclass(frozen=True, slots=True)
class Mark:
    """One snapshot or copy, at its origin's start time."""

    x: float
    snapshot: Snapshot
    state: PointState


@dataclass(frozen=True, slots=True)
class Lane:
    """The points of one region."""

    region: str
    y: float
    marks: Sequence[Mark]
    summary: str
    """Its points in words."""


@dataclass(frozen=True, slots=True)
class AxisMoment:
    """A moment on the axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Coordinates of a drawing, in units of its view box."""

    height: float
    lanes: Sequence[Lane]
    ticks: Sequence[AxisMoment]
    moment_x: float
    """Where the chosen moment is."""
    begin: datetime
    end: datetime


def time_line(points: Mapping[str, Sequence[Snapshot]], at: datetime, now: datetime) -> TimeLine:
    """Return the time line of a volume's snapshots and copies by region, with the moment `at`."""
    starts = [snapshot.origin.start_time for snapshots in points.values() for snapshot in snapshots]
    # Without points, or with new ones alone, the line still has a length.
    begin = min([*starts, now - STEPS[0]])
    span = now - begin

    def x_of(moment: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max((moment - begin) / span, 0), 1), 1)

    lanes = [
        Lane(
            region,
            TOP + LANE * (number + 0.5),
            _apart(Mark(x_of(point.origin.start_time), point, state_of(point)) for point in reversed(snapshots)),
            _summary(snapshots),
        )
        for number, (region, snapshots) in enumerate(points.items())
    ]
    return TimeLine(TOP + LANE * len(lanes), lanes, _ticks(begin, now, x_of), x_of(at), begin, now)


def _summary(snapshots: Sequence[Snapshot]) -> str:
    counts = Counter(map(state_of, snapshots))
    newest = f", the newest of {format_time(max(point.origin.start_time for point in snapshots))}" if snapshots else ""
    return (", ".join(f"{counts[state]:,} {state.label}" for state in PointState if counts[state]) or "no point") + newest


def _apart(marks: Iterable[Mark]) -> list[Mark]:
    """Return the marks without those that the same mark of a later point covers nearly."""
    return list({(mark.x // COVERED, mark.state): mark for mark in marks}.values())


def _ticks(begin: datetime, end: datetime, x_of: Callable[[datetime], float]) -> list[AxisMoment]:
    step = next((step for step in STEPS if (end - begin) / step <= TICKS), STEPS[-1])
    form = "%H:%M" if step < STEPS[4] else "%d %b" if step < STEPS[-1] else "%Y"
    moments = []
    moment = end.replace(minute=0, second=0, microsecond=0)
    while moment > begin:
        moments.append(moment)
        moment -= step
    return [AxisMoment(x_of(moment), f"{moment:{form}}") for moment in reversed(moments)]


def mark_as_text(mark: Mark) -> str:
    """Return a mark in words, for its tooltip and for readers without the drawing."""
    return f"{mark.snapshot.id}, {format_time(mark.snapshot.origin.start_time)}: {mark.state.label}"
