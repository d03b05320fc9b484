"""Messages published to SNS topics, kept for people and tests to read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

KEPT_MESSAGES = 10_000


@dataclass(frozen=True)
class PublishedMessage:
    """One published message, with the email addresses that received it."""

    topic_arn: str
    message_id: str
    subject: str
    body: str
    published_at: str
    email_addresses: tuple[str, ...]

    @property
    def account_id(self) -> str:
        """Return the account of the topic."""
        return self.topic_arn.split(":")[4]

    @property
    def region(self) -> str:
        """Return the region of the topic."""
        return self.topic_arn.split(":")[3]

    def as_dict(self) -> dict[str, Any]:
        """Return the message in JSON's form."""
        return {**asdict(self), "account_id": self.account_id, "region": self.region}


class Inbox:
    """The newest messages of all topics."""

    def __init__(self) -> None:
        self._messages: deque[PublishedMessage] = deque(maxlen=KEPT_MESSAGES)
        self._lock = threading.Lock()

    def add(self, message: PublishedMessage) -> None:
        """Store a message."""
        with self._lock:
            self._messages.append(message)

    def messages(self, account_id: str = "", topic: str = "") -> Sequence[PublishedMessage]:
        """Return the messages of an account and of a topic's ARN or name (empty for any), the oldest first."""
        with self._lock:
            return [
                message
                for message in self._messages
                if (not account_id or message.account_id == account_id)
                and (not topic or message.topic_arn == topic or message.topic_arn.endswith(f":{topic}"))
            ]

    def clear(self, account_id: str = "") -> None:
        """Remove the messages of an account; without one, those of all accounts."""
        with self._lock:
            kept = [message for message in self._messages if account_id and message.account_id != account_id]
            self._messages.clear()
            self._messages.extend(kept)
