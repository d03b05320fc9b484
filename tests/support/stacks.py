"""Builders of roles, functions and state machines in an embedded AWS, and waits for their ends."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from snapkeep.lab.embedded_aws import EmbeddedAws

# Nothing takes as long, not even on a machine with much else to do: a test that waits so long would wait for ever.
PATIENCE_SECONDS = 900.0
# A look costs the server more than many a thing that is waited for.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.5


def wait_for(look: Callable[[], Any]) -> Any:
    """Return the value of `look` as soon as it is true."""
    pause = waited = 0.0
    while waited < PATIENCE_SECONDS:
        value = look()
        if value:
            return value
        pause = min(max(FIRST_PAUSE_SECONDS, pause * 1.2), LONGEST_PAUSE_SECONDS)
        waited += pause
        time.sleep(pause)
    raise AssertionError(f"was not true in {PATIENCE_SECONDS} s: {look}")


def statement(actions: str | list[str], resources: str | list[str] = "*", **condition: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resources}
    if condition:
        document["Condition"] = condition
    return document


class Builder:
    """Builds resources in one account of one region."""

    def __init__(self, aws: EmbeddedAws, account_id: str, region: str = "us-east-1") -> None:
        self.aws = aws
        self.account_id = account_id
        self.region = region

    def client(self, service: str) -> Any:
        return self.aws.client(service, self.region, self.account_id)

    def role(self, name: str, service: str, *statements: dict[str, Any]) -> str:
        iam = self.client("iam")
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))["Role"][
            "Arn"
        ]
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=document)
        return str(arn)

    def function(self, name: str, source: str, *statements: dict[str, Any], **settings: Any) -> str:
        """Make a function from the source of a module with `handler(event, context)`; its role has the statements."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("module.py", source)
        logs = statement(
            ["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:{self.region}:{self.account_id}:log-group:/aws/lambda/*"
        )
        role = self.role(f"{name}-role", "lambda.amazonaws.com", logs, *statements)
        client = self.client("lambda")
        arn = client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="module.handler",
            Code={"ZipFile": archive.getvalue()},
            **settings,
        )["FunctionArn"]
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
        return str(arn)

    def invoke(self, name: str, event: Any) -> Any:
        return json.load(self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"])

    def machine(self, name: str, definition: Mapping[str, Any], *statements: dict[str, Any]) -> str:
        role = self.role(f"{name}-role", "states.amazonaws.com", *statements)
        client = self.client("stepfunctions")
        return str(client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)["stateMachineArn"])

    def run(self, machine_arn: str, event: Any) -> dict[str, Any]:
        """Run a state machine to its end and return the execution."""
        client = self.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=machine_arn, input=json.dumps(event))["executionArn"]
        return self.finished(arn)

    def finished(self, execution_arn: str) -> dict[str, Any]:
        client = self.client("stepfunctions")

        def ended() -> dict[str, Any] | None:
            execution = client.describe_execution(executionArn=execution_arn)
            return execution if execution["status"] != "RUNNING" else None

        execution = wait_for(ended)
        assert execution is not None
        return dict(execution)

    def volume(self, size_gib: int = 1, **tags: str) -> str:
        ec2 = self.client("ec2")
        specification = [{"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        volume_id = ec2.create_volume(
            AvailabilityZone=f"{self.region}a", Size=size_gib, **({"TagSpecifications": specification} if tags else {})
        )["VolumeId"]
        wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available")
        return str(volume_id)

    def snapshot(self, volume_id: str, **tags: str) -> str:
        """Make a snapshot and wait until it is completed."""
        ec2 = self.client("ec2")
        specification = [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        snapshot_id = ec2.create_snapshot(VolumeId=volume_id, **({"TagSpecifications": specification} if tags else {}))[
            "SnapshotId"
        ]
        self.completed(snapshot_id)
        return str(snapshot_id)

    def completed(self, snapshot_id: str) -> dict[str, Any]:
        ec2 = self.client("ec2")

        def ended() -> dict[str, Any] | None:
            snapshot = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]
            return snapshot if snapshot["State"] != "pending" else None

        snapshot = wait_for(ended)
        assert snapshot is not None
        return dict(snapshot)


def task(resource: str, **more: Any) -> dict[str, Any]:
    """A state machine of one task."""
    return {"StartAt": "Only", "States": {"Only": {"Type": "Task", "Resource": resource, "End": True, **more}}}
