"""Properties of resources that ministack's CloudFormation ignores silently, and the expiry of DynamoDB items by TTL.

Sources: CloudFormation template reference for each type; DynamoDB developer guide, "Time to Live" (items are deleted within days;
here within half a minute of world time).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError

Properties = Mapping[str, Any]
# The physical id and the properties of a resource right after its creation or update.
Completion = Callable[[str, Properties], None]


def apply() -> None:
    """Apply the patches."""
    from ministack.services.cloudformation import provisioners

    for type_name, complete in COMPLETIONS.items():
        handlers = provisioners._RESOURCE_HANDLERS.get(type_name, {})
        if not {"create", "update"} <= set(handlers):
            raise PatchBrokenError(f"CloudFormation's provisioners no longer create and update {type_name}")
        handlers["create"] = _completing(handlers["create"], complete, properties_at=1)
        handlers["update"] = _completing(handlers["update"], complete, properties_at=2)


def _completing(handler: Callable[..., Any], complete: Completion, *, properties_at: int) -> Callable[..., Any]:
    def handle(*arguments: Any) -> Any:
        result = handler(*arguments)
        complete(str(result[0]), arguments[properties_at])
        return result

    return handle


def complete_table(name: str, properties: Properties) -> None:
    """Set a table's time to live, point-in-time recovery and encryption."""
    from ministack.services import dynamodb

    expiry = properties.get("TimeToLiveSpecification") or {"Enabled": False, "AttributeName": "none"}
    _succeed(
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": {**expiry, "Enabled": _true(expiry.get("Enabled"))}})
    )
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    enabled = {"PointInTimeRecoveryEnabled": _true(recovery.get("PointInTimeRecoveryEnabled"))}
    _succeed(dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": enabled}))
    encryption = dict(properties.get("SSESpecification") or {})
    if encryption:
        specification = {**encryption, "Enabled": _true(encryption.pop("SSEEnabled", False))}
        dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(specification)


def complete_topic(arn: str, properties: Properties) -> None:
    """Set a topic's key."""
    from ministack.services import sns

    sns._topics[arn]["attributes"]["KmsMasterKeyId"] = str(properties.get("KmsMasterKeyId") or "")


def complete_bucket(name: str, properties: Properties) -> None:
    """Set a bucket's default encryption."""
    from ministack.services import s3

    rules = (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration") or []
    if rules:
        _succeed(s3._put_bucket_encryption(name, encryption_document(rules).encode()))


def encryption_document(rules: list[Properties]) -> str:
    """Return the XML of PutBucketEncryption for the rules of a template."""
    texts = []
    for rule in rules:
        default = rule.get("ServerSideEncryptionByDefault") or {}
        key = default.get("KMSMasterKeyID")
        key_element = f"<KMSMasterKeyID>{escape(str(key))}</KMSMasterKeyID>" if key else ""
        algorithm = f"<SSEAlgorithm>{escape(str(default.get('SSEAlgorithm', 'AES256')))}</SSEAlgorithm>"
        bucket_key = f"<BucketKeyEnabled>{str(_true(rule.get('BucketKeyEnabled'))).lower()}</BucketKeyEnabled>"
        by_default = f"<ApplyServerSideEncryptionByDefault>{algorithm}{key_element}</ApplyServerSideEncryptionByDefault>"
        texts.append(f"<Rule>{by_default}{bucket_key}</Rule>")
    return f"<ServerSideEncryptionConfiguration>{''.join(texts)}</ServerSideEncryptionConfiguration>"


def complete_machine(arn: str, properties: Properties) -> None:
    """Set a state machine's logging, in the API's spelling."""
    from ministack.services import stepfunctions

    logging = properties.get("LoggingConfiguration")
    if logging:
        stepfunctions._state_machines[arn]["loggingConfiguration"] = _lower_first(logging)


def complete_role(name: str, properties: Properties) -> None:
    """Set or remove a role's permissions boundary."""
    from ministack.services import iam

    boundary = str(properties.get("PermissionsBoundary") or "")
    if boundary:
        _succeed(iam._put_role_permissions_boundary({"RoleName": name, "PermissionsBoundary": boundary}))
    else:
        iam._roles[name].pop("PermissionsBoundary", None)


COMPLETIONS: Mapping[str, Completion] = {
    "AWS::DynamoDB::Table": complete_table,
    "AWS::IAM::Role": complete_role,
    "AWS::S3::Bucket": complete_bucket,
    "AWS::SNS::Topic": complete_topic,
    "AWS::StepFunctions::StateMachine": complete_machine,
}


def expire_items(now: float) -> int:
    """Delete every item that has expired at a time in seconds since the epoch; return their number."""
    from ministack.services import dynamodb

    expired = 0
    with dynamodb._lock:
        for (account_id, region, name), setting in list(dynamodb._ttl_settings.all_items()):
            table = dynamodb._tables.get_scoped(account_id, region, name)
            if table is None or setting.get("TimeToLiveStatus") != "ENABLED":
                continue
            due = [
                (partition, sort)
                for partition, items in table["items"].items()
                for sort, item in items.items()
                if _is_over(item.get(setting["AttributeName"]), now)
            ]
            for partition, sort in due:
                dynamodb._remove_item(table, partition, sort)
            expired += len(due)
    return expired


def _is_over(attribute: Any, now: float) -> bool:
    """Return whether a time to live has expired; only a number is a time to live."""
    return isinstance(attribute, Mapping) and "N" in attribute and float(attribute["N"]) <= now


def _lower_first(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key)[:1].lower() + str(key)[1:]: _lower_first(part) for key, part in value.items()}
    return [_lower_first(part) for part in value] if isinstance(value, list) else value


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _succeed(answer: Any) -> None:
    from snapkeep.lab.embedded_aws.patches.stack_callers import ResourceRefused

    if answer[0] >= 400:  # noqa: PLR2004 - the HTTP statuses of errors
        raise ResourceRefused(str(answer[2]))
