"""Drills and trends on the console's pages: they come from reports, ledgers and evidence; nothing else is stored."""

import html
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from snapkeep.adapters.s3_reports import S3Reports
from snapkeep.console.reading import Readings
from snapkeep.console.trend import HEIGHT, WIDTH, trend_of
from snapkeep.domain.commands import CommandResult, CommandStatus
from snapkeep.domain.drills.coverage import DrillCoverage
from snapkeep.domain.drills.instances import DrilledInstance
from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillLedger, evidence_key, evidence_of
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.drill_rules import DrillCommand, DrillLevel
from snapkeep.domain.recovery.launch_facts import Billing
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Figure, Handling, ReportItem, SweepReport, report_to_json
from support.console_pages import renew, text_of
from support.several_regions import DOCUMENT, NEAR, PRIMARY, Account

NOW = datetime.now(UTC)


def report(days_ago: float, **counts: int) -> SweepReport:
    at = NOW - timedelta(days=days_ago)
    return SweepReport(
        f"sweep-{days_ago:g}",
        "snapkeep",
        "primary",
        PRIMARY,
        at,
        at,
        counts={Figure(name): number for name, number in counts.items()},
    )


def keep(account: Account, *reports: SweepReport) -> None:
    objects = account.objects.setdefault(PRIMARY, {})
    for each in reports:
        objects[f"reports/{each.started_at:%Y/%m/%d}/{each.id}.json"] = json.dumps(report_to_json(each))


def drill(
    account: Account,
    point: Snapshot,
    *,
    days_ago: float = 3,
    failure: str = "",
    rto: timedelta = timedelta(0),
    instance: str = "",
) -> DrillRun:
    """Keep the evidence of a drill that became usable after five minutes."""
    at = NOW - timedelta(days=days_ago)
    run = DrillRun(
        f"drill-{days_ago:g}-{point.origin.volume_id}".replace(".", "-"), "weekly", "gold", point.origin.volume_id, NEAR,
        point.id, point.start_time, 8, at, at + timedelta(days=1), rto, 1.0, failure=failure, restored_id="vol-1",
        available_at=at + timedelta(minutes=5), removal_ended=True, removed_at=at + timedelta(hours=1),
    )  # fmt: skip
    if instance:
        drilled = DrilledInstance(
            instance,
            0,
            (point.origin.volume_id,),
            (point.id,),
            Billing("Linux/UNIX", "RunInstances"),
            restored_id="i-1",
            checked_at=at + timedelta(minutes=7),
            command_at=at + timedelta(minutes=8),
            command=CommandResult(CommandStatus.FAILED, 1, "<script>no database"),
        )
        command = DrillCommand("snapkeep-drill-check")
        run = replace(run, level=DrillLevel.INSTANCE, volume_id=instance, point="", instances=(drilled,), command=command)
    evidence = evidence_of(run, "1", "")
    objects = account.objects.setdefault(NEAR, {})
    ledger = DrillLedger().concluded(evidence)
    if not failure:  # of the checks, only those of the ledger's entry matter to the pages
        ledger = replace(ledger, ended=(replace(ledger.ended[0], verdict=type(evidence.verdict).PASSED),))
    objects[LEDGER_KEY] = to_text(ledger)
    objects[evidence_key(run.id)] = evidence.text
    return run


@pytest.fixture
def copied(account: Account) -> Snapshot:
    source = account.snapshot()
    account.copy(source, NEAR)
    return source


def page_of(browser: TestClient, readings: Readings, address: str) -> str:
    renew(readings)
    return text_of(html.unescape(browser.get(address).text))


def test_numbers_have_the_trend_of_the_sweeps(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot
) -> None:
    keep(account, report(3, volumes_not_as_policy_asks=4, volumes_not_proved=1), report(1, volumes_not_as_policy_asks=2))
    page = page_of(browser, readings, "/now")
    assert f"RPO missed 4 on {NOW - timedelta(days=3):%d %b}, 2 on {NOW - timedelta(days=1):%d %b}" in page
    assert "Not proved no trend yet" in page


def test_sweeps_that_did_not_know_all_volumes_make_no_trend(account: Account, browser: TestClient, readings: Readings) -> None:
    account.snapshot()
    keep(account, report(3, volumes_not_as_policy_asks=0, volumes_not_known=3), report(2, volumes_not_as_policy_asks=0))
    keep(account, replace(report(1, volumes_not_as_policy_asks=0), broken="no"))
    account.objects[PRIMARY][f"reports/{NOW:%Y/%m/%d}/other.json"] = json.dumps({"counts": {"of another version": 1}})
    assert "RPO missed no trend yet" in page_of(browser, readings, "/now")


def test_a_report_is_read_once(account: Account, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(account, report(2, volumes_not_proved=1), report(1, volumes_not_proved=1))
    renew(readings)
    assert readings.latest is not None
    assert len(readings.latest.trend) == 2
    for name, text in list(account.objects[PRIMARY].items()):
        account.objects[PRIMARY][name] = text.replace("volumes_not_proved", "volumes_protected")
    renew(readings)
    assert [dict(point.counts) for point in readings.latest.trend] == [{Figure.VOLUMES_NOT_PROVED: 1}] * 2


def test_the_line_of_a_trend_stays_in_its_drawing() -> None:
    values = [(NOW - timedelta(days=days), number) for days, number in ((20, 3), (14, 0), (7, 9), (0, 1))]
    points = [tuple(map(float, point.split(","))) for point in trend_of(values, NOW).line.split()]
    assert [x for x, _ in points] == [0, 0, WIDTH / 2, WIDTH]
    assert all(2 <= y <= HEIGHT - 2 for _, y in points)
    assert points[2][1] == min(y for _, y in points)


def test_a_drill_that_passed_counts_until_it_is_old(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot
) -> None:
    assert "1 Not drilled" in page_of(browser, readings, "/now")
    drill(account, copied)
    page = page_of(browser, readings, "/now")
    assert "0 Not drilled 1 on" in page
    drill(account, copied, days_ago=100)
    assert "1 Not drilled" in page_of(browser, readings, "/now")
    drill(account, copied, failure="EC2 made no volume")
    assert "1 Not drilled" in page_of(browser, readings, "/now")


def test_a_drill_of_an_instance_counts_for_its_volumes(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot
) -> None:
    run = drill(account, copied, instance="i-0123456789abcdef0")
    assert "0 Not drilled 1 on" in page_of(browser, readings, "/now")
    assert "drill passed" in page_of(browser, readings, "/proofs")
    answer = browser.get("/drill", params={"in": NEAR, "id": run.id}).text
    assert '<h1>Drill of <a class="subject" href="/instance?id=i-0123456789abcdef0">' in " ".join(answer.split())
    assert "snapkeep-drill-check</code>: Failed, exit code 1<pre>&lt;script&gt;no database</pre>" in answer
    evidence = text_of(html.unescape(answer))
    assert f"Points {copied.id} , data of" in evidence
    assert "launched as i-1 , status checks passed after 7 minutes" in evidence


def test_of_several_rules_the_shortest_time_counts(readings: Readings, account: Account, copied: Snapshot) -> None:
    schedule = {"cron": "0 4 ? * SUN *"}
    rules = [
        {"name": f"drill-{days}", "policies": ["gold"], "in": NEAR, "schedule": schedule, "covered_within": f"{days}d"}
        for days in (10, 30)
    ]
    account.documents = dict.fromkeys(account.documents, json.dumps({**DOCUMENT, "drills": rules}))
    drill(account, copied, days_ago=20)
    renew(readings)
    reading = readings.latest
    assert reading is not None
    coverage = DrillCoverage(reading.ledgers, next(iter(reading.policies.values())))
    assert len(coverage.missing(reading.status.volumes, NOW)) == 1
    assert not coverage.missing(reading.status.volumes, NOW - timedelta(days=15))


def test_drills_are_not_known_where_the_ledger_is_not(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot
) -> None:
    account.objects.setdefault(NEAR, {})[LEDGER_KEY] = "{"
    page = page_of(browser, readings, "/now")
    assert "? not known Not drilled not known" in page
    proofs = page_of(browser, readings, "/proofs")
    assert "The drills in us-east-2 are not known" in proofs
    assert "? that no drill covered in time" in proofs


def test_the_heat_map_has_drills_their_time_against_the_objective_and_evidence(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot
) -> None:
    schedule = {"cron": "0 4 ? * SUN *"}
    rule = {"name": "weekly", "policies": ["gold"], "in": NEAR, "schedule": schedule, "rto": "2m"}
    account.documents = dict.fromkeys(account.documents, json.dumps({**DOCUMENT, "drills": [rule]}))
    run = drill(account, copied, rto=timedelta(minutes=2))
    page = page_of(browser, readings, "/proofs")
    assert "drill passed" in page
    assert "5 minutes 2 minutes passed" in page
    assert '<td class="number bad">5 minutes</td>' in browser.get("/proofs").text
    evidence = text_of(html.unescape(browser.get("/drill", params={"in": NEAR, "id": run.id}).text))
    assert "objective 2 minutes" in evidence
    assert "it was usable within the recovery time objective failed" in evidence
    assert browser.get("/drill.json", params={"in": NEAR, "id": run.id}).json()["run"]["id"] == run.id


@pytest.mark.parametrize("name", ["", "../../now", "drill-of-nobody"])
def test_an_unknown_drill_is_not_found(browser: TestClient, readings: Readings, name: str) -> None:
    renew(readings)
    assert browser.get("/drill", params={"in": NEAR, "id": name}).status_code == 404
    assert browser.get("/drill", params={"in": "eu-west-1", "id": "drill-1"}).status_code == 404


def test_reports_are_listed_and_shown_as_the_bucket_has_them(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot
) -> None:
    failed = ReportItem(FindingKind.COPY_FAILED, "snap-1", "<b>", "no such key", Handling.NEEDS_ATTENTION)
    keep(account, report(2, volumes=1), replace(report(1, volumes=1), items=(failed,)))
    account.objects[PRIMARY][f"reports/{NOW:%Y/%m/%d}/other.json"] = json.dumps({"counts": {}})
    page = page_of(browser, readings, "/reports")
    assert page.index("! PARTIAL") < page.index("✓ OK"), "the newest first"
    assert "1 needs attention" in page
    assert "other.json" in page, "a report that cannot be read is named"
    newest = browser.get("/reports.json").json()["reports"][0]
    answer = browser.get("/report", params={"in": PRIMARY, "id": newest["id"]})
    assert "no such key" in answer.text
    assert 'href="/reports"' in answer.text
    assert "<b></b>" not in answer.text
    assert "script" not in answer.headers["content-security-policy"]
    assert browser.get("/report", params={"in": PRIMARY, "id": "../memory/snapshots"}).status_code == 404
    account.take_away(NEAR)
    assert "us-east-2 could not be read" in page_of(browser, readings, "/reports")


def test_a_report_is_read_once_however_often_the_list_is_opened(
    account: Account, browser: TestClient, readings: Readings, copied: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(account, report(2, volumes=1))
    renew(readings)
    names, get = [], S3Reports.get
    monkeypatch.setattr(S3Reports, "get", lambda store, name: names.append(name) or get(store, name))
    browser.get("/reports.json")
    keep(account, report(1, volumes=1))
    assert len(browser.get("/reports.json").json()["reports"]) == 2
    assert len(names) == len(set(names)) == 2
