"""A change set that is not carried out leaves no stack behind, and deletes none that another deployment has made."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.deploy.progress import SilentWatcher
from snapkeep.deploy.stack_descriptions import ABSENT, StackDescription
from snapkeep.deploy.stacks import PreparedStack, Stack, StackBusy
from support.silent_watcher import Notes


class CloudFormation:
    """One stack in a status; keeps what is deleted."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.deleted: list[str] = []

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"Stacks": [{"StackName": StackName, "StackStatus": self.status, "StackId": "id"}]}

    def delete_change_set(self, **_: Any) -> None:
        self.deleted.append("change set")

    def delete_stack(self, **_: Any) -> None:
        self.deleted.append("stack")


@pytest.mark.parametrize(
    ("status", "deleted"),
    [
        ("REVIEW_IN_PROGRESS", ["change set", "stack"]),
        ("CREATE_IN_PROGRESS", ["change set"]),
        ("CREATE_COMPLETE", ["change set"]),
    ],
)
def test_only_an_empty_stack_is_deleted_with_its_change_set(status: str, deleted: list[str]) -> None:
    cloudformation = CloudFormation(status)
    stack = Stack(cloudformation, "snapkeep-dr", "us-east-2", SilentWatcher(), poll_seconds=0)
    stack.discard(PreparedStack(StackDescription(ABSENT), "change-set"))
    assert cloudformation.deleted == deleted


@pytest.mark.parametrize("code", ["ChangeSetNotFound", "InvalidChangeSetStatus"])
def test_a_change_set_that_another_deployment_overtook_is_named(code: str) -> None:
    """Two people deployed at once: the second one got CloudFormation's ChangeSetNotFound."""

    class Overtaken(CloudFormation):
        def get_paginator(self, _: str) -> Any:
            return SimpleNamespace(paginate=lambda **_: [{"StackEvents": []}])

        def execute_change_set(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "ExecuteChangeSet")

    stack = Stack(Overtaken("UPDATE_COMPLETE"), "snapkeep-dr", "us-east-2", SilentWatcher(), poll_seconds=0)
    with pytest.raises(StackBusy, match="changed by another deployment meanwhile: deploy again"):
        stack.execute(PreparedStack(StackDescription("UPDATE_COMPLETE"), "change-set"))


def test_a_change_set_that_cannot_be_deleted_hides_no_error() -> None:
    class Refusing(CloudFormation):
        def delete_change_set(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "DeleteChangeSet")

    notes = Notes()
    Stack(Refusing("CREATE_COMPLETE"), "snapkeep-dr", "us-east-2", notes, poll_seconds=0).discard(
        PreparedStack(StackDescription(ABSENT), "change-set")
    )
    (note,) = notes.notes
    assert note.startswith("us-east-2: change set change-set of stack snapkeep-dr stays: ")
