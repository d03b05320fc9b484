"""Templates: read with short tags, artifacts replaced, parameters checked before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from snapkeep.deploy.buckets import bucket_name
from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.deploy.parameters import InvalidParameters, check_parameters
from snapkeep.deploy.progress import SilentWatcher
from snapkeep.deploy.templates import INFRA, S3Location, read_template, replace_artifacts, to_json
from snapkeep.domain.errors import InvalidConfiguration

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {CodeUri: ../code}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ../code, Role: !GetAtt Role.Arn, FunctionName: !Sub "F${Suffix}"}
  Remote:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: s3://elsewhere/code.zip}
  S:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: machines/s.asl.json}
  Policy:
    Type: AWS::IAM::Policy
    Properties:
      PolicyDocument: {Version: 2012-10-17, Statement: [{Condition: !If [A, !Ref B, !Select [0, !GetAZs ""]]}]}
"""


@pytest.fixture
def template_path(tmp_path: Path) -> Path:
    path = tmp_path / "infra" / "stack.yaml"
    path.parent.mkdir()
    path.write_text(TEMPLATE)
    return path


def test_short_tags_become_long_ones_and_a_date_stays_a_text(template_path: Path) -> None:
    template = read_template(template_path)
    properties = template["Resources"]["F"]["Properties"]
    assert properties["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}
    assert properties["FunctionName"] == {"Fn::Sub": "F${Suffix}"}
    document = template["Resources"]["Policy"]["Properties"]["PolicyDocument"]
    assert document["Version"] == "2012-10-17"
    assert document["Statement"][0]["Condition"] == {"Fn::If": ["A", {"Ref": "B"}, {"Fn::Select": [0, {"Fn::GetAZs": ""}]}]}


def test_every_local_artifact_is_uploaded_and_named_where_it_is(template_path: Path) -> None:
    uploaded: list[Path] = []

    def upload(path: Path) -> S3Location:
        uploaded.append(path)
        return S3Location("bucket", path.name)

    template = read_template(template_path)
    packaged = replace_artifacts(template, template_path.parent, upload)
    resources = packaged["Resources"]
    assert packaged["Globals"]["Function"]["CodeUri"] == "s3://bucket/code"
    assert resources["F"]["Properties"]["CodeUri"] == "s3://bucket/code"
    assert resources["Remote"]["Properties"]["CodeUri"] == "s3://elsewhere/code.zip"
    assert resources["S"]["Properties"]["DefinitionUri"] == {"Bucket": "bucket", "Key": "s.asl.json"}
    assert set(uploaded) == {template_path.parent.parent / "code", template_path.parent / "machines/s.asl.json"}
    assert template["Resources"]["F"]["Properties"]["CodeUri"] == "../code", "what was read stays as it was"


def test_a_template_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("Resources: [")
    with pytest.raises(InvalidConfiguration, match=r"template .*broken\.yaml"):
        read_template(broken)


def test_both_templates_are_within_cloudformations_limit_as_json() -> None:
    for kind in ("primary", "dr"):
        assert json.loads(to_json(read_template(INFRA / f"{kind}.yaml")))["Resources"]


DECLARED = {
    "Parameters": {
        "Retention": {"Type": "Number", "MinValue": 1, "MaxValue": 100, "Default": 7},
        "DRRegion": {
            "Type": "String",
            "AllowedPattern": "[a-z]+-[a-z]+-[0-9]",
            "ConstraintDescription": "A region.",
            "Default": "x",
        },
        "LogLevel": {"Type": "String", "AllowedValues": ["INFO", "DEBUG"], "Default": "INFO"},
        "Suffix": {"Type": "String", "MaxLength": 3, "Default": ""},
        "Accounts": {
            "Type": "String",
            "MaxLength": 3,
            "ConstraintDescription": "Empty, or at most 2 accounts.",
            "Default": "",
        },
        "Needed": {"Type": "String"},
    }
}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"Retention": "0"}, "Retention is 0; a whole number from 1 to 100 is right"),
        ({"Retention": "101"}, "Retention is 101; a whole number from 1 to 100 is right"),
        ({"Retention": "7.5"}, "Retention is '7.5'; a whole number from 1 to 100 is right"),
        ({"Retention": "1e2"}, "Retention is '1e2'; a whole number from 1 to 100 is right"),
        ({"Retention": "many"}, "Retention is 'many'; a whole number from 1 to 100 is right"),
        ({"DRRegion": "Ohio"}, "DRRegion is 'Ohio'; right is: a region"),
        ({"LogLevel": "LOUD"}, "LogLevel is 'LOUD'; one of INFO, DEBUG is right"),
        ({"DRRegion": "X" * 200}, f"DRRegion is '{'X' * 80}… (200 characters)'; right is: a region"),
        ({"Suffix": "-long"}, "Suffix is '-long'; right is: at most 3 characters"),
        ({"Accounts": "1,2,3"}, "Accounts is '1,2,3'; right is: empty, or at most 2 accounts"),
        ({"Retentoin": "7"}, "Retentoin is not a parameter; did you mean Retention?"),
        ({}, "Needed has no value and no default"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_range(given: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidParameters) as caught:
        check_parameters(DECLARED, {"Needed": "here", **given} if given else given, "snapkeep-primary")
    assert str(caught.value) == f"stack snapkeep-primary: {problem}"


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidParameters, match=r"Retention is 0.*; LogLevel is 'LOUD'"):
        check_parameters(DECLARED, {"Needed": "here", "Retention": "0", "LogLevel": "LOUD"}, "s")


def no_client(service: str, region: str) -> object:
    raise AssertionError(f"nothing may be asked of {service} in {region} before the parameters are right")


@pytest.mark.parametrize(
    ("primary", "dr", "words"),
    [
        ({"Retention": "0"}, {}, "snapkeep-primary: Retention is '0'"),
        ({}, {"Retention": "0"}, "snapkeep-dr: Retention is '0'"),
        ({"DRRegion": "us-east-1"}, {}, "DRRegion is us-east-1, and so is the primary region"),
        ({"tagKeyValue": "aws:reserved"}, {}, "tagKeyValue is 'aws:reserved'"),
    ],
)
def test_wrong_parameters_of_our_templates_are_refused_before_any_call(
    primary: dict[str, str], dr: dict[str, str], words: str
) -> None:
    deployment = Deployment(DeploymentTarget(no_client, "us-east-1", "us-east-2"), SilentWatcher())
    with pytest.raises(InvalidParameters, match=words):
        deployment.deploy(primary, dr)


@pytest.mark.parametrize("do", [lambda deployment: deployment.deploy({}, {}), lambda deployment: deployment.destroy()])
def test_a_suffix_invalid_in_stack_names_is_refused_before_any_call(do: Callable[[Deployment], object]) -> None:
    """A stack's name has letters, digits and hyphens (botocore: CreateChangeSet); a function's may have an underscore."""
    deployment = Deployment(DeploymentTarget(no_client, "us-east-1", "us-east-2", "_test"), SilentWatcher())
    with pytest.raises(InvalidConfiguration, match=r"FunctionNameSuffix is '_test'; .*letters, digits and '-'"):
        do(deployment)


def test_a_buckets_name_keeps_to_the_rules_of_s3() -> None:
    assert bucket_name("snapkeep_Test", "123456789012", "us-east-1") == "snapkeep-test-123456789012-us-east-1"
    with pytest.raises(InvalidConfiguration, match="FunctionNameSuffix is too long"):
        bucket_name("snapkeep" + "x" * 40, "123456789012", "us-east-1")
