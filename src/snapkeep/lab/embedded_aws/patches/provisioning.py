"""Resources that AWS refuses to create, because their roles lack permissions, and that ministack creates.

Sources: Lambda developer guide, "Process DynamoDB records with Lambda" and "Using Lambda with Amazon SQS" (execution role
permissions); Step Functions developer guide, "Using CloudWatch Logs to log execution history" (IAM policies for logging).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError, replace
from snapkeep.lab.embedded_aws.patches.permissions import role_allows, service_may_assume

READING = {
    "dynamodb": ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    "sqs": ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
}
LOGGING = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
ENVIRONMENT_LIMIT_BYTES = 4096
# Maps a resource's properties to the message of AWS's refusal; empty if it is not refused.
Objection = Callable[[Mapping[str, Any]], str]


class ProvisioningError(Exception):
    """AWS's refusal to create the resource; the stack's event shows the message."""


def apply() -> None:
    """Apply the patches to CloudFormation's provisioners and to the services' own calls."""
    from ministack.services import lambda_svc, stepfunctions
    from ministack.services.cloudformation import provisioners

    _object(provisioners, "AWS::Lambda::EventSourceMapping", objection_to_mapping)
    _object(provisioners, "AWS::StepFunctions::StateMachine", objection_to_machine)
    _object(provisioners, "AWS::Lambda::Function", objection_to_function)
    _object(provisioners, "AWS::Events::Rule", objection_to_rule)
    replace(lambda_svc, "_create_function", lambda make: _refusing(make, objection_to_function, "InvalidParameterValueException"))
    replace(lambda_svc, "_update_config", _refusing_environment)
    replace(lambda_svc, "_create_esm", lambda make: _refusing(make, objection_to_mapping, "InvalidParameterValueException"))
    replace(stepfunctions, "_create_state_machine", lambda make: _refusing(make, objection_to_machine, "AccessDeniedException"))


def _object(provisioners: Any, resource_type: str, objection: Objection) -> None:
    handlers = provisioners._RESOURCE_HANDLERS.get(resource_type)
    if not handlers or "create" not in handlers:
        raise PatchBrokenError(f"CloudFormation's provisioners have no create for {resource_type} any more")
    make = handlers["create"]

    def create(logical_id: str, properties: Mapping[str, Any], stack_name: str) -> Any:
        words = objection(properties)
        if words:
            raise ProvisioningError(words)
        return make(logical_id, properties, stack_name)

    handlers["create"] = create


def _refusing(make: Any, objection: Objection, code: str) -> Any:
    def create(data: Mapping[str, Any]) -> Any:
        from ministack.core.responses import error_response_json

        words = objection(data)
        return error_response_json(code, words, 400) if words else make(data)

    return create


def _refusing_environment(update: Any) -> Any:
    def update_config(name: str, data: Mapping[str, Any]) -> Any:
        from ministack.core.responses import error_response_json

        words = objection_to_environment(data.get("Environment") or {})
        return error_response_json("InvalidParameterValueException", words, 400) if words else update(name, data)

    return update_config


def objection_to_rule(properties: Mapping[str, Any]) -> str:
    """Return a message if PutRule would refuse the rule's schedule: a new rule of a stack does not use PutRule here."""
    from ministack.services import eventbridge

    valid = eventbridge._validate_schedule_expression(str(properties.get("ScheduleExpression") or ""))
    return "" if valid else "Parameter ScheduleExpression is not valid."


def objection_to_mapping(properties: Mapping[str, Any]) -> str:
    """Return the actions on the source that the function's role lacks, as a message."""
    from ministack.services import lambda_svc

    source = str(properties.get("EventSourceArn", ""))
    _, config, _ = lambda_svc._get_func_record_for_ref(str(properties.get("FunctionName", "")))
    actions = READING.get(source.split(":")[2] if source.count(":") > 2 else "", ())  # noqa: PLR2004 - an ARN's third field
    if not config or not actions:
        return ""
    lacking = [action for action in actions if not role_allows(config["Role"], action, source, source.split(":")[3])]
    return f"Cannot access stream or queue {source}: the role {config['Role']} lacks {', '.join(lacking)}" if lacking else ""


def objection_to_machine(properties: Mapping[str, Any]) -> str:
    """Return a message if the state machine's role cannot be assumed, or cannot write logs."""
    from ministack.core.responses import get_region

    role = str(properties.get("RoleArn") or properties.get("roleArn") or "")
    if not role:
        return ""
    if not service_may_assume(role, "states.amazonaws.com"):
        return f"Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume {role}"
    logging = properties.get("LoggingConfiguration") or properties.get("loggingConfiguration") or {}
    if (logging.get("Level") or logging.get("level") or "OFF") == "OFF":
        return ""
    lacking = [action for action in LOGGING if not role_allows(role, action, "*", get_region())]
    if not lacking:
        return ""
    return f"The state machine IAM Role is not authorized to access the Log Destination: {role} lacks {', '.join(lacking)}"


def objection_to_environment(environment: Mapping[str, Any]) -> str:
    """Return a message if a function's variables are larger than Lambda's limit [Lambda quotas: environment variables, 4 KB]."""
    measured = json.dumps(environment.get("Variables") or {}, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) <= ENVIRONMENT_LIMIT_BYTES:
        return ""
    return (
        "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded "
        f"the 4KB limit. String measured: {measured}"
    )


def objection_to_function(properties: Mapping[str, Any]) -> str:
    """Return a message if the function's variables are too large, or Lambda may not assume its role."""
    environment = properties.get("Environment")
    too_large = objection_to_environment(environment if isinstance(environment, Mapping) else {})
    if too_large:
        return too_large
    role = str(properties.get("Role", ""))
    if not role or service_may_assume(role, "lambda.amazonaws.com"):
        return ""
    return f"The role defined for the function cannot be assumed by Lambda: {role}"
