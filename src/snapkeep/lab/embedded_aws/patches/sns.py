"""SNS: the inbox stores every published message, and a publisher to an encrypted topic needs its key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from snapkeep.lab.embedded_aws.aws.inbox import Inbox, PublishedMessage
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.topics import SENDING, refusal_of_role
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld


def apply(locked_world: LockedWorld, inbox: Inbox) -> None:
    """Store every message that a topic delivers to its subscribers, with the world's time."""
    from ministack.services import sns

    replace(sns, "_fanout", lambda hand_out: _keeping(hand_out, locked_world, inbox))
    replace(sns, "_get_topic", _asking_for_the_key)


def _keeping(hand_out: Any, locked_world: LockedWorld, inbox: Inbox) -> Any:
    def fanout(topic_arn: str, msg_id: str, message: str, subject: str, *positional: Any, **named: Any) -> None:
        from ministack.services import sns

        topic = sns._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
        addresses = tuple(
            str(subscription["endpoint"])
            for subscription in topic["subscriptions"]
            if subscription.get("protocol") in {"email", "email-json"} and subscription.get("confirmed")
        )
        published_at = datetime.fromtimestamp(locked_world.clock.now(), UTC).isoformat(timespec="milliseconds")
        inbox.add(PublishedMessage(topic_arn, msg_id, subject or "", message, published_at, addresses))
        hand_out(topic_arn, msg_id, message, subject, *positional, **named)

    return fanout


def _asking_for_the_key(get_topic: Any) -> Any:
    """A publisher to an encrypted topic needs permissions on its key too. Source: SNS developer guide, "Key management"."""

    def get_topic_with_key(topic_arn: str, action: str | None = None) -> Any:
        from ministack.core.iam_evaluator import caller_arn
        from ministack.services import sns

        topic, error = get_topic(topic_arn, action)
        if topic is None or action != "sns:Publish":
            return topic, error
        key = str(topic["attributes"].get("KmsMasterKeyId") or "")
        lacking = refusal_of_role(key, str(topic["arn"]), str(caller_arn()), SENDING)
        if lacking:
            return None, sns._error(
                "KMSAccessDenied", f"User: {caller_arn()} is not authorized to perform: {lacking} on {key}", 400
            )
        return topic, error

    return get_topic_with_key
