"""Reports of sweeps in a terminal: one whole, or many in a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from snapkeep.cli.output import BAD, GOOD, QUIET, WARN, literal, make_console
from snapkeep.domain.sweep.report import SweepOutcome, SweepReport, lines_of, subject_of, summary_of
from snapkeep.usecases.sweep.publish_report import KeptReport

STYLES = {SweepOutcome.OK: GOOD, SweepOutcome.PARTIAL: WARN, SweepOutcome.FAILED: BAD}


def print_report(report: SweepReport) -> None:
    """Print a report."""
    console = make_console()
    console.print(Rule(Text(subject_of(report), f"bold {STYLES[report.outcome]}")))
    for line in lines_of(report):
        words = line.lstrip()
        console.print(Padding(literal(words), (0, 0, 0, len(line) - len(words))))
    console.print()


def print_list(kept: Iterable[KeptReport]) -> None:
    """Print two lines for each report: its outcome, and the place of its page."""
    console = make_console()
    for report, _ in (kept := list(kept)):
        console.print(
            literal(f"{report.outcome:<7}", STYLES[report.outcome]),
            literal(f"{report.started_at:%Y-%m-%d %H:%M}  {report.region}  {summary_of(report)}"),
            soft_wrap=True,
        )
        console.print(literal(f"        {report.id}", QUIET), soft_wrap=True)
    if not kept:
        console.print("No report.")


def list_as_data(kept: Iterable[KeptReport]) -> Iterator[dict[str, Any]]:
    """Yield each report of a list as JSON values."""
    for each in kept:
        report = each.report
        yield {
            "id": report.id,
            "region": report.region,
            "stack": report.stack,
            "started_at": report.started_at,
            "outcome": str(report.outcome),
            "needs_attention": len(report.failures),
            "summary": summary_of(report),
            "figures": {figure.value: count for figure, count in report.counts.items()},
            "page": each.page,
            "json": each.location,
        }
