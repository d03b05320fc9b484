"""Make a sweep's report public: as JSON and as a page in the bucket, and to the people who subscribed."""

from __future__ import annotations

import json
from collections.abc import Callable

from snapkeep.domain.json_codec import from_json
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.report import SweepReport, cut, report_to_json, subject_of, text_of
from snapkeep.usecases.ports import Publisher
from snapkeep.usecases.sweep.ports import ReportStore
from snapkeep.usecases.sweep.report_names import JSON, PAGE, REPORTS


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

    def keep_interim(self, report: SweepReport) -> None:
        """Keep what a sweep did itself until its deletions are done."""
        self.store.put(f"interim/{report.id}.json", json.dumps(report_to_json(cut(report))), JSON)

    def interim(self, sweep_id: str) -> SweepReport:
        """Return what was kept under a sweep's id. Raise ReportNotFound if there is nothing."""
        return from_json(SweepReport, json.loads(self.store.get(f"interim/{sweep_id}.json")))

    def run(self, whole: SweepReport) -> PublishedReport:
        """Cut, keep and publish a finished report; return where it is. The message comes last, since it names the page."""
        report = cut(whole).with_names_used()
        name = f"{REPORTS}{report.started_at:%Y/%m/%d}/{report.id}"
        # Page and JSON are cut alike: neither shows what the other does not.
        page = self.store.put(f"{name}.html", self.render(report), PAGE)
        kept = self.store.put(f"{name}.json", json.dumps(report_to_json(report), indent=1), JSON)
        subject = subject_of(report)
        self.publisher.publish(subject, text_of(report, page), {"kind": "sweep", "outcome": str(report.outcome)})
        return PublishedReport(str(report.outcome), subject, kept, page)
