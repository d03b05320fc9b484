"""The entries of the first page that need attention, besides volumes and copies: unusual changes and holds."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from starlette.testclient import TestClient

from snapkeep.console.reading import Readings
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.recovery.changes import NEWS_FOR, UnusualChange
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.signals import SignalRecord
from snapkeep.usecases.signals import record_name
from support.console_pages import renew, shown, text_of
from support.several_regions import DOCUMENT, NEAR, PRIMARY, Account, Client

WITH_LONG_RPO = {**DOCUMENT, "policies": [{**DOCUMENT["policies"][0], "rpo": "365d"}]}


@pytest.fixture
def points(account: Account) -> list[Snapshot]:
    """Two snapshots of a volume with copies in a DR region; nothing else is amiss."""
    account.documents = dict.fromkeys(account.documents, json.dumps(WITH_LONG_RPO))
    account.clock.advance(datetime.now(UTC).timestamp() - account.clock.now() - 6 * 3600)
    made = [account.snapshot(), account.snapshot()]
    for point in made:
        account.copy(point, NEAR)
    return made


def change_of(account: Account, point: Snapshot, *, earlier: timedelta = timedelta(0)) -> None:
    """Keep an unusual change in a snapshot, as Verify does: 4 GiB where 0.5 GiB are usual."""
    at = point.start_time.replace(microsecond=0) - earlier
    change = UnusualChange(PRIMARY, point.origin.volume_id, point.id, at, 8192, 1024)
    key = f"proofs/unusual/{PRIMARY}/{change.volume_id}/{change.snapshot_id}_{at:%Y%m%dT%H%M%SZ}_8192_1024.json"
    account.objects.setdefault(NEAR, {})[key] = to_text(change)


def test_an_unusual_change_is_marked_with_the_last_point_before_it(
    account: Account, browser: TestClient, readings: Readings, points: list[Snapshot]
) -> None:
    before, after = points
    change_of(account, after)
    page = text_of(shown(browser, readings, f"/volume?id={after.origin.volume_id}"))
    words = f"unusual: at least 4.0 GiB changed in {after.id}"
    assert page.count(words) == 3, "once for each region"
    near = page.partition("us-east-2 Data of")[2].partition("snapkeep recover volume")[0]
    assert "the last point before it: snap-" in near
    assert f"the last point before it: {before.id}" in page
    found = browser.get("/recover.json").json()["snapkeep recoverable --json"]
    [near_data] = [region for region in found if region["region"] == NEAR]
    assert after.id in json.dumps(near_data)


def test_an_unusual_change_needs_attention_for_some_days(
    account: Account, browser: TestClient, readings: Readings, points: list[Snapshot]
) -> None:
    change_of(account, points[1], earlier=NEWS_FOR)
    assert "Far more than usual" not in shown(browser, readings, "/now")
    change_of(account, points[1])
    renew(readings)
    page = text_of(browser.get("/now").text)
    assert f"Far more than usual of {points[1].origin.volume_id} changed" in page
    assert "Nothing. Every volume" not in page


def refuse_listing(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    listed = Client.list_objects_v2

    def refused(self: Client, Prefix: str, **request: str) -> object:  # noqa: N803 - boto3's name
        if Prefix == prefix:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListObjectsV2")
        return listed(self, Prefix, **request)

    monkeypatch.setattr(Client, "list_objects_v2", refused)


def test_changes_are_not_known_where_the_bucket_is_unread(
    account: Account, browser: TestClient, readings: Readings, points: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was silent, as if there were none."""
    refuse_listing(monkeypatch, "proofs/unusual/")
    words = "unusual changes are not known: the bucket of us-east-2 could not be read"
    page = shown(browser, readings, "/now")
    assert words in page
    assert "? Nothing that could be read. Every volume" in text_of(page)
    assert words in browser.get(f"/volume?id={points[0].origin.volume_id}").text


def test_signals_of_a_week_need_attention_and_are_listed(
    account: Account, browser: TestClient, readings: Readings, points: list[Snapshot]
) -> None:
    now = datetime.now(UTC)
    for days, region, call in ((1, NEAR, "StopLogging"), (9, PRIMARY, "DeleteTrail")):
        record = SignalRecord(region, call, "arn:aws:iam::1:user/<b>", "203.0.113.5", now - timedelta(days=days), 2)
        account.objects.setdefault(region, {})[record_name(record)] = to_text(record)
    page = text_of(shown(browser, readings, "/now"))
    assert "1 signal in a week" in page
    assert "! StopLogging" in page
    assert "DeleteTrail" not in page
    listed = browser.get("/signals").text
    assert "DeleteTrail" in listed
    assert "user/&lt;b&gt;" in listed
    assert [each["call"] for each in browser.get("/signals.json").json()["signals"]] == ["StopLogging", "DeleteTrail"]
    assert "Nothing. Every volume" not in page


def test_signals_are_not_known_where_the_bucket_is_unread(
    account: Account, browser: TestClient, readings: Readings, points: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_listing(monkeypatch, "signals/")
    words = "the signals in the bucket of us-east-2 are not known"
    page = shown(browser, readings, "/now")
    assert words in page
    assert "? Nothing that could be read. Every volume" in text_of(page)
    assert "None in two weeks that could be read." in browser.get("/signals").text


def test_a_hold_needs_attention_and_names_its_release(
    account: Account, browser: TestClient, readings: Readings, points: list[Snapshot]
) -> None:
    hold = PlacedHold(
        "signals-2026-11-30", "Snapkeep, by HoldOnSignals", points[0].start_time, "a signal: DeleteSnapshot by mallory"
    )
    account.holds[PRIMARY, f"/snapkeep/holds/{hold.id}"] = to_text(hold)
    page = text_of(shown(browser, readings, "/now"))
    assert "Nothing is deleted: it is on hold" in page
    assert "a signal: DeleteSnapshot by mallory" in page
    assert "snapkeep hold release signals-2026-11-30" in page
    assert "everything: held since" in text_of(shown(browser, readings, "/coverage"))
