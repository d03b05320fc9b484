"""The calls that IAM refuses to each function's role. Other tests cover the allowed calls."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from support.deployment import DR, PRIMARY, REGIONS, Installation
from support.permissions import PERMISSIONS, actions_of
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")
REFUSED = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}
)
ROLES = [(stack, function) for stack in REGIONS for function in PERMISSIONS[stack]]
PROBE = """
import boto3, botocore.exceptions
def handler(event, context):
    answers = []
    for service, region, operation, parameters in event:
        try:
            getattr(boto3.client(service, region_name=region), operation)(**parameters)
            answers.append("done")
        except botocore.exceptions.ClientError as error:
            answers.append(error.response["Error"]["Code"])
    return answers
"""
Call = tuple[str, str, str, dict[str, Any]]


class Prober:
    """Makes calls with a deployed role."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation

    def answers(self, stack: str, function: str, calls: list[Call]) -> list[str]:
        region = REGIONS[stack]
        client = self.installation.client("lambda", region)
        role = client.get_function_configuration(FunctionName=function)["Role"]
        name = f"probe-{function}"
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("module.py", PROBE)
        settings = {"Runtime": "python3.13", "Role": role, "Handler": "module.handler", "Timeout": 60}
        client.create_function(FunctionName=name, Code={"ZipFile": archive.getvalue()}, **settings)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1})
        try:
            answer = json.load(client.invoke(FunctionName=name, Payload=json.dumps(calls))["Payload"])
        finally:
            client.delete_function(FunctionName=name)
        assert isinstance(answer, list), answer
        return answer


@pytest.fixture(scope="module")
def things(installation: Installation) -> dict[str, str]:
    """A managed snapshot and its copy, copies that a person made, and things of others."""
    managed = installation.snapshot(installation.volume(Name="managed"))
    copy = installation.copied(managed)["SnapshotId"]
    wait_for(lambda: installation.tags_of(managed).get("snapkeep:managed"))
    snapshots = {"managed": managed, "copy": copy}
    for region, name in ((PRIMARY, "unmanaged"), (DR, "unmanaged_dr")):
        ec2 = installation.client("ec2", region)
        snapshots[name] = ec2.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=managed)["SnapshotId"]
        wait_for(
            lambda ec2=ec2, snapshot_id=snapshots[name]: (
                ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"] == "completed"
            )
        )
        topic = installation.client("sns", region).create_topic(Name="of-others")["TopicArn"]
        snapshots[f"topic {region}"] = topic
        table = {"TableName": "of-others", "BillingMode": "PAY_PER_REQUEST"}
        installation.client("dynamodb", region).create_table(
            **table,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
    return snapshots


def command(document: str) -> dict[str, Any]:
    return {"DocumentName": document, "InstanceIds": ["i-0123456789abcdef0"]}


def forbidden(stack: str, function: str, things: dict[str, str]) -> dict[str, Call]:
    """Calls that no role may make, except those declared for it."""
    region = REGIONS[stack]
    other_region = DR if region == PRIMARY else PRIMARY
    own, other = ("managed", "copy") if region == PRIMARY else ("copy", "managed")
    bare = "unmanaged" if region == PRIMARY else "unmanaged_dr"
    may = actions_of(stack, function)
    tag = {"Tags": [{"Key": "snapkeep:managed", "Value": "snapkeep"}]}
    calls: dict[str, Call] = {
        "delete an unmanaged snapshot": ("ec2", region, "delete_snapshot", {"SnapshotId": things[bare]}),
        "delete in the other region": ("ec2", other_region, "delete_snapshot", {"SnapshotId": things[other]}),
        "tag in the other region": ("ec2", other_region, "create_tags", {"Resources": [things[other]], **tag}),
        "take tags off": ("ec2", region, "delete_tags", {"Resources": [things[own]]}),
        "share a snapshot": (
            "ec2",
            region,
            "modify_snapshot_attribute",
            {"SnapshotId": things[own], "Attribute": "createVolumePermission", "OperationType": "add", "GroupNames": ["all"]},
        ),
        "delete a volume": ("ec2", region, "delete_volume", {"VolumeId": "vol-0123456789abcdef0"}),
        "read another table": ("dynamodb", region, "get_item", {"TableName": "of-others", "Key": {"pk": {"S": "x"}}}),
        "publish elsewhere": ("sns", region, "publish", {"TopicArn": things[f"topic {region}"], "Message": "x"}),
        "change the policy": ("ssm", region, "put_parameter", {"Name": "/snapkeep/policy", "Value": "{}", "Overwrite": True}),
        "delete the policy": ("ssm", region, "delete_parameter", {"Name": "/snapkeep/policy"}),
        "release a hold": ("ssm", other_region, "delete_parameter", {"Name": "/snapkeep/holds/hold-1"}),
        "read other parameters": ("ssm", region, "get_parameters_by_path", {"Path": "/snapkeep"}),
        "run a document of AWS": ("ssm", region, "send_command", command("AWS-RunShellScript")),
        "run another document": ("ssm", region, "send_command", command("snapkeep-others")),
        "change a function": ("lambda", region, "update_function_configuration", {"FunctionName": function, "Timeout": 1}),
        "give itself more": ("iam", region, "put_role_policy", {"RoleName": "x", "PolicyName": "x", "PolicyDocument": "{}"}),
    }
    if "ec2:DeleteSnapshot" not in may or function == "RemoveAfterDrill":
        calls["delete a managed snapshot"] = ("ec2", region, "delete_snapshot", {"SnapshotId": things[own]})
    if "ec2:CreateTags" not in may or function in ("Dispatch", "Drill", "MakeForDrill", "MakeSnapshots", "TagSnapshotCopy"):
        calls["tag an unmanaged snapshot"] = ("ec2", region, "create_tags", {"Resources": [things[bare]], **tag})
    if "ec2:CopySnapshot" not in may:
        copy = {"SourceRegion": other_region, "SourceSnapshotId": things[other]}
        calls["copy a snapshot"] = ("ec2", region, "copy_snapshot", copy)
    own_blocks = {"SnapshotId": things[own if "ebs:ListSnapshotBlocks" not in may else bare]}
    calls["read blocks"] = ("ebs", region, "list_snapshot_blocks", own_blocks)
    calls["read a block"] = ("ebs", region, "get_snapshot_block", {**own_blocks, "BlockIndex": 0, "BlockToken": "x" * 40})
    calls["read blocks of the other region"] = ("ebs", other_region, "list_snapshot_blocks", {"SnapshotId": things[other]})
    if "states:SendTaskFailure" not in may:
        calls["fail an execution"] = ("stepfunctions", PRIMARY, "send_task_failure", {"taskToken": "x"})
    return calls


@pytest.mark.parametrize(("stack", "function"), ROLES)
def test_a_role_is_refused_everything_else(installation: Installation, things: dict[str, str], stack: str, function: str) -> None:
    calls = forbidden(stack, function, things)
    answers = Prober(installation).answers(stack, function, list(calls.values()))
    assert {name: answer for name, answer in zip(calls, answers, strict=True) if answer not in REFUSED} == {}


def test_nothing_was_changed_by_all_these_attempts(installation: Installation, things: dict[str, str]) -> None:
    assert installation.tags_of(things["managed"])["snapkeep:managed"] == "snapkeep"
    assert installation.tags_of(things["copy"], DR)["snapkeep:managed"] == "snapkeep"
    assert "snapkeep:managed" not in installation.tags_of(things["unmanaged"])
    assert "snapkeep:managed" not in installation.tags_of(things["unmanaged_dr"], DR)


@pytest.mark.parametrize("stack", list(REGIONS))
def test_the_deleting_role_deletes_a_managed_snapshot_of_its_region(
    installation: Installation, things: dict[str, str], stack: str
) -> None:
    """The refusals above mean something only if the same probe succeeds where it is allowed to."""
    region = REGIONS[stack]
    victim = things["managed" if stack == "primary" else "copy"]
    calls: list[Call] = [("ssm", place, "get_parameters_by_path", {"Path": "/snapkeep/holds"}) for place in REGIONS.values()]
    calls.append(("ec2", region, "delete_snapshot", {"SnapshotId": victim}))
    assert Prober(installation).answers(stack, "DeleteOldSnapshots", calls) == ["done"] * 3
