"""The results of a simulation as one self-contained HTML page: figures, charts as SVG with their tables, the policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from snapkeep import __version__
from snapkeep.cli.views.policy import summary_lines
from snapkeep.domain import prices
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import PolicySet
from snapkeep.lab.simulator.charts import COLOURS, Chart, Form, Series
from snapkeep.lab.simulator.experiment import FUNCTIONS, TRANSITIONS, VERIFICATION, Day, ExperimentResult
from snapkeep.lab.simulator.terminal import ROWS
from snapkeep.reports.page import page_templates

MIDDLE, WORST, ASKED = 0, 4, 5
"""The colours of the median age, the worst age and the RPO."""
LINES, BOXES = (Form.SOLID, Form.DOTTED), (Form.BOX, Form.FAINT)
"""The forms of the first and the second policy."""
HOURS = "\N{NO-BREAK SPACE}h"
DAYS_OF_A_MONTH, SHORTEST_FOR_A_MONTH = 30.4375, 28
SMALL = (FUNCTIONS, TRANSITIONS, VERIFICATION)
SMALL_NAME = f"{TRANSITIONS}, {FUNCTIONS}, {VERIFICATION}"
NONE_WAITED = "No copy ever waited: the quota of the destination was never full at a full hour."


def render(results: Sequence[ExperimentResult], made_at: datetime, back: str = "") -> str:
    """Return the page of one or two policies' results, with a link to `back`. Names of policies and regions are escaped."""
    first = results[0]
    return (
        page_templates(Path(__file__).parent)
        .get_template("page.html.j2")
        .render(
            results=results,
            made_at=made_at,
            back=back,
            version=__version__,
            title=" and ".join(result.name for result in results),
            subtitle=f"{counted(first.volumes, 'volume')} for {counted(first.options.days, 'day')}, "
            f"a snapshot every {first.options.every_hours:g}{HOURS}",
            cards=[(result.name, _cards(result)) for result in results],
            rows=[(label, [show(result) for result in results]) for label, show in ROWS],
            policies=[(result.name, _policy_text(result.policies)) for result in results],
            charts=[chart.thinned() for chart in _charts(results)],
            moments=[(result.name, moment) for result in results for moment in result.worst],
            notes=[(result.name, note) for result in results for note in result.notes],
            violations=[violation for result in results for violation in result.violations[:20]],
            prices=_prices(results),
            time_based=[dollars for _, dollars in prices.TIME_BASED_COPY],
            dollars=_dollars,
        )
    )


def _policy_text(policies: PolicySet) -> str:
    return "\n".join(summary_lines(policies, limits_set=[limit.name for limit in fields(policies.limits)]))


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
    """Return GiB in the unit with at most four digits."""
    return f"{gib:,.0f} GiB" if gib < 10_000 else f"{gib / 1024:,.1f} TiB"  # noqa: PLR2004


def _cards(result: ExperimentResult) -> list[tuple[str, str, str]]:
    """Return the label of each card, its number, and whether the number is good, bad or neither.

    A few days give no cost of a month.
    """
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
        _by_region(results, "Snapshots kept", "in each region, at the end of each day", _snapshots, whole=True),
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


def _dates(results: Sequence[ExperimentResult]) -> list[str]:
    return [f"{day.within:%Y-%m-%d}" for day in results[0].days]


def _by_region(
    results: Sequence[ExperimentResult], heading: str, text: str, read: Callable[[Day, str], float], *, whole: bool = False
) -> Chart:
    colours = _colours(region for result in results for region in result.days[-1].regions)
    series = [
        Series(_label(results, result, region), colours[region], [read(day, region) for day in result.days], form)
        for result, form in zip(results, LINES, strict=False)
        for region in result.days[-1].regions
    ]
    return Chart(heading, text, _dates(results), series, whole=whole)


def _costs(results: Sequence[ExperimentResult]) -> Chart:
    """Return a chart with a bar for each month and policy; with two policies the second one's bars are the fainter ones."""
    months = sorted({month for result in results for month in result.months})
    kinds = {kind for result in results for month in result.months.values() for kind, dollars in month.items() if dollars}
    colours = _colours([*sorted(kinds.difference(SMALL)), SMALL_NAME])
    series = []
    for number, result in enumerate(results):
        for name, colour in colours.items():
            parts = SMALL if name == SMALL_NAME else (name,)
            paid = [sum(result.months[month][part] for part in parts) if month in result.months else 0.0 for month in months]
            if any(paid):
                series.append(Series(_label(results, result, name), colour, paid, BOXES[number], number))
    return Chart("Cost by month", "US dollars; the first and the last month may be parts", months, series, _money)


def _ages(results: Sequence[ExperimentResult]) -> Chart:
    heading = "Age of the newest recovery points"
    series = []
    for result, form in zip(results, LINES, strict=False):
        if not result.rpo:
            continue
        worst, middle = [day.rpo_worst_hours for day in result.days], [day.rpo_median_hours for day in result.days]
        series += [
            Series(_label(results, result, "worst of the day"), WORST, worst, form),
            Series(_label(results, result, "median"), MIDDLE, middle, form),
        ]
        for rpo in result.rpo:
            name = f"asked by {rpo.policy}" if len(result.rpo) > 1 else "asked"
            series.append(Series(_label(results, result, name), ASKED, [rpo.asked_hours] * len(result.days), Form.DASHED))
    if not series:
        return Chart(heading, "No policy copies a volume of this fleet.")
    text = "hours; of a volume that is copied to several regions, the oldest"
    return Chart(heading, text, _dates(results), series, lambda hours: f"{hours:,.1f}{HOURS}")


def _waiting(results: Sequence[ExperimentResult]) -> Chart:
    heading = "Copies waiting"
    if not any(day.waiting_most for result in results for day in result.days):
        return Chart(heading, NONE_WAITED)
    series = [
        Series(_label(results, result, "waiting"), number, [day.waiting_most for day in result.days], LINES[number])
        for number, result in enumerate(results)
    ]
    return Chart(heading, "the most of each day, behind the quota of the destination", _dates(results), series, whole=True)


def _colours(names: Iterable[str]) -> dict[str, int]:
    """Return a colour for each name, the same for all policies; more names repeat the colours."""
    return {name: number % COLOURS for number, name in enumerate(dict.fromkeys(names))}


def _label(results: Sequence[ExperimentResult], result: ExperimentResult, name: str) -> str:
    return name if len(results) == 1 else f"{result.name}: {name}"
