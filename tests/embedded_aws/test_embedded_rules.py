"""The decisions of the embedded AWS that need no server: permissions asked, alarms, metrics in logs, retry delays."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from snapkeep.lab.embedded_aws.aws import alarms, emf
from snapkeep.lab.embedded_aws.aws.authorization import CallContext, checks, resource_arn
from snapkeep.lab.embedded_aws.aws.filter_patterns import InvalidFilterPattern, compile_pattern
from snapkeep.lab.embedded_aws.patches import call_events, parameters
from snapkeep.lab.embedded_aws.patches.stepfunctions import retry_delay

TAGS = {"snap-1": {"managed": "yes"}, "vol-1": {"Backup": "gold"}}
CALLER = CallContext("us-east-2", "123456789012", lambda _region, _account, resource_id: TAGS.get(resource_id, {}))


def checks_of(action: str, **parameters: Any) -> list[tuple[str, str]]:
    return [(check.action, check.resource_arn) for check in checks("ec2", action, parameters, CALLER)]


def test_snapshots_have_no_account_in_their_arn_and_volumes_have() -> None:
    assert resource_arn("snapshot", "snap-1", "us-east-2", "123456789012") == "arn:aws:ec2:us-east-2::snapshot/snap-1"
    assert resource_arn("volume", "vol-1", "us-east-2", "123456789012") == "arn:aws:ec2:us-east-2:123456789012:volume/vol-1"


def test_a_tagged_copy_checks_the_new_snapshot_its_source_and_its_tags() -> None:
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "managed", "Value": "yes"}]}]
    assert checks_of("CopySnapshot", SourceRegion="us-east-1", SourceSnapshotId="snap-1", TagSpecifications=tags) == [
        ("ec2:CopySnapshot", "arn:aws:ec2:us-east-2::snapshot/*"),
        ("ec2:CopySnapshot", "arn:aws:ec2:us-east-1::snapshot/snap-1"),
        ("ec2:CreateTags", "arn:aws:ec2:us-east-2::snapshot/*"),
    ]


def test_resource_tags_and_request_tags_are_condition_keys() -> None:
    (check,) = checks("ec2", "CreateTags", {"Resources": ["snap-1"], "Tags": [{"Key": "a", "Value": "b"}]}, CALLER)
    assert check.context["aws:ResourceTag/managed"] == check.context["ec2:ResourceTag/managed"] == "yes"
    assert (check.context["aws:RequestTag/a"], check.context["aws:TagKeys"]) == ("b", ["a"])
    assert "ec2:CreateAction" not in check.context


def test_tagging_checks_each_resource_and_a_listing_checks_all() -> None:
    assert checks_of("DeleteTags", Resources=["snap-1", "vol-1"]) == [
        ("ec2:DeleteTags", "arn:aws:ec2:us-east-2::snapshot/snap-1"),
        ("ec2:DeleteTags", "arn:aws:ec2:us-east-2:123456789012:volume/vol-1"),
    ]
    assert checks_of("DescribeSnapshots", OwnerIds=["self"]) == [("ec2:DescribeSnapshots", "*")]


def test_calls_are_recorded_with_the_identity_that_cloudtrail_gives() -> None:
    assert call_events.identity_of("arn:aws:iam::123456789012:root")["type"] == "Root"
    assert call_events.identity_of("arn:aws:iam::123456789012:user/team/me")["userName"] == "me"
    session = call_events.identity_of("arn:aws:sts::123456789012:assumed-role/admin/me")
    assert session["sessionContext"]["sessionIssuer"]["arn"] == "arn:aws:iam::123456789012:role/admin"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ((200, {}, b"<Code>not an error</Code>"), ""),
        (
            (400, {}, b"<Response><Errors><Error><Code>InvalidSnapshot.NotFound</Code></Error></Errors></Response>"),
            "InvalidSnapshot.NotFound",
        ),
        ((400, {}, b'{"__type": "com.amazonaws.kms#NotFoundException"}'), "NotFoundException"),
        ((400, {}, b'{"__type": "AccessDeniedException", "Message": "no"}'), "AccessDeniedException"),
        ((500, {}, b"no JSON"), "500"),
    ],
)
def test_the_error_code_of_a_call_is_recorded(response: tuple[int, dict[str, str], bytes], code: str) -> None:
    assert call_events.error_code(response) == code


ALARM = {
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 10,
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
}


@pytest.mark.parametrize(
    ("missing_data", "values", "state"),
    [
        ("missing", [11, 11, 5], "ALARM"),
        ("missing", [11, 5, 5], "OK"),
        ("missing", [None, None, None], "INSUFFICIENT_DATA"),
        ("missing", [11, None, None], "ALARM"),
        ("notBreaching", [None, 11, None], "OK"),
        ("breaching", [None, 11, 5], "ALARM"),
        ("breaching", [5, 5, None], "OK"),
        ("ignore", [None, None, None], "ALARM"),
        ("ignore", [None, 5, 5, None, None], "OK"),
        ("ignore", [None, None, None, None, 11], "ALARM"),
        ("notBreaching", [None, None, 11, 5, 11], "ALARM"),
        ("notBreaching", [5, 5, 11, 11, 11], "OK"),
        ("breaching", [None, None, 5, 5, 11], "OK"),
    ],
)
def test_an_alarm_counts_breaching_periods_and_treats_missing_data_as_configured(
    missing_data: str, values: list[float | None], state: str
) -> None:
    assert alarms.state_of({**ALARM, "TreatMissingData": missing_data, "StateValue": "ALARM"}, values) == state


def test_an_alarm_reads_two_periods_more_than_it_needs() -> None:
    expected = [(240, 300), (180, 240), (120, 180), (60, 120)]
    assert alarms.windows({"Period": 60, "EvaluationPeriods": 2}, 245.0) == expected


def test_a_datum_of_the_period_before_raises_an_alarm_of_one_period() -> None:
    """A function writes its datum at the end of a period; CloudWatch evaluates the alarm in the next one."""
    alarm = {**ALARM, "EvaluationPeriods": 1, "DatapointsToAlarm": 1, "TreatMissingData": "ignore", "StateValue": "OK"}
    values = [11.0 if start <= 119 < end else None for start, end in alarms.windows(alarm, 121.0)]
    assert alarms.state_of(alarm, values) == "ALARM"


def test_a_log_line_has_a_value_for_each_set_of_dimensions() -> None:
    directive = {
        "Namespace": "S",
        "Dimensions": [["Policy"], ["Policy", "Region"], ["Absent"]],
        "Metrics": [{"Name": "Age", "Unit": "Seconds"}],
    }
    line = json.dumps(
        {"_aws": {"Timestamp": 2000, "CloudWatchMetrics": [directive]}, "Policy": "gold", "Region": "x", "Age": [1, 2]}
    )
    data = [(datum.dimensions, datum.value, datum.timestamp, datum.unit) for datum in emf.data_of(f"INFO {line}")]
    gold = (("Policy", "gold"),)
    both = (("Policy", "gold"), ("Region", "x"))
    assert data == [(gold, 1, 2, "Seconds"), (gold, 2, 2, "Seconds"), (both, 1, 2, "Seconds"), (both, 2, 2, "Seconds")]


@pytest.mark.parametrize("line", ["", "plain words", '{"_aws": 3}', '{"_aws": {"CloudWatchMetrics": []}}', '{"_aws": {'])
def test_a_line_of_another_kind_holds_no_metric(line: str) -> None:
    assert emf.data_of(line) == []


def test_retry_delays_grow_up_to_their_maximum_and_shrink_with_jitter() -> None:
    retrier = {"IntervalSeconds": 2, "BackoffRate": 3, "MaxDelaySeconds": 20}
    dice = random.Random(1)
    assert [retry_delay(retrier, attempt, dice) for attempt in range(4)] == [2, 6, 18, 20]
    drawn = [retry_delay({**retrier, "JitterStrategy": "FULL"}, 3, dice) for _ in range(50)]
    assert 0 <= min(drawn) < 5
    assert 15 < max(drawn) <= 20


@pytest.mark.parametrize(
    ("tier", "tier_now", "size", "refused"),
    [
        ("", "", 4096, False),
        ("", "", 4097, True),
        ("Standard", "", 4097, True),
        ("Advanced", "", 8192, False),
        ("Advanced", "Standard", 8193, True),
        ("Intelligent-Tiering", "Standard", 8192, False),
        ("Intelligent-Tiering", "", 8193, True),
        ("", "Advanced", 8192, False),
        ("Standard", "Advanced", 1, True),
    ],
)
def test_a_parameter_tier_limits_the_value_and_never_goes_back(tier: str, tier_now: str, size: int, refused: bool) -> None:
    request = {"Name": "/p", "Value": "x" * size} | ({"Tier": tier} if tier else {})
    assert bool(parameters.refusal(request, tier_now)) is refused


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ('"copy of snap-1"', "the copy of snap-1 failed", True),
        ('"copy of snap-1"', "snap-1 is of no copy", False),
        ("copy -failed", "the copy failed", False),
        ("?copy ?snapshot", "a snapshot", True),
        ("?copy ?snapshot", "a volume", False),
        ('{ $.level = "ERROR" }', '{"level": "ERROR"}', True),
        ('{ $.level = "ERROR" }', '{"level": "INFO"}', False),
        ('{ $.level = "ERROR" }', "no JSON", False),
        ('{ $.a.b > 3 && $.c = "x*" }', '{"a": {"b": 4}, "c": "xyz"}', True),
        ('{ $.a.b > 3 || $.c != "x" }', '{"a": {"b": 2}, "c": "x"}', False),
    ],
)
def test_a_filter_pattern_matches_as_cloudwatch_logs_does(pattern: str, message: str, matches: bool) -> None:
    assert compile_pattern(pattern)(message) is matches


def test_an_unknown_form_of_a_filter_pattern_is_refused() -> None:
    with pytest.raises(InvalidFilterPattern):
        compile_pattern("[ip, user]")
    with pytest.raises(InvalidFilterPattern):
        compile_pattern("{ $.a IS NULL }")


def test_a_parameter_names_no_other_parameter() -> None:
    assert parameters.refusal({"Value": "{{ssm:other}}"}, "")
    assert parameters.refusal({"Value": '{"a": {"b": 1}}'}, "") == ""
