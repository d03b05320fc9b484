"""The doctor's results as lines for people."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from snapkeep.cli.output import BAD, literal, printable
from snapkeep.deploy.doctor.results import CheckResult, CheckState
from snapkeep.domain.plural import counted

_MARKS = {
    CheckState.PROBLEM: ("✗ problem", BAD),
    CheckState.WARNING: ("! warning", "bold"),
    CheckState.NOT_KNOWN: ("? not known", "bold"),
    CheckState.OK: ("✓ ok", "dim"),
}
"""From the worst to the best."""


def print_results(console: Console, results: Sequence[CheckResult]) -> None:
    """Print the results, the worst first, and a line with their number. A remedy is not broken: people copy its commands."""
    order = list(_MARKS)
    marks = max(len(_MARKS[result.state][0]) for result in results)
    regions = max(len(_place(result)) for result in results)
    for result in sorted(results, key=lambda result: order.index(result.state)):
        mark, style = _MARKS[result.state]
        begin = f"  {_place(result):<{regions}}  "
        indent = " " * (marks + len(begin))
        text = f"{result.check.label}: {printable(result.text)}"
        lines = textwrap.wrap(text, max(console.width - len(indent), 30), break_long_words=False, break_on_hyphens=False)
        console.print(Text.assemble((f"{mark:<{marks}}", style), begin, f"\n{indent}".join(lines)), soft_wrap=True)
        if result.remedy:
            console.print(literal(f"    → {result.remedy}"), soft_wrap=True)
    counts = Counter(result.state for result in results)
    words = {
        CheckState.PROBLEM: counted(counts[CheckState.PROBLEM], "problem"),
        CheckState.WARNING: counted(counts[CheckState.WARNING], "warning"),
        CheckState.NOT_KNOWN: f"{counts[CheckState.NOT_KNOWN]} not known",
        CheckState.OK: f"{counts[CheckState.OK]} ok",
    }
    console.print(Text("\n" + ", ".join(words[state] for state in order), "bold"))


def _place(result: CheckResult) -> str:
    return result.region or "account"


def result_line(result: CheckResult) -> str:
    """Return a result as one line."""
    place = f"{result.region}: " if result.region else ""
    remedy = f" → {result.remedy}" if result.remedy else ""
    return f"{place}{result.check.label}: {result.text}{remedy}"
