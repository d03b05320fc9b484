"""Two accounts in one embedded AWS: shares, keys, event buses and roles across them, with both accounts' policies."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.refusals import code_of
from support.stacks import Builder, statement, wait_for

REGION = "us-east-1"
_others = itertools.count(710_000_000_001)


class Accounts:
    """Two accounts, and clients of their roots and of roles."""

    def __init__(self, aws: EmbeddedAws, owner: str) -> None:
        self.aws = aws
        self.owner, self.other = Builder(aws, owner), Builder(aws, str(next(_others)))

    def session(self, build: Builder, name: str, trusted: str, *statements: dict[str, Any]) -> str:
        """Make a role that an account trusts."""
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{trusted}:root"}, "Action": "sts:AssumeRole"}
        iam = build.client("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=json.dumps({"Statement": list(statements)}))
        return str(arn)

    def clients_of(self, caller: Any, role_arn: str) -> Callable[[str], Any]:
        """Return clients with the credentials of a role that a caller's STS assumes."""
        made = caller.assume_role(RoleArn=role_arn, RoleSessionName="me")["Credentials"]
        arguments = {
            **self.aws.client_arguments(REGION, self.owner.account_id),
            "aws_access_key_id": made["AccessKeyId"],
            "aws_secret_access_key": made["SecretAccessKey"],
            "aws_session_token": made["SessionToken"],
        }
        return lambda service: boto3.client(service, **arguments)

    def role_client(self, build: Builder, service: str, *statements: dict[str, Any]) -> Any:
        """Return a client of a new role of an account with these permissions."""
        role = self.session(build, f"role-{next(_others)}", build.account_id, *statements)
        return self.clients_of(build.client("sts"), role)(service)


@pytest.fixture
def accounts(embedded: EmbeddedAws, account_id: str) -> Accounts:
    return Accounts(embedded, account_id)


def share(build: Builder, snapshot_id: str, account_id: str) -> None:
    change = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": [account_id]}
    build.client("ec2").modify_snapshot_attribute(SnapshotId=snapshot_id, **change)


def snapshot(build: Builder, **volume: Any) -> str:
    ec2 = build.client("ec2")
    volume_id = ec2.create_volume(AvailabilityZone=REGION + "a", Size=1, **volume)["VolumeId"]
    wait_for(lambda: ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"] == "available")
    snapshot_id = str(ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"])
    ended(ec2, snapshot_id)
    return snapshot_id


def ended(ec2: Any, snapshot_id: str) -> str:
    def state() -> str:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"][0]["State"]
        return "" if found == "pending" else str(found)

    return str(wait_for(state))


def key_policy(owner: str, *others: str) -> str:
    own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{owner}:root"}, "Action": "kms:*", "Resource": "*"}
    names = [f"arn:aws:iam::{other}:root" for other in others]
    actions = ["kms:DescribeKey", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant"]
    use = {"Effect": "Allow", "Principal": {"AWS": names}, "Action": actions, "Resource": "*"}
    return json.dumps({"Statement": [own, *([use] if others else [])]})


def test_a_copy_from_another_account_needs_both_accounts_policies(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    kms = owner.client("kms")
    key = kms.create_key(Policy=key_policy(owner.account_id))["KeyMetadata"]["Arn"]
    shared = snapshot(owner, Encrypted=True, KmsKeyId=key)
    read = received(other, {"detail": {"event": ["shareSnapshot"]}})
    share(owner, shared, other.account_id)
    (event,) = wait_for(read)
    assert (event["account"], event["detail"]["source"]) == (other.account_id, int(owner.account_id))
    copying = statement(["ec2:CopySnapshot", "ec2:DescribeSnapshots"])
    without_keys = accounts.role_client(other, "ec2", copying)
    with_keys = accounts.role_client(other, "ec2", copying, statement("kms:*"))
    request = {"SourceRegion": REGION, "SourceSnapshotId": shared}

    def copied_by(ec2: Any) -> str:
        return ended(ec2, ec2.copy_snapshot(**request)["SnapshotId"])

    assert [copied_by(ec2) for ec2 in (with_keys, other.client("ec2"))] == ["error", "error"]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(owner.account_id, other.account_id))
    states = [copied_by(ec2) for ec2 in (without_keys, with_keys, other.client("ec2"))]
    assert states == ["error", "completed", "completed"]
    seen = owner.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": shared}]
    )["Events"]
    assert [event["EventName"] for event in seen] == ["SharedSnapshotCopyInitiated"] * 5
    assert {json.loads(event["CloudTrailEvent"])["userIdentity"]["accountId"] for event in seen} == {other.account_id}


def test_a_key_is_described_in_another_account_by_its_policy(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    kms = owner.client("kms")
    key = kms.create_key(Policy=key_policy(owner.account_id))["KeyMetadata"]["Arn"]
    stranger = accounts.role_client(other, "kms", statement("kms:DescribeKey"))
    assert code_of(stranger.describe_key, KeyId=key)[0] == "AccessDeniedException"
    assert code_of(other.client("kms").describe_key, KeyId=key)[0] == "AccessDeniedException"
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(owner.account_id, other.account_id))
    assert stranger.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert code_of(accounts.role_client(other, "kms").describe_key, KeyId=key)[0] == "AccessDeniedException"
    assert code_of(stranger.disable_key, KeyId=key)[0] == "AccessDeniedException"


def bus_of(build: Builder) -> str:
    return f"arn:aws:events:{REGION}:{build.account_id}:event-bus/default"


def received(build: Builder, pattern: dict[str, Any]) -> Any:
    """Send matching events into a queue, and return how to read it."""
    sqs, events = build.client("sqs"), build.client("events")
    url = sqs.create_queue(QueueName="received")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    events.put_rule(Name="from-others", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="from-others", Targets=[{"Id": "queue", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return read


def put(events: Any, bus: str, source: str = "snapkeep.vault") -> Any:
    entry = {"Source": source, "DetailType": "Ended", "Detail": json.dumps({"n": 1}), "EventBusName": bus}
    return events.put_events(Entries=[entry])


def refusal(events: Any, owner: Builder, source: str = "snapkeep.vault") -> str:
    return str(code_of(put, events=events, bus=bus_of(owner), source=source)[0])


TEMPLATE = {
    "Parameters": {"Sender": {"Type": "String"}},
    "Resources": {
        "Policy": {
            "Type": "AWS::Events::EventBusPolicy",
            "Properties": {
                "StatementId": "from-the-vault",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${Sender}:root"}},
                    "Action": "events:PutEvents",
                    "Resource": {"Fn::Sub": "arn:aws:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"},
                    "Condition": {"ForAllValues:StringEquals": {"events:source": "snapkeep.vault"}},
                },
            },
        }
    },
}


def test_events_reach_the_bus_of_another_account_by_its_policy(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    read = received(owner, {"account": [other.account_id]})
    sender = accounts.role_client(other, "events", statement("events:PutEvents", bus_of(owner)))
    silent = accounts.role_client(other, "events", statement("events:PutEvents", bus_of(other)))
    assert refusal(sender, owner) == "AccessDeniedException"
    stacks = owner.client("cloudformation")
    parameters = [{"ParameterKey": "Sender", "ParameterValue": other.account_id}]
    stacks.create_stack(StackName="bus", TemplateBody=json.dumps(TEMPLATE), Parameters=parameters)
    stacks.get_waiter("stack_create_complete").wait(StackName="bus", WaiterConfig={"Delay": 0.2})
    for refused in ((sender, "another.source"), (silent, "snapkeep.vault"), (other.client("events"), "another.source")):
        assert refusal(refused[0], owner, refused[1]) == "AccessDeniedException"
    # A sender in the owner's account cannot pass for the other account.
    put(owner.client("events"), "default")
    assert put(sender, bus_of(owner))["FailedEntryCount"] == 0
    (event,) = wait_for(read)
    assert (event["account"], event["region"], event["detail"]) == (other.account_id, REGION, {"n": 1})
    stacks.delete_stack(StackName="bus")
    stacks.get_waiter("stack_delete_complete").wait(StackName="bus", WaiterConfig={"Delay": 0.2})
    assert refusal(sender, owner) == "AccessDeniedException"
    assert read() == []


def test_permission_for_a_bus_can_be_put_and_removed(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    events = owner.client("events")
    events.put_permission(Action="events:PutEvents", Principal=other.account_id, StatementId="one")
    assert put(other.client("events"), bus_of(owner))["FailedEntryCount"] == 0
    events.remove_permission(StatementId="one")
    assert refusal(other.client("events"), owner) == "AccessDeniedException"


def test_a_role_of_another_account_is_assumed_by_trust_and_permission(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    trusting = accounts.session(owner, "trusting", other.account_id, statement("ec2:DescribeVolumes"))
    closed = accounts.session(owner, "closed", owner.account_id, statement("ec2:DescribeVolumes"))
    may = accounts.role_client(other, "sts", statement("sts:AssumeRole"))
    may_not = accounts.role_client(other, "sts", statement("sts:AssumeRole", closed))
    client = accounts.clients_of(may, trusting)
    assert client("ec2").describe_volumes()["Volumes"] == []
    assert client("sts").get_caller_identity()["Account"] == owner.account_id
    for caller, role in ((may, closed), (may_not, trusting), (may_not, closed), (other.client("sts"), closed)):
        assert code_of(caller.assume_role, RoleArn=role, RoleSessionName="me")[0] in {"AccessDenied", "AccessDeniedException"}


def test_a_role_shares_with_named_accounts_and_locks_for_so_long_alone(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    snapshot_id = snapshot(owner)
    named = {"StringEquals": {"ec2:Add/userId": other.account_id}}
    short = {"NumericLessThanEquals": {"ec2:SnapshotLockDuration": "7"}}
    ec2 = accounts.role_client(
        owner, "ec2", statement("ec2:ModifySnapshotAttribute", **named), statement("ec2:LockSnapshot", **short)
    )
    change = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission", "OperationType": "add"}
    stranger = {"UserIds": ["999999999999"]}
    for grantees in (stranger, {"GroupNames": ["all"]}, {"UserIds": [other.account_id, "999999999999"]}):
        assert code_of(ec2.modify_snapshot_attribute, **change, **grantees)[0] == "UnauthorizedOperation"
    add = {"Add": [{"UserId": "999999999999"}]}
    assert (
        code_of(ec2.modify_snapshot_attribute, SnapshotId=snapshot_id, CreateVolumePermission=add)[0] == "UnauthorizedOperation"
    )
    ec2.modify_snapshot_attribute(**change, UserIds=[other.account_id])
    lock = {"SnapshotId": snapshot_id, "LockMode": "governance"}
    assert code_of(ec2.lock_snapshot, **lock, LockDuration=8)[0] == "UnauthorizedOperation"
    assert ec2.lock_snapshot(**lock, LockDuration=7)["LockState"] == "governance"
    assert code_of(ec2.unlock_snapshot, SnapshotId=snapshot_id)[0] == "UnauthorizedOperation"


def test_an_administrator_reaches_nothing_of_another_account(accounts: Accounts) -> None:
    owner, other = accounts.owner, accounts.other
    owner.client("s3").create_bucket(Bucket=f"of-{owner.account_id}")
    url = owner.client("sqs").create_queue(QueueName="queue")["QueueUrl"]
    topic = owner.client("sns").create_topic(Name="topic")["TopicArn"]
    owner.client("ssm").put_parameter(Name="/policy", Value="{}", Type="String")
    machine = owner.machine("machine", {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    snapshot_id = snapshot(owner)
    parameter = f"arn:aws:ssm:{REGION}:{owner.account_id}:parameter/policy"
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("s3", "list_objects_v2", {"Bucket": f"of-{owner.account_id}"}),
        ("s3", "delete_bucket", {"Bucket": f"of-{owner.account_id}"}),
        ("sqs", "purge_queue", {"QueueUrl": url}),
        ("sns", "publish", {"TopicArn": topic, "Message": "mine"}),
        ("ssm", "get_parameter", {"Name": parameter}),
        ("stepfunctions", "start_execution", {"stateMachineArn": machine}),
        ("events", "put_rule", {"Name": "mine", "EventBusName": bus_of(owner), "ScheduleExpression": "rate(1 day)"}),
        ("ec2", "delete_snapshot", {"SnapshotId": snapshot_id}),
        ("ebs", "list_snapshot_blocks", {"SnapshotId": snapshot_id}),
    )
    role = accounts.session(other, "administrator", other.account_id, statement("*"))
    administrator = accounts.clients_of(other.client("sts"), role)
    for service, operation, parameters in calls:
        for client in (other.client, administrator):
            code = code_of(getattr(client(service), operation), **parameters)[0]
            assert code.startswith(("AccessDenied", "AuthorizationError")) or "NotFound" in code or "DoesNotExist" in code, code
