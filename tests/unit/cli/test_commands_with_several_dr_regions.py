"""A policy that copies to two regions: `plan` and `policy` look at both, over the model of EBS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.plan import app as plan_app
from snapkeep.cli.commands.policy import app as policy_app
from support.several_regions import DOCUMENT, FAR, NEAR, PRIMARY, Account, install


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return install(monkeypatch)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(plan_app, ["--region", PRIMARY, "--json", *arguments], catch_exceptions=False)


def verdicts(result: Result) -> dict[str, list[tuple[str, list[str]]]]:
    """The action, and the reasons, of each snapshot of each region."""
    return {
        region["region"]: [
            (snapshot["action"], [reason["text"] for reason in snapshot["reasons"]])
            for volume in region["volumes"]
            for snapshot in volume["snapshots"]
        ]
        for region in json.loads(result.stdout)["regions"]
    }


def test_every_region_of_the_policy_in_force_is_planned(account: Account) -> None:
    account.push()
    for source in [account.snapshot(), account.snapshot()]:
        account.copy(source, NEAR)
        account.copy(source, FAR)
    result = plan()
    assert [(action, len(reasons)) for action, reasons in verdicts(result)[FAR]] == [("delete", 1), ("keep", 2)]
    actions = {region: [action for action, _ in planned] for region, planned in verdicts(result).items()}
    assert actions == {region: ["delete", "keep"] for region in (PRIMARY, NEAR, FAR)}
    assert result.stderr == ""


def test_every_region_of_a_proposed_document_is_planned(account: Account, document: Path) -> None:
    old, new = account.snapshot(), account.snapshot()
    for source in (old, new):
        account.copy(source, NEAR)
    account.copy(old, FAR)
    planned = verdicts(plan("--policy", str(document)))
    assert list(planned) == [PRIMARY, NEAR, FAR]
    assert [action for action, _ in planned[PRIMARY]] == ["delete", "keep"]
    assert "held: no completed copy in us-west-2, and no newer snapshot has one there" in planned[PRIMARY][1][1]
    assert [action for action, _ in planned[FAR]] == ["keep"]


def test_the_queue_of_each_region_is_read(account: Account, document: Path) -> None:
    source = account.snapshot()
    account.snapshot()
    account.queue(source, FAR)
    [first, _] = verdicts(plan("--policy", str(document)))[PRIMARY]
    assert "held: its copy to us-west-2 is waiting or running" in first[1]
    assert not any("us-east-2 is waiting" in text for text in first[1])


def test_a_region_without_a_stack_is_named_and_planned(account: Account, document: Path) -> None:
    del account.stacks[FAR]
    account.snapshot()
    result = plan("--policy", str(document))
    assert result.stderr == "there is no stack snapkeep-dr in us-west-2: nothing is copied there until it is deployed\n"
    assert FAR in verdicts(result)


def test_a_difference_has_every_region_of_either_policy(account: Account, document: Path) -> None:
    account.snapshot()
    result = plan("--policy", str(document), "--diff")
    assert [region["region"] for region in json.loads(result.stdout)["regions"]] == [PRIMARY, NEAR, FAR]


def test_a_push_compares_and_writes_in_every_region(account: Account, document: Path) -> None:
    account.copy(account.snapshot(), FAR)
    pushed = CliRunner().invoke(
        policy_app, ["push", str(document), "--yes", "--json", "--region", PRIMARY], catch_exceptions=False
    )
    data = json.loads(pushed.stdout)
    assert [change["region"] for change in data["changes"]] == [PRIMARY, NEAR, FAR]
    assert [push["region"] for push in data["pushed"]] == [NEAR, FAR, PRIMARY]
    assert set(account.documents) == {PRIMARY, NEAR, FAR}


def test_removing_a_document_reaches_every_region_with_a_stack(account: Account) -> None:
    account.push()
    removed = CliRunner().invoke(policy_app, ["remove", "--yes", "--json", "--region", PRIMARY], catch_exceptions=False)
    assert json.loads(removed.stdout)["removed"] == [NEAR, FAR, PRIMARY]
    assert set(account.documents.values()) == {"{}"}


def test_each_stack_is_read_once(account: Account, document: Path) -> None:
    plan("--policy", str(document), "--diff")
    assert account.asked == {(PRIMARY, "snapkeep-primary"): 1, (NEAR, "snapkeep-dr"): 1, (FAR, "snapkeep-dr"): 1}


def test_a_plan_by_defaults_begins_with_a_warning_and_fails(account: Account) -> None:
    del account.stacks[PRIMARY]
    account.snapshot()
    shown = CliRunner().invoke(plan_app, ["--region", PRIMARY], catch_exceptions=False)
    assert shown.exit_code == 1
    first, second, *_ = shown.stdout.splitlines()
    assert first.startswith("not known: the policies in force. No deployed stack was found")
    assert second == f"there is no stack snapkeep-primary in {PRIMARY}: nothing is protected until it is deployed"
    as_json = plan()
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)
    assert as_json.stderr.startswith("not known: ")
