"""The doctor's results: a table for people, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from snapkeep.cli.output import BAD, literal
from snapkeep.deploy.doctor.results import CheckResult, CheckState
from snapkeep.domain.plural import counted

_MARKS = {
    CheckState.PROBLEM: ("✗ problem", BAD),
    CheckState.WARNING: ("! warning", "bold"),
    CheckState.NOT_KNOWN: ("? not known", "bold"),
    CheckState.OK: ("✓ ok", "dim"),
}
"""From the worst to the best."""


def doctor_view(results: Sequence[CheckResult]) -> RenderableType:
    """Return the results as a table, the worst first, and a line with their number."""
    order = list(_MARKS)
    table = Table.grid(padding=(0, 2))
    for result in sorted(results, key=lambda result: order.index(result.state)):
        text = literal(result.text)
        if result.remedy:
            text = Text.assemble(text, "\n", literal(f"→ {result.remedy}"))
        mark, style = _MARKS[result.state]
        table.add_row(Text(mark, style), result.region or "account", result.check.label, text)
    counts = Counter(result.state for result in results)
    words = {
        CheckState.PROBLEM: counted(counts[CheckState.PROBLEM], "problem"),
        CheckState.WARNING: counted(counts[CheckState.WARNING], "warning"),
        CheckState.NOT_KNOWN: f"{counts[CheckState.NOT_KNOWN]} not known",
        CheckState.OK: f"{counts[CheckState.OK]} ok",
    }
    return Group(table, Text(), Text(", ".join(words[state] for state in order), "bold"))


def result_line(result: CheckResult) -> str:
    """Return a result as one line."""
    place = f"{result.region}: " if result.region else ""
    remedy = f" → {result.remedy}" if result.remedy else ""
    return f"{place}{result.check.label}: {result.text}{remedy}"
