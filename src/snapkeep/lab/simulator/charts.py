"""Charts as SVG without a script: their geometry, their legend, and a table of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import ceil, floor, log10
from typing import NamedTuple

COLOURS = 12
"""The number of colours of the style sheet; more series repeat them."""
MOST_POINTS = 200
"""The most points of a line, and rows of its table: with more days, a point represents several."""
WIDTH, HEIGHT = 1000, 100
"""The plot's own units; the page stretches it."""
TICKS, LABELS = 5, 4
"""The most steps of the vertical axis, and the most labels of the horizontal one."""


class Form(StrEnum):
    """The form of a series."""

    SOLID = "solid"
    DOTTED = "dotted"
    DASHED = "dashed"
    BOX = "box"
    FAINT = "faint"


class Series(NamedTuple):
    """One line of a chart, or one part of its bars; `group` is the number of the bar among those of a position."""

    name: str
    colour: int
    values: Sequence[float]
    form: Form = Form.SOLID
    group: int = 0


class Tick(NamedTuple):
    """A label of an axis, and its place in percent from the axis' start."""

    percent: float
    label: str


class Rectangle(NamedTuple):
    """A bar, or an area that shows a text under the pointer."""

    x: float
    y: float
    width: float
    height: float
    series: Series | None = None
    text: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart with its heading and text. Without series, the text has the reason."""

    heading: str
    text: str
    positions: Sequence[str] = ()
    """The labels of the horizontal axis, one for each value of a series."""
    series: Sequence[Series] = ()
    unit: Callable[[float], str] = "{:,.0f}".format
    whole: bool = False
    """Whether values are counts, so that no tick is between two of them."""

    @property
    def bars(self) -> bool:
        """Whether the series are stacked bars."""
        return any(series.form in (Form.BOX, Form.FAINT) for series in self.series)

    def thinned(self) -> Chart:
        """Return the chart with at most `MOST_POINTS` positions; each has the largest of its values."""
        size = ceil(len(self.positions) / MOST_POINTS)
        if size <= 1:
            return self
        starts = range(0, len(self.positions), size)
        positions = [_span(self.positions[start : start + size]) for start in starts]
        series = [each._replace(values=[max(each.values[start : start + size]) for start in starts]) for each in self.series]
        return Chart(self.heading, f"{self.text}; the most of every {size} days", positions, series, self.unit, whole=self.whole)

    @property
    def summary(self) -> str:
        """The chart in one sentence for people who cannot see it."""
        parts = [
            f"{each.name} from {self.unit(min(each.values))} to {self.unit(max(each.values))}, at the end "
            f"{self.unit(each.values[-1])}"
            for each in self.series
        ]
        return f"{self.heading}, {self.positions[0]} to {self.positions[-1]}: {'; '.join(parts)}"

    @property
    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """The values in text, by position."""
        for number, position in enumerate(self.positions):
            yield position, [self.unit(each.values[number]) for each in self.series]

    @property
    def vertical_ticks(self) -> list[Tick]:
        """The ticks of the vertical axis, from 0."""
        step, count = self._scale
        return [Tick(100 * number / count, self.unit(step * number)) for number in range(count + 1)]

    @property
    def horizontal_ticks(self) -> list[Tick]:
        """The ticks of the horizontal axis: at most `LABELS`, at equal distances."""
        last = len(self.positions) - 1
        every = max(1, ceil(len(self.positions) / LABELS))
        start, slot = (50 / len(self.positions), 100 / len(self.positions)) if self.bars else (0.0, 100 / max(last, 1))
        return [Tick(start + slot * number, self.positions[number].partition(" ")[0]) for number in range(0, last + 1, every)]

    @property
    def lines(self) -> list[tuple[Series, str]]:
        """Each series with the points of its line."""
        step = WIDTH / max(len(self.positions) - 1, 1)
        return [
            (each, " ".join(f"{step * number:.0f},{self._y(value):.1f}" for number, value in enumerate(each.values)))
            for each in self.series
        ]

    @property
    def boxes(self) -> Iterator[Rectangle]:
        """The parts of the bars, stacked from the bottom."""
        groups = 1 + max((each.group for each in self.series), default=0)
        slot = WIDTH / max(len(self.positions), 1)
        width = 0.75 * slot / groups
        for number in range(len(self.positions)):
            sums = [0.0] * groups
            for each in self.series:
                value = each.values[number]
                below, sums[each.group] = sums[each.group], sums[each.group] + value
                if value:
                    x, top = slot * (number + 0.125) + width * each.group, self._y(sums[each.group])
                    yield Rectangle(x, top, width, self._y(below) - top, each)

    @property
    def hover_areas(self) -> Iterator[Rectangle]:
        """The areas of the plot that show a position's values under the pointer."""
        slot = WIDTH / max(len(self.positions), 1)
        for number, (position, values) in enumerate(self.rows):
            named = (f"{each.name}: {value}" for each, value in zip(self.series, values, strict=True))
            yield Rectangle(slot * number, 0, slot, HEIGHT, text="\n".join([position, *named]))

    def _y(self, value: float) -> float:
        step, count = self._scale
        return HEIGHT * (1 - value / (step * count))

    @cached_property
    def _scale(self) -> tuple[float, int]:
        """Return the step of the vertical axis, which is 1, 2 or 5 with zeros, and the number of steps."""
        top = self._top()
        if not top:
            return 1, 1
        power = 10.0 ** floor(log10(top / TICKS))
        steps = (power * factor for factor in (1, 2, 5, 10))
        step = next(step for step in steps if top <= step * TICKS and (step >= 1 or not self.whole))
        return step, ceil(top / step)

    def _top(self) -> float:
        if not self.bars:
            return max((value for each in self.series for value in each.values), default=0.0)
        sums: dict[tuple[int, int], float] = {}
        for each in self.series:
            for number, value in enumerate(each.values):
                sums[each.group, number] = sums.get((each.group, number), 0.0) + value
        return max(sums.values(), default=0.0)


def _span(positions: Sequence[str]) -> str:
    return positions[0] if len(positions) == 1 else f"{positions[0]} to {positions[-1]}"
