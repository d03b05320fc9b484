"""SNS takes a subject in ASCII; attributes are there for subscriptions to filter by."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.sns_publisher import SnsPublisher


class Topic:
    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def publish(self, **request: Any) -> None:
        self.requests.append(request)


def test_a_message_is_published_with_attributes_and_an_ascii_subject() -> None:
    topic = Topic()
    SnsPublisher(client=topic, topic_arn="arn:topic").publish("é: done", "é", {"outcome": "OK"})  # type: ignore[arg-type]
    (request,) = topic.requests
    assert (request["TopicArn"], request["Subject"], request["Message"]) == ("arn:topic", "?: done", "é")
    assert request["MessageAttributes"] == {"outcome": {"DataType": "String", "StringValue": "OK"}}


def test_a_message_without_attributes_has_none() -> None:
    topic = Topic()
    SnsPublisher(client=topic, topic_arn="arn:topic").publish("done", "text")  # type: ignore[arg-type]
    assert topic.requests[0]["MessageAttributes"] == {}


def test_a_subject_is_cut_to_the_limit_of_sns() -> None:
    """Less than 100 characters (SNS API reference: Publish)."""
    topic = Topic()
    SnsPublisher(client=topic, topic_arn="arn:topic").publish("s" * 200, "text")  # type: ignore[arg-type]
    assert topic.requests[0]["Subject"] == "s" * 99
