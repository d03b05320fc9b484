"""An installed system is read from its stacks: their parameters, and the document where there is one."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.cli import installed_system as installed_module
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.deploy.templates import INFRA, read_template
from snapkeep.domain.copies.known_copies import KnownCopies
from snapkeep.domain.policy.model import Limits, Retention
from snapkeep.domain.policy.source import DEFAULTS
from snapkeep.domain.system import StackKind
from support.installed_stacks import Clients, Settings

PRIMARY = {
    "tagKeyValue": "Backup=gold",
    "DRRegion": "us-east-2",
    "DRKmsKey": "alias/dr",
    "CopyWithinHours": "4",
    "Retention": "5",
    "MaxDeletions": "9",
    "MaxDeletionSharePercent": "40",
}
DR = {"Retention": "2", "MaxDeletions": "8", "MaxDeletionSharePercent": "30"}


def installed(
    stacks: Mapping[tuple[str, str], Mapping[str, str]], documents: Mapping[str, str] | None = None, suffix: str = ""
) -> InstalledSystem:
    return InstalledSystem(Settings("us-east-1", "us-east-2", suffix=suffix, stacks=stacks, documents=documents or {}))


BOTH = {("us-east-1", "snapkeep-primary"): PRIMARY, ("us-east-2", "snapkeep-dr"): DR}


def test_stack_parameters_make_each_regions_policy() -> None:
    policies = installed(BOTH).policies_in_force()
    default = policies["us-east-1"].policies[0]
    assert default.retention == Retention(keep_last=5)
    assert default.selector.tags == {"Backup": ("gold",)}
    assert default.copies[0].kms_key == "alias/dr"
    assert default.copies[0].retention == Retention(keep_last=2)
    assert policies["us-east-1"].limits == Limits(9, 40)
    rule = policies["us-east-2"].policies[0].copy_rule("us-east-2")
    assert rule
    assert rule.retention == Retention(keep_last=2)
    assert policies["us-east-2"].limits == Limits(8, 30)


def test_without_stacks_the_templates_defaults_are_used_and_named() -> None:
    policies = installed({}).policies_in_force()
    assert {policy_set.source for policy_set in policies.values()} == {DEFAULTS}
    assert policies["us-east-1"].policies[0].retention == Retention(keep_last=7)
    assert installed({}).known_copies("us-east-2") == KnownCopies()


def test_a_pushed_document_is_in_force_with_the_stacks_limits() -> None:
    text = '{"version":1,"policies":[{"name":"gold","select":{},"retention":{"keep_last":3}}]}'
    policies = installed(BOTH, {"us-east-1": text}).policies_in_force()
    assert policies["us-east-1"].source.label == "document, version 4"
    assert policies["us-east-1"].limits == Limits(9, 40)
    assert policies["us-east-2"].source.label == "stack parameters"


def test_a_suffix_names_another_system() -> None:
    assert installed(BOTH, suffix="two").stack_parameters("primary") == {}
    named = {("us-east-1", "snapkeeptwo-primary"): PRIMARY}
    assert installed(named, suffix="two").stack_parameters("primary") == PRIMARY


def test_other_errors_of_cloudformation_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Clients, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": f"not allowed: {StackName}"}}, "DescribeStacks")

    monkeypatch.setattr(Clients, "describe_stacks", refuse)
    with pytest.raises(ClientError, match="not allowed"):
        installed(BOTH).stack_parameters("primary")


def test_the_defaults_are_those_of_the_templates() -> None:
    for template, defaults in (("primary.yaml", installed_module.PRIMARY_DEFAULTS), ("dr.yaml", installed_module.DR_DEFAULTS)):
        declared = read_template(INFRA / template)["Parameters"]
        assert {name: str(declared[name]["Default"]) for name in defaults} == defaults


OF_PRIMARY = {"output:SystemName": "snapkeep"}
OF_DR = OF_PRIMARY | {"output:QueueTableName": "snapkeep-queue"}
OTHER_NAMES = {
    ("us-east-1", "team-dr-of-another-region"): DR | OF_DR,
    ("us-east-1", "team-main"): PRIMARY | OF_PRIMARY,
    ("us-east-1", "team-two"): PRIMARY | {"output:SystemName": "snapkeeptwo"},
    ("us-east-2", "team-copies"): DR | OF_DR,
}


def test_stacks_are_found_by_their_outputs_whatever_their_names() -> None:
    system = installed(OTHER_NAMES)
    assert system.stack_parameters(StackKind.PRIMARY) == PRIMARY
    assert system.stack_parameters(StackKind.DR) == DR
    assert system.stacks_missing(["us-east-1", "us-east-2"]) == []
    assert system.other_stack_names([(StackKind.PRIMARY, "us-east-1"), (StackKind.DR, "us-east-2")]) == {
        (StackKind.PRIMARY, "us-east-1"): "team-main",
        (StackKind.DR, "us-east-2"): "team-copies",
    }
    assert installed(BOTH).other_stack_names([(StackKind.PRIMARY, "us-east-1")]) == {}


def test_a_named_stack_is_read_whatever_its_outputs() -> None:
    stacks = {("us-east-1", "mine"): PRIMARY, ("us-east-2", "copies"): DR}
    settings = Settings("us-east-1", "us-east-2", primary_stack="mine", dr_stack="copies", stacks=stacks)
    assert InstalledSystem(settings).stack_parameters(StackKind.PRIMARY) == PRIMARY
    assert InstalledSystem(settings).stack_parameters(StackKind.DR) == DR


def test_stacks_that_may_not_be_searched_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    describe = Clients.describe_stacks

    def refuse(clients: Clients, StackName: str = "") -> dict[str, Any]:  # noqa: N803 - boto3's name
        if not StackName:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeStacks")
        return describe(clients, StackName)

    monkeypatch.setattr(Clients, "describe_stacks", refuse)
    assert installed(BOTH).stacks_missing(["us-east-1"]) == []
    (message,) = installed({}).stacks_missing(["us-east-1"])
    assert "is not known" in message
    assert "--primary-stack" in message
    (absent,) = installed({}, suffix="x").stacks_missing(["us-east-2"])
    assert "--dr-stack" in absent


def test_a_first_deployment_names_its_stack_as_the_option_does() -> None:
    settings = Settings("us-east-1", "us-east-2", primary_stack="mine")
    assert InstalledSystem(settings).other_stack_names([(StackKind.PRIMARY, "us-east-1"), (StackKind.DR, "us-east-2")]) == {
        (StackKind.PRIMARY, "us-east-1"): "mine"
    }
