"""The report of a sweep: honest, failures first, never cut of a failure, and a page that stands alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillLedger
from snapkeep.domain.errors import AwsUnavailable, ReportNotFound
from snapkeep.domain.json_codec import from_json, to_text
from snapkeep.domain.policy.source import PolicySource, SourceKind
from snapkeep.domain.protection import PolicyAges
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import (
    TEXT_LIMIT_BYTES,
    Figure,
    Handling,
    ReportItem,
    SweepOutcome,
    SweepReport,
    cut,
    groups_of,
    report_to_json,
    subject_of,
    text_of,
)
from snapkeep.functions.metrics import NAMESPACE
from snapkeep.functions.sweep_metrics import report_lines, volume_lines
from snapkeep.reports.page import render_index, render_page
from snapkeep.usecases.sweep.publish_report import INDEX, MOST_LISTED, PublishReport

AT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
FAILED = ReportItem(
    FindingKind.COPY_FAILED, "snap-1", "vol-1", "to us-east-2: Given key ID is not accessible", Handling.NEEDS_ATTENTION
)
REPAIRED = ReportItem(FindingKind.UNHANDLED, "snap-2", "vol-2", "completed, and no run tagged it", Handling.REPAIRED)
NOTED = ReportItem(FindingKind.ADOPTABLE, "snap-3", "vol-3", "from before its volume was protected", Handling.NOTED)


def report(*items: ReportItem, **given: object) -> SweepReport:
    ages = PolicyAges("gold", timedelta(hours=4), 3, 1, timedelta(hours=9), timedelta(hours=2))
    made = {
        "id": "sweep-1",
        "system": "snapkeep",
        "stack": "primary",
        "region": "us-east-1",
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=12),
        "items": items,
        "counts": {Figure.VOLUMES: 3, Figure.COPIES_WAITING: 2, Figure.SNAPSHOTS_DELETED: 1},
        "policies": (ages,),
    }
    return SweepReport(**{**made, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("items", "broken", "outcome"),
    [
        ((), "", SweepOutcome.OK),
        ((REPAIRED, NOTED), "", SweepOutcome.OK),
        ((REPAIRED, FAILED), "", SweepOutcome.PARTIAL),
        ((ReportItem(FindingKind.UNHANDLED, "snap-4", "", "", Handling.LEFT),), "", SweepOutcome.PARTIAL),
        ((ReportItem(FindingKind.UNHANDLED, "snap-4", "", "", Handling.FAILED, "no"), REPAIRED), "", SweepOutcome.PARTIAL),
        ((ReportItem(FindingKind.UNHANDLED, "snap-4", "", "", Handling.FAILED, "no"),), "", SweepOutcome.FAILED),
        ((), "AwsRefused: no", SweepOutcome.FAILED),
    ],
)
def test_the_outcome_shows_whether_a_fault_remains(items: tuple[ReportItem, ...], broken: str, outcome: SweepOutcome) -> None:
    assert report(*items, broken=broken).outcome is outcome


def test_failures_are_first_in_text_and_json() -> None:
    made = report(NOTED, REPAIRED, FAILED)
    text = text_of(made)
    assert text.index("Needs attention:") < text.index("Repaired:") < text.index("Good to know:") < text.index("Figures:")
    assert next(item["subject"] for item in report_to_json(made)["items"]) == "snap-1"
    assert subject_of(made) == "PARTIAL snapkeep us-east-1: 1 needs attention, 1 repaired"


def test_a_thousand_failures_with_one_cause_are_one_line() -> None:
    cause = "to us-east-2: snap-{:04x} of 2026-11-23T02:00:{:02d}Z: Given key ID is not accessible"
    items = [
        ReportItem(FindingKind.COPY_FAILED, f"snap-{n:04x}", f"vol-{n:04x}", cause.format(n, n % 60), Handling.NEEDS_ATTENTION)
        for n in range(1000)
    ]
    (group,) = groups_of(items)
    assert (group.count, len(group.examples)) == (1000, 5)
    text = text_of(report(*items))
    assert "1,000 × copy failed for good" in text  # noqa: RUF001
    assert "and 995 more" in text
    assert len(text.splitlines()) < 20


def test_the_page_of_ten_thousand_failures_is_small_and_has_the_number() -> None:
    items = [
        ReportItem(FindingKind.COPY_FAILED, f"snap-{n}", "vol-1", f"<{'&' * 200}{chr(97 + n % 7)}", Handling.NEEDS_ATTENTION)
        for n in range(10_000)
    ]
    page = render_page(report(*items))
    assert len(page.encode()) < 1_000_000
    shown = page.count("<code>snap-")
    assert 100 < shown < 10_000
    assert f"{10_000 - shown:,} more findings are in the JSON file" in page
    assert "Every failure is listed here" in render_page(report(*items[:100]))


def test_a_cut_report_keeps_failures_and_counts() -> None:
    noted = [ReportItem(FindingKind.ADOPTABLE, f"snap-{n}", "", "from before", Handling.NOTED) for n in range(5000)]
    failed = [
        ReportItem(FindingKind.COPY_FAILED, f"snap-f{n}", "", f"cause {n % 7}", Handling.NEEDS_ATTENTION) for n in range(3000)
    ]
    made = cut(report(*noted, *failed))
    assert made.failures == tuple(failed)
    assert made.count(Handling.NOTED) == 5000
    assert len(made.items) < 3300
    assert cut(made) == made


def test_a_message_fits_into_sns_and_shows_that_it_was_cut() -> None:
    items = [
        ReportItem(
            FindingKind.COPY_FAILED,
            f"snap-{n}",
            "",
            f"{'cause ' * 10}{chr(97 + n % 26) * (n // 26 + 1)}",
            Handling.NEEDS_ATTENTION,
        )
        for n in range(3000)
    ]
    text = text_of(report(*items))
    assert len(text.encode()) < TEXT_LIMIT_BYTES + 200
    assert "more lines; the whole report is in the bucket." in text


def test_a_report_survives_json() -> None:
    made = report(FAILED, REPAIRED, NOTED)
    again = from_json(SweepReport, json.loads(json.dumps(report_to_json(made))))
    assert again == made


def test_the_page_is_self_contained_and_escapes_tags() -> None:
    evil = ReportItem(FindingKind.COPY_FAILED, "snap-1", "vol-1", "<script>alert(1)</script>", Handling.NEEDS_ATTENTION)
    page = render_page(report(evil, REPAIRED, NOTED))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == []
    assert "default-src 'none'" in page
    assert page.index("Needs attention") < page.index("Repaired") < page.index("Noted")


def test_the_page_names_its_policies_and_version() -> None:
    page = render_page(report(policy=PolicySource(SourceKind.DOCUMENT, 7), version="0.2.0"))
    assert "Policies: document, version 7; Snapkeep 0.2.0" in page
    assert "Policies: not known" in render_page(report(broken="AwsRefused: no"))


def test_columns_of_the_page_have_headings_and_rows_names() -> None:
    page = render_page(report())
    assert page.index("Worst age") < page.index("Asked"), "the first column on a narrow screen"
    assert '<th scope="row">gold</th><td class="number">9 h</td>' in page


def test_the_page_lists_every_failure() -> None:
    failed = [
        ReportItem(FindingKind.COPY_FAILED, f"snap-{n:04x}", f"vol-{n:04x}", "a cause", Handling.NEEDS_ATTENTION)
        for n in range(500)
    ]
    page = render_page(cut(report(*failed)))
    assert all(item.subject in page for item in failed)


def test_metrics_are_in_the_embedded_metric_format() -> None:
    region, policy = (json.loads(line) for line in report_lines(report(FAILED, REPAIRED)))
    directive = region["_aws"]["CloudWatchMetrics"][0]
    assert (directive["Namespace"], directive["Dimensions"]) == (NAMESPACE, [["System"]])
    for metric in directive["Metrics"]:
        assert isinstance(region[metric["Name"]], int | float)
    assert (region["CopiesWaiting"], region["FoundUnhandled"], region["SweepFailures"], region["SweepsDone"]) == (2, 1, 1, 1)
    assert (policy["Policy"], policy["RpoAgeWorst"], policy["VolumesMissingRpo"]) == ("gold", 32400.0, 1.0)


def test_a_sweep_that_could_not_work_writes_no_success() -> None:
    (region, _) = (json.loads(line) for line in report_lines(report(broken="AwsRefused: no")))
    assert (region["SweepsDone"], region["SweepFailures"]) == (0, 1)


def test_each_volumes_age_is_a_metric_on_request() -> None:
    (line,) = volume_lines({"vol-1": 90.0}, "snapkeep", 1_000)
    data = json.loads(line)
    assert data["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["System", "Volume"]]
    assert (data["Volume"], data["RpoAge"]) == ("vol-1", 90.0)


class Bucket:
    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def put(self, name: str, content: str, content_type: str) -> str:
        self.kept[name] = content
        return f"s3://bucket/{name}"

    def get(self, name: str) -> str:
        if name not in self.kept:
            raise ReportNotFound(name)
        return self.kept[name]

    def names_since(self, day: date) -> list[str]:
        return [name for name in sorted(self.kept) if name.startswith("reports/") and name.endswith(".json")]


class Topic:
    def __init__(self) -> None:
        self.published: list[tuple[str, str, str]] = []

    def publish(self, subject: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        self.published.append((subject, text, (attributes or {})["outcome"]))


def test_a_report_is_stored_as_json_and_page_and_published() -> None:
    bucket, topic = Bucket(), Topic()
    publishing = PublishReport(store=bucket, publisher=topic, render=render_page)
    publishing.keep_interim(report(FAILED))
    published = publishing.run(publishing.interim("sweep-1"))
    assert set(bucket.kept) == {"interim/sweep-1.json", "reports/2026/11/23/sweep-1.html", "reports/2026/11/23/sweep-1.json"}
    ((subject, text, outcome),) = topic.published
    assert (subject, outcome) == (published.summary, "PARTIAL")
    assert published.page in text


def indexed(bucket: Bucket) -> PublishReport:
    return PublishReport(store=bucket, publisher=Topic(), render=render_page, render_index=render_index)


def test_the_bucket_has_a_page_that_lists_its_reports_and_drills() -> None:
    bucket = Bucket()
    drill = {"run": "drill-1", "drill": "weekly", "policy": "gold", "volume_id": "vol-<b>", "size_gib": 8, "sha256": "9f"}
    ended = {**drill, "asked_at": "2026-11-22T04:00:00Z", "verdict": "PASSED", "dollars": 0.1}
    bucket.kept[LEDGER_KEY] = json.dumps(json.loads(to_text(DrillLedger())) | {"ended": [ended]})
    bucket.kept["reports/2026/11/20/another-version.json"] = "{}"
    for number in range(MOST_LISTED + 1):
        at = AT + timedelta(hours=number)
        indexed(bucket).run(report(FAILED if number else REPAIRED, id=f"sweep-{number}", started_at=at, ended_at=at))
    page = bucket.kept[INDEX]
    assert '<a href="reports/2026/11/23/sweep-1.html"><code>sweep-1</code></a>' in page
    assert page.index(f"sweep-{MOST_LISTED}") < page.index("sweep-1<"), "the newest first"
    assert "sweep-0<" not in page
    assert 'href="drills/drill-1.html"' in page
    assert "vol-&lt;b&gt;" in page
    assert "another-version" not in page
    assert len(page) < 100_000


def test_a_report_is_published_although_its_index_cannot_be() -> None:
    class Unlisted(Bucket):
        def names_since(self, day: date) -> list[str]:
            raise AwsUnavailable(f"no answer since {day}")

    bucket = Unlisted()
    assert indexed(bucket).run(report(FAILED)).outcome == "PARTIAL"
    assert INDEX not in bucket.kept


def test_names_stand_before_the_ids_of_their_volumes() -> None:
    bucket = Bucket()
    names = {"vol-1": "<b>database</b>", "vol-9": "of no finding"}
    publishing = PublishReport(store=bucket, publisher=Topic(), render=render_page)
    published = publishing.run(report(FAILED, replace(NOTED, subject="vol-1", volume_id="vol-1"), names=names))
    page, kept = (bucket.kept[at.removeprefix("s3://bucket/")] for at in (published.page, published.json))
    assert "<code>snap-1</code> of &lt;b&gt;database&lt;/b&gt; <code>vol-1</code>: " in page
    assert "<div>&lt;b&gt;database&lt;/b&gt; <code>vol-1</code>: " in page
    assert json.loads(kept)["names"] == {"vol-1": "<b>database</b>"}


def test_a_report_that_was_cut_and_kept_still_counts_everything() -> None:
    noted = [ReportItem(FindingKind.ADOPTABLE, f"snap-{n}", "", "from before", Handling.NOTED) for n in range(5000)]
    made = cut(report(*noted))
    assert from_json(SweepReport, json.loads(json.dumps(report_to_json(made)))).count(Handling.NOTED) == 5000


def test_a_message_that_was_cut_still_has_the_reports_location() -> None:
    items = [
        ReportItem(FindingKind.COPY_FAILED, f"snap-{n}", "", f"cause {chr(97 + n % 26) * n}", Handling.NEEDS_ATTENTION)
        for n in range(1500)
    ]
    text = text_of(report(*items), "s3://bucket/reports/sweep-1.html")
    assert len(text.encode()) < TEXT_LIMIT_BYTES + 200
    assert text.endswith("The whole report: s3://bucket/reports/sweep-1.html")


def test_an_endless_cause_does_not_displace_the_others() -> None:
    text = text_of(report(broken="x" * 300_000))
    assert text.startswith("FAILED: sweep of us-east-1")
    assert "policy gold" in text
    assert len(text.encode()) < TEXT_LIMIT_BYTES


def test_a_policy_without_recovery_points_shows_no_age() -> None:
    """An age of 0 would look like the best of all."""
    never = PolicyAges("gold", timedelta(hours=4), 3, 3, None, None)
    made = report(policies=(never,))
    (_, policy) = (json.loads(line) for line in report_lines(made))
    assert policy["VolumesMissingRpo"] == 3.0
    assert not {"RpoAgeWorst", "RpoAgeMedian"} & set(policy)
    assert [metric["Name"] for metric in policy["_aws"]["CloudWatchMetrics"][0]["Metrics"]] == ["VolumesMissingRpo"]
    assert "policy gold: 3 volumes, nothing to restore from yet, RPO 4 h, 3 missed" in text_of(made)
    assert report_to_json(made)["policies"][0]["worst_seconds"] is None
    assert from_json(SweepReport, report_to_json(made)) == made
    page = render_page(made)
    assert page.count('<td class="number">none</td>') == 2
    assert "0 min" not in page


def test_stored_and_published_reports_are_cut() -> None:
    bucket, topic = Bucket(), Topic()
    noted = [ReportItem(FindingKind.ADOPTABLE, f"snap-{n}", "", "from before", Handling.NOTED) for n in range(1000)]
    PublishReport(store=bucket, publisher=topic, render=render_page).run(report(FAILED, *noted))
    kept = json.loads(bucket.kept["reports/2026/11/23/sweep-1.json"])
    assert len(kept["items"]) < 300
    assert sum(item["times"] for item in kept["items"]) == 1001
    assert bucket.kept["reports/2026/11/23/sweep-1.html"].count("snap-") < 300


def test_every_sweep_has_a_figure_for_each_alarm() -> None:
    (region, _) = (json.loads(line) for line in report_lines(report()))
    directive = region["_aws"]["CloudWatchMetrics"][0]
    assert {metric["Name"] for metric in directive["Metrics"]} >= {
        "FoundUnhandled",
        "FoundCopiesMissing",
        "FoundEventsLost",
        "FoundUndelivered",
        "PlansRefused",
        "SnapshotsPublic",
        "SnapshotsShared",
        "RegionsOutOfReach",
        "SweepFindings",
        "SweepFailures",
        "SweepsDone",
    }
    assert len(directive["Metrics"]) <= 100
    assert {metric["Unit"] for metric in directive["Metrics"]} <= {"Count", "Seconds"}
    assert isinstance(region["_aws"]["Timestamp"], int)


def test_a_failed_sweep_emits_no_figures_that_could_end_an_alarm() -> None:
    (region, *_) = (json.loads(line) for line in report_lines(replace(report(), counts={}, broken="AwsUnavailable: away")))
    written = {metric["Name"] for metric in region["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert written == {"SweepFindings", "SweepFailures", "SweepsDone"}
    assert (region["SweepFailures"], region["SweepsDone"]) == (1, 0)
