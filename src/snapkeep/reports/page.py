"""A sweep's report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from snapkeep.domain.protection import age_text
from snapkeep.domain.sweep.report import Handling, SweepReport, age_known, groups_of, subject_of, summary_of

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = Path(__file__).with_name("sweep.html.j2")


def render_page(report: SweepReport) -> str:
    """Return the page of a report. Everything that comes from tags or from AWS is escaped."""
    groups = groups_of(report.items, examples=len(report.items))
    return _template().render(
        report=report,
        subject=subject_of(report),
        summary=summary_of(report),
        sections=[(handling, [group for group in groups if group.handling is handling]) for handling in Handling],
        age_text=age_text,
        age_known=age_known,
        seconds=round((report.ended_at - report.started_at).total_seconds()),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only the last step of a sweep pays for it

    # Values come from tags that people write; a missing one is a bug, and must not be an empty page.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
