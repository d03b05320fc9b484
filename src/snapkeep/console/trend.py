"""The trend of the first page's numbers, from the reports of the primary region's sweeps and the ledgers of drills."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from snapkeep.adapters.s3_reports import S3Reports
from snapkeep.cli.errors import known_errors, one_line
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.kept_reports import KeptReader, report_store
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.sweep.report import Figure, SweepReport

DAYS = 14
MOST_REPORTS = 120
"""The newest reports that are read: those of two weeks, if nobody sweeps by hand."""
WIDTH, HEIGHT = 120, 28
"""The drawing of a trend, in units of its view box."""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The counts of one sweep; empty where it did not know all volumes."""

    at: datetime
    counts: Mapping[Figure, int]


@dataclass(frozen=True, slots=True)
class Trend:
    """A number over time, as a drawing and in words."""

    line: str
    """The coordinates of a polyline; empty for fewer than two values."""
    text: str


def trend_of(values: Sequence[tuple[datetime, int]], now: datetime) -> Trend:
    """Return the trend of values, the oldest first, over the last days."""
    if len(values) < 2:  # noqa: PLR2004 - one value is not a trend
        return Trend("", "no trend yet: it comes from the reports of sweeps")
    begin, most = now - timedelta(days=DAYS), max([1, *(number for _, number in values)])
    points = [
        (round(WIDTH * max((at - begin) / (now - begin), 0), 1), round((HEIGHT - 4) * (1 - number / most) + 2, 1))
        for at, number in values
    ]
    first, last = values[0], values[-1]
    return Trend(" ".join(f"{x:g},{y:g}" for x, y in points), f"{first[1]:,} on {first[0]:%d %b}, {last[1]:,} on {last[0]:%d %b}")


def values_of(points: Iterable[TrendPoint], figure: Figure) -> list[tuple[datetime, int]]:
    """Return the values of a figure, where sweeps counted it."""
    return [(point.at, point.counts[figure]) for point in points if figure in point.counts]


@dataclass(slots=True)
class TrendReader:
    """Reads the counts of sweeps, again and again."""

    _reader: KeptReader[TrendPoint | None] = field(default_factory=lambda: KeptReader(_point, most=MOST_REPORTS))

    def read(self, system: InstalledSystem, now: datetime) -> tuple[tuple[TrendPoint, ...], str]:
        """Return the counts of the last days' sweeps, the oldest first, and why they are not known."""
        try:
            store = report_store(system, system.settings.region)
            if store is None:
                return (), "the primary stack names no bucket of reports"
            # Reports of other versions, and those beyond the newest, only make the trend shorter.
            points, _ = self._reader.read(store, (now - timedelta(days=DAYS)).date())
        except known_errors() as error:
            return (), one_line(error)
        return tuple(sorted(filter(None, points), key=lambda point: point.at)), ""


def _point(store: S3Reports, name: str) -> TrendPoint | None:
    """Return the counts of a report; None where its sweep could not do its work."""
    report = from_text(SweepReport, store.get(name))
    if report.broken or report.counts.get(Figure.VOLUMES_NOT_KNOWN, 0):
        return None
    return TrendPoint(report.started_at, report.counts)
