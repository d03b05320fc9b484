"""The results of a simulation in a terminal: one table, small charts, the notable moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snapkeep.cli.output import BAD, QUIET, WARN
from snapkeep.lab.simulator.experiment import (
    FUNCTIONS,
    STORAGE,
    TRANSFER,
    TRANSITIONS,
    VERIFICATION,
    Day,
    ExperimentResult,
    PolicyRpo,
)

BARS = "▁▂▃▄▅▆▇█"
SHOWN_VIOLATIONS = 5
CHART_WIDTH = 48
"""The number of bars of the widest chart; fewer in a narrow terminal."""


def sparkline(values: Sequence[float], width: int = CHART_WIDTH) -> str:
    """Return numbers as one line of bars; each bar shows the largest of its numbers."""
    if not values:
        return ""
    size = max(1, -(-len(values) // width))
    shares = [max(values[first : first + size]) for first in range(0, len(values), size)]
    top = max(shares) or 1
    return "".join(BARS[min(len(BARS) - 1, int(share / top * (len(BARS) - 1) + 0.5))] for share in shares)


def print_results(results: Sequence[ExperimentResult], console: Console) -> None:
    """Print the results of one or two policies side by side."""
    table = Table(title="Result", title_justify="left", header_style="bold")
    table.add_column("")
    for result in results:
        table.add_column(Text(result.name), justify="right")
    for label, show in ROWS:
        table.add_row(label, *(Text(show(result)) for result in results))
    console.print(table)
    for result in results:
        _print_charts(result, console)


def _print_charts(result: ExperimentResult, console: Console) -> None:
    console.print(Text.assemble("\n", (result.name, "bold"), ", day by day"))
    regions = list(result.days[-1].regions) if result.days else []
    charts: list[tuple[str, Callable[[Day], float], str]] = []
    for region in regions:
        charts.append((f"snapshots in {region}", lambda day, region=region: day.regions[region].snapshots, ",.0f"))  # type: ignore[misc]
        charts.append((f"GiB in {region}", lambda day, region=region: day.regions[region].stored_gib, ",.0f"))  # type: ignore[misc]
    charts.append(("copies waiting, most", lambda day: float(day.waiting_most), ",.0f"))
    charts.append(("largest age of a newest recovery point, hours", lambda day: day.rpo_worst_hours, ",.1f"))
    lines = [(label, [read(day) for day in result.days], form) for label, read, form in charts]
    lines.append(("dollars, month by month", [sum(month.values()) for month in result.months.values()], ",.2f"))
    label_width = max(len(label) for label, _, _ in lines)
    tops = [f"up to {max(values, default=0):{form}}" for _, values, form in lines]
    width = max(8, min(CHART_WIDTH, console.width - label_width - max(map(len, tops)) - 6))
    for (label, values, _), top in zip(lines, tops, strict=True):
        console.print(f"  {label:<{label_width}}  {sparkline(values, width)}  {top}", soft_wrap=True, markup=False)
    notes = Table.grid(padding=(0, 2))
    for moment in result.worst:
        notes.add_row("", Text(f"{moment.at:%Y-%m-%d}", QUIET), Text(moment.what))
    for violation in result.violations[:SHOWN_VIOLATIONS]:
        notes.add_row("", Text("broken", BAD), Text(violation))
    for note in result.notes:
        notes.add_row("", Text("note", WARN), Text(note))
    console.print(notes)


def _dollars(result: ExperimentResult, *prefixes: str) -> str:
    """Return the dollars of the items that begin with one of the prefixes; of all items without a prefix."""
    return f"${sum(v for month in result.months.values() for key, v in month.items() if key.startswith(prefixes or '')):,.2f}"


def _failed(result: ExperimentResult) -> int:
    return sum(count for name, count in result.runs.items() if name.endswith("FAILED"))


def _by_policy(result: ExperimentResult, show: Callable[[PolicyRpo], str]) -> str:
    """Return one value of a policy's RPO; with several policies, a line for each, with its name."""
    rpo = result.rpo
    if len(rpo) == 1:
        return show(rpo[0])
    return "\n".join(f"{policy_rpo.policy}: {show(policy_rpo)}" for policy_rpo in rpo) or "no copies"


ROWS: list[tuple[str, Callable[[ExperimentResult], str]]] = [
    ("volumes, of them governed", lambda result: f"{result.volumes:,}, {result.governed:,}"),
    ("days", lambda result: f"{result.options.days:,}"),
    ("snapshots at the end", lambda result: f"{sum(r.snapshots for r in result.days[-1].regions.values()):,}"),
    ("GiB stored at the end", lambda result: f"{sum(r.stored_gib for r in result.days[-1].regions.values()):,.0f}"),
    ("copies made", lambda result: f"{result.copies:,}"),
    ("GiB copied", lambda result: f"{result.copied_gib:,.0f}"),
    ("deletions", lambda result: f"{result.deletions:,}"),
    ("RPO asked", lambda result: _by_policy(result, lambda rpo: f"{rpo.asked_hours:,.1f} h")),
    ("RPO, the worst reached", lambda result: _by_policy(result, lambda rpo: f"{rpo.worst_hours:,.1f} h")),
    ("days within the RPO", lambda result: f"{result.rpo_met_share:.1%}" if result.rpo else "no copies"),
    ("copies waiting, the most", lambda result: f"{max((day.waiting_most for day in result.days), default=0):,}"),
    ("runs that ended FAILED", lambda result: f"{_failed(result):,}"),
    ("cost: storage", lambda result: _dollars(result, STORAGE)),
    ("cost: transfer", lambda result: _dollars(result, TRANSFER)),
    ("cost: state transitions, functions", lambda result: _dollars(result, TRANSITIONS, FUNCTIONS)),
    ("cost: verification of copies", lambda result: _dollars(result, VERIFICATION)),
    ("cost: all", _dollars),
    ("broken invariants", lambda result: f"{len(result.violations):,}"),
]
