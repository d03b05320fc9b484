"""A document broken in the console: deployed functions use the last good one and send a notice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import REGIONS, install
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")
GOOD = {
    "version": 1,
    "policies": [
        {
            "name": "silver",
            "select": {},
            "retention": {"keep_last": 3},
            "copies": [{"region": "us-east-2", "retention": {"keep_last": 2}}],
        }
    ],
}


def test_a_broken_policy_document_stops_no_protection_and_notifies(embedded: EmbeddedAws) -> None:
    system = install(embedded, DigestQuietSeconds="0")
    for stack, region in REGIONS.items():
        for text in (json.dumps(GOOD), '{"version": 1, "policies": ['):
            name = system.outputs[stack]["PolicyParameterName"]
            system.client("ssm", region).put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

    snapshot_id = system.snapshot(system.volume())
    copy = system.copied(snapshot_id)
    assert system.tags_of(snapshot_id)["snapkeep:policy"] == "silver"
    assert {tag["Key"]: tag["Value"] for tag in copy["Tags"]}["snapkeep:policy"] == "silver"

    def ended() -> list[str]:
        client, arn = system.client("stepfunctions"), system.outputs["primary"]["StateMachineArn"]
        runs: list[dict[str, Any]] = client.list_executions(stateMachineArn=arn)["executions"]
        return [run["status"] for run in runs if run["status"] != "RUNNING"]

    assert wait_for(ended) == ["SUCCEEDED"]

    system.client("lambda").invoke(FunctionName="Digest", Payload="{}")
    notices = [
        message["body"] for message in embedded.inbox(account_id=system.account_id) if system.account_id in message["topic_arn"]
    ]
    assert any("InvalidPolicy in us-east-1" in body and "in force is: document, version 1" in body for body in notices), notices
