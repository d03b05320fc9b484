"""A document that no longer copies to a region: the region gets it, keeps its copies, and delays no other region."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.plan import app as plan_app
from snapkeep.cli.commands.policy import app as policy_app
from support.several_regions import DOCUMENT, FAR, NEAR, PRIMARY, Account, install

KEPT = "us-west-2: nothing is copied there any more; the document is pushed there too, and every copy is kept"


def copying_to(*regions: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    policy = document["policies"][0]
    policy["copies"] = [rule for rule in policy["copies"] if rule["region"] in regions]
    return document


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return install(monkeypatch).push()


@pytest.fixture
def near_alone(tmp_path: Path) -> Path:
    path = tmp_path / "near.json"
    path.write_text(json.dumps(copying_to(NEAR)))
    return path


def policy(*arguments: str) -> Result:
    return CliRunner().invoke(policy_app, [*arguments, "--region", PRIMARY], catch_exceptions=False)


def said(account: Account) -> dict[str, list[str]]:
    """Where the document of each region lets copies go."""
    texts = {region: json.loads(text) for region, text in account.documents.items()}
    return {region: [rule["region"] for rule in text["policies"][0]["copies"]] for region, text in texts.items()}


def test_a_push_reaches_dropped_regions_last_and_keeps_their_copies(account: Account, near_alone: Path) -> None:
    pushed = policy("push", str(near_alone), "--yes")
    assert pushed.exit_code == 0
    assert KEPT in pushed.stdout.splitlines()
    assert [line.partition(":")[0] for line in pushed.stdout.splitlines() if line.endswith("is in force")] == [NEAR, PRIMARY, FAR]
    assert said(account) == {PRIMARY: [NEAR], NEAR: [NEAR], FAR: [NEAR]}


@pytest.mark.parametrize("regions", [(FAR,), ()])
def test_a_dropped_dr_region_gets_the_document_too(account: Account, tmp_path: Path, regions: tuple[str, ...]) -> None:
    path = tmp_path / "far.json"
    path.write_text(json.dumps(copying_to(*regions)))
    pushed = policy("push", str(path), "--yes")
    assert pushed.exit_code == 0
    assert KEPT.replace(FAR, NEAR) in pushed.stdout.splitlines()
    in_order = [line.partition(":")[0] for line in pushed.stdout.splitlines() if line.endswith("is in force")]
    assert in_order == ([FAR, PRIMARY, NEAR] if regions else [PRIMARY, NEAR, FAR])
    assert set(map(tuple, said(account).values())) == {regions}


def test_a_dropped_region_keeps_every_copy(account: Account, near_alone: Path) -> None:
    for source in [account.snapshot(), account.snapshot()]:
        account.copy(source, FAR)

    def actions() -> list[str]:
        result = CliRunner().invoke(plan_app, ["--region", PRIMARY, "--dr-region", FAR, "--json"], catch_exceptions=False)
        (far,) = [region for region in json.loads(result.stdout)["regions"] if region["region"] == FAR]
        return [snapshot["action"] for volume in far["volumes"] for snapshot in volume["snapshots"]]

    assert actions() == ["delete", "keep"]
    policy("push", str(near_alone), "--yes")
    assert actions() == ["keep", "keep"]


def test_a_push_shows_the_snapshots_that_a_dropped_region_keeps(account: Account, near_alone: Path) -> None:
    for source in [account.snapshot(), account.snapshot()]:
        account.copy(source, FAR)
    data = json.loads(policy("push", str(near_alone), "--yes", "--json").stdout)
    (far,) = [region for region in data["changes"] if region["region"] == FAR]
    assert len(far["kept_more"]) == 1
    assert data["dropped"] == [{"region": FAR, "problem": ""}]


def test_a_push_without_confirmation_writes_nothing(account: Account, near_alone: Path) -> None:
    before = dict(account.documents)
    refused = CliRunner().invoke(policy_app, ["push", str(near_alone), "--region", PRIMARY])
    assert refused.exit_code != 0
    assert KEPT in refused.stdout
    assert account.documents == before


def test_a_region_dropped_by_an_earlier_version_gets_the_document(account: Account, near_alone: Path) -> None:
    account.former[PRIMARY] = [json.dumps(DOCUMENT)]
    account.documents |= dict.fromkeys((PRIMARY, NEAR), json.dumps(copying_to(NEAR)))
    policy("push", str(near_alone), "--yes")
    assert said(account)[FAR] == [NEAR]


def test_a_rollback_reaches_the_regions_that_it_drops(account: Account) -> None:
    account.former = {region: [json.dumps(copying_to(NEAR))] for region in (PRIMARY, NEAR)}
    gone_back = policy("rollback", "--yes")
    assert gone_back.exit_code == 0
    assert KEPT in gone_back.stdout.splitlines()
    assert said(account)[FAR] == [NEAR]


def test_an_unreachable_dropped_region_stops_no_push_and_is_named(account: Account, near_alone: Path) -> None:
    account.take_away(FAR)
    pushed = policy("push", str(near_alone), "--yes")
    assert pushed.exit_code == 1
    assert pushed.stderr.startswith("us-west-2 could not be read: Could not connect")
    assert "its former document is in force until a push reaches it" in pushed.stderr
    assert said(account) == {PRIMARY: [NEAR], NEAR: [NEAR], FAR: [NEAR, FAR]}
    account.away.clear()
    account.world.bring_region_back(FAR)
    again = policy("push", str(near_alone), "--yes")
    assert again.exit_code == 0
    assert said(account)[FAR] == [NEAR]
    assert policy("push", str(near_alone), "--yes").stdout.count("is this document already") == 3


def test_a_dropped_region_without_a_stack_is_ignored(account: Account, near_alone: Path) -> None:
    del account.stacks[FAR]
    pushed = policy("push", str(near_alone), "--yes", "--json")
    assert pushed.exit_code == 0
    assert json.loads(pushed.stdout)["dropped"] == []


def test_a_broken_document_in_a_dropped_region_is_replaced(account: Account, near_alone: Path) -> None:
    account.documents[FAR] = '{"version":1,"policies":"none"}'
    assert policy("push", str(near_alone), "--yes").exit_code == 0
    assert said(account)[FAR] == [NEAR]
