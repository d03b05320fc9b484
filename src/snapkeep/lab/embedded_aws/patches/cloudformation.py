"""CloudFormation: names as on AWS, no overwriting of existing resources, and the caller's permissions.

ministack generates equal names for equal stacks of two regions (roles belong to the whole account), overwrites existing
resources, and ignores the caller's permissions. Source of the actions: CloudFormation's resource schemas (handlers'
permissions); "already exists": CloudFormation user guide, "Name type"; PassRole: IAM user guide, "Grant a user permissions to
pass a role to an AWS service".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError, replace
from snapkeep.lab.embedded_aws.patches.stack_callers import ResourceRefused, as_the_stack_s_role, check_caller, with_roles

SUFFIX_LENGTH = 13
Properties = Mapping[str, Any]
Create = Callable[[str, Properties, str], Any]


@dataclass(frozen=True)
class ResourceType:
    """A type of resource: its name property, its ARN's form, its actions, and where ministack stores it."""

    name_property: str
    arn: str
    create_action: str
    delete_action: str
    store: str
    key: str = "{name}"
    role_property: str = ""
    update_action: str = ""
    """The action for a changed property that is not in `updates`; changed tags need none here."""
    updates: Mapping[str, str] = field(default_factory=dict)


TYPES: Mapping[str, ResourceType] = {
    "AWS::CloudWatch::Alarm": ResourceType(
        "AlarmName",
        "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DeleteAlarms",
        "cloudwatch._alarms",
        update_action="cloudwatch:PutMetricAlarm",
    ),
    "AWS::DynamoDB::Table": ResourceType(
        "TableName",
        "arn:aws:dynamodb:{region}:{account}:table/{name}",
        "dynamodb:CreateTable",
        "dynamodb:DeleteTable",
        "dynamodb._tables",
        update_action="dynamodb:UpdateTable",
        updates={
            "TimeToLiveSpecification": "dynamodb:UpdateTimeToLive",
            "PointInTimeRecoverySpecification": "dynamodb:UpdateContinuousBackups",
        },
    ),
    "AWS::Events::EventBusPolicy": ResourceType(
        "",
        "arn:aws:events:{region}:{account}:event-bus/default",
        "events:PutPermission",
        "events:RemovePermission",
        "",
        update_action="events:PutPermission",
    ),
    "AWS::Events::Rule": ResourceType(
        "Name",
        "arn:aws:events:{region}:{account}:rule/{name}",
        "events:PutRule",
        "events:DeleteRule",
        "eventbridge._rules",
        "default|{name}",
        update_action="events:PutRule",
        updates={"Targets": "events:PutTargets"},
    ),
    "AWS::IAM::InstanceProfile": ResourceType(
        "InstanceProfileName",
        "arn:aws:iam::{account}:instance-profile/{name}",
        "iam:CreateInstanceProfile",
        "iam:DeleteInstanceProfile",
        "iam._instance_profiles",
        update_action="iam:AddRoleToInstanceProfile",
    ),
    "AWS::IAM::Role": ResourceType(
        "RoleName",
        "arn:aws:iam::{account}:role/{name}",
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam._roles",
        update_action="iam:UpdateRole",
        updates={
            "AssumeRolePolicyDocument": "iam:UpdateAssumeRolePolicy",
            "ManagedPolicyArns": "iam:AttachRolePolicy",
            "PermissionsBoundary": "iam:PutRolePermissionsBoundary",
            "Policies": "iam:PutRolePolicy",
        },
    ),
    "AWS::KMS::Key": ResourceType(
        "",
        "*",
        "kms:CreateKey",
        "kms:ScheduleKeyDeletion",
        "",
        update_action="kms:UpdateKeyDescription",
        updates={"KeyPolicy": "kms:PutKeyPolicy", "EnableKeyRotation": "kms:EnableKeyRotation"},
    ),
    "AWS::Lambda::Function": ResourceType(
        "FunctionName",
        "arn:aws:lambda:{region}:{account}:function:{name}",
        "lambda:CreateFunction",
        "lambda:DeleteFunction",
        "lambda_svc._functions",
        role_property="Role",
        update_action="lambda:UpdateFunctionConfiguration",
        updates={"Code": "lambda:UpdateFunctionCode"},
    ),
    "AWS::Logs::LogGroup": ResourceType(
        "LogGroupName",
        "arn:aws:logs:{region}:{account}:log-group:{name}",
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "cloudwatch_logs._log_groups",
        update_action="logs:PutRetentionPolicy",
        updates={"KmsKeyId": "logs:AssociateKmsKey"},
    ),
    # ministack itself refuses a bucket that exists.
    "AWS::S3::Bucket": ResourceType("BucketName", "arn:aws:s3:::{name}", "s3:CreateBucket", "s3:DeleteBucket", ""),
    "AWS::SNS::Topic": ResourceType(
        "TopicName",
        "arn:aws:sns:{region}:{account}:{name}",
        "sns:CreateTopic",
        "sns:DeleteTopic",
        "sns._topics",
        "arn:aws:sns:{region}:{account}:{name}",
        update_action="sns:SetTopicAttributes",
    ),
    "AWS::SQS::Queue": ResourceType(
        "QueueName",
        "arn:aws:sqs:{region}:{account}:{name}",
        "sqs:CreateQueue",
        "sqs:DeleteQueue",
        "sqs._queue_name_to_url",
        update_action="sqs:SetQueueAttributes",
    ),
    "AWS::StepFunctions::StateMachine": ResourceType(
        "StateMachineName",
        "arn:aws:states:{region}:{account}:stateMachine:{name}",
        "states:CreateStateMachine",
        "states:DeleteStateMachine",
        "stepfunctions._state_machines",
        "arn:aws:states:{region}:{account}:stateMachine:{name}",
        "RoleArn",
        "states:UpdateStateMachine",
    ),
}
# The operations of a stack and its change sets that CloudFormation carries out with the stack's role, if there is one.
STACK_ACTIONS = (
    "CreateStack",
    "UpdateStack",
    "DeleteStack",
    "CreateChangeSet",
    "ExecuteChangeSet",
    "ContinueUpdateRollback",
    "RollbackStack",
)
VIRTUAL_HOSTED = re.compile(r"https://(?P<bucket>.+?)\.s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?/(?P<key>.+)")
_nested_in: ContextVar[str] = ContextVar("_nested_in", default="")
"""The stack whose nested stack is reading its template."""


def apply() -> None:
    """Apply the patches."""
    from ministack.services.cloudformation import engine, helpers, provisioners
    from ministack.services.cloudformation import handlers as stack_handlers

    replace(provisioners, "_physical_name", _of_its_region)
    replace(engine, "_parse_template", _transformed_where_nested)
    replace(helpers, "_resolve_document", _by_either_form_of_url)
    for action in STACK_ACTIONS:
        if action not in stack_handlers._ACTION_HANDLERS:
            raise PatchBrokenError(f"CloudFormation no longer has the action {action}")
        stack_handlers._ACTION_HANDLERS[action] = as_the_stack_s_role(action, stack_handlers._ACTION_HANDLERS[action])
    describe = stack_handlers._ACTION_HANDLERS["DescribeStacks"]
    stack_handlers._ACTION_HANDLERS["DescribeStacks"] = with_roles(describe)
    nested = provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]
    nested["create"] = _naming_parent(nested["create"], 2)
    nested["update"] = _naming_parent(nested["update"], 3)
    for type_name, resource_type in TYPES.items():
        handlers = provisioners._RESOURCE_HANDLERS.get(type_name, {})
        if not {"create", "update", "delete"} <= set(handlers):
            raise PatchBrokenError(f"CloudFormation's provisioners no longer create, update and delete {type_name}")
        handlers["create"] = _checked_create(type_name, resource_type, handlers["create"])
        handlers["update"] = _checked_update(resource_type, handlers["update"])
        handlers["delete"] = _checked_delete(resource_type, handlers["delete"])


def _of_its_region(make: Callable[..., str]) -> Callable[..., str]:
    """Mix account and region into the suffix: on AWS it is random."""

    def physical_name(stack_name: str, logical_id: str, **options: Any) -> str:
        from ministack.core.responses import get_account_id, get_region

        name = make(stack_name, logical_id, **options)
        digest = hashlib.sha256(f"{name}:{get_account_id()}:{get_region()}".encode()).hexdigest()[:SUFFIX_LENGTH]
        suffix = digest if options.get("lowercase") else digest.upper()
        return name[: len(name) - SUFFIX_LENGTH] + suffix

    return physical_name


def _checked_create(type_name: str, resource_type: ResourceType, make: Create) -> Create:
    def create(logical_id: str, properties: Properties, stack_name: str) -> Any:
        name = str(properties.get(resource_type.name_property) or "")
        if name and _exists(resource_type, name):
            raise ResourceRefused(f"Resource of type '{type_name}' with identifier '{name}' already exists.")
        check_caller(resource_type.create_action, _arn(resource_type, name or f"{stack_name}-{logical_id}-NEW"))
        _check_role(type_name, resource_type, name or f"{stack_name}-{logical_id}-NEW", properties)
        return make(logical_id, properties, stack_name)

    return create


def _checked_update(resource_type: ResourceType, change: Callable[..., Any]) -> Callable[..., Any]:
    def update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> Any:
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"Tags"}
        arn = _arn(resource_type, _name_in(physical_id))
        for action in sorted({resource_type.updates.get(name, resource_type.update_action) for name in changed} - {""}):
            check_caller(action, arn)
        if resource_type.role_property in changed:
            check_caller("iam:PassRole", str(new.get(resource_type.role_property) or "*"))
        return change(physical_id, old, new, *rest)

    return update


def _checked_delete(resource_type: ResourceType, destroy: Callable[..., Any]) -> Callable[..., Any]:
    def delete(physical_id: str, properties: Properties, *logical_id: str) -> Any:
        check_caller(resource_type.delete_action, _arn(resource_type, _name_in(physical_id)))
        return destroy(physical_id, properties, *logical_id)

    return delete


def _name_in(physical_id: str) -> str:
    return physical_id.rpartition("/")[2].rpartition(":")[2]


def _check_role(type_name: str, resource_type: ResourceType, name: str, properties: Properties) -> None:
    """Check the caller's permissions on a role: a creator writes its policies, and giving it to a service passes it."""
    if type_name == "AWS::IAM::Role":
        arn = _arn(resource_type, name)
        if properties.get("Policies"):
            check_caller("iam:PutRolePolicy", arn)
        if properties.get("ManagedPolicyArns"):
            check_caller("iam:AttachRolePolicy", arn)
    elif type_name == "AWS::IAM::InstanceProfile":
        check_caller("iam:AddRoleToInstanceProfile", _arn(resource_type, name))
        for role in properties.get("Roles") or ():
            check_caller("iam:PassRole", _arn(TYPES["AWS::IAM::Role"], str(role)))
    elif resource_type.role_property:
        check_caller("iam:PassRole", str(properties.get(resource_type.role_property) or "*"))


# Templates


def _by_either_form_of_url(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Accept virtual-hosted-style URLs of S3 too [S3 user guide: virtual hosting of buckets]."""

    def resolve_document(parameters: Any, body_key: str, url_key: str, label: str) -> Any:
        from ministack.services.cloudformation.helpers import _p

        hosted = VIRTUAL_HOSTED.fullmatch(_p(parameters, url_key))
        if hosted:
            parameters = {**parameters, url_key: [f"https://s3.amazonaws.com/{hosted['bucket']}/{hosted['key']}"]}
        return resolve(parameters, body_key, url_key, label)

    return resolve_document


def _naming_parent(deploy: Callable[..., Any], parent_at: int) -> Callable[..., Any]:
    def deploy_nested(*arguments: Any) -> Any:
        token = _nested_in.set(str(arguments[parent_at]))
        try:
            return deploy(*arguments)
        finally:
            _nested_in.reset(token)

    return deploy_nested


def _transformed_where_nested(parse: Callable[..., Any]) -> Callable[..., Any]:
    """Apply the transforms of a nested stack's template, like those of any other [CloudFormation user guide: template macros]."""

    def parse_template(*arguments: Any) -> Any:
        from ministack.services.cloudformation import engine, provisioners

        template, parent = parse(*arguments), _nested_in.get()
        if not parent:
            return template
        _nested_in.set("")
        provisioners._check_nested_stack_capabilities(parent, template)
        template = engine._apply_transforms(template)
        if isinstance(template, engine._TransformFailed):
            raise ResourceRefused(str(template.error))
        return template

    return parse_template


def _arn(resource_type: ResourceType, name: str) -> str:
    return _filled_in(resource_type.arn, name)


def _filled_in(text: str, name: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    return text.format(account=get_account_id(), region=get_region(), name=name)


def _exists(resource_type: ResourceType, name: str) -> bool:
    import importlib

    if not resource_type.store:
        return False
    module, _, store = resource_type.store.partition(".")
    stored: Mapping[str, Any] = getattr(importlib.import_module(f"ministack.services.{module}"), store)
    return _filled_in(resource_type.key, name) in stored
