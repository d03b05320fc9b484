"""The commands `status` and `explain` where copies go to two regions, all there, one away, or the primary away."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.explain import app as explain_app
from snapkeep.cli.commands.status import app as status_app
from snapkeep.cli.installed_system import InstalledSystem
from support.several_regions import DOCUMENT, FAR, NEAR, PRIMARY, Account, install


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return install(monkeypatch).push()


def status(*arguments: str) -> Result:
    return CliRunner().invoke(status_app, ["--region", PRIMARY, *arguments], catch_exceptions=False)


def explain(snapshot_id: str, *arguments: str) -> Result:
    return CliRunner().invoke(explain_app, [snapshot_id, "--region", PRIMARY, *arguments], catch_exceptions=False)


def known(result: Result) -> dict[str, bool]:
    return {region["region"]: region["known"] for region in json.loads(result.stdout)["dr_regions"]}


def test_status_reads_every_region_and_queue_of_the_policy(account: Account) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    account.queue(source, FAR)
    data = json.loads(status("--json").stdout)
    figures = {region["region"]: (region["copies"], region["waiting"]) for region in data["dr_regions"]}
    assert figures == {NEAR: (1, 0), FAR: (0, 1)}
    assert [(rule["to"], rule["without_copy"]) for rule in data["rules"]] == [(NEAR, 0), (FAR, 1)]
    assert data["problems"] == []


@pytest.mark.parametrize("region", [NEAR, FAR])
def test_status_names_an_unreachable_region_shows_the_others_and_fails(account: Account, region: str) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    account.copy(source, FAR)
    account.take_away(region)
    result = status("--json")
    assert result.exit_code == 1
    assert known(result) == {NEAR: region != NEAR, FAR: region != FAR}
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem.startswith(f"{region} could not be read: Could not connect")
    shown = status()
    assert shown.exit_code == 1
    assert problem.partition(":")[0] in shown.stdout
    assert status("--prometheus").exit_code == 1


def test_status_names_a_missing_primary_stack(account: Account) -> None:
    del account.stacks[PRIMARY]
    result = status("--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem == f"there is no stack snapkeep-primary in {PRIMARY}: nothing is protected until it is deployed"


def test_status_uses_the_last_good_document_and_names_the_broken_one(account: Account) -> None:
    account.snapshot()
    account.former[PRIMARY] = [account.documents[PRIMARY]]
    account.documents[PRIMARY] = "broken"
    result = status("--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert known(result) == {NEAR: True, FAR: True}
    assert [volume["policy"] for volume in data["volumes"]] == ["gold"]
    (problem,) = data["problems"]
    assert problem.startswith(f"version 4 of the policy document in {PRIMARY} cannot be used (1 error, first: ")
    assert "cannot be used" in status().stdout


def test_status_has_nouns_in_the_singular(account: Account) -> None:
    account.copy(account.snapshot(), NEAR)
    shown = status().stdout
    assert not re.search(r"\b1 (?:volumes|snapshots|copies)\b", shown)
    assert "1 volume, " in shown
    assert "policy gold: 1 volume, RPO age" in shown


def test_status_names_a_broken_document_in_a_dr_region(account: Account) -> None:
    account.documents[FAR] = "broken"
    result = status("--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem.startswith(f"version 4 of the policy document in {FAR} cannot be used")


def test_status_shows_copies_while_the_primary_region_is_unreachable(account: Account) -> None:
    account.copy(account.snapshot(), NEAR)
    account.take_away(PRIMARY)
    result = status("--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert [(volume["newest_snapshot"]["known"], volume["newest_copies"][0]["id"] != "") for volume in data["volumes"]] == [
        (False, True)
    ]
    assert [problem.partition(" ")[0] for problem in data["problems"]] == [PRIMARY]
    assert [(region["region"], region["copies"]) for region in data["dr_regions"]] == [(NEAR, 1), (FAR, 0)]
    shown = status()
    assert NEAR in shown.stdout


def test_status_names_a_missing_dr_stack(account: Account) -> None:
    account.snapshot()
    del account.stacks[FAR]
    result = status("--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == ["there is no stack snapkeep-dr in us-west-2: nothing is copied there"]


def test_an_unused_dr_region_is_left_out(account: Account) -> None:
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    del document["policies"][0]["copies"][0]
    account.documents[PRIMARY] = json.dumps(document)
    del account.stacks[NEAR]
    account.copy(account.snapshot(), FAR)
    result = status("--json")
    assert known(result) == {FAR: True}
    assert json.loads(result.stdout)["problems"] == []


def test_missing_credentials_are_not_an_unreachable_region(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(InstalledSystem, "stack_parameters", refuse)
    with pytest.raises(NoCredentialsError):
        status()


def test_explain_has_the_copies_of_every_region(account: Account) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    account.copy(source, FAR)
    result = explain(source.id, "--json")
    assert result.exit_code == 0
    story = json.loads(result.stdout)
    assert [copy["region"] for copy in story["copies"]] == [NEAR, FAR]
    assert story["problems"] == []
    far = explain(story["copies"][1]["id"], "--json")
    assert json.loads(far.stdout)["region"] == FAR


def test_explain_uses_the_last_good_document_and_names_the_broken_one(account: Account) -> None:
    account.former[PRIMARY] = [account.documents[PRIMARY]]
    account.documents[PRIMARY] = "broken"
    result = explain(account.snapshot().id)
    assert f"version 4 of the policy document in {PRIMARY} cannot be used" in result.stderr
    assert "the next plan would keep it" in result.stdout


@pytest.mark.parametrize(("away", "readable"), [(FAR, [NEAR]), (NEAR, [FAR])])
def test_explain_names_an_unreachable_region_and_fails(account: Account, away: str, readable: list[str]) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    account.copy(source, FAR)
    account.take_away(away)
    result = explain(source.id, "--json")
    assert result.exit_code == 1
    story = json.loads(result.stdout)
    assert [copy["region"] for copy in story["copies"]] == readable
    assert [problem.partition(" ")[0] for problem in story["problems"]] == [away]
    assert story["action"] == "keep"
    assert f"{away} could not be read" in explain(source.id).stdout


def test_explain_shows_a_copy_while_the_primary_region_is_unreachable(account: Account) -> None:
    source = account.snapshot()
    account.copy(source, NEAR)
    copy = json.loads(explain(source.id, "--json").stdout)["copies"][0]["id"]
    account.take_away(PRIMARY)
    result = explain(copy, "--json")
    assert result.exit_code == 1
    story = json.loads(result.stdout)
    assert (story["exists"], story["origin"]["snapshot_id"]) == (True, source.id)
    assert story["action"] == "keep"
