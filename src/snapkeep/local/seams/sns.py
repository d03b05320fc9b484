"""SNS: every message that is published to a topic is kept in the inbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from snapkeep.local.host import Host
from snapkeep.local.inbox import Inbox, Message


def install(host: Host, inbox: Inbox) -> None:
    """Given the host and the inbox, keep what every topic hands out to its subscribers."""
    from ministack.services import sns

    hand_out = sns._fanout

    def fanout(topic_arn: str, msg_id: str, message: str, subject: str, *rest: Any, **named: Any) -> None:
        topic = sns._topic_by_arn_any_scope(topic_arn) or {"subscriptions": []}
        addresses = tuple(
            str(subscription["endpoint"])
            for subscription in topic["subscriptions"]
            if subscription.get("protocol") in {"email", "email-json"} and subscription.get("confirmed")
        )
        published_at = datetime.fromtimestamp(host.clock.now(), UTC).isoformat(timespec="milliseconds")
        inbox.add(Message(topic_arn, msg_id, subject or "", message, published_at, addresses))
        hand_out(topic_arn, msg_id, message, subject, *rest, **named)

    sns._fanout = fanout
