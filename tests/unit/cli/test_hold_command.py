"""`snapkeep hold`: written in every region, listed with where it is missing, released everywhere; plans and status show it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from snapkeep.cli.application import make_application
from snapkeep.cli.errors import NOT_ALL_RIGHT, WRONG_USE
from support.several_regions import DOCUMENT, FAR, NEAR, PRIMARY, Account, install

WHY = ("--reason", "an investigation")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = install(monkeypatch)
    made.documents = {region: json.dumps(DOCUMENT) for region in (PRIMARY, NEAR, FAR)}
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_application(), [*arguments, "--region", PRIMARY, "--dr-region", NEAR])


def data(*arguments: str, status: int = 0) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def place(*scope: str) -> str:
    return str(data("hold", *scope, *WHY)["hold"]["id"])


def test_a_hold_is_written_in_every_region_with_author_time_and_reason(account: Account) -> None:
    placed = data("hold", "--all", *WHY)
    assert placed["regions"] == [PRIMARY, NEAR, FAR]
    (hold,) = data("hold", "list")["holds"]
    assert hold["by"] == "arn:aws:iam::123456789012:user/somebody"
    assert (hold["reason"], hold["everything"], hold["regions"]) == ("an investigation", True, [PRIMARY, NEAR, FAR])
    assert {region for region, _ in account.holds} == {PRIMARY, NEAR, FAR}


def test_plans_explanations_and_status_show_held_snapshots_since_when(account: Account) -> None:
    old = account.snapshot()
    for region in (NEAR, FAR):
        account.copy(old, region)
    new = account.snapshot()
    for region in (NEAR, FAR):
        account.copy(new, region)
    assert data("plan")["regions"][0]["totals"]["deletions"] == 1
    hold = place(old.id)
    for region in data("plan")["regions"]:
        assert (region["totals"]["deletions"], region["totals"]["held"]) == (0, 1)
        (held,) = [one for one in region["volumes"][0]["snapshots"] if one["reasons"][0]["rule"] == "INV-26"]
        assert (held["action"], hold in held["reasons"][0]["text"]) == ("keep", True)
    assert [one["id"] for one in data("status", status=NOT_ALL_RIGHT)["holds"]] == [hold]
    assert "held since" in run("status").stdout
    assert "held since" in run("explain", old.id).stdout
    assert "1 held" in run("plan").stdout


MISTYPED = ("vol-0123456789abcdef0", "snap-0123456789abcdef0")


@pytest.mark.parametrize("name", MISTYPED)
def test_an_unknown_id_is_held_only_with_consent(account: Account, name: str) -> None:
    account.snapshot()
    result = run("hold", name, *WHY)
    assert (result.exit_code, account.holds) == (WRONG_USE, {})
    assert f"there is no volume, snapshot or copy of {name} in {PRIMARY}, {NEAR}, {FAR}; nothing was held" in result.stderr
    assert data("hold", name, *WHY, "--yes")["hold"]["id"]


def test_a_snapshot_with_only_a_copy_is_known(account: Account) -> None:
    source = account.snapshot()
    account.copy(source, FAR)
    account.world.client("ec2", PRIMARY).delete_snapshot(SnapshotId=source.id)
    account.world.client("ec2", PRIMARY).delete_volume(VolumeId=source.origin.volume_id)
    (copy,) = account.reader(FAR).all_snapshots()
    assert place(source.id, source.origin.volume_id, copy.id)


def test_while_a_region_is_unreachable_an_unknown_id_is_held(account: Account) -> None:
    account.take_away(FAR)
    result = run("hold", MISTYPED[0], *WHY)
    assert result.exit_code == NOT_ALL_RIGHT
    assert f"it is not known whether a volume, snapshot or copy of {MISTYPED[0]} exists" in result.stderr
    assert account.holds


def test_an_unreachable_region_is_named_and_listed_without_the_hold(account: Account) -> None:
    account.take_away(PRIMARY)
    result = run("hold", "--all", *WHY)
    assert result.exit_code == NOT_ALL_RIGHT
    assert f"not written in {PRIMARY}" in result.stderr
    account.away.clear()
    (hold,) = data("hold", "list")["holds"]
    assert hold["regions"] == [NEAR, FAR]
    assert f"not in {PRIMARY}" in run("hold", "list").stdout


def test_prometheus_gets_no_number_of_holds_while_a_region_is_not_read(account: Account) -> None:
    place("--all")
    assert "\nsnapkeep_holds{" in run("status", "--prometheus").stdout
    account.holds[NEAR, "/snapkeep/holds/hold-1"] = "{broken"
    assert "\nsnapkeep_holds{" not in run("status", "--prometheus").stdout
    del account.holds[NEAR, "/snapkeep/holds/hold-1"]
    account.take_away(FAR)
    assert "\nsnapkeep_holds{" not in run("status", "--prometheus").stdout


def test_a_hold_that_no_region_has_is_an_error(account: Account) -> None:
    for region in (PRIMARY, NEAR, FAR):
        account.take_away(region)
    assert run("hold", "--all", *WHY).exit_code == NOT_ALL_RIGHT
    assert account.holds == {}


def test_a_release_asks_and_removes_the_hold_everywhere(account: Account) -> None:
    hold = place("--policy", "gold")
    assert run("hold", "release", hold).exit_code == WRONG_USE, "no terminal can ask"
    assert data("hold", "release", hold, "--yes")["regions"] == [PRIMARY, NEAR, FAR]
    assert account.holds == {}
    assert run("hold", "release", hold, "--yes").exit_code == WRONG_USE


def test_an_incomplete_release_says_that_the_hold_remains(account: Account) -> None:
    hold = place("--all")
    account.take_away(FAR)
    result = run("hold", "release", hold, "--yes")
    assert result.exit_code == NOT_ALL_RIGHT
    assert f"still held, because it could not be removed in {FAR}" in result.stderr


def test_a_hold_that_cannot_be_read_holds_everything_and_can_be_released(account: Account) -> None:
    account.snapshot()
    account.holds[NEAR, "/snapkeep/holds/hold-1"] = "{broken"
    assert "no region that reads them deletes anything" in run("hold", "list").stderr
    assert "not known" in run("plan").stdout
    assert data("hold", "release", "hold-1", "--yes")["regions"] == [NEAR]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--all", "vol-0a1b2c3d", *WHY), "or --all"),
        (WHY, "name volumes or snapshots"),
        (("vol-1", *WHY), "is not an id of a volume"),
        (("--policy", "golden", *WHY), "there are: gold"),
        (("--all", "--reason", " "), "--reason"),
        (("--all", "--reason", "two\nlines"), "one line"),
        (("--all", *WHY, "--review-after", "soon"), "--review-after soon"),
        (("release", "../policy"), "is not the id of a hold"),
    ],
)
def test_wrong_use_is_refused_with_the_right_use(account: Account, arguments: tuple[str, ...], words: str) -> None:
    result = run("hold", *arguments)
    assert (result.exit_code, words in result.stderr) == (WRONG_USE, True), result.stderr
    assert account.holds == {}
