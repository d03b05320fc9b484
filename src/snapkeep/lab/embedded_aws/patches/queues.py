"""SQS: callers of an encrypted queue need its key. Source: SQS developer guide, "Key management"."""

from __future__ import annotations

from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.topics import SENDING, refusal_of_role

NEEDED = {
    "sqs:SendMessage": SENDING,
    "sqs:SendMessageBatch": SENDING,
    "sqs:ReceiveMessage": ("kms:Decrypt",),
}


def apply() -> None:
    """Apply the patch."""
    from ministack.services import sqs

    replace(sqs, "_enforce_queue_policy", _asking_for_the_key)


def _asking_for_the_key(enforce: Any) -> Any:
    def enforce_queue_policy(queue: dict[str, Any], action: str) -> None:
        from ministack.core.iam_evaluator import caller_arn
        from ministack.services import sqs

        enforce(queue, action)
        attributes = queue["attributes"]
        key = str(attributes.get("KmsMasterKeyId") or "")
        lacking = refusal_of_role(key, str(attributes.get("QueueArn", "")), str(caller_arn()), NEEDED.get(action, ()))
        if lacking:
            raise sqs._Err("KMS.AccessDeniedException", f"{caller_arn()} is not authorized to perform: {lacking} on {key}", 400)

    return enforce_queue_policy
