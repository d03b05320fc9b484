"""An installed system is read from its stacks: their parameters, and the document where there is one."""

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.cli import installed_system as installed_module
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.deploy.templates import INFRA, read_template
from snapkeep.domain.policy.model import Limits, Retention
from snapkeep.domain.policy.source import DEFAULTS
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
    assert installed({}).waiting(["us-east-2"]) == frozenset()


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
