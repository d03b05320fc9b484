"""`snapkeep report` lists the reports of sweeps in every region's bucket, and shows one again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from snapkeep.adapters.s3_reports import S3Reports
from snapkeep.cli import common
from snapkeep.cli.commands.report import app
from snapkeep.cli.errors import WrongUse
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.signals import SignalRecord
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling, ReportItem, SweepReport
from snapkeep.usecases.signals import record_name
from snapkeep.usecases.sweep.publish_report import PublishReport
from support.installed_stacks import Settings, Stacks

PRIMARY, DR = "eu-central-1", "eu-west-1"
NOW = datetime.now(UTC).replace(microsecond=0)
STACKS: Stacks = {
    (PRIMARY, "snapkeep-primary"): {"DRRegion": DR, "output:ReportsBucketName": "reports-primary"},
    (DR, "snapkeep-dr"): {"Retention": "3", "output:ReportsBucketName": "reports-dr"},
}
FINDING = ReportItem(FindingKind.COPY_FAILED, "snap-1", "vol-1", "no such key", Handling.NEEDS_ATTENTION)


class Trails:
    """CloudTrail of one region, whose trail records what `excluded` does not leave out."""

    recording: bool = True
    excluded: tuple[str, ...] = ()

    def describe_trails(self, **_: Any) -> Any:
        return {"trailList": [{"Name": "all", "TrailARN": "arn", "HomeRegion": PRIMARY}]}

    def get_trail_status(self, **_: Any) -> Any:
        return {"IsLogging": self.recording}

    def get_event_selectors(self, **_: Any) -> Any:
        return {"EventSelectors": [{"ExcludeManagementEventSources": list(self.excluded)}]}


class Bucketed(Settings):
    """Settings whose S3 client is moto's."""

    def client(self, service: Any, region: str) -> Any:
        if service == "cloudtrail":
            return Trails()
        return boto3.client("s3", region_name="us-east-1") if service == "s3" else super().client(service, region)


class Nobody:
    def publish(self, subject: str, text: str, attributes: dict[str, str]) -> None:
        """Publish to no one."""


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, PublishReport]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(
        common, "aws_settings", lambda **options: Bucketed(options["region"], options["dr_region"], stacks=STACKS)
    )
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        made = {}
        for region, bucket in ((PRIMARY, "reports-primary"), (DR, "reports-dr")):
            client.create_bucket(Bucket=bucket)
            store = S3Reports(client=client, bucket=bucket)
            made[region] = PublishReport(store=store, publisher=Nobody(), render=lambda report: "page")
        yield made


def report(sweep: str, region: str, days_ago: float, *items: ReportItem) -> SweepReport:
    at = NOW - timedelta(days=days_ago)
    return SweepReport(sweep, "snapkeep", "primary" if region == PRIMARY else "dr", region, at, at, items)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--region", PRIMARY])
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def signal(region: str, days_ago: float, call: str) -> SignalRecord:
    at = NOW - timedelta(days=days_ago)
    return SignalRecord(region, call, "arn:aws:iam::1:user/mallory", "203.0.113.5", at, 2, "", ("snap-1",), 2, 2)


def keep(buckets: dict[str, PublishReport], record: SignalRecord) -> str:
    return buckets[record.region].store.put(record_name(record), to_text(record), "application/json")


def test_signals_of_every_region_are_listed_newest_first(buckets: dict[str, PublishReport]) -> None:
    assert run("signals").output == "no signal\n"
    older, newer = signal(PRIMARY, 3, "DeleteSnapshot"), signal(DR, 1, "StopLogging")
    for record in (older, newer, signal(DR, 20, "DeleteTrail")):
        keep(buckets, record)
    done = run("signals")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        f"{newer.first_at:%Y-%m-%d %H:%M}  {DR}  StopLogging snap-1 and 1 more (2 calls)",
        f"    by arn:aws:iam::1:user/mallory from 203.0.113.5, first at {newer.first_at:%Y-%m-%d %H:%M:%S} UTC; touches 2 recovery points",
        f"{older.first_at:%Y-%m-%d %H:%M}  {PRIMARY}  DeleteSnapshot snap-1 and 1 more (2 calls)",
        f"    by arn:aws:iam::1:user/mallory from 203.0.113.5, first at {older.first_at:%Y-%m-%d %H:%M:%S} UTC; touches 2 recovery points",
        "2 signals",
    ]
    listed = json.loads(run("signals", "--json").stdout)["signals"]
    assert [(one["call"], one["region"], one["objects"]) for one in listed] == [
        ("StopLogging", DR, ["snap-1"]),
        ("DeleteSnapshot", PRIMARY, ["snap-1"]),
    ]


@pytest.mark.parametrize(
    ("trail", "why"),
    [
        ({"recording": False}, "no trail records this region's management events"),
        ({"excluded": ("kms.amazonaws.com",)}, "no trail records the calls of KMS here"),
    ],
)
@pytest.mark.usefixtures("buckets")
def test_without_a_trail_no_signal_is_not_known_to_be_none(
    trail: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in trail.items():
        monkeypatch.setattr(Trails, name, value)
    done = run("signals")
    assert done.exit_code == 1
    assert done.stdout == "calls by others are not known\n"
    assert all(f"{region}: {why}" in done.stderr for region in (PRIMARY, DR))
    assert json.loads(run("signals", "--json").stdout)["problems"].keys() == {PRIMARY, DR}


def test_a_signal_that_cannot_be_read_is_named(buckets: dict[str, PublishReport]) -> None:
    keep(buckets, signal(DR, 1, "StopLogging"))
    name = record_name(signal(DR, 2, "DeleteTrail"))
    buckets[DR].store.put(name, "{}", "application/json")
    done = run("signals")
    assert done.exit_code == 1
    assert "StopLogging" in done.output
    assert name in done.output


def test_only_the_newest_signals_of_a_storm_are_read(buckets: dict[str, PublishReport], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snapkeep.cli.kept_reports.MOST_SIGNALS", 1)
    for days_ago in (1, 2):
        keep(buckets, signal(DR, days_ago, f"Call{days_ago}"))
    done = run("signals")
    assert "Call1" in done.output
    assert "Call2" not in done.output
    assert "1 older signals are not shown" in done.output
    assert done.exit_code == 1


def test_reports_of_every_region_are_listed_newest_first(buckets: dict[str, PublishReport]) -> None:
    buckets[PRIMARY].run(report("older", PRIMARY, 3))
    buckets[DR].run(report("newer", DR, 1, FINDING))
    buckets[PRIMARY].run(report("too-old", PRIMARY, 20))
    buckets[PRIMARY].keep_interim(report("interim", PRIMARY, 0))
    done = run("list")
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.output.splitlines()]
    assert [lines[1], lines[3]] == ["newer", "older"]
    assert len(lines) == 4
    assert lines[0].startswith("PARTIAL")
    assert lines[0].endswith(f"{DR}  1 needs attention")
    (newer, older) = json.loads(run("list", "--json").stdout)["reports"]
    assert (newer["id"], newer["outcome"], newer["needs_attention"]) == ("newer", "PARTIAL", 1)
    assert newer["page"] == f"s3://reports-dr/reports/{NOW - timedelta(days=1):%Y/%m/%d}/newer.html"
    assert (older["region"], older["outcome"]) == (PRIMARY, "OK")


def test_a_bucket_that_cannot_be_read_is_named(buckets: dict[str, PublishReport]) -> None:
    buckets[PRIMARY].run(report("seen", PRIMARY, 1))
    boto3.client("s3", region_name="us-east-1").delete_bucket(Bucket="reports-dr")
    done = run("list", "--json")
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert [kept["id"] for kept in data["reports"]] == ["seen"]
    assert list(data["problems"]) == [DR]


def test_a_stack_without_a_bucket_of_reports_is_named(buckets: dict[str, PublishReport], monkeypatch: pytest.MonkeyPatch) -> None:
    buckets[PRIMARY].run(report("first", PRIMARY, 1))
    monkeypatch.setitem(STACKS, (DR, "snapkeep-dr"), {"Retention": "3"})
    result = run("list", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == {DR: "its stack names no bucket of reports"}


def test_a_report_of_another_version_hides_no_other(buckets: dict[str, PublishReport]) -> None:
    buckets[PRIMARY].run(report("seen", PRIMARY, 1))
    for name in ("later", "latest"):
        key = f"reports/{NOW:%Y/%m/%d}/{name}.json"
        boto3.client("s3", region_name="us-east-1").put_object(Bucket="reports-primary", Key=key, Body=b'{"id": "later"}')
    done = run("list", "--json")
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert [kept["id"] for kept in data["reports"]] == ["seen"]
    assert data["problems"][PRIMARY].startswith("s3://reports-primary/reports/")
    assert data["problems"][PRIMARY].endswith("; and 1 other")
    with pytest.raises(WrongUse, match=r"later\.json: SweepReport cannot be read"):
        run("show", "later")


def test_a_report_is_shown_again_by_its_id(buckets: dict[str, PublishReport]) -> None:
    buckets[DR].run(report("wanted", DR, 300, FINDING))
    shown = run("show", "wanted")
    assert "PARTIAL snapkeep eu-west-1: 1 needs attention" in shown.output
    assert "snap-1 of vol-1" in shown.output
    assert json.loads(run("show", "wanted", "--json").stdout)["id"] == "wanted"
    with pytest.raises(WrongUse, match="there is no report other: `snapkeep report list` lists them"):
        run("show", "other")
