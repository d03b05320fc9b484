"""Recoveries by clicking: a plan, the consent to it, and the run; over an account in memory."""

import html
import json
import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from snapkeep.console.guard import MOST_FORMS, FormTokens, VisitorGuard
from snapkeep.console.reading import Readings
from snapkeep.console.recoveries import Recoveries
from snapkeep.console.server import MOST_FORM_BYTES, Console
from snapkeep.domain.model import Snapshot
from snapkeep.domain.tag_names import DEVICE, PROOF, RECOVERY
from snapkeep.domain.tags import format_time
from snapkeep.lab.ebs_model import FaultRule
from support.console_pages import HOSTILE, renew
from support.several_regions import NEAR, PRIMARY, Account

HERE = {"origin": "http://127.0.0.1:8470", "sec-fetch-site": "same-origin"}


@pytest.fixture
def allow_actions() -> bool:
    return True


@pytest.fixture
def point(account: Account, readings: Readings) -> Snapshot:
    """A snapshot with a copy in the near region; everything was read."""
    source = account.snapshot()
    account.copy(source, NEAR)
    renew(readings)
    return source


def plan_of(browser: TestClient, point: Snapshot, **more: str) -> str:
    answer = browser.get("/plan", params={"id": point.origin.volume_id, "in": NEAR, **more})
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def fields_of(page: str, action: str, verb: str = "") -> dict[str, str]:
    """Return the hidden fields of a form that acts."""
    forms = re.findall(rf'<form class="act[^"]*" method="post" action="{action}[^"]*">(.*?)</form>', page, re.DOTALL)
    fields = [dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)) for form in forms]
    return next(form for form in fields if form.get("verb", "") == verb)


def send(browser: TestClient, action: str, fields: Mapping[str, str], **more: str) -> tuple[int, str]:
    answer = browser.post(action, data={**fields, **more}, headers=HERE)
    return answer.status_code, html.unescape(answer.text) or answer.headers["location"]


def wait(recoveries: Recoveries) -> None:
    for threads in recoveries._threads.values():
        for thread in threads:
            thread.join()


def volumes(account: Account) -> list[dict[str, object]]:
    return account.world.client("ec2", NEAR).describe_volumes()["Volumes"]


def start(browser: TestClient, point: Snapshot) -> str:
    fields = fields_of(plan_of(browser, point), "/plan")
    status, address = send(browser, "/plan", fields, typed=point.origin.volume_id)
    assert status == 303, address
    return address


def test_a_recovery_is_planned_started_and_undone(
    account: Account, browser: TestClient, recoveries: Recoveries, point: Snapshot, readings: Readings
) -> None:
    page = plan_of(browser, point, rate="300")
    assert "0.64 USD a month" in page
    assert "at 300 MiB/s" in page
    assert "no recovery record" in page
    assert volumes(account) == []
    address = start(browser, point)
    wait(recoveries)
    shown = html.unescape(browser.get(address).text)
    [made] = volumes(account)
    assert "completed" in shown
    assert str(made["VolumeId"]) in shown
    run_id = address.rpartition("id=")[2]
    assert {"Key": RECOVERY, "Value": run_id} in made["Tags"]
    renew(readings)
    assert run_id in browser.get("/recover").text
    assert f"deletes {made['VolumeId']}" in shown
    fields = fields_of(shown, "/recovery", "undo")
    status, text = send(browser, "/recovery", fields, typed="recovery-another")
    assert (status, f"type {run_id} to confirm" in text) == (409, True)
    status, text = send(browser, "/recovery", fields, typed=run_id)
    assert (status, "this form was sent already" in text) == (409, True)
    assert len(volumes(account)) == 1
    assert send(browser, "/recovery", fields_of(text, "/recovery", "undo"), typed=run_id)[0] == 303
    wait(recoveries)
    assert volumes(account) == []
    assert "undone" in browser.get(address).text


def test_the_id_is_typed_to_confirm(account: Account, browser: TestClient, point: Snapshot) -> None:
    for typed in ("", "vol-0123456789abcdef0", "yes"):
        status, page = send(browser, "/plan", fields_of(plan_of(browser, point), "/plan"), typed=typed)
        assert (status, f"type {point.origin.volume_id} to confirm" in page) == (409, True), typed
    assert account.objects.get(NEAR, {}) == {}
    assert volumes(account) == []


def test_a_form_acts_once(account: Account, browser: TestClient, recoveries: Recoveries, point: Snapshot) -> None:
    """A button that is clicked twice made two recoveries."""
    fields = fields_of(plan_of(browser, point), "/plan") | {"typed": point.origin.volume_id}
    assert send(browser, "/plan", fields)[0] == 303
    wait(recoveries)
    status, page = send(browser, "/plan", fields)
    assert (status, "this form was sent already" in page) == (409, True)
    for token in ("", "x" * 43):
        assert send(browser, "/plan", fields | {"token": token})[0] == 409
    assert len(volumes(account)) == 1


def test_consent_to_one_plan_starts_no_other(account: Account, browser: TestClient, point: Snapshot) -> None:
    fields = fields_of(plan_of(browser, point), "/plan") | {"typed": point.origin.volume_id}
    status, page = send(browser, "/plan", fields, rate="300")
    assert (status, "the plan has changed since it was shown" in page) == (409, True)
    assert volumes(account) == []


def test_a_plan_with_an_obstacle_has_no_form(account: Account, browser: TestClient, point: Snapshot, readings: Readings) -> None:
    early = format_time(point.start_time - timedelta(days=1))
    page = plan_of(browser, point, at=early)
    assert "is that old" in page
    assert 'method="post"' not in page
    page = plan_of(browser, point, zone="us-east-2z")
    assert "us-east-2z cannot be used" in page
    assert 'method="post"' not in page
    wrong = browser.get("/plan", params={"id": point.origin.volume_id, "in": NEAR, "rate": "99"})
    assert (wrong.status_code, "a whole number from 100 to 300" in wrong.text) == (400, True)
    assert browser.get("/plan", params={"id": point.origin.volume_id, "in": "eu-west-1"}).status_code == 404


def test_a_failed_recovery_shows_its_cause_and_is_resumed(
    account: Account, browser: TestClient, recoveries: Recoveries, point: Snapshot
) -> None:
    fields = fields_of(plan_of(browser, point), "/plan")
    refusal = {"code": "UnauthorizedOperation", "message": "no", "http_status": 403}
    account.world.add_fault(FaultRule("api_error", action="CreateVolume", skip=1, times=1, **refusal))  # not the dry run
    address = send(browser, "/plan", fields, typed=point.origin.volume_id)[1]
    wait(recoveries)
    shown = html.unescape(browser.get(address).text)
    assert "It is not finished." in shown
    assert "UnauthorizedOperation: no" in shown
    assert volumes(account) == []
    assert send(browser, "/recovery", fields_of(shown, "/recovery", "resume"))[0] == 303
    wait(recoveries)
    assert "completed" in browser.get(address).text
    assert len(volumes(account)) == 1


def test_a_recovery_stays_shown_while_its_journal_is_unreachable(
    account: Account, browser: TestClient, recoveries: Recoveries, point: Snapshot
) -> None:
    address = start(browser, point)
    wait(recoveries)
    account.take_away(NEAR)
    assert "its journal cannot be read now" in browser.get(address).text
    assert "completed" in browser.get(address).text


def test_recoveries_of_others_are_shown_and_their_end_is_news(
    account: Account, browser: TestClient, console: Console, recoveries: Recoveries, point: Snapshot, readings: Readings
) -> None:
    run_id = start(browser, point).rpartition("id=")[2]
    wait(recoveries)
    key = f"recoveries/{run_id}.json"
    journal = json.loads(account.objects[NEAR][key])
    account.objects[NEAR][key] = json.dumps(journal | {"state": "running"})
    query = {"in": NEAR, "id": run_id}
    before = console.recoveries.version(query)
    assert f' {before}"' in browser.get("/recovery", params=query).text  # what changed before the news is news
    renew(readings)
    assert "Recoveries that are not finished" in browser.get("/now").text
    assert "another session may work on it" in browser.get("/recovery", params=query).text
    account.objects[NEAR][key] = json.dumps(journal)
    assert console.recoveries.version(query) != before
    account.objects[NEAR][key] = "{"
    renew(readings)
    assert run_id in browser.get("/recover").text
    assert "cannot be read" in browser.get("/recover").text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({**HERE, "sec-fetch-site": "cross-site"}, 403),
        ({**HERE, "host": "evil.example"}, 421),
    ],
    ids=str,
)
def test_forms_of_other_pages_are_refused(
    account: Account, browser: TestClient, point: Snapshot, headers: dict[str, str], status: int
) -> None:
    fields = fields_of(plan_of(browser, point), "/plan") | {"typed": point.origin.volume_id}
    assert browser.post("/plan", data=fields, headers=headers).status_code == status
    assert volumes(account) == []


def test_without_the_token_nothing_acts(account: Account, browser: TestClient, point: Snapshot, guard: VisitorGuard) -> None:
    fields = fields_of(plan_of(browser, point), "/plan") | {"typed": point.origin.volume_id}
    browser.cookies.clear()
    assert browser.post("/plan", data=fields, headers=HERE).status_code == 401
    assert browser.post(f"/plan?token={guard.token}", data=fields, headers=HERE).status_code == 401
    assert volumes(account) == []


def test_hostile_tags_do_nothing_on_the_pages_of_recoveries(
    account: Account, browser: TestClient, recoveries: Recoveries, point: Snapshot, readings: Readings
) -> None:
    for region in (PRIMARY, NEAR):
        client = account.world.client("ec2", region)
        ids = [snapshot["SnapshotId"] for snapshot in client.describe_snapshots(OwnerIds=["self"])["Snapshots"]]
        client.create_tags(Resources=ids, Tags=[{"Key": key, "Value": HOSTILE} for key in ("Name", PROOF, DEVICE)])
    renew(readings)
    address = start(browser, point)
    wait(recoveries)
    volume = point.origin.volume_id
    for page in (f"/plan?id={volume}&in={NEAR}", address, f"/snapshot?id={point.id}", f"/volume?id={volume}", "/proofs"):
        text = browser.get(page).text
        assert "<h1" in text, page
        assert "<script>alert" not in text, page
        assert "\x1b" not in text, page
        assert "\u202e" not in text, page
    for name in ("id", "zone", "rate", "attach", "at"):
        text = browser.get("/plan", params={"id": volume, "in": NEAR, name: HOSTILE}).text
        assert "<script>alert" not in text, name
        assert "\u202e" not in text, name


def test_only_the_pages_of_recoveries_accept_a_form(browser: TestClient, point: Snapshot) -> None:
    for address in ("/now", "/policies", "/recover", "/recovery/news", "/static/console.js"):
        assert browser.post(address, headers=HERE).status_code == 405, address
    assert browser.post("/plan", data={"id": "x" * MOST_FORM_BYTES}, headers=HERE).status_code == 413
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        answer = browser.request(method, "/plan", headers=HERE)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST"), method


@pytest.mark.parametrize("name", ["../drills/ledger", "a/b", "", "recovery-20261130-031500-0a1b2c"])
def test_an_unknown_recovery_is_not_found(browser: TestClient, point: Snapshot, name: str) -> None:
    assert browser.get("/recovery", params={"in": NEAR, "id": name}).status_code == 404


def test_the_oldest_forms_become_invalid() -> None:
    forms = FormTokens()
    first, second = forms.issue(), forms.issue()
    for _ in range(MOST_FORMS - 1):
        forms.issue()
    assert not forms.take(first)
    assert forms.take(second)
    assert not forms.take(second)


class TestWithoutTheOption:
    @pytest.fixture
    def allow_actions(self) -> bool:
        return False

    def test_nothing_is_planned_or_begun(self, console: Console, browser: TestClient, point: Snapshot) -> None:
        volume = point.origin.volume_id
        assert browser.get("/plan", params={"id": volume, "in": NEAR}).status_code == 404
        assert "Plan this recovery" not in browser.get("/volume", params={"id": volume}).text
        for address in ("/plan", "/recovery", "/now"):
            for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
                answer = browser.request(method, address, headers=HERE)
                assert (answer.status_code, answer.headers["allow"]) == (405, "GET"), (method, address)
