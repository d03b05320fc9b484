"""Reports as HTML pages that need nothing else: no script, no font, no picture from anywhere; one style sheet for all."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from snapkeep.domain.drills.ledger import page_key
from snapkeep.domain.protection import age_text
from snapkeep.domain.sweep.report import FindingGroup, Handling, SweepReport, groups_of, subject_of, summary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jinja2 import Environment

    from snapkeep.domain.drills.ledger import EndedDrill
    from snapkeep.usecases.sweep.publish_report import KeptReport

FOLDER = Path(__file__).parent
ROOM = 800_000
"""The bytes that findings may have on a page, so that it opens at once, and a mail can have it."""
HEADING, LINE = 1_000, 200
"""The bytes of a group and of a finding beside their texts: advice, ids and markup."""


def render_page(report: SweepReport, back: str = "") -> str:
    """Return the page of a report, with a link to the address `back`. Everything that comes from tags or from AWS is escaped."""
    groups = list(_that_fit(groups_of(report.items, examples=len(report.items)), report.names))
    shown = sum(len(group.examples) for group in groups)
    return (
        page_templates()
        .get_template("sweep.html.j2")
        .render(
            report=report,
            subject=subject_of(report),
            summary=summary_of(report),
            sections=[(handling, [group for group in groups if group.handling is handling]) for handling in Handling],
            left_out=len(report.items) - shown,
            age_text=age_text,
            back=back,
            seconds=round((report.ended_at - report.started_at).total_seconds()),
        )
    )


def _that_fit(groups: Iterable[FindingGroup], names: Mapping[str, str]) -> Iterator[FindingGroup]:
    """Yield the first groups, with their first findings, for which the page has room."""
    room = ROOM
    for group in groups:
        room -= HEADING + _bytes(group.text)
        examples = []
        for item in group.examples:
            room -= LINE + _bytes(item.text) + _bytes(names.get(item.volume_id, ""))
            if room < 0:
                break
            examples.append(item)
        if examples:
            yield replace(group, examples=tuple(examples))
        if room < 0:
            return


def _bytes(text: str) -> int:
    return len(escape(text).encode())


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
