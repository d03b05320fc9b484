"""`destroy` ends the runs that wait: Step Functions deletes no state machine, and CloudFormation no stack, while one goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.deploy.progress import SilentWatcher
from snapkeep.domain.system import StackKind

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:snapkeep-protect"
WAITING = f"{MACHINE.replace('stateMachine', 'execution')}:waits-for-its-copy"
PARAMETERS = [{"ParameterKey": "VaultAccounts", "ParameterValue": "222222222222, 333333333333"}]


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")  # type: ignore[arg-type]


class Pages:
    """A paginator of one page."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page = page

    def paginate(self, **_: Any) -> Iterable[dict[str, Any]]:
        return [self.page]


class OneStack:
    """AWS with every stack that is described; one execution of its state machine waits. Notes what is done."""

    def __init__(self, stop_refused: ClientError | None = None) -> None:
        self.done: list[str] = []
        self.deleted: set[str] = set()
        self.stop_refused = stop_refused

    def client(self, service: str, region: str) -> Any:
        return self

    @property
    def meta(self) -> Any:
        return type("Meta", (), {"endpoint_url": "https://cloudformation.us-east-1.amazonaws.com"})

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/person"}

    def describe_stacks(self, **request: Any) -> dict[str, Any]:
        name = request["StackName"].removeprefix("arn:")
        if name in self.deleted:
            raise refusal("ValidationError", f"Stack with id {name} does not exist")
        return {
            "Stacks": [{"StackStatus": "CREATE_COMPLETE", "StackId": f"arn:{name}", "StackName": name, "Parameters": PARAMETERS}]
        }

    def get_paginator(self, operation: str) -> Pages:
        resource = {"ResourceType": "AWS::StepFunctions::StateMachine", "PhysicalResourceId": MACHINE}
        methods = {
            "list_stack_resources": {"StackResourceSummaries": [{"ResourceType": "AWS::SNS::Topic"}, resource]},
            "describe_stack_events": {"StackEvents": []},
            "list_executions": {"executions": [{"executionArn": WAITING}]},
        }
        return Pages(methods[operation])

    def stop_execution(self, **request: Any) -> None:
        if self.stop_refused:
            raise self.stop_refused
        self.done.append(f"stopped {request['executionArn']}")

    def delete_stack(self, **request: Any) -> None:
        self.done.append("deleted")
        self.deleted.add(request["StackName"].removeprefix("arn:"))

    def head_bucket(self, **_: Any) -> None:
        raise refusal("404", "Not Found")


class Notes(SilentWatcher):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_runs_that_wait_are_stopped_before_their_stack_is_deleted_and_counted() -> None:
    aws, notes = OneStack(), Notes()
    Deployment(DeploymentTarget(aws.client, "us-east-1", "us-east-2"), notes).destroy(["primary"])
    assert aws.done == [f"stopped {WAITING}", "deleted"]
    assert notes.notes == ["1 run that had not ended was stopped"]


@pytest.mark.parametrize("code", ["AccessDeniedException", "StateMachineDoesNotExist"])
def test_runs_that_cannot_be_stopped_are_noted(code: str) -> None:
    aws, notes = OneStack(stop_refused=refusal(code, "no")), Notes()
    Deployment(DeploymentTarget(aws.client, "us-east-1", "us-east-2"), notes).destroy(["primary"])
    assert aws.done == ["deleted"]
    (note,) = notes.notes
    assert note.startswith("executions in progress could not be stopped, and the deletion may wait for them")


def test_a_dr_stack_is_deleted_with_the_network_of_drills() -> None:
    aws = OneStack()
    destroyed = Deployment(DeploymentTarget(aws.client, "us-east-1", "us-east-2"), Notes()).destroy([StackKind.DR])
    assert [result.stack for result in destroyed.stacks] == ["snapkeep-dr", "snapkeep-drill"]


def test_the_artifacts_of_the_dr_stack_outlive_the_network_of_drills() -> None:
    aws = OneStack()
    destroyed = Deployment(DeploymentTarget(aws.client, "us-east-1", "us-east-2"), Notes()).destroy([StackKind.DRILL])
    assert ([result.stack for result in destroyed.stacks], destroyed.objects_removed) == (["snapkeep-drill"], {})
    assert destroyed.stays == (), "nothing of the other stacks was to be deleted"


def test_shares_with_vaults_are_listed_as_remaining() -> None:
    """Copies stayed shared with another account, without a word."""
    destroyed = Deployment(DeploymentTarget(OneStack().client, "us-east-1", "us-east-2"), Notes()).destroy([StackKind.DR])
    [shares] = [text for text in destroyed.stays if "vault" in text]
    assert "222222222222 and 333333333333" in shares


def test_only_a_vaults_stack_is_deleted_in_its_own_region() -> None:
    aws = OneStack()
    destroyed = Deployment(DeploymentTarget(aws.client, "us-east-2", ""), Notes()).destroy([StackKind.VAULT])
    assert [(result.stack, result.region) for result in destroyed.stacks] == [("snapkeep-vault", "us-east-2")]
    assert aws.done == [f"stopped {WAITING}", "deleted"]
