"""A deployment keeps what is not given, shows what changes, and asks before protection is lost or moved."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError
from rich.console import Console

from snapkeep.cli import common
from snapkeep.cli.commands import deploy as commands
from snapkeep.cli.commands.deploy import are_confirmed
from snapkeep.cli.errors import NotConfirmed, WrongUse
from snapkeep.cli.views.deploy import LiveWatcher, changes_question
from snapkeep.deploy.changes import ChangeNotConfirmed, ParameterChange, ResourceChange, Risk, parameter_changes, resource_lines
from snapkeep.deploy.deployment import Deployment, DeploymentTarget, StackOfAnotherSystem
from snapkeep.deploy.parameters import InvalidParameters
from snapkeep.deploy.progress import SilentWatcher
from support.silent_watcher import Notes

PRIMARY, DR, OTHER_DR = "eu-central-1", "eu-west-1", "eu-north-1"
DEPLOYED = {
    (PRIMARY, "snapkeep-primary"): {
        "DRRegion": DR,
        "Retention": "7",
        "tagKeyValue": "none",
        "MaxDeletions": "100",
        "DeletionsTimesUsual": "10",
        "AdoptHistory": "no",
        "FunctionNameSuffix": "",
    },
    (DR, "snapkeep-dr"): {"Retention": "3", "MaxDeletionSharePercent": "75", "FunctionNameSuffix": ""},
    (DR, "snapkeep-owned-dr"): {"Retention": "3", "FunctionNameSuffix": "-owned"},
}

OWNERS = {"snapkeep-owned-dr": "us-west-2"}


class Clients:
    """AWS with deployed stacks. Any call beside reading them fails the test."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.meta = type("Meta", (), {"endpoint_url": f"https://cloudformation.{region}.amazonaws.com"})

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/person"}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        parameters = DEPLOYED.get((self.region, StackName))
        if parameters is None:
            error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")  # type: ignore[typeddict-item]
        listed = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        tags = [{"Key": "snapkeep:primary-region", "Value": OWNERS[StackName]}] if StackName in OWNERS else []
        return {
            "Stacks": [
                {
                    "StackStatus": "CREATE_COMPLETE",
                    "StackId": "arn:stack",
                    "StackName": StackName,
                    "Parameters": listed,
                    "Tags": tags,
                }
            ]
        }


class Asked:
    """Refuses, and keeps what it was asked."""

    def __init__(self) -> None:
        self.changes: list[ParameterChange] = []

    def __call__(self, changes: Sequence[ParameterChange]) -> bool:
        self.changes += changes
        return False


def deploy(primary: Mapping[str, str], dr: Mapping[str, str] | None = None, *, dr_region: str = DR, suffix: str = "") -> Asked:
    asked = Asked()
    target = DeploymentTarget(lambda _service, region: Clients(region), PRIMARY, dr_region, suffix)
    with pytest.raises(ChangeNotConfirmed, match=r"^nothing was changed"):
        Deployment(target, SilentWatcher()).deploy(primary, dr or {}, may_change=asked)
    return asked


def risks(asked: Asked) -> list[tuple[str, str, Risk]]:
    return [(change.region, change.name, change.risk) for change in asked.changes]


def test_another_dr_region_needs_consent_before_any_change() -> None:
    asked = deploy({}, dr_region=OTHER_DR)
    assert risks(asked) == [(PRIMARY, "DRRegion", Risk.MOVES_COPIES)]
    (change,) = asked.changes
    assert (change.before, change.after) == (DR, OTHER_DR)
    assert f"The copies in {DR} and its DR stack stay" in change.consequence
    assert f"snapkeep destroy --only dr --dr-region {DR}" in changes_question(asked.changes)


@pytest.mark.parametrize(
    ("primary", "dr", "expected"),
    [
        ({"Retention": "6"}, {}, (PRIMARY, "Retention", Risk.DELETES_SNAPSHOTS)),
        ({}, {"Retention": "2"}, (DR, "Retention", Risk.DELETES_SNAPSHOTS)),
        ({"tagKeyValue": "Backup"}, {}, (PRIMARY, "tagKeyValue", Risk.ENDS_PROTECTION)),
        ({"AdoptHistory": "yes"}, {}, (PRIMARY, "AdoptHistory", Risk.DELETES_SNAPSHOTS)),
        ({"MaxDeletions": "101"}, {}, (PRIMARY, "MaxDeletions", Risk.DELETES_SNAPSHOTS)),
        ({"DeletionsTimesUsual": "11"}, {}, (PRIMARY, "DeletionsTimesUsual", Risk.DELETES_SNAPSHOTS)),
        ({"AllowComplianceLocks": "yes"}, {}, (PRIMARY, "AllowComplianceLocks", Risk.LOCKS_FOR_GOOD)),
        ({}, {"AllowComplianceLocks": "yes"}, (DR, "AllowComplianceLocks", Risk.LOCKS_FOR_GOOD)),
        ({}, {"MaxDeletionSharePercent": "80"}, (DR, "MaxDeletionSharePercent", Risk.DELETES_SNAPSHOTS)),
    ],
)
def test_a_change_that_loses_protection_needs_consent(
    primary: Mapping[str, str], dr: Mapping[str, str], expected: tuple[str, str, Risk]
) -> None:
    assert risks(deploy(primary, dr)) == [expected]


@pytest.mark.parametrize(
    ("name", "before", "after", "asked"),
    [
        ("MaxLockDays", "35", "0", True),
        ("MaxLockDays", "35", "34", True),
        ("MaxLockDays", "0", "35", False),
        ("AllowComplianceLocks", "yes", "no", True),
        ("HoldOnSignals", "yes", "no", True),
        ("HoldOnSignals", "no", "yes", False),
        ("VaultAccounts", "210987654321", "", True),
        ("VaultAccounts", "210987654321", "999999999999", True),
        ("VaultAccounts", "210987654321", "999999999999,210987654321", False),
        ("VaultAccounts", "", "210987654321", False),
        ("OwnerAccounts", "111122223333,123456789012", "123456789012", True),
    ],
)
def test_less_defence_needs_consent(name: str, before: str, after: str, asked: bool) -> None:
    """Locks and sharing with a vault ended without a question."""
    (change,) = parameter_changes("snapkeep-dr", DR, {name: before}, {name: after})
    assert change.risk is (Risk.ENDS_PROTECTION if asked else Risk.NONE)
    assert bool(change.consequence) is asked


def test_changes_that_lose_nothing_carry_no_risk() -> None:
    deployed = {"Retention": "7", "tagKeyValue": "Backup", "DRKmsKey": "", "LogLevel": "INFO", "MaxDeletions": "9"}
    parameters = {"Retention": "9", "tagKeyValue": "none", "DRKmsKey": "", "LogLevel": "DEBUG", "MaxDeletions": "5", "New": "5"}
    changes = parameter_changes("snapkeep-primary", PRIMARY, deployed, parameters)
    assert [(change.name, change.risk) for change in changes] == [
        ("Retention", Risk.NONE),
        ("tagKeyValue", Risk.DELETES_SNAPSHOTS),
        ("LogLevel", Risk.NONE),
        ("MaxDeletions", Risk.NONE),
    ]
    assert parameter_changes("snapkeep-primary", PRIMARY, deployed, {"Retention": "7.0"}) == ()


@pytest.mark.parametrize("name", ["DRKmsKey", "KmsKeyArn"])
def test_another_key_is_a_risk(name: str) -> None:
    (change,) = parameter_changes("snapkeep-primary", PRIMARY, {name: "arn:old"}, {name: "arn:new"})
    assert change.risk is Risk.CHANGES_KEY


def test_the_name_of_a_running_system_never_changes() -> None:
    with pytest.raises(InvalidParameters, match=r"a running system keeps its name.*--name 'two'"):
        parameter_changes("mine", PRIMARY, {"FunctionNameSuffix": ""}, {"FunctionNameSuffix": "two"})


@pytest.mark.parametrize(("primary", "dr"), [({"FunctionNameSuffix": "two"}, {}), ({}, {"FunctionNameSuffix": "two"})])
def test_the_suffix_is_given_only_by_name(primary: Mapping[str, str], dr: Mapping[str, str]) -> None:
    target = DeploymentTarget(lambda _service, region: Clients(region), PRIMARY, DR)
    with pytest.raises(InvalidParameters, match="use --name"):
        Deployment(target, SilentWatcher()).deploy(primary, dr)


def test_the_dr_region_as_a_parameter_must_be_the_dr_region() -> None:
    target = DeploymentTarget(lambda _service, region: Clients(region), PRIMARY, DR)
    with pytest.raises(InvalidParameters, match=f"DRRegion is {OTHER_DR}, and the DR region {DR}"):
        Deployment(target, SilentWatcher()).deploy({"DRRegion": OTHER_DR}, {})


@pytest.mark.parametrize(
    ("primary", "dr", "words"),
    [
        ({"DRKmsKey": f"arn:aws:kms:{DR}:999999999999:key/k"}, {}, f"DRKmsKey is a key of account 999999999999 in {DR}"),
        (
            {"DRKmsKey": f"arn:aws:kms:{PRIMARY}:123456789012:alias/k"},
            {},
            f"DRKmsKey is a key .* in {PRIMARY}; .*in {DR} is right",
        ),
        ({}, {"KmsKeyArn": f"arn:aws:kms:{PRIMARY}:123456789012:key/k"}, f"KmsKeyArn is a key .*in {DR} is right"),
    ],
)
def test_a_key_that_the_roles_do_not_allow_is_refused(primary: Mapping[str, str], dr: Mapping[str, str], words: str) -> None:
    target = DeploymentTarget(lambda _service, region: Clients(region), PRIMARY, DR)
    with pytest.raises(InvalidParameters, match=words):
        Deployment(target, SilentWatcher()).deploy(primary, dr)


MOVE = ParameterChange("snapkeep-primary", PRIMARY, "DRRegion", DR, OTHER_DR, Risk.MOVES_COPIES, "moves")
LESS = ParameterChange("snapkeep-primary", PRIMARY, "Retention", "7", "6", Risk.DELETES_SNAPSHOTS, "deletes")


def test_yes_never_moves_the_dr_region() -> None:
    with pytest.raises(WrongUse, match="give --move-dr-region too"):
        are_confirmed([MOVE], Notes(), yes=True, move_dr_region=False, json=False)
    assert are_confirmed([MOVE], Notes(), yes=True, move_dr_region=True, json=False)
    assert are_confirmed([LESS], Notes(), yes=True, move_dr_region=False, json=False)


def test_without_a_terminal_and_without_yes_nothing_changes() -> None:
    assert not are_confirmed([LESS], Notes(), yes=False, move_dr_region=True, json=False)


def test_a_risky_change_is_shown_once() -> None:
    """The change is in the error without a terminal, in a note with `--yes`, and in the question, which is answered with no."""
    notes, target = Notes(), DeploymentTarget(lambda _service, region: Clients(region), PRIMARY, DR)
    with pytest.raises(ChangeNotConfirmed, match="MaxDeletions from '100' to '200': deletions that"):
        Deployment(target, notes).deploy({"Retention": "9", "MaxDeletions": "200"}, {})
    assert notes.notes == [f"{PRIMARY}: Retention from '7' to '9'"]
    notes = Notes()
    assert are_confirmed([LESS], notes, yes=True, move_dr_region=False, json=False)
    assert notes.notes == [f"{PRIMARY}: Retention from '7' to '6': deletes"]


def test_a_no_finishes_the_step_before_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (common, commands):
        monkeypatch.setattr(module, "can_ask", lambda *, json: not json)
    monkeypatch.setattr(typer, "confirm", lambda _: False)
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=80)
    watcher = LiveWatcher(console)
    watcher.step("Checking the account")
    with pytest.raises(NotConfirmed, match=r"^nothing was changed$"), watcher:
        are_confirmed([LESS], watcher, yes=False, move_dr_region=False, json=False)
    shown = file.getvalue()
    assert "✓ Checking the account" in shown
    assert "✗" not in shown


def test_another_primary_regions_dr_stack_is_refused_before_any_change() -> None:
    target = DeploymentTarget(lambda _service, region: Clients(region), PRIMARY, DR, "-owned")
    with pytest.raises(StackOfAnotherSystem, match=r"belongs to the system with the primary region us-west-2; .* --name"):
        Deployment(target, SilentWatcher()).deploy({}, {"Retention": "2"})


def test_resources_are_grouped_by_type_and_kind_of_change() -> None:
    function, table = "AWS::Lambda::Function", "AWS::DynamoDB::Table"
    changes = [
        ResourceChange(DR, "Modify", "Sweep", function, "False"),
        ResourceChange(DR, "Modify", "Dispatch", function, "False"),
        ResourceChange(DR, "Modify", "Queue", table, "True"),
        ResourceChange(DR, "Add", "Alarm", "AWS::CloudWatch::Alarm"),
    ]
    assert resource_lines(changes) == [
        "add AWS::CloudWatch::Alarm: Alarm",
        f"modify {function}: Dispatch, Sweep",
        f"modify, replaced {table}: Queue",
    ]


@pytest.mark.parametrize(
    ("action", "replacement", "resource_type", "risk"),
    [
        ("Modify", "True", "AWS::DynamoDB::Table", Risk.LOSES_DATA),
        ("Remove", "", "AWS::KMS::Key", Risk.LOSES_DATA),
        ("Remove", "", "AWS::S3::Bucket", Risk.LOSES_DATA),
        ("Modify", "False", "AWS::DynamoDB::Table", Risk.NONE),
        ("Modify", "Conditional", "AWS::KMS::Key", Risk.LOSES_DATA),
        ("Add", "", "AWS::KMS::Key", Risk.NONE),
        ("Remove", "", "AWS::Lambda::Function", Risk.NONE),
    ],
)
def test_a_resource_with_data_that_ends_is_a_risk(action: str, replacement: str, resource_type: str, risk: Risk) -> None:
    change = ResourceChange(DR, action, "Resource", resource_type, replacement)
    assert change.risk is risk
    assert bool(change.consequence) is (risk is Risk.LOSES_DATA)


def test_a_replaced_key_is_not_announced_as_deleted() -> None:
    removed, replaced = (ResourceChange(DR, action, "Key", "AWS::KMS::Key", "True") for action in ("Remove", "Modify"))
    assert "schedules the key for deletion" in removed.consequence
    assert "deletion" not in replaced.consequence


def test_a_removed_key_that_the_stack_retains_is_not_scheduled_for_deletion() -> None:
    removed, retained = (
        ResourceChange(DR, "Remove", "Key", "AWS::KMS::Key", policy_action=action) for action in ("Delete", "Retain")
    )
    assert "schedules the key for deletion" in removed.consequence
    assert "no stack owns the former key" in retained.consequence
