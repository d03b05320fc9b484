"""CloudFormation: names as on AWS, no take-over of existing resources, and the caller's permissions.

ministack generates equal names for equal stacks of two regions (roles belong to the whole account), writes over what exists, and
creates and deletes resources whatever the caller may do. Source of the actions: CloudFormation's resource schemas (handlers'
permissions); "already exists": CloudFormation user guide, "Name type"; PassRole: IAM user guide, "Grant a user permissions to
pass a role to an AWS service".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError, replace
from snapkeep.lab.embedded_aws.patches.permissions import principal_allows

SUFFIX_LENGTH = 13
Properties = Mapping[str, Any]
Create = Callable[[str, Properties, str], Any]


class ResourceRefused(Exception):
    """AWS's refusal to create or delete a resource; the stack's event shows the message."""


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


TYPES: Mapping[str, ResourceType] = {
    "AWS::CloudWatch::Alarm": ResourceType(
        "AlarmName",
        "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DeleteAlarms",
        "cloudwatch._alarms",
    ),
    "AWS::DynamoDB::Table": ResourceType(
        "TableName",
        "arn:aws:dynamodb:{region}:{account}:table/{name}",
        "dynamodb:CreateTable",
        "dynamodb:DeleteTable",
        "dynamodb._tables",
    ),
    "AWS::Events::Rule": ResourceType(
        "Name",
        "arn:aws:events:{region}:{account}:rule/{name}",
        "events:PutRule",
        "events:DeleteRule",
        "eventbridge._rules",
        "default|{name}",
    ),
    "AWS::IAM::Role": ResourceType(
        "RoleName", "arn:aws:iam::{account}:role/{name}", "iam:CreateRole", "iam:DeleteRole", "iam._roles"
    ),
    "AWS::KMS::Key": ResourceType("", "*", "kms:CreateKey", "kms:ScheduleKeyDeletion", ""),
    "AWS::Lambda::Function": ResourceType(
        "FunctionName",
        "arn:aws:lambda:{region}:{account}:function:{name}",
        "lambda:CreateFunction",
        "lambda:DeleteFunction",
        "lambda_svc._functions",
        role_property="Role",
    ),
    "AWS::Logs::LogGroup": ResourceType(
        "LogGroupName",
        "arn:aws:logs:{region}:{account}:log-group:{name}",
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "cloudwatch_logs._log_groups",
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
    ),
    "AWS::SQS::Queue": ResourceType(
        "QueueName",
        "arn:aws:sqs:{region}:{account}:{name}",
        "sqs:CreateQueue",
        "sqs:DeleteQueue",
        "sqs._queue_name_to_url",
    ),
    "AWS::StepFunctions::StateMachine": ResourceType(
        "StateMachineName",
        "arn:aws:states:{region}:{account}:stateMachine:{name}",
        "states:CreateStateMachine",
        "states:DeleteStateMachine",
        "stepfunctions._state_machines",
        "arn:aws:states:{region}:{account}:stateMachine:{name}",
        "RoleArn",
    ),
}


def apply() -> None:
    """Apply the patches."""
    from ministack.services.cloudformation import provisioners

    replace(provisioners, "_physical_name", _of_its_region)
    for type_name, resource_type in TYPES.items():
        handlers = provisioners._RESOURCE_HANDLERS.get(type_name, {})
        if not {"create", "update", "delete"} <= set(handlers):
            raise PatchBrokenError(f"CloudFormation's provisioners no longer create, update and delete {type_name}")
        handlers["create"] = _checked_create(type_name, resource_type, handlers["create"])
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
        _check_caller(resource_type.create_action, _arn(resource_type, name or f"{stack_name}-{logical_id}-NEW"))
        _check_role(type_name, resource_type, name or f"{stack_name}-{logical_id}-NEW", properties)
        return make(logical_id, properties, stack_name)

    return create


def _checked_delete(resource_type: ResourceType, destroy: Callable[..., Any]) -> Callable[..., Any]:
    def delete(physical_id: str, properties: Properties, *logical_id: str) -> Any:
        name = physical_id.rpartition("/")[2].rpartition(":")[2]
        _check_caller(resource_type.delete_action, _arn(resource_type, name))
        return destroy(physical_id, properties, *logical_id)

    return delete


def _check_role(type_name: str, resource_type: ResourceType, name: str, properties: Properties) -> None:
    """The creator of a role writes its policies; the caller that gives a role to a service passes it."""
    if type_name == "AWS::IAM::Role":
        arn = _arn(resource_type, name)
        if properties.get("Policies"):
            _check_caller("iam:PutRolePolicy", arn)
        if properties.get("ManagedPolicyArns"):
            _check_caller("iam:AttachRolePolicy", arn)
    elif resource_type.role_property:
        _check_caller("iam:PassRole", str(properties.get(resource_type.role_property) or "*"))


def _check_caller(action: str, arn: str) -> None:
    from ministack.core.iam_evaluator import caller_arn
    from ministack.core.responses import get_region

    caller = str(caller_arn())
    if not principal_allows(caller, action, arn, get_region()):
        raise ResourceRefused(f"User: {caller} is not authorized to perform: {action} on resource: {arn}")


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
