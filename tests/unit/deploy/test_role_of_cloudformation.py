"""CloudFormation acts with the role that a deployment names, and a nested stack is changed by its parent alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.deploy.progress import SilentWatcher
from snapkeep.deploy.stacks import Stack, StackNested

ROLE = "arn:aws:iam::123456789012:role/cloudformation"


class CloudFormation:
    """One stack, perhaps nested; keeps the requests that change it."""

    def __init__(self, parent_id: str = "") -> None:
        self.requests: dict[str, dict[str, Any]] = {}
        self.parent_id = parent_id

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if "delete_stack" in self.requests:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        stack = {"StackName": StackName, "StackStatus": "CREATE_COMPLETE", "StackId": "id", "ParentId": self.parent_id}
        return {"Stacks": [stack]}

    def create_change_set(self, **request: Any) -> dict[str, Any]:
        self.requests["create_change_set"] = request
        return {"Id": "change-set"}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        return {"Status": "CREATE_COMPLETE", "Changes": []}

    def delete_stack(self, **request: Any) -> None:
        self.requests["delete_stack"] = request

    def get_paginator(self, _: str) -> Any:
        class Nothing:
            def paginate(self, **_: Any) -> Iterable[dict[str, Any]]:
                return [{"StackEvents": [], "StackResourceSummaries": []}]

        return Nothing()


def stack(cloudformation: CloudFormation, role_arn: str = "") -> Stack:
    return Stack(cloudformation, "snapkeep-dr", "us-east-2", SilentWatcher(), poll_seconds=0, role_arn=role_arn)


@pytest.mark.parametrize(("role_arn", "expected"), [(ROLE, ROLE), ("", None)])
def test_changes_and_deletions_name_the_role(role_arn: str, expected: str | None) -> None:
    cloudformation = CloudFormation()
    stack(cloudformation, role_arn).prepare("https://template", {}, {}, {}, lambda _: False)
    stack(cloudformation, role_arn).delete()
    assert {name: request.get("RoleARN") for name, request in cloudformation.requests.items()} == {
        "create_change_set": expected,
        "delete_stack": expected,
    }


def test_a_nested_stack_is_neither_changed_nor_deleted() -> None:
    cloudformation = CloudFormation("arn:parent")
    with pytest.raises(StackNested, match="nested in arn:parent"):
        stack(cloudformation).prepare("https://template", {}, {}, {}, lambda _: False)
    with pytest.raises(StackNested):
        stack(cloudformation).delete()
    assert cloudformation.requests == {}
