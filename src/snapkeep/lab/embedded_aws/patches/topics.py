"""Permissions of senders to SNS topics and SQS queues that are encrypted or restricted.

ministack encrypts nothing and checks no key policy. On AWS a service such as EventBridge or CloudWatch cannot publish to a
topic under the AWS managed key; it needs a customer managed key whose policy names the service. Source: SNS developer guide,
"Enable compatibility between event sources from AWS services and encrypted topics"; SQS developer guide, "Key management".
"""

from __future__ import annotations

from typing import Any

from snapkeep.lab.embedded_aws.patches.permissions import key_allows, resource_policy_allows

SENDING = ("kms:GenerateDataKey", "kms:Decrypt")
AWS_MANAGED = "alias/aws/"


def refusal_of_topic(topic_arn: str, service: str, source_arn: str, account_id: str) -> str:
    """Return why a service may not publish to a topic on behalf of a source; empty if it may."""
    from ministack.services import sns

    topic = sns._topics.get_scoped(topic_arn.split(":")[4], topic_arn.split(":")[3], topic_arn)
    if topic is None:
        return "the topic does not exist"
    policy = topic["attributes"].get("Policy")
    if not resource_policy_allows(policy, service, "sns:Publish", topic_arn, source_arn, account_id):
        return f"the topic's policy does not let {service} publish"
    return refusal_of_key(str(topic["attributes"].get("KmsMasterKeyId") or ""), topic_arn, service, source_arn, account_id)


def refusal_of_key(key: str, used_by_arn: str, service: str, source_arn: str, account_id: str) -> str:
    """Return why a service cannot use the key of a topic or queue (empty for no key); empty if it can."""
    if not key:
        return ""
    if key.startswith(AWS_MANAGED):
        return f"{key} is managed by AWS, whose policy does not let {service} use it"
    arn, policy = key_and_policy(key, used_by_arn)
    if not arn:
        return f"the key {key} does not exist"
    for action in SENDING:
        if not resource_policy_allows(policy, service, action, arn, source_arn, account_id):
            return f"the policy of {arn} does not let {service} do {action}"
    return ""


def refusal_of_role(key: str, used_by_arn: str, caller: str, actions: tuple[str, ...]) -> str:
    """Return the first action on the key of a topic or queue (empty for no key) that the role's session lacks."""
    if not key or key.startswith(AWS_MANAGED) or ":assumed-role/" not in caller:
        return ""
    arn, policy = key_and_policy(key, used_by_arn)
    via = f"{used_by_arn.split(':')[2]}.{used_by_arn.split(':')[3]}.amazonaws.com"
    return next((action for action in actions if not key_allows(caller, action, arn, policy, via)), "")


def key_and_policy(key: str, used_by_arn: str) -> tuple[str, Any]:
    """Return the ARN and policy of a key by its id, ARN or alias in the region of its user; empty if there is none."""
    from ministack.core.responses import request_scope
    from ministack.services import kms

    with request_scope(used_by_arn.split(":")[4], used_by_arn.split(":")[3]):
        record = kms._resolve_key(key)
        if record is None:
            return "", ""
        policy = kms.key_policy_for_arn(record["Arn"])
    return str(record["Arn"]), (policy[0] if policy else "")
