"""Sweeps in the templates: reports, alarms, the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from snapkeep.functions.drill_metrics import VERDICTS
from snapkeep.functions.proof_metrics import PROVED
from snapkeep.functions.sweep_metrics import COUNTED, FOUND
from snapkeep.lab.embedded_aws.aws import alarms
from support.templates import STACKS, resources, template

STACK_KEY = {"Fn::If": ["MakeKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KmsKeyArn"}]}
OF_SWEEPS = {"SweepFindings", "SweepFailures", "SweepsDone", "OldestWait", "OldestUnproved"}
WRITTEN = {*COUNTED.values(), *FOUND.values(), *PROVED.values(), *VERDICTS.values(), *OF_SWEEPS}
WRITTEN_BY_POLICY = {"RpoAgeWorst", "RpoAgeMedian", "VolumesMissingRpo"}
ALARM = "AWS::CloudWatch::Alarm"
HOUR = 3600


@pytest.mark.parametrize("stack", STACKS)
def test_reports_are_encrypted_private_versioned_and_expire(stack: str) -> None:
    bucket = resources(stack, "AWS::S3::Bucket")["Reports"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": STACK_KEY}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" in rule}
    of_dr = {"proofs/": {"Ref": "ReportRetentionDays"}, "drill-plans/": 7} if stack == "dr" else {}
    kept = {key: {"Ref": "ReportRetentionDays"} for key in ("reports/", "signals/")}
    assert days == {**kept, "interim/": 7, "deletions/": 7, **of_dr}
    (denied,) = resources(stack, "AWS::S3::BucketPolicy")["ReportsPolicy"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_has_a_written_metric_a_topic_and_advice(stack: str) -> None:
    declared = resources(stack, ALARM)
    assert len(declared) >= 10
    for name, alarm in declared.items():
        assert alarm["AlarmActions"] == [{"Ref": "Topic"}], name
        assert len(alarm["AlarmDescription"]) > 40, name
        if alarm["Namespace"] == "Snapkeep":
            assert alarm["MetricName"] in WRITTEN, name
            assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["System"], name


def states_by_the_hour(alarm: dict[str, Any], swept_at: Callable[[int], bool], hours: int, done: float = 1.0) -> list[str]:
    """Return an alarm's state at the end of each hour, by the hours at which sweeps end."""
    periods = [int(start) // HOUR for start, _ in alarms.windows(alarm, 0.0)]
    return [
        alarms.state_of(alarm, [done if now + period >= 0 and swept_at(now + period) else None for period in periods])
        for now in range(hours)
    ]


def no_sweep_alarm(stack: str, hours: int = 24) -> dict[str, Any]:
    alarm = resources(stack, ALARM)["NoSweepAlarm"]
    assert alarm["EvaluationPeriods"] == {"Ref": "SweepAlarmHours"}
    return {**alarm, "EvaluationPeriods": hours}


@pytest.mark.parametrize("stack", STACKS)
def test_a_missing_sweep_raises_the_alarm_after_a_day_and_two_hours(stack: str) -> None:
    """CloudWatch looks at a few periods more than it is asked to, before it fills what is missing."""
    assert template(stack)["Parameters"]["SweepAlarmHours"]["Default"] == 24
    states = states_by_the_hour(no_sweep_alarm(stack), lambda hour: hour % 6 == 0 and hour <= 60, 120)
    assert [hour for hour, state in enumerate(states) if state == "ALARM"] == list(range(60 + 24 + alarms.PERIODS_MORE, 120))


@pytest.mark.parametrize("stack", STACKS)
def test_failed_and_missing_sweeps_raise_one_alarm(stack: str) -> None:
    assert set(states_by_the_hour(no_sweep_alarm(stack), lambda hour: hour % 6 == 0, 48, done=0.0)) == {"ALARM"}


@pytest.mark.parametrize("stack", STACKS)
def test_a_daily_sweep_needs_an_alarm_with_more_hours_than_a_day(stack: str) -> None:
    assert set(states_by_the_hour(no_sweep_alarm(stack, hours=30), lambda hour: hour % 24 == 0, 96)) == {"OK"}


@pytest.mark.parametrize("stack", STACKS)
def test_the_time_that_an_alarm_looks_at_is_one_that_cloudwatch_accepts(stack: str) -> None:
    """At most seven days, and one where a period is shorter than an hour (CloudWatch API: PutMetricAlarm, Period)."""
    for name, alarm in resources(stack, ALARM).items():
        most = (
            template(stack)["Parameters"]["SweepAlarmHours"]["MaxValue"] if name == "NoSweepAlarm" else alarm["EvaluationPeriods"]
        )
        assert most * alarm["Period"] <= (604_800 if alarm["Period"] >= 3600 else 86_400), name


@pytest.mark.parametrize("stack", STACKS)
def test_a_finding_stands_until_a_later_sweep_clears_it(stack: str) -> None:
    standing = {
        name: one for name, one in resources(stack, ALARM).items() if one["Namespace"] == "Snapkeep" and name != "NoSweepAlarm"
    }
    assert len(standing) >= 5
    for name, alarm in standing.items():
        assert alarms.state_of({**alarm, "StateValue": "ALARM"}, [None]) == "ALARM", name
        assert alarms.state_of({**alarm, "StateValue": "ALARM"}, [0.0]) == "OK", name
        assert alarms.state_of({**alarm, "StateValue": "OK"}, [None]) == "OK", name


@pytest.mark.parametrize("stack", STACKS)
def test_where_nothing_failed_there_is_no_data_and_no_alarm(stack: str) -> None:
    """Failed executions and queues of trouble have figures only while there is something to count."""
    alarms_of_aws = {name: alarm for name, alarm in resources(stack, ALARM).items() if alarm["Namespace"] != "Snapkeep"}
    assert {alarm["TreatMissingData"] for alarm in alarms_of_aws.values()} == {"notBreaching"}


@pytest.mark.parametrize("stack", STACKS)
def test_the_dashboard_shows_metrics_that_are_written_and_every_alarm(stack: str) -> None:
    (dashboard,) = resources(stack, "AWS::CloudWatch::Dashboard").values()
    text = dashboard["DashboardBody"]["Fn::Sub"]
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", text))
    shown = {
        metric[1] for widget in body["widgets"] for metric in widget["properties"].get("metrics", []) if metric[0] == "Snapkeep"
    }
    assert shown
    assert shown <= WRITTEN
    assert set(re.findall(r'MetricName=\\"(\w+)\\"', text)) <= WRITTEN_BY_POLICY
    assert set(re.findall(r"\$\{(\w+Alarm)\.Arn\}", text)) == set(resources(stack, ALARM))


@pytest.mark.parametrize("stack", ["primary", "dr"])
def test_history_is_adopted_only_with_consent(stack: str) -> None:
    variables = resources(stack, "AWS::Serverless::Function")["Sweep"]["Environment"]["Variables"]
    assert variables["SNAPKEEP_ADOPT_HISTORY"] == {"Ref": "AdoptHistory"}
    assert template(stack)["Parameters"]["AdoptHistory"]["Default"] == "no"
