"""Publish a sweep's report: as JSON and as a page in the bucket, and to the subscribers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from snapkeep.domain.errors import ReportNotFound, SnapkeepError
from snapkeep.domain.json_codec import from_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.report import SweepReport, cut, report_to_json, subject_of, text_of
from snapkeep.usecases.ports import Publisher
from snapkeep.usecases.sweep.ports import ReportStore
from snapkeep.usecases.sweep.report_names import JSON, PAGE, REPORTS

if TYPE_CHECKING:
    from snapkeep.domain.drills.ledger import EndedDrill

Record = TypeVar("Record")
INDEX = "index.html"
"""The page that lists the newest reports and drills. Its links hold in a copy of the bucket: S3 serves each object by itself."""
LISTED_FOR, MOST_LISTED = timedelta(days=60), 60


class KeptReport(NamedTuple):
    """A report and the place of its JSON."""

    report: SweepReport
    location: str

    @property
    def page(self) -> str:
        """The place of its page."""
        return f"{self.location.removesuffix('.json')}.html"


@dataclass(frozen=True, slots=True)
class PublishedReport:
    """A published report: its outcome, its subject and its locations."""

    outcome: str
    summary: str
    json: str
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishReport:
    """Keeps a report and publishes it."""

    store: ReportStore
    publisher: Publisher
    render: Callable[[SweepReport], str]
    render_index: Callable[[Sequence[KeptReport], Sequence[EndedDrill], SweepReport], str] | None = None
    """Returns the page that lists the newest reports and drills, as of the last report; None where none is kept."""

    def keep_interim(self, report: SweepReport) -> None:
        """Keep what a sweep did itself until its deletions are done."""
        self.store.put(f"interim/{report.id}.json", json.dumps(report_to_json(cut(report))), JSON)

    def interim(self, sweep_id: str) -> SweepReport:
        """Return what was kept under a sweep's id. Raise ReportNotFound if there is nothing."""
        return from_text(SweepReport, self.store.get(f"interim/{sweep_id}.json"))

    def run(self, whole: SweepReport) -> PublishedReport:
        """Cut, keep and publish a finished report; return where it is. The message comes last, since it names the page."""
        report = cut(whole).with_names_used()
        name = f"{REPORTS}{report.started_at:%Y/%m/%d}/{report.id}"
        # Page and JSON are cut alike; a page without room for every failure says how many the JSON has beside.
        page = self.store.put(f"{name}.html", self.render(report), PAGE)
        kept = self.store.put(f"{name}.json", json.dumps(report_to_json(report), indent=1), JSON)
        self._keep_index(report)
        subject = subject_of(report)
        self.publisher.publish(subject, text_of(report, page), {"kind": "sweep", "outcome": str(report.outcome)})
        return PublishedReport(str(report.outcome), subject, kept, page)

    def _keep_index(self, last: SweepReport) -> None:
        """Store the page that lists the bucket. A failure does not affect the sweep: the next one makes the page again."""
        if self.render_index is None:
            return
        with suppress(SnapkeepError):
            names = self.store.names_since((last.started_at - LISTED_FOR).date())[-MOST_LISTED:]
            reports = [KeptReport(report, name) for name in reversed(names) if (report := self._kept(SweepReport, name))]
            self.store.put(INDEX, self.render_index(reports, self._drills(), last), PAGE)

    def _drills(self) -> list[EndedDrill]:
        """Return the newest drills; none in a region without a ledger."""
        from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillLedger  # noqa: PLC0415 - the repairs need no drills

        ledger = self._kept(DrillLedger, LEDGER_KEY)
        return list(reversed(ledger.ended))[:MOST_LISTED] if ledger else []

    def _kept(self, kind: type[Record], name: str) -> Record | None:
        """Return what is kept under a name; None for what another version wrote, or what has expired meanwhile."""
        try:
            return from_text(kind, self.store.get(name))
        except (ValueError, ReportNotFound):
            return None
