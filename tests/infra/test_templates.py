"""The rules for the templates."""

from __future__ import annotations

import re

import pytest

from snapkeep.domain.policy.model import Limits
from snapkeep.domain.policy.parameters import from_parameters
from snapkeep.usecases.copies.dispatch import Dispatch
from support.templates import FUNCTION, MACHINE, STACKS, resources, template

RULE, QUEUE, LOG = "AWS::Events::Rule", "AWS::SQS::Queue", "AWS::Logs::LogGroup"
STACK_KEY = {"Fn::If": ["MakeKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KmsKeyArn"}]}
TAGGED_BY_GLOBALS = {FUNCTION}
CANNOT_BE_TAGGED = {
    "AWS::Events::EventBusPolicy",
    "AWS::KMS::Alias",
    "AWS::Lambda::Permission",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::CloudWatch::Dashboard",
    "AWS::S3::BucketPolicy",
    "AWS::Logs::MetricFilter",
}
ORIGINAL_PARAMETERS = {
    "primary": {"tagKeyValue": "none", "DRRegion": "us-east-2", "Retention": "7", "FunctionNameSuffix": ""},
    "dr": {"Retention": "1", "FunctionNameSuffix": ""},
    "vault": {"FunctionNameSuffix": ""},
}


@pytest.mark.parametrize("stack", STACKS)
def test_the_original_systems_parameters_are_there_with_its_defaults(stack: str) -> None:
    parameters = template(stack)["Parameters"]
    assert {name: parameters[name]["Default"] for name in ORIGINAL_PARAMETERS[stack]} == ORIGINAL_PARAMETERS[stack]


@pytest.mark.parametrize("stack", STACKS)
def test_the_original_systems_outputs_are_there(stack: str) -> None:
    (machine,) = [name for name in resources(stack, MACHINE) if name in ("Protect", "Receive")]
    outputs = template(stack)["Outputs"]
    assert outputs["StateMachineArn"]["Value"] == {"Ref": machine}
    assert outputs["StartRoleArn"]["Value"] == {"Fn::GetAtt": ["StartRole", "Arn"]}


@pytest.mark.parametrize("stack", STACKS)
def test_every_parameter_says_what_it_takes(stack: str) -> None:
    for name, parameter in template(stack)["Parameters"].items():
        assert parameter["Description"], name
        assert parameter["ConstraintDescription"], name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), name


@pytest.mark.parametrize("stack", STACKS)
def test_every_default_is_allowed(stack: str) -> None:
    for name, parameter in template(stack)["Parameters"].items():
        default = parameter["Default"]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), str(default)), name
        assert default in parameter.get("AllowedValues", [default]), name
        if parameter["Type"] == "Number":
            assert parameter.get("MinValue", default) <= default <= parameter.get("MaxValue", default), name


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("tagKeyValue", ["", "aws:backup", "x" * 129, "Backup=", "=gold", "Back*", f"Backup={'x' * 257}"]),
        ("DRRegion", ["", "Ohio", "us-east"]),
        ("DRKmsKey", ["key", "alias/", "arn:aws:kms:us-east-2:1:key/x"]),
        ("FunctionNameSuffix", ["a b", "x" * 21, "/"]),
        ("NotificationEmail", ["somebody"]),
        ("KmsKeyArn", ["alias/mine", "arn:aws:kms:us-east-1:123456789012:alias/mine"]),
    ],
)
def test_invalid_parameter_values_are_refused(name: str, refused: list[str]) -> None:
    pattern = template("primary")["Parameters"][name]["AllowedPattern"]
    assert [value for value in refused if re.fullmatch(pattern, value)] == []


@pytest.mark.parametrize("text", ["none", "Backup", "Backup=gold", "Backup=gold*", "Backup=?old", "team:Backup=a=b", "Backup=*"])
def test_the_template_accepts_every_form_of_the_tag_that_policies_accept(text: str) -> None:
    assert re.fullmatch(template("primary")["Parameters"]["tagKeyValue"]["AllowedPattern"], text)
    assert from_parameters(text, "us-east-2", 7, 1, "", 24, Limits()).policies


@pytest.mark.parametrize("stack", ["primary", "dr"])
def test_a_retention_below_one_is_refused(stack: str) -> None:
    pattern = template(stack)["Parameters"]["Retention"]["AllowedPattern"]
    assert re.fullmatch(pattern, "1")
    assert not re.fullmatch(pattern, "0")


def test_the_dr_region_must_be_another_one() -> None:
    (assertion,) = template("primary")["Rules"]["DRRegionIsAnotherRegion"]["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DRRegion"}, {"Ref": "AWS::Region"}]}]}


@pytest.mark.parametrize("stack", STACKS)
def test_functions_run_python_on_arm_where_lambda_has_it_and_are_traced(stack: str) -> None:
    """ "The arm64 architecture is available in most AWS Regions" (Lambda developer guide): in the others nothing could be deployed."""
    shared, offered = template(stack)["Globals"]["Function"], template(stack)["Parameters"]["Architecture"]
    assert (shared["Runtime"], shared["Architectures"], shared["Tracing"]) == ("python3.13", [{"Ref": "Architecture"}], "Active")
    assert (offered["Default"], offered["AllowedValues"]) == ("arm64", ["arm64", "x86_64"])
    assert all(machine["Tracing"] == {"Enabled": True} for machine in resources(stack, MACHINE).values())


@pytest.mark.parametrize("stack", STACKS)
def test_every_function_and_state_machine_logs_where_logs_expire(stack: str) -> None:
    logs = resources(stack, LOG)
    used = [function["LoggingConfig"]["LogGroup"]["Ref"] for function in resources(stack, FUNCTION).values()]
    for machine in resources(stack, MACHINE).values():
        (destination,) = machine["Logging"]["Destinations"]
        used.append(destination["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0])
    assert sorted(used) == sorted(logs)
    assert all(log["RetentionInDays"] == {"Ref": "LogRetentionDays"} for log in logs.values())


@pytest.mark.parametrize("stack", STACKS)
def test_logs_of_state_machines_contain_no_execution_data(stack: str) -> None:
    machines = resources(stack, MACHINE)
    assert len(machines) == {"primary": 2, "dr": 4, "vault": 2}[stack]
    for name, machine in machines.items():
        assert (machine["Logging"]["Level"], machine["Logging"]["IncludeExecutionData"]) == ("ALL", False), name


@pytest.mark.parametrize("stack", STACKS)
def test_all_stores_are_encrypted_with_the_stacks_or_the_users_key(stack: str) -> None:
    keys = [resource["KmsMasterKeyId"] for kind in (QUEUE, "AWS::SNS::Topic") for resource in resources(stack, kind).values()]
    keys += [log["KmsKeyId"] for log in resources(stack, LOG).values()]
    keys += [table["SSESpecification"]["KMSMasterKeyId"] for table in resources(stack, "AWS::DynamoDB::Table").values()]
    assert keys
    assert all(key == STACK_KEY for key in keys)


@pytest.mark.parametrize("stack", STACKS)
def test_the_key_admits_the_services_that_send(stack: str) -> None:
    """Without it an alarm, a rule or a dead letter is lost in silence."""
    policy = resources(stack, "AWS::KMS::Key")["Key"]["KeyPolicy"]["Statement"]
    (sending,) = [statement for statement in policy if statement["Sid"] == "ServicesThatSend"]
    assert sending["Principal"]["Service"] == ["cloudwatch.amazonaws.com", "events.amazonaws.com"]
    assert sending["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    topic = resources(stack, "AWS::SNS::TopicPolicy")["TopicPolicy"]["PolicyDocument"]["Statement"]
    admitted = {statement["Principal"]["Service"] for statement in topic if statement["Effect"] == "Allow"}
    assert admitted == {"cloudwatch.amazonaws.com"}


@pytest.mark.parametrize("stack", STACKS)
def test_undeliverable_events_of_a_rule_are_kept(stack: str) -> None:
    policies = resources(stack, "AWS::SQS::QueuePolicy")["RuleDeadLettersPolicy"]["PolicyDocument"]["Statement"]
    (admitting,) = [statement for statement in policies if statement["Effect"] == "Allow"]
    assert admitting["Principal"] == {"Service": "events.amazonaws.com"}
    # Sweeps drain this queue. Signals have another, whose first message raises an alarm.
    rules = {name: rule for name, rule in resources(stack, RULE).items() if name != "CallByOthers"}
    admitted = admitting["Condition"]["ArnEquals"]["aws:SourceArn"]
    # Fn::If has the ARN of a conditional rule in second place.
    arns = [arn["Fn::If"][1] if "Fn::If" in arn else arn for arn in admitted]
    assert sorted(arns, key=str) == sorted(({"Fn::GetAtt": [name, "Arn"]} for name in rules), key=str)
    for name, rule in rules.items():
        for target in rule["Targets"]:
            assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["RuleDeadLetters", "Arn"]}}, name
            longest = 60 if "ScheduleExpression" in rule else 86_400
            if name == "VaultCopyEnded":  # the vault sends its event again
                longest = 3_600
            assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == longest, name


@pytest.mark.parametrize("stack", STACKS)
def test_a_storm_of_signals_takes_two_readers_at_most(stack: str) -> None:
    mapping = resources(stack, "AWS::Lambda::EventSourceMapping")["SignalOnCall"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


@pytest.mark.parametrize("stack", STACKS)
def test_signals_that_cannot_be_delivered_or_read_raise_an_alarm(stack: str) -> None:
    dead_letters = {"Fn::GetAtt": ["NoticesDeadLetters", "Arn"]}
    (target,) = resources(stack, RULE)["CallByOthers"]["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": dead_letters}
    queue = resources(stack, QUEUE)["Signals"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": dead_letters, "maxReceiveCount": 3}
    mapping = resources(stack, "AWS::Lambda::EventSourceMapping")["SignalOnCall"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    longest = 6 * resources(stack, FUNCTION)["Signal"]["Timeout"] + mapping["MaximumBatchingWindowInSeconds"]
    assert queue["VisibilityTimeout"] >= longest
    for policy, source in (("NoticesDeadLettersPolicy", "CallByOthers"), ("SignalsPolicy", "CallByOthers")):
        admitting = resources(stack, "AWS::SQS::QueuePolicy")[policy]["PolicyDocument"]["Statement"][0]
        assert admitting["Principal"] == {"Service": "events.amazonaws.com"}
        assert admitting["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [source, "Arn"]}}}
    alarm = resources(stack, "AWS::CloudWatch::Alarm")["UnpublishedAlarm"]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)


def matched(stack: str, target: str) -> list[tuple[str, str, str]]:
    """Return the events that are delivered to a rule's target: detail-type, event, result (empty: any or none)."""
    found = []
    for rule in resources(stack, RULE).values():
        pattern = rule.get("EventPattern")
        if pattern and rule["Targets"][0]["Id"] == target:
            assert pattern["source"] == ["aws.ec2"]
            found += [
                (kind, event, result)
                for kind in pattern["detail-type"]
                for event in pattern["detail"]["event"]
                for result in pattern["detail"].get("result", [""])
            ]
    return found


def test_protect_starts_on_snapshots_and_sets_of_snapshots_that_completed_or_failed() -> None:
    """Faults 1 and 8 of the original system: failed snapshots looked like good ones, sets were not seen."""
    assert matched("primary", "Protect") == [
        ("EBS Snapshot Notification", "createSnapshot", "succeeded"),
        ("EBS Snapshot Notification", "createSnapshot", "failed"),
        ("EBS Multi-Volume Snapshots Completion Status", "createSnapshots", "succeeded"),
        ("EBS Multi-Volume Snapshots Completion Status", "createSnapshots", "failed"),
    ]


def test_the_end_of_a_copy_starts_receiving_and_dispatching() -> None:
    assert matched("dr", "Receive") == [
        ("EBS Snapshot Notification", "copySnapshot", "succeeded"),
        ("EBS Snapshot Notification", "copySnapshot", "failed"),
    ]
    # The event of a late copy has no result (EBS user guide: EventBridge events).
    assert matched("dr", "Dispatch") == [
        ("EBS Snapshot Notification", "copySnapshot", ""),
        ("EBS Copy Snapshot Missed Completion Duration", "copySnapshot", ""),
    ]


def test_a_new_entry_wakes_the_dispatcher_and_none_blocks_the_stream() -> None:
    mapping = resources("dr", "AWS::Lambda::EventSourceMapping")["DispatchOnNewEntry"]
    (pattern,) = mapping["FilterCriteria"]["Filters"]
    assert '"state": {"S": ["WAITING"]}' in pattern["Pattern"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["MaximumRetryAttempts"] <= 5
    assert mapping["MaximumRecordAgeInSeconds"] <= 600
    assert "DestinationConfig" not in mapping, "a record only wakes the dispatcher: one that grows old is not a failed call"


@pytest.mark.parametrize("stack", STACKS)
def test_throttling_raises_no_alarm_and_alarms_end_by_themselves(stack: str) -> None:
    """Five minutes of throttling discarded calls, and the alarm stayed until the queue was purged."""
    configured = [
        function["EventInvokeConfig"] for function in resources(stack, FUNCTION).values() if "EventInvokeConfig" in function
    ]
    assert [config["MaximumEventAgeInSeconds"] for config in configured] == [6 * 3600] * len(configured)
    assert configured
    alarm = resources(stack, "AWS::CloudWatch::Alarm")["FailedInvocationsAlarm"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["TreatMissingData"]) == ("NumberOfMessagesSent", "Sum", "notBreaching")


def test_no_function_reserves_concurrency() -> None:
    """An account whose limit is 10 could not deploy it."""
    for stack in STACKS:
        assert [name for name, one in resources(stack, FUNCTION).items() if "ReservedConcurrentExecutions" in one] == []


def test_dispatch_ends_before_its_lease_does() -> None:
    lease_seconds = Dispatch.__dataclass_fields__["lease_seconds"].default
    assert resources("dr", FUNCTION)["Dispatch"]["Timeout"] < lease_seconds


def test_no_stack_owns_the_policy_document() -> None:
    """CloudFormation puts a template's value back with every update that touches a parameter, a stack's tag is enough."""
    for stack in STACKS:
        names = [one["Name"] for one in resources(stack, "AWS::SSM::Parameter").values()]
        assert names == ([] if stack == "primary" else [{"Fn::Sub": "/snapkeep${FunctionNameSuffix}/bucket"}])
        variables = template(stack)["Globals"]["Function"]["Environment"]["Variables"]
        assert variables["SNAPKEEP_POLICY_PARAMETER"] == {"Fn::Sub": "/snapkeep${FunctionNameSuffix}/policy"}
        assert template(stack)["Outputs"]["PolicyParameterName"]["Value"] == variables["SNAPKEEP_POLICY_PARAMETER"]


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_can_carry_a_tag_carries_the_systems(stack: str) -> None:
    for name, resource in template(stack)["Resources"].items():
        if resource["Type"] in CANNOT_BE_TAGGED | TAGGED_BY_GLOBALS:
            continue
        tags = resource["Properties"]["Tags"]
        keys = list(tags) if isinstance(tags, dict) else [tag["Key"] for tag in tags]
        assert keys == ["snapkeep:system"], name
    assert list(template(stack)["Globals"]["Function"]["Tags"]) == ["snapkeep:system"]


@pytest.mark.parametrize("stack", STACKS)
def test_retained_resources_are_deleted_when_a_creation_rolls_back(stack: str) -> None:
    policies = {name: resource.get("DeletionPolicy") for name, resource in template(stack)["Resources"].items()}
    assert "Retain" not in policies.values()
    assert policies["Reports"] == "RetainExceptOnCreate"
    assert policies["Key"] == "RetainExceptOnCreate", "reports without their key cannot be read"
