"""CloudFormation in the embedded AWS: names, resources that exist, the caller's permissions, regions and quotas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from snapkeep.lab.embedded_aws.patches.resource_types import TYPES
from support.stacks import Builder, statement, wait_for

TABLE = {
    "TableName": "queue",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
}
SOURCE = "def handler(event, context):\n    return 'old'\n"


def trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def template(**resources: tuple[str, dict[str, Any]]) -> str:
    return json.dumps(
        {"Resources": {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}}
    )


def role(service: str = "lambda.amazonaws.com", **properties: Any) -> tuple[str, dict[str, Any]]:
    return "AWS::IAM::Role", {"AssumeRolePolicyDocument": trust(service), **properties}


def create(client: Any, name: str, body: str) -> dict[str, Any]:
    """Create a stack, wait for its end, and return its description with the reasons of its failures."""
    client.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])

    def ended() -> dict[str, Any] | None:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = dict(wait_for(ended))
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    stack["reasons"] = [event.get("ResourceStatusReason", "") for event in events if event["ResourceStatus"].endswith("FAILED")]
    return stack


def test_equal_stacks_of_two_regions_have_roles_of_their_own(embedded: EmbeddedAws, account_id: str) -> None:
    names = set()
    for region in ("us-east-1", "us-east-2"):
        client = embedded.client("cloudformation", region, account_id)
        assert create(client, "same", template(Role=role()))["StackStatus"] == "CREATE_COMPLETE"
        (resource,) = client.describe_stack_resources(StackName="same")["StackResources"]
        names.add(resource["PhysicalResourceId"])
    assert len(names) == 2
    embedded.client("cloudformation", "us-east-2", account_id).delete_stack(StackName="same")
    iam = embedded.client("iam", "us-east-1", account_id)
    wait_for(lambda: len(iam.list_roles()["Roles"]) == 1)


@pytest.mark.parametrize(
    ("kind", "name_property", "properties"),
    [
        ("AWS::SQS::Queue", "QueueName", {}),
        ("AWS::SNS::Topic", "TopicName", {}),
        ("AWS::Logs::LogGroup", "LogGroupName", {}),
        ("AWS::Events::Rule", "Name", {"ScheduleExpression": "rate(1 hour)"}),
        ("AWS::IAM::Role", "RoleName", {"AssumeRolePolicyDocument": trust("lambda.amazonaws.com")}),
        (
            "AWS::DynamoDB::Table",
            "TableName",
            {
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        ),
    ],
)
def test_a_second_stack_does_not_take_over_a_resource(
    embedded: EmbeddedAws, account_id: str, kind: str, name_property: str, properties: dict[str, Any]
) -> None:
    client = embedded.client("cloudformation", "us-east-1", account_id)
    body = template(Thing=(kind, {name_property: f"taken-{account_id}", **properties}))
    assert create(client, "first", body)["StackStatus"] == "CREATE_COMPLETE"
    second = create(client, "second", body)
    assert second["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("already exists" in reason for reason in second["reasons"])
    # Its rollback leaves the first stack's resource alone: the same name is still taken.
    assert create(client, "third", body)["StackStatus"] == "ROLLBACK_COMPLETE"


def test_a_stack_has_no_rule_that_put_rule_refuses(embedded: EmbeddedAws, account_id: str) -> None:
    client = embedded.client("cloudformation", "us-east-1", account_id)
    stack = create(client, "ticks", template(Rule=("AWS::Events::Rule", {"ScheduleExpression": "rate(1 hours)"})))
    assert (stack["StackStatus"], stack["reasons"]) == ("ROLLBACK_COMPLETE", ["Parameter ScheduleExpression is not valid."])


def test_a_stack_leaves_a_function_that_exists(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    arn = build.function("Taken", SOURCE)
    function = {
        "FunctionName": "Taken",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Role": f"arn:aws:iam::{account_id}:role/Taken-role",
        "Code": {"ZipFile": "def handler(event, context):\n    return 'new'\n"},
    }
    stack = create(build.client("cloudformation"), "taking", template(Function=("AWS::Lambda::Function", function)))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert build.client("lambda").get_function(FunctionName="Taken")["Configuration"]["FunctionArn"] == arn
    assert build.invoke("Taken", {}) == "old"


OF_EACH_SERVICE = {
    "Role": role(RoleName="agents"),
    "Profile": ("AWS::IAM::InstanceProfile", {"InstanceProfileName": "agents", "Roles": [{"Ref": "Role"}]}),
    "Network": ("AWS::EC2::VPC", {"CidrBlock": "10.0.0.0/24", "Tags": [{"Key": "mine", "Value": "yes"}]}),
    "Board": ("AWS::CloudWatch::Dashboard", {"DashboardName": "board", "DashboardBody": "{}"}),
    "Names": ("AWS::Route53Resolver::FirewallDomainList", {"Name": "names", "Domains": ["example.com"]}),
}
NEEDED = [
    *(
        "iam:CreateRole",
        "iam:CreateInstanceProfile",
        "iam:AddRoleToInstanceProfile",
        "iam:PassRole",
        "ec2:CreateVpc",
        "ec2:CreateTags",
    ),
    "cloudwatch:PutDashboard",
]
NETWORKS = ("ec2:CreateVpc", "ec2:CreateTags", "ec2:DeleteVpc")
OTHERS = {action for one in TYPES.values() for action in (*one.create, *one.delete, *one.sets.values())} | {
    "iam:PassRole",
    *NETWORKS,
}


@pytest.mark.parametrize("missing", ["", *NEEDED])
def test_a_stack_does_what_its_caller_may(embedded: EmbeddedAws, account_id: str, missing: str) -> None:
    client = deployer(embedded, account_id, *(OTHERS - {missing}))
    stack = create(client, "mine", template(**OF_EACH_SERVICE))
    assert stack["StackStatus"] == ("ROLLBACK_COMPLETE" if missing else "CREATE_COMPLETE"), stack["reasons"]
    assert not missing or any(f"not authorized to perform: {missing}" in reason for reason in stack["reasons"])


def test_a_state_machine_s_role_may_trust_the_regional_principal(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    arn = build.role("regional", "states.us-east-1.amazonaws.com")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    machine = build.client("stepfunctions").create_state_machine(name="regional", definition=definition, roleArn=arn)
    assert build.run(machine["stateMachineArn"], {})["status"] == "SUCCEEDED"
    elsewhere = build.role("elsewhere", "states.eu-west-1.amazonaws.com")
    with pytest.raises(ClientError, match="regional one"):
        build.client("stepfunctions").create_state_machine(name="elsewhere", definition=definition, roleArn=elsewhere)


@pytest.mark.parametrize("service", ["cloudformation", "lambda", "sqs", "ec2"])
def test_a_region_that_does_not_exist_is_refused(embedded: EmbeddedAws, account_id: str, service: str) -> None:
    calls = {"cloudformation": "list_stacks", "lambda": "list_functions", "sqs": "list_queues", "ec2": "describe_volumes"}
    with pytest.raises(ClientError, match="mars-north-1 does not exist"):
        getattr(embedded.client(service, "mars-north-1", account_id), calls[service])()


def test_a_copy_from_a_region_that_does_not_exist_is_refused(embedded: EmbeddedAws, account_id: str) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        embedded.client("ec2", "us-east-2", account_id).copy_snapshot(
            SourceRegion="mars-north-1", SourceSnapshotId="snap-0123456789abcdef0"
        )


def test_a_stack_s_encryption_recovery_and_logging_are_in_force(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    key = str(build.client("kms").create_key()["KeyMetadata"]["Arn"])
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}
    encryption = {"ServerSideEncryptionConfiguration": [rule]}
    machine_role = build.role("logs", "states.amazonaws.com", statement("logs:*"))
    group = f"arn:aws:logs:us-east-1:{account_id}:log-group:/aws/vendedlogs/states/logs:*"
    logging = {"Level": "ERROR", "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": group}}]}
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
    body = template(
        Machine=(
            "AWS::StepFunctions::StateMachine",
            {"RoleArn": machine_role, "DefinitionString": definition, "LoggingConfiguration": logging},
        ),
        Table=(
            "AWS::DynamoDB::Table",
            TABLE | {"SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}},
        ),
        Topic=("AWS::SNS::Topic", {"TopicName": "encrypted", "KmsMasterKeyId": key}),
        Bucket=("AWS::S3::Bucket", {"BucketName": f"encrypted-{account_id}", "BucketEncryption": encryption}),
    )
    assert create(build.client("cloudformation"), "settings", body)["StackStatus"] == "CREATE_COMPLETE"
    dynamodb = build.client("dynamodb")
    assert dynamodb.describe_table(TableName="queue")["Table"]["SSEDescription"]["KMSMasterKeyArn"] == key
    recovery = dynamodb.describe_continuous_backups(TableName="queue")["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    (topic,) = build.client("sns").list_topics()["Topics"]
    assert build.client("sns").get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]["KmsMasterKeyId"] == key
    (encryption_rule,) = build.client("s3").get_bucket_encryption(Bucket=f"encrypted-{account_id}")[
        "ServerSideEncryptionConfiguration"
    ]["Rules"]
    assert encryption_rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key
    (machine,) = build.client("stepfunctions").list_state_machines()["stateMachines"]
    described = build.client("stepfunctions").describe_state_machine(stateMachineArn=machine["stateMachineArn"])
    assert described["loggingConfiguration"]["level"] == "ERROR"


def test_items_of_a_stack_s_table_expire(embedded_alone: EmbeddedAws) -> None:
    build = Builder(embedded_alone, "123456789012")
    assert (
        create(build.client("cloudformation"), "expiry", template(Table=("AWS::DynamoDB::Table", TABLE)))["StackStatus"]
        == "CREATE_COMPLETE"
    )
    dynamodb = build.client("dynamodb")
    now = int(embedded_alone.admin("GET", "health")["now"])
    for name, expiry in (
        ("soon", {"N": str(now + 3600)}),
        ("late", {"N": str(now + 10 * 86400)}),
        ("text", {"S": str(now + 3600)}),
    ):
        dynamodb.put_item(TableName="queue", Item={"id": {"S": name}, "expires": expiry})
    embedded_alone.admin("POST", "clock", {"seconds": 7200})
    assert {item["id"]["S"] for item in dynamodb.scan(TableName="queue")["Items"]} == {"late", "text"}


def deployer(embedded: EmbeddedAws, account_id: str, *actions: str) -> Any:
    """Return CloudFormation for a user that may use it, and do the actions."""
    iam = embedded.client("iam", "us-east-1", account_id)
    iam.create_user(UserName="deployer")
    statement = {"Effect": "Allow", "Action": ["cloudformation:*", *actions], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="deployer", PolicyName="policy", PolicyDocument=document)
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    return embedded.client_of("cloudformation", "us-east-1", key["AccessKeyId"], key["SecretAccessKey"])


def status_after(client: Any, name: str) -> str:
    def ended() -> str:
        (stack,) = client.describe_stacks(StackName=name)["Stacks"]
        return "" if stack["StackStatus"].endswith("_IN_PROGRESS") else str(stack["StackStatus"])

    return str(wait_for(ended))


@pytest.mark.parametrize(
    ("actions", "status"), [([], "UPDATE_ROLLBACK_COMPLETE"), (["iam:UpdateAssumeRolePolicy"], "UPDATE_COMPLETE")]
)
def test_an_update_does_what_its_caller_may(embedded: EmbeddedAws, account_id: str, actions: list[str], status: str) -> None:
    client = deployer(embedded, account_id, "iam:CreateRole", "iam:GetRole", *actions)
    assert create(client, "roles", template(Role=role()))["StackStatus"] == "CREATE_COMPLETE"
    client.update_stack(
        StackName="roles", TemplateBody=template(Role=role("states.amazonaws.com")), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    assert status_after(client, "roles") == status
    reasons = [event.get("ResourceStatusReason", "") for event in client.describe_stack_events(StackName="roles")["StackEvents"]]
    assert actions or any("not authorized to perform: iam:UpdateAssumeRolePolicy" in reason for reason in reasons)


def test_a_stack_acts_with_its_own_role_for_ever(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    queues = {
        "Effect": "Allow",
        "Action": [
            f"sqs:{name}" for name in ("CreateQueue", "DeleteQueue", "GetQueueAttributes", "GetQueueUrl", "SetQueueAttributes")
        ],
        "Resource": "*",
    }
    acting = build.role("acting", "cloudformation.amazonaws.com", queues)
    powerless = build.role("powerless", "cloudformation.amazonaws.com")
    untrusting = build.role("untrusting", "lambda.amazonaws.com", queues)
    client = deployer(embedded, account_id)
    body = template(Queue=("AWS::SQS::Queue", {"QueueName": "work"}))
    with pytest.raises(ClientError, match=r"AccessDenied.*iam:PassRole"):
        client.create_stack(StackName="queues", TemplateBody=body, RoleARN=acting)
    build.client("iam").put_user_policy(
        UserName="deployer",
        PolicyName="pass",
        PolicyDocument=json.dumps({"Statement": [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}]}),
    )
    with pytest.raises(ClientError, match="cannot be assumed"):
        client.create_stack(StackName="queues", TemplateBody=body, RoleARN=untrusting)
    client.create_stack(StackName="refused", TemplateBody=body, RoleARN=powerless)
    assert status_after(client, "refused") == "ROLLBACK_COMPLETE"
    client.create_stack(StackName="queues", TemplateBody=body, RoleARN=acting)
    assert status_after(client, "queues") == "CREATE_COMPLETE"
    assert client.describe_stacks(StackName="queues")["Stacks"][0]["RoleARN"] == acting
    longer = template(Queue=("AWS::SQS::Queue", {"QueueName": "work", "VisibilityTimeout": 60}))
    client.update_stack(StackName="queues", TemplateBody=longer)
    assert status_after(client, "queues") == "UPDATE_COMPLETE"
    client.delete_stack(StackName="queues")
    wait_for(lambda: build.client("sqs").list_queues().get("QueueUrls", []) == [])


def test_a_nested_stack_s_template_may_be_of_sam(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    function = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "FunctionName": "Nested",
            "Handler": "index.handler",
            "Runtime": "python3.13",
            "InlineCode": SOURCE,
            "Role": build.role("nested", "lambda.amazonaws.com"),
        },
    }
    sam = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Function": function}}
    build.client("s3").create_bucket(Bucket=f"templates-{account_id}")
    build.client("s3").put_object(Bucket=f"templates-{account_id}", Key="nested.json", Body=json.dumps(sam))
    url = f"https://templates-{account_id}.s3.us-east-1.amazonaws.com/nested.json"
    client = build.client("cloudformation")
    body = template(Nested=("AWS::CloudFormation::Stack", {"TemplateURL": url}))
    client.create_stack(StackName="parent", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"])
    status = status_after(client, "parent")
    events = client.describe_stack_events(StackName="parent")["StackEvents"]
    assert status == "CREATE_COMPLETE", [event.get("ResourceStatusReason") for event in events]
    assert build.client("lambda").get_function(FunctionName="Nested")["Configuration"]["Handler"] == "index.handler"
