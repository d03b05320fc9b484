"""What the templates say of sweeps: reports, alarms, the dashboard."""

from __future__ import annotations

import json
import re

import pytest

from snapkeep.functions.metrics import COUNTED, FOUND
from support.templates import STACKS, resources, template

STACK_KEY = {"Fn::If": ["MakeKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KmsKeyArn"}]}
WRITTEN = {*COUNTED.values(), *FOUND.values(), "SweepFindings", "SweepFailures", "SweepsDone", "OldestWait"}
WRITTEN_BY_POLICY = {"RpoAgeWorst", "RpoAgeMedian", "VolumesMissingRpo"}
ALARM = "AWS::CloudWatch::Alarm"


@pytest.mark.parametrize("stack", STACKS)
def test_reports_are_encrypted_private_versioned_and_expire(stack: str) -> None:
    bucket = resources(stack, "AWS::S3::Bucket")["Reports"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": STACK_KEY}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" in rule}
    assert days == {"reports/": {"Ref": "ReportRetentionDays"}, "interim/": 7}
    (denied,) = resources(stack, "AWS::S3::BucketPolicy")["ReportsPolicy"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("stack", STACKS)
def test_every_alarm_looks_at_a_metric_that_is_written_tells_somebody_and_says_what_to_do(stack: str) -> None:
    alarms = resources(stack, ALARM)
    assert len(alarms) >= 10
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "Topic"}], name
        assert len(alarm["AlarmDescription"]) > 40, name
        if alarm["Namespace"] == "Snapkeep":
            assert alarm["MetricName"] in WRITTEN, name
            assert [one["Name"] for one in alarm["Dimensions"]] == ["System"], name


@pytest.mark.parametrize("stack", STACKS)
def test_the_dashboard_shows_metrics_that_are_written_and_every_alarm(stack: str) -> None:
    (dashboard,) = resources(stack, "AWS::CloudWatch::Dashboard").values()
    text = dashboard["DashboardBody"]["Fn::Sub"]
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", text))
    shown = {metric[1] for one in body["widgets"] for metric in one["properties"].get("metrics", []) if metric[0] == "Snapkeep"}
    assert shown
    assert shown <= WRITTEN
    assert set(re.findall(r'MetricName=\\"(\w+)\\"', text)) <= WRITTEN_BY_POLICY
    assert set(re.findall(r"\$\{(\w+Alarm)\.Arn\}", text)) == set(resources(stack, ALARM))


@pytest.mark.parametrize("stack", STACKS)
def test_history_is_not_adopted_unless_somebody_says_so(stack: str) -> None:
    variables = resources(stack, "AWS::Serverless::Function")["Sweep"]["Environment"]["Variables"]
    assert variables["SNAPKEEP_ADOPT_HISTORY"] == {"Ref": "AdoptHistory"}
    assert template(stack)["Parameters"]["AdoptHistory"]["Default"] == "no"
