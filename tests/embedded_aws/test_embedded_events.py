"""Events of the model reach what AWS would let them reach; the rest goes to the dead-letter queue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from snapkeep.lab.embedded_aws import EmbeddedAws
from support.stacks import Builder, statement, wait_for

PATTERN = {"source": ["aws.ec2"], "detail-type": ["EBS Snapshot Notification"], "detail": {"event": ["createSnapshot"]}}
EVENTS = {"Service": "events.amazonaws.com"}


@pytest.fixture(params=["us-east-1", "us-east-2"])
def build(embedded: EmbeddedAws, account_id: str, request: pytest.FixtureRequest) -> Builder:
    return Builder(embedded, account_id, request.param)


@pytest.fixture
def home(embedded: EmbeddedAws, account_id: str) -> Builder:
    return Builder(embedded, account_id)


def queue(build: Builder, name: str, *, open_to_events: bool = True) -> tuple[str, str]:
    sqs = build.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    if open_to_events:
        allowed = {"Effect": "Allow", "Principal": EVENTS, "Action": "sqs:SendMessage", "Resource": arn}
        sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allowed]})}
        )
    return url, arn


def rule(build: Builder, target: dict[str, object], pattern: dict[str, object] = PATTERN) -> str:
    events = build.client("events")
    arn = events.put_rule(Name="completed", EventPattern=json.dumps(pattern))["RuleArn"]
    events.put_targets(Rule="completed", Targets=[{"Id": "one", **target}])
    return str(arn)


def messages(build: Builder, url: str) -> list[dict[str, object]]:
    sqs = build.client("sqs")
    return list(
        wait_for(lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages"))
    )


def table_with_a_stream(build: Builder) -> str:
    """Make a table `queue` whose stream has new images, and return the stream's ARN."""
    made = build.client("dynamodb").create_table(
        TableName="queue",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def let_use_the_key(build: Builder, role: str, key_arn: str) -> None:
    allowed = {"Version": "2012-10-17", "Statement": [statement(["kms:GenerateDataKey", "kms:Decrypt"], key_arn)]}
    build.client("iam").put_role_policy(RoleName=role, PolicyName="key", PolicyDocument=json.dumps(allowed))


def test_a_completed_snapshot_starts_a_state_machine_in_its_region(build: Builder) -> None:
    machine = build.machine("on-snapshot", {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
    role = build.role("starter", "events.amazonaws.com", statement("states:StartExecution", machine))
    rule(build, {"Arn": machine, "RoleArn": role})
    snapshot_id = build.snapshot(build.volume())
    client = build.client("stepfunctions")
    (execution,) = wait_for(lambda: client.list_executions(stateMachineArn=machine)["executions"])
    event = json.loads(client.describe_execution(executionArn=execution["executionArn"])["input"])
    assert (event["source"], event["region"], event["account"]) == ("aws.ec2", build.region, build.account_id)
    assert event["detail"]["snapshot_id"].endswith(snapshot_id)


def test_a_completed_snapshot_invokes_a_function_that_permits_events(build: Builder) -> None:
    url, _ = queue(build, "seen")
    source = f"import boto3, json\ndef handler(event, context):\n    boto3.client('sqs').send_message(QueueUrl={url!r}, MessageBody=json.dumps(event))\n"
    function = build.function("OnSnapshot", source, statement("sqs:SendMessage"))
    arn = rule(build, {"Arn": function})
    build.client("lambda").add_permission(
        FunctionName="OnSnapshot",
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=arn,
    )
    snapshot_id = build.snapshot(build.volume())
    assert snapshot_id in str(messages(build, url)[0]["Body"])


def test_a_refused_delivery_goes_to_the_dead_letter_queue_with_its_reason(home: Builder) -> None:
    url, arn = queue(home, "dead")
    machine = home.machine("on-snapshot", {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
    role = home.role("starter", "events.amazonaws.com", statement("states:StartExecution", f"{machine}-other"))
    rule_arn = rule(home, {"Arn": machine, "RoleArn": role, "DeadLetterConfig": {"Arn": arn}})
    snapshot_id = home.snapshot(home.volume())
    (message,) = messages(home, url)
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}  # type: ignore[attr-defined]
    assert (attributes["ERROR_CODE"], attributes["RULE_ARN"], attributes["TARGET_ARN"]) == ("NO_PERMISSIONS", rule_arn, machine)
    assert snapshot_id in json.loads(str(message["Body"]))["detail"]["snapshot_id"]
    assert home.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"] == []


def test_a_function_without_a_permission_for_events_is_not_invoked(home: Builder) -> None:
    url, arn = queue(home, "dead")
    function = home.function("Closed", "def handler(event, context):\n    return 1\n")
    rule(home, {"Arn": function, "DeadLetterConfig": {"Arn": arn}})
    home.snapshot(home.volume())
    (message,) = messages(home, url)
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == function  # type: ignore[index]


def test_events_of_ec2_cannot_be_put_by_hand(home: Builder) -> None:
    entry = {"Source": "aws.ec2", "DetailType": "EBS Snapshot Notification", "Detail": "{}"}
    answer = home.client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_schedule_can_be_fired_at_once(home: Builder) -> None:
    url, arn = queue(home, "ticks")
    events = home.client("events")
    rule_arn = events.put_rule(Name="each-hour", ScheduleExpression="rate(1 hour)")["RuleArn"]
    events.put_targets(Rule="each-hour", Targets=[{"Id": "one", "Arn": arn}])
    assert home.aws.admin("POST", "schedules/fire", {"account": home.account_id, "rule": "each-hour"}) == {"fired": [rule_arn]}
    assert json.loads(str(messages(home, url)[0]["Body"]))["detail-type"] == "Scheduled Event"


@pytest.mark.parametrize("schedule", ["rate(1 hours)", "rate(6 hour)", "rate(0 hours)"])
def test_a_rate_that_eventbridge_refuses_is_refused(home: Builder, schedule: str) -> None:
    with pytest.raises(ClientError, match="ScheduleExpression is not valid"):
        home.client("events").put_rule(Name="each-hour", ScheduleExpression=schedule)


def test_the_inbox_keeps_published_messages_with_their_email_addresses(home: Builder) -> None:
    sns = home.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="somebody@example.com")
    sns.publish(TopicArn=topic, Subject="A word", Message="a body")
    (message,) = home.aws.inbox("news", home.account_id)
    assert (message["subject"], message["body"], message["email_addresses"]) == ("A word", "a body", ["somebody@example.com"])


def test_a_function_needs_the_key_of_an_encrypted_topic(home: Builder) -> None:
    key = home.client("kms").create_key()["KeyMetadata"]
    topic = home.client("sns").create_topic(Name="secret", Attributes={"KmsMasterKeyId": key["KeyId"]})["TopicArn"]
    source = """
import boto3
def handler(event, context):
    client = boto3.client("sns")
    try:
        client.publish(TopicArn=event, Message="x")
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "published"
"""
    home.function("Publishing", source, statement("sns:Publish"))
    assert home.invoke("Publishing", topic) == "KMSAccessDenied"
    let_use_the_key(home, "Publishing-role", key["Arn"])
    assert home.invoke("Publishing", topic) == "published"


METRIC = """
import json, time

def handler(event, context):
    head = {"Timestamp": int(time.time() * 1000)}
    head["CloudWatchMetrics"] = [{"Namespace": "Snapkeep", "Dimensions": [["Policy"]], "Metrics": [{"Name": "RpoAge", "Unit": "Seconds"}]}]
    print(json.dumps({"_aws": head, "Policy": "gold", "RpoAge": event}))
"""


def test_a_metric_in_a_log_raises_the_alarm_of_its_dimensions_alone(home: Builder) -> None:
    topic = home.client("sns").create_topic(Name="alarms")["TopicArn"]
    cloudwatch = home.client("cloudwatch")
    for policy in ("gold", "silver"):
        cloudwatch.put_metric_alarm(
            AlarmName=policy,
            Namespace="Snapkeep",
            MetricName="RpoAge",
            Dimensions=[{"Name": "Policy", "Value": policy}],
            Statistic="Maximum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=100,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[topic],
        )
    home.function("Measuring", METRIC)
    home.invoke("Measuring", 500)
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert states == {"gold": "ALARM", "silver": "OK"}
    (message,) = home.aws.inbox("alarms", home.account_id)
    assert json.loads(message["body"])["AlarmName"] == "gold"


def test_an_alarm_treats_missing_data_after_time_passes(home: Builder) -> None:
    cloudwatch = home.client("cloudwatch")
    cloudwatch.put_metric_data(Namespace="Snapkeep", MetricData=[{"MetricName": "Sweeps", "Value": 1}])
    cloudwatch.put_metric_alarm(
        AlarmName="silent",
        Namespace="Snapkeep",
        MetricName="Sweeps",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=["silent"])["MetricAlarms"][0]["StateValue"])

    assert state() == "OK"
    home.aws.admin("POST", "alarms/evaluate", {"now": time.time() + 600})
    assert state() == "ALARM"


def test_a_stream_invokes_a_function_for_records_that_pass_its_filter(home: Builder) -> None:
    stream = table_with_a_stream(home)
    url, _ = queue(home, "seen")
    source = f"""
import boto3
def handler(event, context):
    for record in event["Records"]:
        boto3.client("sqs").send_message(QueueUrl={url!r}, MessageBody=record["dynamodb"]["NewImage"]["pk"]["S"])
"""
    home.function(
        "OnEntry",
        source,
        statement(["sqs:SendMessage"]),
        statement(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], stream),
    )
    home.client("lambda").create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName="OnEntry",
        StartingPosition="TRIM_HORIZON",
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"dynamodb": {"NewImage": {"state": {"S": ["WAITING"]}}}})}]},
    )
    for name, state in (("first", "RUNNING"), ("second", "WAITING")):
        home.client("dynamodb").put_item(TableName="queue", Item={"pk": {"S": name}, "state": {"S": state}})
    assert [message["Body"] for message in messages(home, url)] == ["second"]


def test_an_event_source_mapping_needs_a_role_that_reads_the_stream(home: Builder) -> None:
    stream = table_with_a_stream(home)
    home.function("Blind", "def handler(event, context):\n    return 1\n", statement("dynamodb:GetRecords", stream))
    with pytest.raises(ClientError, match="lacks dynamodb:DescribeStream, dynamodb:GetShardIterator"):
        home.client("lambda").create_event_source_mapping(EventSourceArn=stream, FunctionName="Blind", StartingPosition="LATEST")


def test_a_state_machine_that_logs_needs_the_log_delivery_actions(home: Builder) -> None:
    role = home.role("quiet", "states.amazonaws.com", statement("logs:CreateLogDelivery"))
    group = f"arn:aws:logs:us-east-1:{home.account_id}:log-group:/aws/vendedlogs/states/one:*"
    logging = {"level": "ALL", "includeExecutionData": True, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}]}
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}})
    with pytest.raises(ClientError, match="not authorized to access the Log Destination"):
        home.client("stepfunctions").create_state_machine(
            name="one", definition=definition, roleArn=role, loggingConfiguration=logging
        )


def test_a_stack_fails_if_lambda_may_not_assume_a_role(home: Builder) -> None:
    role = home.role("for-states", "states.amazonaws.com")
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Role": role,
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Code": {"ZipFile": "def handler(e, c): pass"},
        },
    }
    cloudformation = home.client("cloudformation")
    cloudformation.create_stack(StackName="wrong", TemplateBody=json.dumps({"Resources": {"One": function}}))
    wait_for(lambda: cloudformation.describe_stacks(StackName="wrong")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE")
    reasons = [
        event.get("ResourceStatusReason", "") for event in cloudformation.describe_stack_events(StackName="wrong")["StackEvents"]
    ]
    assert any("cannot be assumed by Lambda" in reason for reason in reasons)


def test_a_function_needs_the_key_of_an_encrypted_queue(home: Builder) -> None:
    key = home.client("kms").create_key()["KeyMetadata"]
    url = home.client("sqs").create_queue(QueueName="secret", Attributes={"KmsMasterKeyId": key["KeyId"]})["QueueUrl"]
    source = """
import boto3
def handler(event, context):
    client = boto3.client("sqs")
    try:
        client.send_message(QueueUrl=event, MessageBody="x")
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "sent"
"""
    home.function("Sending", source, statement("sqs:SendMessage"))
    assert "AccessDenied" in home.invoke("Sending", url)
    let_use_the_key(home, "Sending-role", key["Arn"])
    assert home.invoke("Sending", url) == "sent"


def alarm_on(home: Builder, namespace: str, metric: str, **dimensions: str) -> Callable[[], str]:
    """Make an alarm on a metric above 0; return what evaluates it and gives its state."""
    cloudwatch = home.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=metric,
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Maximum",
        Period=300,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=0,
        TreatMissingData="notBreaching",
    )

    def state() -> str:
        home.aws.admin("POST", "alarms/evaluate", {})
        return str(cloudwatch.describe_alarms(AlarmNames=[metric])["MetricAlarms"][0]["StateValue"])

    return state


def test_an_execution_that_fails_raises_the_alarm_of_its_state_machine(home: Builder) -> None:
    machines = [
        home.machine(name, {"StartAt": "End", "States": {"End": end}})
        for name, end in (("failing", {"Type": "Fail", "Error": "Failed"}), ("other", {"Type": "Succeed"}))
    ]
    state = alarm_on(home, "AWS/States", "ExecutionsFailed", StateMachineArn=machines[0])
    home.run(machines[1], {})
    assert state() == "OK"
    home.run(machines[0], {})
    assert state() == "ALARM"


def test_a_message_in_a_queue_raises_the_alarm_of_the_queue(home: Builder) -> None:
    sqs = home.client("sqs")
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    state = alarm_on(home, "AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName="dead-letters")
    assert state() == "OK"
    sqs.send_message(QueueUrl=url, MessageBody="lost")
    assert state() == "ALARM"
    age = alarm_on(home, "AWS/SQS", "ApproximateAgeOfOldestMessage", QueueName="dead-letters")
    assert wait_for(age) == "ALARM"
