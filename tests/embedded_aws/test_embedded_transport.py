"""The loopback stands in for AWS's TLS endpoints: a policy that refuses plain HTTP refuses no request here."""

from __future__ import annotations

import json

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import Builder


def test_a_queue_that_refuses_plain_http_takes_messages_as_on_aws(embedded: EmbeddedAws, account_id: str) -> None:
    sqs = Builder(embedded, account_id).client("sqs")
    url = sqs.create_queue(QueueName="tls-only")["QueueUrl"]
    refuse = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [refuse]})})
    sqs.send_message(QueueUrl=url, MessageBody="over TLS, as it were")
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == ["over TLS, as it were"]
