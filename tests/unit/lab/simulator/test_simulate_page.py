"""A simulation's page: the charts of one policy and of two, what they say in text, and names as text."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from rich.console import Console

from snapkeep import __version__
from snapkeep.lab.simulator.charts import MOST_POINTS, Chart, Form, Series
from snapkeep.lab.simulator.experiment import ExperimentOptions, RegionDay
from snapkeep.lab.simulator.fleet import SimulatedVolume
from snapkeep.lab.simulator.page import render
from snapkeep.lab.simulator.terminal import print_results
from support.simulation import FAR, MADE_AT, NEAR, PRIMARY, policy, run

TEN_YEARS = 3660


class Page(HTMLParser):
    """The headings, tables and texts for screen readers of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.summaries: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg":
            self.summaries.append(dict(attrs)["aria-label"] or "")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        self.cell = tag in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.tables[-1][-1].append(data)

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")


def legend(text: str) -> list[tuple[str, str, str]]:
    return re.findall(r'<i class="(\w+)" style="color: var\(--c(\d+)\)"></i>([^<]+)', text)


def test_each_region_has_one_colour_in_charts_of_two_policies() -> None:
    marks = legend(render([run(policy(FAR), name="west"), run(policy(NEAR), name="east")], MADE_AT))
    snapshots = {name: (form, colour) for form, colour, name in marks[:4]}
    assert list(snapshots) == [f"west: {PRIMARY}", f"west: {FAR}", f"east: {PRIMARY}", f"east: {NEAR}"]
    assert snapshots[f"west: {PRIMARY}"][1] == snapshots[f"east: {PRIMARY}"][1]
    assert {form for form, _ in snapshots.values()} == {"solid", "dotted"}
    assert len({colour for _, colour in snapshots.values()}) == 3
    assert f"east: transfer to {NEAR}" in {name for _, _, name in marks}


def test_every_part_of_the_cost_is_drawn_however_many_regions_there_are() -> None:
    regions = (NEAR, FAR, "us-west-2", "ap-southeast-2")
    marks = legend(render([run(policy(*regions), days=2)], MADE_AT))
    assert [name for form, _, name in marks if form == "box"] == [
        *sorted(f"snapshots in {region}" for region in (PRIMARY, *regions)),
        *sorted(f"transfer to {region}" for region in regions),
        "state transitions, functions, verification",
    ]


def test_every_chart_has_a_sentence_and_a_table() -> None:
    result = run(policy(NEAR))
    page = Page(render([result], MADE_AT))
    assert page.summaries[0] == (
        "Snapshots kept, 2026-01-01 to 2026-01-04: us-east-1 from 1 to 2, at the end 2; us-east-2 from 1 to 1, at the end 1"
    )
    assert page.tables[0] == [
        [PRIMARY, NEAR],
        ["2026-01-01", "1", "1"],
        ["2026-01-02", "2", "1"],
        ["2026-01-03", "2", "1"],
        ["2026-01-04", "2", "1"],
    ]
    assert len(page.tables) == len(page.summaries) + 1, "and the table of all numbers"


def test_the_page_names_its_date_version_and_policy() -> None:
    page = render([run(policy(NEAR, name="gold"))], MADE_AT)
    assert f"Made on Monday, 30 November 2026, 08:00 UTC by Snapkeep {__version__}" in page
    assert "gold: every volume" in page
    assert "copy to us-east-2 within" in page
    assert "max_deletions" in page


def test_the_page_of_ten_years_and_two_policies_stays_small() -> None:
    result = run(policy(NEAR, FAR, "us-west-2"), days=1)
    (day,) = result.days
    days = [
        replace(
            day,
            at=day.at + timedelta(days=number),
            waiting_most=number,
            regions={region: RegionDay(10_000 + number, 12_345_678.9 + number) for region in day.regions},
        )
        for number in range(TEN_YEARS)
    ]
    months = {f"{2026 + n // 12}-{n % 12 + 1:02}": Counter(result.months["2026-01"]) for n in range(TEN_YEARS // 30)}
    long = replace(result, options=ExperimentOptions(TEN_YEARS), days=days, months=months)
    assert len(render([long, replace(long, name="other")], MADE_AT).encode()) < 1_000_000


def test_a_few_days_are_no_month_and_small_numbers_keep_their_digits() -> None:
    few, many = run(policy(NEAR), SimulatedVolume(8, used_share=0.5)), run(policy(NEAR), days=30)
    assert "a month, on average" not in render([few], MADE_AT)
    assert ">8 GiB<" in render([few], MADE_AT)
    assert re.search(r'<b>\$0\.\d\d</b><span class="soft">for 4 days', render([few], MADE_AT))
    assert "a month, on average" in render([many], MADE_AT)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "</script><b>", "a [red] one", "%{x}", '" onclick="x'])
def test_a_name_is_escaped_everywhere(name: str) -> None:
    results = run(policy(NEAR), name=name), run(policy(NEAR), name="other")
    shown = render(results, MADE_AT)
    assert "<img" not in shown
    assert "<script" not in shown
    assert 'onclick="' not in shown
    out = io.StringIO()
    print_results(results, Console(file=out, width=120))
    assert out.getvalue().count(name) == 2


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0, 1], ["0", "1"]),
        ([0, 3], ["0", "1", "2", "3"]),
        ([7, 12], ["0", "5", "10", "15"]),
        ([0, 0], ["0", "1"]),
        ([400, 1501], ["0", "500", "1,000", "1,500", "2,000"]),
    ],
)
def test_counts_have_whole_ticks_that_reach_the_largest(values: list[float], ticks: list[str]) -> None:
    chart = Chart("", "", ["a", "b"], [Series("x", 0, values)], whole=True)
    assert [tick.label for tick in chart.vertical_ticks] == ticks


def test_bars_stack_within_their_policy() -> None:
    parts = [Series("x", 0, [1], Form.BOX), Series("y", 1, [3], Form.BOX), Series("x", 0, [4], Form.FAINT, 1)]
    first, second, other = Chart("", "", ["2026-01"], parts).boxes
    assert (first.y, first.height, second.y, second.height) == (75, 25, 0, 75)
    assert (other.y, other.height) == (0, 100)
    assert other.x == first.x + first.width


def test_many_days_are_thinned_to_the_largest_of_each_few() -> None:
    days = [str(n) for n in range(2 * MOST_POINTS + 1)]
    thinned = Chart("", "each day", days, [Series("x", 0, list(range(len(days))))]).thinned()
    assert len(thinned.positions) <= MOST_POINTS
    assert thinned.positions[0] == "0 to 2"
    assert list(thinned.series[0].values[:2]) == [2, 5]
    assert thinned.text == "each day; the most of every 3 days"
