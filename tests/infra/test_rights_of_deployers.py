"""The documents for deployers permit what CloudFormation does for the templates, and the embedded AWS asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from ministack.core import iam_evaluator

from snapkeep.lab.embedded_aws.aws.authorization import AccessCheck
from snapkeep.lab.embedded_aws.patches import cloudformation, resource_checks, stack_callers
from snapkeep.lab.embedded_aws.patches.resource_types import OF_NO_RESOURCE, TYPES
from snapkeep.lab.embedded_aws.patches.stack_callers import CLOUDFORMATION, ResourceRefused
from support.templates import FUNCTION, MACHINE, template

FOLDER = Path(__file__).parents[2] / "docs/iam"
BOTH = ("deployer", "deployer-resources")
DOCUMENTS = {
    "primary": BOTH,
    "dr": (*BOTH, "deployer-sharing"),
    "vault": (*BOTH, "deployer-vault"),
    "drill": (*BOTH, "deployer-drill"),
}
IN_A_USER_S_NAME = {"aws:CalledVia": [CLOUDFORMATION]}
OF_ROLES = ("Buckets", "Settings")
"""The statements of `deployer.json` that a role for CloudFormation needs beside the other documents."""
NETWORKS = {f"AWS::EC2::{kind}" for kind in ("SecurityGroup", "SecurityGroupEgress", "Subnet", "VPC", "VPCEndpoint")}
"""The types that the model makes: each of its calls is authorized as a call."""
UNUSED = {
    "AWS::DynamoDB::Table": (
        *("dynamodb:*Replica", "dynamodb:*Item", "dynamodb:Query", "dynamodb:Scan", "dynamodb:DescribeImport"),  # replicas
        *("dynamodb:UpdateContributorInsights", "dynamodb:*ableKinesisStreamingDestination", "kinesis:*", "iam:*"),
        *("dynamodb:UpdateKinesisStreamingDestination", "dynamodb:ImportTable", "dynamodb:*eResourcePolicy"),
        *("dynamodb:PutResourcePolicy", "kms:Encrypt", "kms:RevokeGrant", "logs:*", "s3:*"),
    ),
    "AWS::EC2::SecurityGroup": ("ec2:UpdateSecurityGroupRuleDescriptions*",),
    "AWS::EC2::SecurityGroupEgress": ("ec2:UpdateSecurityGroupRuleDescriptions*",),
    "AWS::EC2::Subnet": ("ec2:*ssociateSubnetCidrBlock",),
    "AWS::EC2::VPC": ("ec2:CreateVpcEncryptionControl", "ec2:ModifyVpcTenancy"),
    "AWS::EC2::VPCEndpoint": ("vpc-lattice:*", "vpce:*"),
    # The templates' roles have no managed policies and no description. An administrator removes a boundary.
    "AWS::IAM::Role": ("iam:?etachRolePolicy", "iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary", "iam:UpdateRole*"),
    "AWS::KMS::Key": ("kms:DisableKey", "kms:EnableKey"),
    "AWS::Lambda::Function": (
        *("ec2:*", "elasticfilesystem:*", "s3files:*", "kms:Encrypt", "s3:GetObjectVersion"),
        *(
            "lambda:GetCodeSigningConfig",
            "lambda:DeleteFunctionCodeSigningConfig",
            "lambda:GetLayerVersion",
            "lambda:AssociateRuntimeAlias",
            "lambda:PassCapacityProvider",
        ),
        *("lambda:Put*Config", "lambda:DeleteFunctionConcurrency", "lambda:PublishVersion"),
    ),
    "AWS::Logs::LogGroup": (
        *(
            "firehose:*",
            "s3:*",
            "logs:CreateLogDelivery",
            "logs:PutDataProtectionPolicy",
            "logs:DeleteDataProtectionPolicy",
            "logs:PutBearerTokenAuthentication",
        ),
        *("logs:*IndexPolicy", "logs:PutResourcePolicy", "logs:DeleteResourcePolicy", "logs:PutLogGroupDeletionProtection"),
    ),
    "AWS::Route53Resolver::FirewallDomainList": ("route53resolver:ImportFirewallDomains",),
    "AWS::S3::Bucket": (
        *("s3tables:*", "iam:PassRole", "s3:*MetadataTableConfiguration", "s3:UpdateBucketMetadata*", "s3:DeleteBucket[!P]*"),
        *("s3:PutAccelerateConfiguration", "s3:PutAnalyticsConfiguration", "s3:PutBucketAbac", "s3:PutBucketAcl"),
        *("s3:PutBucketCORS", "s3:PutBucketLogging", "s3:PutBucketNotification", "s3:Put*ObjectLockConfiguration"),
        *("s3:PutBucketReplication", "s3:PutBucketWebsite", "s3:PutIntelligentTieringConfiguration", "s3:PutObjectAcl"),
        *("s3:PutInventoryConfiguration", "s3:PutMetricsConfiguration", "s3:PutReplicationConfiguration", "s3:GetBucketAcl"),
    ),
    "AWS::SNS::Subscription": ("iam:*", "sns:SetSubscriptionAttributes"),
    "AWS::SNS::Topic": ("sns:PutDataProtectionPolicy",),
    "AWS::StepFunctions::StateMachine": ("s3:GetObjectVersion",),
}
"""The permissions of handlers for properties that no template has."""


# Resources as CloudFormation makes them


@cache
def made(stack: str) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Return physical id, type and properties of each resource of a stack, those of SAM as SAM makes them."""
    source = template(stack)["Resources"]
    names = {name: _physical_id(stack, name, resource) for name, resource in source.items()}
    return tuple(
        (names[name], kind, properties)
        for name, resource in source.items()
        for kind, properties in _as_sam_makes(stack, resource["Type"], _resolved(resource.get("Properties", {}), names))
    )


def _physical_id(stack: str, name: str, resource: Mapping[str, Any]) -> str:
    own = {FUNCTION: "FunctionName", MACHINE: "Name"}.get(
        resource["Type"], getattr(TYPES.get(resource["Type"]), "name_property", "")
    )
    belongs = resource["Type"].endswith(("Policy", "Permission", "Subscription"))
    given = None if belongs else resource.get("Properties", {}).get(own)
    return str(_resolved(given, {})) if given else f"snapkeep-{stack}-{name}-1ABC2"


def _as_sam_makes(stack: str, kind: str, properties: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    package = {"Bucket": "snapkeep-123456789012-us-east-1", "Key": "package.zip"}
    if kind == FUNCTION:
        tags = template(stack)["Globals"]["Function"]["Tags"]
        code = {f"S3{key}": value for key, value in package.items()}
        yield "AWS::Lambda::Function", {**properties, "Code": code, "Tags": tags}
        if "EventInvokeConfig" in properties:
            yield "AWS::Lambda::EventInvokeConfig", {"FunctionName": properties["FunctionName"]}
    elif kind == MACHINE:
        named = {"StateMachineName": properties["Name"], "RoleArn": properties["Role"], "DefinitionS3Location": package}
        yield "AWS::StepFunctions::StateMachine", {**properties, **named}
    else:
        yield kind, properties


def _resolved(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with the names of resources, and as it is where conditions hold."""
    if not isinstance(value, dict):
        return [_resolved(item, names) for item in value] if isinstance(value, list) else value
    if "Fn::If" in value:
        _, then, otherwise = value["Fn::If"]
        return _resolved(otherwise if then == {"Ref": "AWS::NoValue"} else then, names)
    if "Fn::Sub" in value:
        return re.sub(r"\$\{[^}]*\}", "", str(value["Fn::Sub"]))
    if "Ref" in value or "Fn::GetAtt" in value:
        return names.get(value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0], "of-a-parameter")
    return {key: _resolved(item, names) for key, item in value.items()}


def checks_of(stack: str) -> list[AccessCheck]:
    """Return all that CloudFormation asks for: for each resource, and for each property that a resource gets or changes."""
    found: list[AccessCheck] = []
    for physical_id, kind, properties in made(stack):
        if kind in NETWORKS:
            continue
        resource_type, former = TYPES[kind], {"Tags": {"former": "tag"}}
        found += resource_checks.checks_of_creation(resource_type, physical_id, properties)
        found += resource_checks.checks_of_deletion(resource_type, physical_id, properties)
        for name in properties.keys() - created_only(kind):
            old = {**properties, name: former.get(name, "former")}
            found += resource_checks.checks_of_update(resource_type, physical_id, old, properties)
    return found


# Documents


def statements(*documents: str) -> list[dict[str, Any]]:
    return [one for name in documents for one in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["Statement"]]


def refused(
    checks: Iterable[AccessCheck], permitted: list[dict[str, Any]], via: Mapping[str, Any] = IN_A_USER_S_NAME
) -> list[tuple[str, str]]:
    """Return action and resource of the checks that statements do not permit to CloudFormation."""
    policies = [iam_evaluator.parse_policy_document(json.dumps({"Version": "2012-10-17", "Statement": permitted}))]
    different = {(check.action, check.resource_arn, json.dumps(check.context)): check for check in checks}.values()
    return [
        (check.action, check.resource_arn)
        for check in different
        if iam_evaluator.evaluate(_context({**via, **check.context}, check), policies).decision != "Allow"
    ]


def _context(conditions: Mapping[str, Any], check: AccessCheck) -> iam_evaluator.EvalContext:
    return iam_evaluator.EvalContext(
        "arn:aws:iam::123456789012:user/deployer",
        "User",
        "123456789012",
        check.action,
        check.resource_arn,
        "us-east-1",
        service_context={key.lower(): value for key, value in conditions.items()},
    )


@pytest.mark.parametrize("stack", DOCUMENTS)
def test_documents_permit_what_cloudformation_does_for_a_stack(stack: str) -> None:
    assert refused(checks_of(stack), statements(*DOCUMENTS[stack])) == []


@pytest.mark.parametrize("stack", DOCUMENTS)
def test_a_role_for_cloudformation_needs_what_the_page_says(stack: str) -> None:
    """Calls of a service role have no aws:CalledVia [IAM user guide: global condition context keys]."""
    own = [one for one in statements("deployer") if one["Sid"] in OF_ROLES]
    others = statements(*DOCUMENTS[stack][1:])
    keys = [(action, arn) for action, arn in refused(checks_of(stack), [*own, *others], {})]
    assert {action.partition(":")[0] for action, _ in keys} == ({"kms"} if stack != "drill" else set())
    for statement in others:
        if statement["Sid"] == "KeyThroughCloudFormation":
            del statement["Condition"]
    assert refused(checks_of(stack), [*own, *others], {}) == []
    text = (FOLDER.parent / "operating/access.md").read_text(encoding="utf-8")
    assert " and ".join(f"`{sid}`" for sid in OF_ROLES) in text
    assert "`KeyThroughCloudFormation`" in text


def test_no_document_permits_to_remove_a_permissions_boundary() -> None:
    role = TYPES["AWS::IAM::Role"]
    removal = resource_checks.checks_of_update(role, "snapkeep-role", {"PermissionsBoundary": "arn:aws:iam::aws:policy/B"}, {})
    assert [action for action, _ in refused(removal, statements(*BOTH))] == ["iam:DeleteRolePermissionsBoundary"]


@pytest.mark.parametrize("stack", DOCUMENTS)
def test_documents_permit_what_the_handlers_of_a_stack_declare(stack: str) -> None:
    """Handlers read more than the table of the embedded AWS asks for [CloudFormation registry: resource schemas]."""
    granted = {action for statement in statements(*DOCUMENTS[stack]) for action in statement["Action"]}
    missing = {
        (kind, action)
        for kind in {kind for _, kind, _ in made(stack)}
        for action in {action for name in ("create", "read", "update", "delete") for action in declared(kind, name)} - granted
        if not any(fnmatchcase(action, pattern) for pattern in UNUSED.get(kind, ()))
    }
    assert sorted(missing) == []


# The table of the embedded AWS


def declared(kind: str, handler: str) -> set[str]:
    """Return the permissions of a type's handler."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    return set(handlers.get(handler, {}).get("permissions", ()))


def created_only(kind: str) -> set[str]:
    """Return the properties with which a resource is replaced: another is made, and the former one deleted."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return {path.rpartition("/")[2] for path in schema.get("createOnlyProperties", ())}


def test_the_table_has_every_type_of_the_templates_and_no_other() -> None:
    assert {kind for stack in DOCUMENTS for _, kind, _ in made(stack)} == TYPES.keys() | NETWORKS


@pytest.mark.parametrize("kind", TYPES)
def test_handlers_declare_the_actions_of_the_table(kind: str) -> None:
    resource_type, creations = TYPES[kind], declared(kind, "create")
    own = {*resource_type.sets.values(), *resource_type.tags[:1]}
    assert {*resource_type.create, *own} <= creations
    assert set(resource_type.delete) <= declared(kind, "delete")
    changing = {*resource_type.update, *(action for actions in resource_type.changes.values() for action in actions)}
    # A type without a handler for updates, and a property that cannot change, are replaced.
    replacing = creations | declared(kind, "delete")
    assert {*changing, *own, *resource_type.tags, *resource_type.removes.values()} <= declared(kind, "update") | replacing


def test_actions_of_no_resource_are_those_of_the_reference() -> None:
    reference = json.loads(files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text(encoding="utf-8"))
    asked = {check.action for stack in DOCUMENTS for check in checks_of(stack)}
    without = {
        action
        for action in asked
        for service, _, name in [action.partition(":")]
        if not reference[service]["Actions"][name.lower()].get("Resources")
    }
    assert without == OF_NO_RESOURCE


@pytest.mark.parametrize("kind", TYPES)
def test_each_refused_action_stops_what_needs_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    physical_id, properties = next(
        (id_, properties) for stack in DOCUMENTS for id_, one, properties in made(stack) if one == kind
    )
    resource_type, calls, forbidden = TYPES[kind], [], ""
    monkeypatch.setattr(cloudformation, "_exists", lambda *_: False)
    monkeypatch.setattr(stack_callers, "principal_allows", lambda _caller, action, *_: action != forbidden)
    create = cloudformation._checked_create(kind, resource_type, lambda *_: calls.append("create"))
    delete = cloudformation._checked_delete(resource_type, lambda *_: calls.append("delete"))
    update = cloudformation._checked_update(resource_type, lambda *_: calls.append("update"))
    needed = {
        "create": resource_checks.checks_of_creation(resource_type, physical_id, properties),
        "delete": resource_checks.checks_of_deletion(resource_type, physical_id, properties),
        "update": resource_checks.checks_of_update(resource_type, physical_id, {}, properties),
    }
    operations = {
        "create": lambda: create("Thing", properties, "snapkeep-dr"),
        "delete": lambda: delete(physical_id, properties),
        "update": lambda: update(physical_id, {}, properties, "snapkeep-dr"),
    }
    for name, operate in operations.items():
        assert needed[name]
        for forbidden in {check.action for check in needed[name]}:
            with pytest.raises(ResourceRefused, match=f"not authorized to perform: {forbidden} "):
                operate()
        assert name not in calls
        forbidden = ""
        operate()
        assert calls.pop() == name
