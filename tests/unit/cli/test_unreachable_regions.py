"""Commands that read while a region is unreachable: they show what the others have, soon, and claim nothing about it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from typer.testing import CliRunner, Result
from urllib3 import HTTPResponse

from snapkeep.cli import common
from snapkeep.cli.application import make_application
from snapkeep.domain.model import Snapshot
from support.several_regions import FAR, NEAR, PRIMARY, Account, Client, install

UNREAD = "could not be read: Could not connect"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return install(monkeypatch).push()


@pytest.fixture
def source(account: Account) -> Snapshot:
    """A snapshot with a copy in each region."""
    made = account.snapshot()
    account.copy(made, NEAR)
    account.copy(made, FAR)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_application(), [*arguments, "--region", PRIMARY], catch_exceptions=False)


def test_runs_of_reachable_regions_are_listed_the_newest_first(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(self: Client, stateMachineArn: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        machine = stateMachineArn.rpartition("-")[2]
        if (self.region, machine) not in ((PRIMARY, "protect"), (NEAR, "drill")):
            return {"executions": []}
        begun = datetime(2026, 11, 30, 3 if machine == "drill" else 2, tzinfo=UTC)
        arn = f"{stateMachineArn.replace('stateMachine', 'execution')}:{machine}-1"
        return {"executions": [{"executionArn": arn, "status": "RUNNING", "startDate": begun}]}

    monkeypatch.setattr(Client, "list_executions", listed)
    account.take_away(FAR)
    result = run("runs")
    assert result.exit_code == 1
    assert [line.split()[3:] for line in result.stdout.splitlines()] == [
        ["drill", NEAR, "drill-1", "not", "ended"],
        ["protect", PRIMARY, "protect-1", "not", "ended"],
    ]
    assert UNREAD in result.stderr
    data = json.loads(run("runs", "--json").stdout)
    assert [each["machine"] for each in data["runs"]] == ["drill", "protect"]
    assert len(data["problems"]) == 1


def test_status_lists_volumes_by_their_copies_in_every_region_of_the_document(account: Account, source: Snapshot) -> None:
    account.take_away(PRIMARY)
    result = run("status", "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    (volume,) = data["volumes"]
    assert (volume["volume_id"], volume["policy"], volume["health"]) == (source.origin.volume_id, "gold", "late")
    assert [(copy["region"], copy["known"], bool(copy["id"])) for copy in volume["newest_copies"]] == [
        (NEAR, True, True),
        (FAR, True, True),
    ]
    assert data["primary_known"] is False
    assert "snapshots_managed" not in data["totals"]
    assert "The volume can be recovered in us-east-2 and us-west-2" in run("status").stdout


def test_prometheus_keeps_its_series_with_an_unreachable_region(account: Account, source: Snapshot) -> None:
    def series(text: str) -> dict[str, str]:
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

    before = series(run("status", "--prometheus").stdout)
    account.take_away(PRIMARY)
    after = series(run("status", "--prometheus").stdout)
    lost = {name.partition("{")[0] for name in before.keys() - after.keys()}
    assert lost == {"snapkeep_snapshots_managed", "snapkeep_keys_at_risk", "snapkeep_holds"}, "those of the primary region"
    base = f'system="snapkeep",region="{PRIMARY}"'
    assert [after[f'snapkeep_reachable{{{base},read="{region}"}}'] for region in (PRIMARY, NEAR, FAR)] == ["0", "1", "1"]
    assert [name.count(source.origin.volume_id) for name in after].count(1) == 3, "an RPO age and two ages of copies"


def test_the_plans_of_the_other_regions_are_shown(account: Account, source: Snapshot) -> None:
    account.take_away(PRIMARY)
    dr = run("plan", "--scope", "dr")
    assert dr.exit_code == 0
    assert f"{PRIMARY} {UNREAD}" in dr.stderr
    assert f"{NEAR}: 1 volume, 1 snapshot, 1 would be kept" in dr.stdout
    assert f"{FAR}: 1 volume, 1 snapshot, 1 would be kept" in dr.stdout
    everything = run("plan", "--json")
    assert everything.exit_code == 1
    data = json.loads(everything.stdout)
    assert [region["region"] for region in data["regions"]] == [NEAR, FAR]
    assert [problem.startswith(f"{PRIMARY} {UNREAD}") for problem in data["problems"]] == [True]


def test_a_copy_in_an_unreadable_region_is_not_called_missing(account: Account, source: Snapshot) -> None:
    assert json.loads(run("plan", "--json").stdout)["problems"] == []
    account.take_away(FAR)
    result = run("plan", "--json")
    assert result.exit_code == 1
    primary, near = json.loads(result.stdout)["regions"]
    assert (primary["region"], primary["totals"]["copies_missing"], primary["totals"]["deletions"]) == (PRIMARY, 0, 0)
    assert near["region"] == NEAR
    assert f"{FAR} {UNREAD}" in result.stderr


def test_the_default_dr_region_is_not_taken_for_the_deployed_one(account: Account, source: Snapshot) -> None:
    del account.stacks[NEAR]
    account.take_away(PRIMARY)
    data = json.loads(run("status", "--json").stdout)
    assert data["problems"][1] == f"the DR region is not known while {PRIMARY} is unreachable: name it with --dr-region"
    named = json.loads(run("status", "--json", "--dr-region", FAR).stdout)
    assert [volume["volume_id"] for volume in named["volumes"]] == [source.origin.volume_id]


@pytest.fixture
def fresh_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A session with credentials of this test: a session keeps them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    common._session.cache_clear()
    yield
    common._session.cache_clear()


@pytest.fixture
def silent(fresh_session: None) -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("status", "--json"), ("status", "--prometheus"), ("plan",), ("explain", "snap-0123456789abcdef0")],
    ids=" ".join,
)
def test_regions_that_never_answer_end_a_command_soon(
    arguments: tuple[str, ...], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common, "FIRST_READ_SECONDS", 0.2)
    monkeypatch.setattr(common, "READ_SECONDS", 0.2)
    result = run(*arguments, "--dr-region", NEAR, "--endpoint-url", silent)
    assert result.exit_code == 1
    assert "Read timeout" in result.output


def test_an_unreachable_region_gets_two_requests_at_most() -> None:
    seconds = common.FIRST_READ_SECONDS * common.ATTEMPTS_WITHOUT_ANSWER
    assert seconds <= 8, "a person waits at the screen"


def answered_with(client: Any, code: str) -> list[str]:
    """Let an error answer each request of a client; return where their URLs are collected."""
    asked: list[str] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        asked.append(request.url)
        text = f"<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>"
        return AWSResponse(request.url, 503, {}, HTTPResponse(BytesIO(text.encode()), preload_content=False))

    client.meta.events.register("before-send", answer)
    return asked


@pytest.mark.parametrize(
    ("code", "attempts"),
    [("Unavailable", common.ATTEMPTS_WITHOUT_ANSWER), ("RequestLimitExceeded", common.READ_ATTEMPTS)],
)
@pytest.mark.usefixtures("fresh_session")
def test_only_throttled_requests_are_tried_often(code: str, attempts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that answered 503 `Unavailable` was asked eight times a call: `status` took 45 seconds, `doctor` minutes."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = common.AwsSettings(PRIMARY, "", read_only=True).client("ec2", PRIMARY)
    asked = answered_with(client, code)
    with pytest.raises(ClientError, match=code):
        client.describe_volumes()
    assert len(asked) == attempts


@pytest.mark.parametrize(("code", "attempts"), [("Unavailable", 1), ("BadGateway", 1), ("RequestLimitExceeded", 3)])
@pytest.mark.usefixtures("fresh_session")
def test_a_copy_is_requested_again_only_if_ec2_throttles(code: str, attempts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """CopySnapshot has no client token: repeated after a lost answer, it made a second copy."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    client = common.AwsSettings(PRIMARY, "").client("ec2", PRIMARY)
    asked = answered_with(client, code)
    with pytest.raises(ClientError, match=code):
        client.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId="snap-0123456789abcdef0")
    assert len(asked) == attempts


@pytest.mark.usefixtures("fresh_session")
def test_a_copy_without_an_answer_is_not_requested_again() -> None:
    client = common.AwsSettings(PRIMARY, "").client("ec2", PRIMARY)
    asked: list[str] = []

    def lose(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        asked.append(request.url)
        raise ReadTimeoutError(endpoint_url=request.url)

    client.meta.events.register("before-send", lose)
    with pytest.raises(ReadTimeoutError):
        client.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId="snap-0123456789abcdef0")
    assert len(asked) == 1


def test_recoverable_reads_every_region_to_which_the_document_copies(account: Account, source: Snapshot) -> None:
    """It looked at one DR region alone."""
    points = json.loads(run("recoverable", "--json").stdout)
    assert [(things["region"], len(things["owners"])) for things in points] == [(NEAR, 1), (PRIMARY, 1), (FAR, 1)]


def test_recoverable_finds_further_regions_while_the_primary_is_unreachable(account: Account, source: Snapshot) -> None:
    account.take_away(PRIMARY)
    points = {things["region"]: things for things in json.loads(run("recoverable", "--json").stdout)}
    assert (len(points[NEAR]["owners"]), len(points[FAR]["owners"])) == (1, 1)
    assert f"{PRIMARY} was not looked at" in points[PRIMARY]["problem"]


def test_recoverable_reports_that_further_regions_are_not_known(account: Account, source: Snapshot) -> None:
    for region in (PRIMARY, NEAR):
        account.take_away(region)
    result = run("recoverable", "--dr-region", NEAR)
    assert result.exit_code == 1
    assert "whether copies are in further regions is not known" in result.stdout


@pytest.mark.parametrize("options", [(), ("--in", FAR), ("--policy", "gold")], ids=str)
def test_recoverable_fails_for_a_governed_volume_without_a_copy(account: Account, options: tuple[str, ...]) -> None:
    """It listed what has a copy, and exited with 0."""
    made = account.snapshot()
    account.copy(made, NEAR)
    result = run("recoverable", *options)
    assert result.exit_code == 1
    assert f"{made.origin.volume_id}  not recoverable: no snapshot of it in {FAR}" in result.stdout
    account.copy(made, FAR)
    assert run("recoverable", *options).exit_code == 0


def test_recoverable_names_a_governed_volume_without_a_snapshot_in_each_region(account: Account, source: Snapshot) -> None:
    client: Any = account.world.client("ec2", PRIMARY)
    volume_id = client.create_volume(AvailabilityZone=f"{PRIMARY}a", Size=8)["VolumeId"]
    lines = run("recoverable").stdout.splitlines()
    assert {f"{volume_id}  not recoverable: no snapshot of it in {region}" for region in (PRIMARY, NEAR, FAR)} <= set(lines)
    past = run("recoverable", "--at", "2026-01-01T00:00Z").stdout
    assert volume_id not in past, "it may not have existed then"


def test_recoverable_reports_that_the_governed_volumes_are_not_known(account: Account, source: Snapshot) -> None:
    account.take_away(PRIMARY)
    result = run("recoverable", "--in", FAR)
    assert result.exit_code == 1
    assert f"which volumes policies govern is not known: {PRIMARY} could not be read" in result.stdout


def test_recoverable_needs_no_stacks(account: Account, source: Snapshot) -> None:
    account.stacks.clear()
    account.documents.clear()
    points = json.loads(run("recoverable", "--json", "--dr-region", NEAR).stdout)
    assert [(things["region"], len(things["owners"])) for things in points] == [(NEAR, 1), (PRIMARY, 1)]
