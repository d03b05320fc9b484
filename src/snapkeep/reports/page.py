"""Reports as HTML pages that need nothing else: no script, no font, no picture from anywhere; one style sheet for all."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from snapkeep.domain.drills.ledger import page_key
from snapkeep.domain.protection import age_text
from snapkeep.domain.sweep.report import Handling, SweepReport, groups_of, subject_of, summary_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

    from snapkeep.domain.drills.ledger import EndedDrill
    from snapkeep.usecases.sweep.publish_report import KeptReport

FOLDER = Path(__file__).parent


def render_page(report: SweepReport) -> str:
    """Return the page of a report. Everything that comes from tags or from AWS is escaped."""
    groups = groups_of(report.items, examples=len(report.items))
    return (
        page_templates()
        .get_template("sweep.html.j2")
        .render(
            report=report,
            subject=subject_of(report),
            summary=summary_of(report),
            sections=[(handling, [group for group in groups if group.handling is handling]) for handling in Handling],
            age_text=age_text,
            seconds=round((report.ended_at - report.started_at).total_seconds()),
        )
    )


def render_index(reports: Sequence[KeptReport], drills: Sequence[EndedDrill], last: SweepReport) -> str:
    """Return the page that lists reports and drills, the newest first, as of the last report."""
    template = page_templates().get_template("index.html.j2")
    return template.render(reports=reports, drills=drills, last=last, summary_of=summary_of, page_key=page_key)


@cache
def page_templates(*folders: Path) -> Environment:
    """Return the templates of these folders and of this one, whose `base.html.j2` is the frame of every page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only the last step of a sweep pays

    # Values come from tags that people write; a missing one is a bug, and must not be an empty page.
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader([*folders, FOLDER]),
    )
