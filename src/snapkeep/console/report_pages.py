"""The reports of sweeps that the buckets keep: a list, and each of them. New ones are read when the page is opened."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from snapkeep.adapters.s3_reports import S3Reports
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.kept_reports import KeptReader, kept_everywhere, kept_report, report_reader, report_stores
from snapkeep.cli.views.sweep import list_as_data
from snapkeep.console.page import Context, NotThere, Page, Query, rows_of
from snapkeep.console.reading import Reading
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.sweep.report import summary_of
from snapkeep.reports.page import render_page
from snapkeep.usecases.sweep.publish_report import KeptReport

DAYS = 14
"""The days whose reports are listed, as `snapkeep report list` does."""


@dataclass(slots=True)
class ReportPages:
    """Lists the reports of a system, and shows them."""

    settings: AwsSettings
    _reader: KeptReader[KeptReport] = field(default_factory=report_reader)

    @property
    def page(self) -> Page:
        """The list."""
        return Page("reports", "Reports", self._context, {"snapkeep report list --json": self._data})

    def render(self, query: Query) -> str:
        """Return the page of a report, with a link to the list. Raise NotThere, and errors of ours and botocore's."""
        return render_page(self._one(query).report, back="/reports")

    def _one(self, query: Query) -> KeptReport:
        stores, problems = self._stores()
        report_id, region = query.get("id", ""), query.get("in", "")
        kept = kept_report(stores[region], report_id) if report_id and region in stores else None
        if kept is None:
            absent = f"{report_id or 'a report without a name'}: no such report in {region or 'a region without a name'}"
            raise NotThere("; ".join([absent, *problems.values()]))
        return kept

    def _stores(self) -> tuple[dict[str, S3Reports], dict[str, str]]:
        return report_stores(InstalledSystem(replace(self.settings, read_only=True)))

    def _kept(self, reading: Reading) -> tuple[list[KeptReport], dict[str, str]]:
        stores, problems = self._stores()
        first_day = (reading.at - timedelta(days=DAYS - 1)).date()
        reports, problems = kept_everywhere(stores, problems, self._reader, first_day)
        return sorted(reports, key=lambda kept: kept.report.started_at, reverse=True), problems

    def _context(self, reading: Reading, query: Query) -> Context:
        reports, problems = self._kept(reading)
        region = query.get("region", "")
        shown = [kept for kept in reports if region in ("", kept.report.region)]
        regions = sorted({kept.report.region for kept in reports})
        return {
            "reports": rows_of(shown, query),
            "regions": regions,
            "region": region,
            "problems": problems,
            "summary_of": summary_of,
        }

    def _data(self, reading: Reading, _: Query) -> Any:
        reports, problems = self._kept(reading)
        return to_json({"reports": list(list_as_data(reports)), "problems": problems})
