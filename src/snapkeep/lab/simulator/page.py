"""A simulation's results as one HTML page that needs nothing else: plots by plotly, its JavaScript within."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import NamedTuple

import plotly.graph_objects as go
from jinja2 import Environment, select_autoescape
from plotly.offline import get_plotlyjs

from snapkeep.domain import prices
from snapkeep.domain.plural import counted
from snapkeep.lab.simulator.experiment import FUNCTIONS, TRANSITIONS, VERIFICATION, Day, ExperimentResult
from snapkeep.lab.simulator.terminal import ROWS

COLOURS = (
    *("#2563eb", "#14b8a6", "#f59e0b", "#8b5cf6", "#ef4444", "#64748b"),
    *("#0ea5e9", "#84cc16", "#ec4899", "#a16207", "#6366f1", "#059669"),
)
WORST, MIDDLE, ASKED = COLOURS[4], COLOURS[0], COLOURS[5]
DASHES = ("solid", "dot")
FAINT = 0.5
HOURS = "\N{NO-BREAK SPACE}h"
HEIGHT = 280
DAYS_OF_A_MONTH, SHORTEST_FOR_A_MONTH = 30.4375, 28
SMALL = (FUNCTIONS, TRANSITIONS, VERIFICATION)
SMALL_NAME = f"{TRANSITIONS}, {FUNCTIONS}, {VERIFICATION}"
NONE_WAITED = "No copy ever waited: the quota of the destination was never full at a full hour."


class Mark(NamedTuple):
    """One entry of a chart's legend, which is text beside the plot: it wraps, and needs no room of the plot's."""

    name: str
    colour: str
    form: str = "box"
    """How it is drawn: `box`, `faint`, or a line that is `solid`, `dot` or `dash`."""


class Chart(NamedTuple):
    """A plot with what stands above and below it. Without a plot, the text says why."""

    heading: str
    text: str
    figure: go.Figure | None = None
    legend: Sequence[Mark] = ()


def render(results: Sequence[ExperimentResult]) -> str:
    """Return the page of one or two policies' results."""
    template = Environment(autoescape=select_autoescape(default=True)).from_string(
        files("snapkeep").joinpath("lab", "simulator", "page.html.j2").read_text(encoding="utf-8")
    )
    first = results[0]
    return template.render(
        plotly=get_plotlyjs(),
        results=results,
        title=" and ".join(result.name for result in results),
        subtitle=f"{counted(first.volumes, 'volume')} for {counted(first.options.days, 'day')}, "
        f"a snapshot every {first.options.every_hours:g}{HOURS}",
        cards=[(result.name, _cards(result)) for result in results],
        rows=[(label, [show(result) for result in results]) for label, show in ROWS],
        charts=[(chart, _html(chart.figure) if chart.figure else "") for chart in _charts(results)],
        moments=[(result.name, moment) for result in results for moment in result.worst],
        notes=[(result.name, note) for result in results for note in result.notes],
        violations=[violation for result in results for violation in result.violations[:20]],
        prices=_prices(results),
        time_based=[dollars for _, dollars in prices.TIME_BASED_COPY],
        dollars=_dollars,
    )


def _prices(results: Sequence[ExperimentResult]) -> list[prices.Price]:
    """Return the prices behind the results."""
    pairs = {(result.options.primary, region): None for result in results for region in result.days[-1].regions}
    transfers = dict.fromkeys(prices.transfer_price(*pair) for pair in pairs if pair[0] != pair[1])
    small_prices = (
        prices.STATE_TRANSITION,
        prices.FUNCTION_REQUEST,
        prices.FUNCTION_GIB_SECOND,
        prices.BLOCK_LISTING,
        prices.BLOCK_READ,
    )
    return [prices.SNAPSHOT_STORAGE, *transfers, *small_prices]


def _dollars(amount: float) -> str:
    """Return a price without an exponent: `0.000025`."""
    return f"{amount:.10f}".rstrip("0").rstrip(".")


def _money(dollars: float) -> str:
    """Return dollars with cents where these matter."""
    return f"${dollars:,.2f}" if dollars < 100 else f"${dollars:,.0f}"  # noqa: PLR2004 - cents are read below a hundred


def _room(gib: float) -> str:
    """Return GiB in the unit that needs no more than four digits."""
    return f"{gib:,.0f} GiB" if gib < 10_000 else f"{gib / 1024:,.1f} TiB"  # noqa: PLR2004


def _cards(result: ExperimentResult) -> list[tuple[str, str, str]]:
    """Label, number, and whether it is good, bad, or neither. A run of a few days says nothing of a month."""
    last, days = result.days[-1], result.options.days
    several = len(result.rpo) > 1
    a_month = _money(result.dollars / days * DAYS_OF_A_MONTH)
    return [
        (f"for {counted(days, 'day')}", _money(result.dollars), ""),
        *([("a month, on average", a_month, "")] if days >= SHORTEST_FOR_A_MONTH else []),
        ("snapshots at the end", f"{sum(region.snapshots for region in last.regions.values()):,}", ""),
        ("stored at the end", _room(sum(region.stored_gib for region in last.regions.values())), ""),
        *(
            (
                f"worst RPO{f' of {rpo.policy}' if several else ''}, {rpo.asked_hours:g} h asked",
                f"{rpo.worst_hours:,.1f} h",
                "good" if rpo.met else "bad",
            )
            for rpo in result.rpo
        ),
        ("broken invariants", f"{len(result.violations):,}", "bad" if result.violations else "good"),
    ]


def _charts(results: Sequence[ExperimentResult]) -> list[Chart]:
    return [
        _by_region(results, "Snapshots kept", "in each region, at the end of each day", _snapshots),
        _by_region(
            results, "Room taken", "GiB of changed blocks in each region, at the end of each day: what is paid for", _stored
        ),
        _costs(results),
        _ages(results),
        _waiting(results),
    ]


def _snapshots(day: Day, region: str) -> float:
    return day.regions[region].snapshots if region in day.regions else 0


def _stored(day: Day, region: str) -> float:
    return day.regions[region].stored_gib if region in day.regions else 0


def _figure() -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT,
        margin={"l": 60, "r": 16, "t": 12, "b": 40},
        font={"family": "Inter, system-ui, sans-serif", "size": 13, "color": "#334155"},
        showlegend=False,
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_yaxes(rangemode="tozero", gridcolor="#e2e8f0", zerolinecolor="#cbd5e1", tickformat=",~f", nticks=6)
    figure.update_xaxes(gridcolor="#f1f5f9")
    return figure


def _by_region(results: Sequence[ExperimentResult], heading: str, text: str, read: Callable[[Day, str], float]) -> Chart:
    figure = _figure()
    colours = _colours(region for result in results for region in result.days[-1].regions)
    for number, result in enumerate(results):
        for region in result.days[-1].regions:
            colour = colours[region]
            figure.add_scatter(
                x=[day.at for day in result.days],
                y=[read(day, region) for day in result.days],
                line={"color": colour, "width": 2.5, "dash": DASHES[number % 2]},
                fill="tozeroy" if len(results) == 1 else None,
                fillcolor=f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},0.08)",
                hovertemplate=_hover(_label(results, result, region), "%{y:,.0f}"),
            )
    marks = [Mark(region, colour, "solid") for region, colour in colours.items()]
    return Chart(heading, text, figure, [*marks, *_styles(results)])


def _costs(results: Sequence[ExperimentResult]) -> Chart:
    """A bar for each month and policy; with two policies the second one's bars are the fainter ones."""
    figure = _figure()
    months = sorted({month for result in results for month in result.months})
    kinds = {kind for result in results for month in result.months.values() for kind, dollars in month.items() if dollars}
    colours = _colours([*sorted(kinds.difference(SMALL)), SMALL_NAME])
    for number, result in enumerate(results):
        for name, colour in colours.items():
            parts = SMALL if name == SMALL_NAME else (name,)
            paid = [sum(result.months[month][part] for part in parts) if month in result.months else 0.0 for month in months]
            if any(paid):
                figure.add_bar(
                    x=months,
                    y=paid,
                    marker={"color": colour, "opacity": 1.0 if number == 0 else FAINT},
                    offsetgroup=str(number),
                    hovertemplate=_hover(_label(results, result, name), "$%{y:,.2f}"),
                )
    figure.update_layout(barmode="relative", bargap=0.25)
    figure.update_xaxes(type="category")
    figure.update_yaxes(tickprefix="$")
    marks = [Mark(name, colour) for name, colour in colours.items()]
    shades = [Mark(result.name, ASKED, form) for result, form in zip(results, ("box", "faint"), strict=False)]
    return Chart(
        "Cost by month", "US dollars; the first and the last month may be parts", figure, marks + shades * (len(results) > 1)
    )


def _ages(results: Sequence[ExperimentResult]) -> Chart:
    heading = "Age of the newest copies"
    if not any(result.rpo for result in results):
        return Chart(heading, "No policy copies a volume of this fleet.")
    figure = _figure()
    for number, result in enumerate(results):
        if not result.rpo:
            continue
        at, dash = [day.at for day in result.days], DASHES[number % 2]
        worst, middle = [day.rpo_worst_hours for day in result.days], [day.rpo_median_hours for day in result.days]
        for name, values, colour in (("worst", worst, WORST), ("median", middle, MIDDLE)):
            line = {"color": colour, "width": 2.5, "dash": dash}
            figure.add_scatter(x=at, y=values, line=line, hovertemplate=_hover(_label(results, result, name), "%{y:.1f} h"))
        line = {"color": ASKED, "width": 1.5, "dash": "dash"}
        for rpo in result.rpo:
            name = _label(results, result, f"asked by {rpo.policy}" if len(result.rpo) > 1 else "asked")
            figure.add_scatter(x=at, y=[rpo.asked_hours] * len(at), line=line, hovertemplate=_hover(name, "%{y:.1f} h"))
    figure.update_yaxes(ticksuffix=" h")
    marks = [Mark("worst of the day", WORST, "solid"), Mark("median", MIDDLE, "solid"), Mark("asked", ASKED, "dash")]
    text = "hours; of a volume that is copied to several regions, the oldest"
    return Chart(heading, text, figure, [*marks, *_styles(results)])


def _waiting(results: Sequence[ExperimentResult]) -> Chart:
    heading = "Copies waiting"
    if not any(day.waiting_most for result in results for day in result.days):
        return Chart(heading, NONE_WAITED)
    figure = _figure()
    for colour, result in zip(COLOURS, results, strict=False):
        at, most = [day.within.date() for day in result.days], [day.waiting_most for day in result.days]
        hover = _hover(_label(results, result, "waiting"), "%{y:,}")
        figure.add_bar(x=at, y=most, marker={"color": colour}, hovertemplate=hover)
    marks = [Mark(result.name, colour) for colour, result in zip(COLOURS, results, strict=False)]
    return Chart(heading, "the most of each day, behind the quota of the destination", figure, marks if len(results) > 1 else ())


def _colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name, the same for all policies; colours repeat when they run out."""
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(dict.fromkeys(names))}


def _styles(results: Sequence[ExperimentResult]) -> list[Mark]:
    """Return a label that names its policy where there are several."""
    return [Mark(result.name, ASKED, dash) for result, dash in zip(results, DASHES, strict=False)] if len(results) > 1 else []


def _label(results: Sequence[ExperimentResult], result: ExperimentResult, name: str) -> str:
    return name if len(results) == 1 else f"{result.name}: {name}"


def _hover(name: str, value: str) -> str:
    """Return the text under the pointer: the name is escaped, the value has this form."""
    return f"{escape(name).replace('%{', '%&#123;')}: {value}<extra></extra>"


def _html(figure: go.Figure) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True}))
