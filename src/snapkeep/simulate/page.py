"""A simulation's results as one HTML page that needs nothing else: plots by plotly, its JavaScript within."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files

import plotly.graph_objects as go
from jinja2 import Environment, select_autoescape
from plotly.offline import get_plotlyjs

from snapkeep.domain.wording import counted
from snapkeep.simulate import prices
from snapkeep.simulate.experiment import FUNCTIONS, TRANSITIONS, Day, Result
from snapkeep.simulate.terminal import ROWS

COLOURS = ("#2563eb", "#14b8a6", "#f59e0b", "#8b5cf6", "#ef4444", "#64748b")
DASHES = ("solid", "dot")
HOURS = "\N{NO-BREAK SPACE}h"
HEIGHT = 340
SMALL = (FUNCTIONS, TRANSITIONS)
NONE_WAITED = "No copy ever waited: the quota of the destination was never full at a full hour."


def render(results: Sequence[Result]) -> str:
    """Given the results of one or two policies, return the page."""
    template = Environment(autoescape=select_autoescape(default=True)).from_string(
        files("snapkeep").joinpath("simulate", "page.html.j2").read_text(encoding="utf-8")
    )
    first = results[0]
    return template.render(
        plotly=get_plotlyjs(),
        results=results,
        title=" and ".join(result.name for result in results),
        subtitle=f"{counted(first.volumes, 'volume')} for {counted(first.plan.days, 'day')}, "
        f"a snapshot every {first.plan.every_hours:g}{HOURS}",
        cards=[(result.name, _cards(result)) for result in results],
        rows=[(label, [show(result) for result in results]) for label, show in ROWS],
        charts=[(heading, text, _html(figure) if figure else "") for heading, text, figure in _charts(results)],
        moments=[(result.name, moment) for result in results for moment in result.worst],
        notes=[(result.name, note) for result in results for note in result.notes],
        violations=[violation for result in results for violation in result.violations[:20]],
        prices=[
            prices.SNAPSHOT_STORAGE,
            prices.TRANSFER,
            prices.STATE_TRANSITION,
            prices.FUNCTION_REQUEST,
            prices.FUNCTION_GIB_SECOND,
        ],
        dollars=_dollars,
    )


def _dollars(amount: float) -> str:
    """Given a price, return it without an exponent: `0.000025`."""
    return f"{amount:.10f}".rstrip("0").rstrip(".")


def _cards(result: Result) -> list[tuple[str, str, str]]:
    """Label, number, and whether it is good, bad, or neither."""
    last = result.days[-1]
    months = max(len(result.months), 1)
    several = len(result.rpo) > 1
    return [
        ("all in all", f"${result.dollars:,.0f}", ""),
        ("a month", f"${result.dollars / months:,.0f}", ""),
        ("snapshots at the end", f"{sum(one.snapshots for one in last.regions.values()):,}", ""),
        ("stored at the end", f"{sum(one.stored_gib for one in last.regions.values()) / 1024:,.1f} TiB", ""),
        *(
            (
                f"worst RPO{f' of {one.policy}' if several else ''}, {one.asked_hours:g} h asked",
                f"{one.worst_hours:,.1f} h",
                "good" if one.met else "bad",
            )
            for one in result.rpo
        ),
        ("broken invariants", f"{len(result.violations):,}", "bad" if result.violations else "good"),
    ]


def _charts(results: Sequence[Result]) -> list[tuple[str, str, go.Figure | None]]:
    regions = list(results[0].days[-1].regions)
    return [
        ("Snapshots kept", "in each region, at the end of each day", _by_region(results, regions, _snapshots)),
        ("Room taken", "GiB of changed blocks in each region: what is paid for", _by_region(results, regions, _stored)),
        ("Cost by month", "US dollars" + ("" if len(results) == 1 else f"; fainter: {results[1].name}"), _costs(results)),
        ("Age of the newest copies", "hours; the worst of each day, the median, and what the policy asks", _ages(results)),
        ("Copies waiting", "the most of each day, behind the quota of the destination", _waiting(results))
        if any(day.waiting_most for result in results for day in result.days)
        else ("Copies waiting", NONE_WAITED, None),
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
        margin={"l": 56, "r": 16, "t": 12, "b": 36},
        font={"family": "Inter, system-ui, sans-serif", "size": 13, "color": "#334155"},
        legend={"orientation": "h", "y": -0.16, "x": 0, "traceorder": "normal"},
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=list(COLOURS),
    )
    figure.update_yaxes(rangemode="tozero", gridcolor="#e2e8f0", zerolinecolor="#cbd5e1")
    figure.update_xaxes(gridcolor="#f1f5f9")
    return figure


def _by_region(results: Sequence[Result], regions: Sequence[str], read: Callable[[Day, str], float]) -> go.Figure:
    figure = _figure()
    for number, result in enumerate(results):
        for colour, region in zip(COLOURS, regions, strict=False):
            figure.add_scatter(
                x=[day.at for day in result.days],
                y=[read(day, region) for day in result.days],
                name=_label(results, result, region),
                line={"color": colour, "width": 2.5, "dash": DASHES[number % 2]},
                fill="tozeroy" if len(results) == 1 else None,
                fillcolor=f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},0.08)",
                hovertemplate="%{y:,.0f}",
            )
    return figure


def _costs(results: Sequence[Result]) -> go.Figure:
    """A bar for each month and policy; with two policies the second one's bars are the fainter ones."""
    figure = _figure()
    for number, result in enumerate(results):
        kinds = sorted({kind for month in result.months.values() for kind in month}, key=lambda kind: (kind in SMALL, kind))
        for colour, kind in zip(COLOURS, kinds, strict=False):
            figure.add_bar(
                x=list(result.months),
                y=[month[kind] for month in result.months.values()],
                name=kind if number == 0 else _label(results, result, kind),
                marker={"color": colour, "opacity": 1.0 if number == 0 else 0.5},
                offsetgroup=str(number),
                showlegend=number == 0,
                hovertemplate="$%{y:,.2f}",
            )
    figure.update_layout(barmode="relative", bargap=0.25)
    figure.update_xaxes(type="category")
    return figure


def _ages(results: Sequence[Result]) -> go.Figure:
    figure = _figure()
    for number, result in enumerate(results):
        at, dash = [day.at for day in result.days], DASHES[number % 2]
        worst, middle = [day.rpo_worst_hours for day in result.days], [day.rpo_median_hours for day in result.days]
        for name, values, colour in (("worst", worst, COLOURS[4]), ("median", middle, COLOURS[0])):
            line = {"color": colour, "width": 2.5, "dash": dash}
            figure.add_scatter(x=at, y=values, name=_label(results, result, name), line=line, hovertemplate="%{y:.1f} h")
        line = {"color": COLOURS[5], "width": 1.5, "dash": "dash"}
        for one in result.rpo:
            name = _label(results, result, f"asked by {escape(one.policy)}" if len(result.rpo) > 1 else "asked")
            figure.add_scatter(x=at, y=[one.asked_hours] * len(at), name=name, line=line, hovertemplate="%{y:.1f} h")
    return figure


def _waiting(results: Sequence[Result]) -> go.Figure:
    figure = _figure()
    for colour, result in zip(COLOURS, results, strict=False):
        at, most = [day.at for day in result.days], [day.waiting_most for day in result.days]
        figure.add_bar(x=at, y=most, name=result.name, marker={"color": colour}, hovertemplate="%{y:,}")
    return figure


def _label(results: Sequence[Result], result: Result, name: str) -> str:
    return name if len(results) == 1 else f"{escape(result.name)}: {name}"


def _html(figure: go.Figure) -> str:
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True}))
