"""The console's pages over an account in memory."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from starlette.testclient import TestClient

from snapkeep.cli.common import AwsSettings, time_of
from snapkeep.cli.executions import MACHINES
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.console.pages import PAGES, Page
from snapkeep.console.reading import Readings, SystemReader
from snapkeep.console.server import Console
from snapkeep.console.timeline import PointState, state_of
from snapkeep.domain.copies.known_copies import KnownCopies
from snapkeep.domain.model import KeyFault, Unusable
from snapkeep.domain.system import StackKind
from snapkeep.domain.tag_names import INSTANCE
from snapkeep.domain.tags import format_time, parse_time
from snapkeep.lab.ebs_model import PUBLIC_LINUX
from support.console_pages import HOSTILE, renew, shown, text_of
from support.several_regions import DOCUMENT, FAR, NEAR, PRIMARY, Account, Client
from support.templates import template

MOST_BYTES = 500_000
"""Half of what a page may have: others have more regions, and longer names."""
WITH_LONG_RPO = {**DOCUMENT, "policies": [{**DOCUMENT["policies"][0], "rpo": "365d"}]}


@pytest.mark.parametrize("page", [page for page in PAGES if page.listed], ids=lambda page: page.name)
def test_every_page_of_an_empty_account_is_shown(account: Account, browser: TestClient, readings: Readings, page: Page) -> None:
    assert "<h1" in shown(browser, readings, f"/{page.name}")


def test_nothing_is_green_while_no_policy_governs_a_volume(account: Account, browser: TestClient, readings: Readings) -> None:
    """The sentence and four zeros were."""
    for documents in (account.documents, {}):
        account.documents = documents
        renew(readings)
        main = browser.get("/now").text.partition('<h1 class="sentence wait">')[2]
        assert main.startswith("No policy governs a volume.")
        assert 'class="good"' not in main


def test_the_first_page_shows_the_number_of_recoverable_volumes(
    account: Account, browser: TestClient, readings: Readings
) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    account.copy(source, FAR)
    page = text_of(shown(browser, readings, "/now"))
    assert "The volume can be recovered in us-east-2 and us-west-2, to 20" in page
    assert f"late : no snapshot within the RPO {source.origin.volume_id}" in page
    assert "Nothing. Every volume" not in page


def test_a_pending_first_copy_is_no_recovery_point(account: Account, browser: TestClient, readings: Readings) -> None:
    account.documents = dict.fromkeys(account.documents, json.dumps(WITH_LONG_RPO))
    source = account.snapshot()
    page = text_of(shown(browser, readings, "/now"))
    assert "Nothing yet. First copies are pending: 0 of 1 volume with a policy can be recovered within the RPO." in page
    for region in (NEAR, FAR):
        account.copy(source, region)
    renew(readings)
    assert "Nothing. Every volume with a policy can be recovered within its RPO." in text_of(browser.get("/now").text)


def test_no_number_is_zero_while_the_primary_region_is_unread(account: Account, browser: TestClient, readings: Readings) -> None:
    account.snapshot()
    account.take_away(PRIMARY)
    page = text_of(shown(browser, readings, "/now"))
    for label in ("Not recoverable", "RPO missed", "Not proved", "Not drilled"):
        assert f"? not known {label}" in page
    assert "No volume with copies is known" in shown(browser, readings, "/proofs")
    assert "No volume with a copy that was read matches" in text_of(shown(browser, readings, "/recover?q=nothing"))
    found = browser.get("/recover.json").json()["snapkeep recoverable --json"]
    [unread] = [region for region in found if region["region"] == PRIMARY]
    assert "could not be read" in unread["problem"]


def test_copies_in_unread_regions_are_not_known(account: Account, browser: TestClient, readings: Readings) -> None:
    account.snapshot()
    account.take_away(NEAR)
    account.take_away(FAR)
    page = text_of(shown(browser, readings, "/proofs"))
    assert "? that no drill covered in time" in page
    assert "1 volume not known" in page
    assert "us-east-2, us-west-2 could not be read; no other copy is in the queue." in shown(browser, readings, "/copies")


def test_a_region_without_copies_is_not_green(account: Account, browser: TestClient, readings: Readings) -> None:
    account.copy(account.snapshot(), NEAR)
    near, far = re.findall(r'<article class="(\w*)">\s*<h2><a href="\?region=', shown(browser, readings, "/copies"))
    assert (near, far) == ("good", "")


def test_the_command_has_the_point_that_is_shown(account: Account, browser: TestClient, readings: Readings) -> None:
    """The moment was cut to the minute: the page showed a snapshot of the same minute, and the command recovered an older one."""
    account.clock.advance(17)
    point = account.snapshot()
    moment = format_time(point.start_time + timedelta(seconds=1))
    page = shown(browser, readings, f"/volume?id={point.origin.volume_id}&at={moment}")
    assert f">{point.id}</code></a></dd>" in page
    [at] = re.findall(rf"recover volume \S+ --in {PRIMARY} --at ([^\s<]+)", page)
    assert time_of(at) >= point.start_time


def test_the_command_names_a_system_of_another_name(console: Console) -> None:
    moment = parse_time("2026-11-30T09:00:00Z")
    assert replace(console, options=" --name -back").recovery_command("i-1", NEAR, moment) == (
        f"snapkeep recover volume i-1 --in {NEAR} --at 2026-11-30T09:00:00.000Z --name -back"
    )


def test_a_point_whose_key_could_not_be_read_is_not_known(account: Account) -> None:
    point = account.snapshot()
    unread, disabled = (replace(point, key_fault=KeyFault("arn", why)) for why in (Unusable.KEY_NOT_KNOWN, Unusable.KEY_DISABLED))
    assert [state_of(each) for each in (point, unread, disabled)] == [
        PointState.COMPLETED,
        PointState.UNKNOWN,
        PointState.UNUSABLE,
    ]


def test_an_unreachable_region_is_named_and_nothing_is_green(account: Account, browser: TestClient, readings: Readings) -> None:
    account.copy(account.snapshot(), NEAR)
    account.take_away(FAR)
    page = text_of(shown(browser, readings, "/now"))
    assert "us-west-2 not read" in page
    assert "us-west-2 could not be read" in page
    assert "Nothing. Every volume" not in page


def test_a_failed_reading_is_reported_and_the_last_one_stays(account: Account, browser: TestClient, readings: Readings) -> None:
    shown(browser, readings, "/now")

    def fail() -> None:
        raise PermissionError("no")

    readings.read, readings._begun = fail, None
    page = text_of(shown(browser, readings, "/now"))
    assert "The last attempt to read the system failed. no" in page


def test_the_page_shows_that_nothing_has_been_read_yet(browser: TestClient, readings: Readings) -> None:
    readings._thread = type("Busy", (), {"is_alive": lambda _: True, "join": lambda _: None})()
    assert "Reading the regions" in browser.get("/now").text
    assert browser.get("/now.json").status_code == 503


def test_a_volume_shows_each_region_with_its_newest_point(account: Account, browser: TestClient, readings: Readings) -> None:
    first, second = account.snapshot(), account.snapshot()
    account.copy(first, NEAR)
    account.copy(second, NEAR)
    volume = first.origin.volume_id
    page = text_of(shown(browser, readings, f"/volume?id={volume}"))
    assert f"snapkeep recover volume {volume} --in us-east-2" in page
    assert "Cannot be recovered here: no snapshot of it in us-west-2" in page
    before = text_of(shown(browser, readings, f"/volume?id={volume}&at={first.start_time:%Y-%m-%dT%H:%M}:59"))
    assert f"From {first.id}" in before
    assert f"From {second.id}" not in before


def test_each_snapshot_has_its_deletion_time_in_both_regions(account: Account, browser: TestClient, readings: Readings) -> None:
    day = 24 * 3600
    rules = {**DOCUMENT["policies"][0], "retention": {"keep_last": 3}}
    rules["copies"] = [{"region": NEAR, "retention": {"keep_last": 9}}]
    account.documents = dict.fromkeys(account.documents, json.dumps({**DOCUMENT, "policies": [rules]}))
    account.clock.advance(datetime.now(UTC).timestamp() - account.clock.now() - 4 * day)
    points = []
    for _ in range(4):
        points.append(account.snapshot())
        account.copy(points[-1], NEAR)
        account.clock.advance(day - 7200)
    page = shown(browser, readings, f"/volume?id={points[0].origin.volume_id}")
    own = text_of(page.partition("Snapshots in us-east-1")[2].partition("Snapshots in us-east-2")[0])
    rows = {point.id: own.partition(point.id)[2].partition("snap-")[0] for point in points}
    assert "with the next run or sweep" in rows[points[0].id]
    assert f"about {points[-1].start_time + timedelta(days=3):%Y-%m-%d}" in rows[points[-1].id]
    assert "beyond last 3" in rows[points[-1].id]
    copies = text_of(page.partition("Snapshots in us-east-2")[2])
    assert f"about {points[-1].start_time + timedelta(days=9):%Y-%m-%d}" in copies
    story = browser.get(f"/snapshot.json?id={points[-1].id}").json()
    assert story["deletion"]["kind"] == "expected"


def test_a_moment_has_its_loss_times_price_and_unchanged_resources(
    account: Account, browser: TestClient, readings: Readings
) -> None:
    point = account.snapshot()
    account.copy(point, NEAR)
    moment = f"{point.start_time + timedelta(hours=5):%Y-%m-%dT%H:%M:%S}"
    page = text_of(shown(browser, readings, f"/volume?id={point.origin.volume_id}&at={moment}"))
    card = page.partition("us-east-2 Data of")[2].partition("snapkeep recover volume")[0]
    assert "Lost what was written in the 5 hours before" in card
    assert "and everything since" in card
    assert "Usable as soon as EC2 shows the volumes as available" in card
    assert "not predictable; about 1 minute after creation, at 300 MiB/s at most" in card
    assert "about 0.64 USD a month: 8 GiB of gp3" in card
    assert "no recovery record: it becomes a gp3 volume" in card


def test_an_instance_is_forecast_as_a_set(account: Account, browser: TestClient, readings: Readings) -> None:
    client = account.world.client("ec2", PRIMARY)
    [instance] = client.run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)["Instances"]
    account.clock.advance(60)
    made = account.snapshot()
    tags = [{"Key": INSTANCE, "Value": instance["InstanceId"]}]
    client.create_tags(Resources=[made.id], Tags=tags)
    page = text_of(shown(browser, readings, f"/instance?id={instance['InstanceId']}"))
    assert "Recovery points of its volumes" in page
    assert f"From {made.id}" in page
    assert "USD a month" in page
    assert page.count("Nothing here names it.") == 2


def test_a_snapshot_has_its_story(account: Account, browser: TestClient, readings: Readings) -> None:
    point = account.snapshot()
    account.copy(point, NEAR)
    page = text_of(shown(browser, readings, f"/snapshot?id={point.id}"))
    assert "The next plan would keep it" in page
    assert "snapshot of 8 GiB in us-east-1, completed" in page
    assert f'href="/snapshot?id={point.id}"' in browser.get(f"/volume?id={point.origin.volume_id}").text
    assert browser.get(f"/snapshot.json?id={point.id}").json()["snapshot_id"] == point.id
    assert browser.get("/snapshot?id=snap-1/../now").status_code == 404


def test_an_invalid_time_is_refused_in_words(account: Account, browser: TestClient, readings: Readings) -> None:
    volume = account.snapshot().origin.volume_id
    assert "yesterday is not a time" in shown(browser, readings, f"/volume?id={volume}&at=yesterday")


@pytest.mark.parametrize("kind", [StackKind.PRIMARY, StackKind.DR])
def test_runs_are_of_every_state_machine_of_a_stack(kind: StackKind) -> None:
    """Drills were missing."""
    resources = template(kind)["Resources"].values()
    names = [one["Properties"]["Name"] for one in resources if one["Type"] == "AWS::Serverless::StateMachine"]
    assert {name["Fn::Sub"].rsplit("-", 1)[1] for name in names} == set(MACHINES[kind])


def test_a_volume_that_nothing_names_is_not_found(account: Account, browser: TestClient, readings: Readings) -> None:
    shown(browser, readings, "/now")
    for address in ("/volume?id=vol-0123456789abcdef0", "/volume", "/instance?id=i-0123456789abcdef0", "/elsewhere"):
        answer = browser.get(address)
        assert answer.status_code == 404, address
        assert "Not found" in answer.text


def test_hostile_tags_do_nothing_on_any_page(account: Account, browser: TestClient, readings: Readings) -> None:
    source = account.snapshot()
    account.world.client("ec2", PRIMARY).create_tags(
        Resources=[source.origin.volume_id], Tags=[{"Key": "Name", "Value": HOSTILE}]
    )
    readings.renew()
    readings.wait()
    naming = set()
    for page in PAGES:
        answer = browser.get(f"/{page.name}?id={source.origin.volume_id}&q=alert")
        assert answer.status_code == (404 if page.name in ("drill", "instance") else 200)
        assert "<script>alert" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text
        naming |= {page.name} if "&lt;script&gt;alert" in answer.text.partition("<main")[2] else set()
    assert naming == {"now", "recover", "coverage", "proofs", "volume"}
    rows = browser.get("/coverage.csv").text
    assert not re.search(r"^=", rows, re.MULTILINE)
    assert "\x1b" not in rows


def test_long_lists_have_pages(account: Account, browser: TestClient, readings: Readings) -> None:
    client = account.world.client("ec2", PRIMARY)
    for _ in range(101):
        client.create_volume(AvailabilityZone="us-east-1a", Size=1)
        account.clock.advance(1)
    page = shown(browser, readings, "/coverage")
    assert "page 1 of 2" in page
    assert page.count('<th scope="row">') == 100
    assert shown(browser, readings, "/coverage?page=2").count('<th scope="row">') == 1
    assert shown(browser, readings, "/coverage?page=nonsense").count('<th scope="row">') == 100


def test_a_volume_with_thousands_of_snapshots_has_small_pages(
    account: Account, browser: TestClient, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = account.snapshot()
    account.copy(first, NEAR)
    readings.renew()
    readings.wait()
    reading = readings.latest
    assert reading is not None
    [plan] = [plan for plan in reading.plans if plan.region == PRIMARY]
    many = [
        replace(
            first, id=f"snap-{number:017x}", origin=replace(first.origin, start_time=first.start_time - timedelta(hours=number))
        )
        for number in range(5000)
    ]
    verdicts = tuple(plan.volumes[0].verdicts[0]._replace(snapshot=each) for each in reversed(many))
    plans = tuple(
        replace(each, volumes=(replace(each.volumes[0], verdicts=verdicts),)) if each is plan else each for each in reading.plans
    )
    lineages = {**reading.lineages, PRIMARY: replace(reading.lineages[PRIMARY], by_volume={first.origin.volume_id: many})}
    monkeypatch.setattr(readings, "latest", replace(reading, plans=plans, lineages=lineages))
    page = browser.get(f"/volume?id={first.origin.volume_id}").text
    assert len(page.encode()) < MOST_BYTES
    assert "5,000 snapshots in us-east-1" in page
    assert f">{many[99].id}</code>" in page
    assert f">{many[100].id}</code>" not in page
    second = browser.get(f"/volume?id={first.origin.volume_id}&page-{PRIMARY}=2").text
    assert f">{many[100].id}</code>" in second
    assert len(browser.get(f"/volume?id={first.origin.volume_id}&page-{PRIMARY}=50").text.encode()) < MOST_BYTES


def test_a_throttled_stack_is_reported_and_fails_no_page(
    account: Account, browser: TestClient, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A throttled DescribeStacks failed every page."""
    account.copy(account.snapshot(), NEAR)
    describe = InstalledSystem.known_copies

    def throttled(self: InstalledSystem, region: str) -> KnownCopies:
        if region == NEAR:
            raise ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeStacks")
        return describe(self, region)

    monkeypatch.setattr(InstalledSystem, "known_copies", throttled)
    page = text_of(shown(browser, readings, "/now"))
    assert "us-east-2 could not be read: DescribeStacks: Throttling: Rate exceeded" in page
    assert readings.problem == ""
    assert "? not known Not recoverable" in page


def test_the_caller_is_requested_once(account: Account, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    identity = Client.get_caller_identity

    def counted(self: Client) -> dict[str, str]:
        asked.append(self.region)
        return identity(self)

    monkeypatch.setattr(Client, "get_caller_identity", counted)
    for _ in range(2):
        renew(readings)
    assert readings.problem == ""
    assert asked == [PRIMARY]


def test_renewed_credentials_are_found_by_the_next_reading(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session of the first reading kept its expired credentials."""
    settings = AwsSettings(PRIMARY, "", read_only=True)
    former = settings.session()

    def expired(_: Client, **__: str) -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "DescribeStacks")

    monkeypatch.setattr(Client, "describe_stacks", expired)
    with pytest.raises(ClientError):
        SystemReader(settings).read()
    assert settings.session() is not former


def test_the_page_of_a_volume_shows_the_lock_of_a_point(account: Account, browser: TestClient, readings: Readings) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    ec2 = account.world.client("ec2", NEAR)
    (copy,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    ends = ec2.lock_snapshot(SnapshotId=copy["SnapshotId"], LockMode="governance", LockDuration=14)["LockExpiresOn"]
    page = text_of(shown(browser, readings, f"/volume?id={source.origin.volume_id}"))
    assert f"locked until {ends:%Y-%m-%d %H:%M} UTC (governance)" in page


def test_an_open_page_does_not_keep_the_server_from_ending(account: Account, console: Console) -> None:
    """Ctrl-C printed a traceback while a page was open."""
    application = console.application()
    application.state.ends = iter([False, True]).__next__
    sent = []

    async def receive() -> dict[str, str]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": "/news", "query_string": b"", "headers": []}
    asyncio.run(asyncio.wait_for(application(scope, receive, send), 30))
    assert sum(b"data:" in bytes(body) for body in sent) == 1
