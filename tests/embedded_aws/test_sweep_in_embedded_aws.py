"""Sweeps as they are deployed: under IAM, over the wire, with what was published, kept and measured."""

from __future__ import annotations

import json

import pytest

from snapkeep.functions.sweep_metrics import FOUND
from support.deployment import DR, PRIMARY, Installation
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("installation")


def test_a_sweep_protects_a_snapshot_whose_event_was_lost(installation: Installation) -> None:
    volume = installation.volume(Name="lost")
    snapshot = installation.snapshot(volume)
    copy = installation.copied(snapshot)
    states, machine = installation.client("stepfunctions"), installation.outputs["primary"]["StateMachineArn"]
    wait_for(lambda: not states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])
    installation.client("ec2").delete_tags(Resources=[snapshot])
    installation.client("ec2", DR).delete_snapshot(SnapshotId=copy["SnapshotId"])
    report = installation.sweep("primary")
    findings = {(finding["kind"], finding["handling"]) for finding in report["items"] if finding["subject"] == snapshot}
    assert ("snapshot_unhandled", "repaired") in findings
    wait_for(lambda: installation.tags_of(snapshot).get("snapkeep:managed") == "snapkeep")


def test_the_report_is_published_kept_as_a_page_and_measured(installation: Installation) -> None:
    report = installation.sweep("primary")
    topic = installation.outputs["primary"]["TopicArn"]
    published = [
        message
        for message in installation.aws.inbox(topic)
        if message["subject"].startswith(f"{report['outcome']} snapkeep {PRIMARY}")
    ]
    assert published
    assert "Figures:" in published[-1]["body"]
    pages = installation.client("s3").list_objects_v2(
        Bucket=installation.outputs["primary"]["ReportsBucketName"], Prefix="reports/"
    )["Contents"]
    page = next(item["Key"] for item in pages if report["id"] in item["Key"] and item["Key"].endswith(".html"))
    html = installation.client("s3").get_object(Bucket=installation.outputs["primary"]["ReportsBucketName"], Key=page)
    text = html["Body"].read().decode()
    assert text.startswith("<!doctype html>")
    assert report["id"] in text
    listed = installation.client("cloudwatch").list_metrics(Namespace="Snapkeep")["Metrics"]
    assert {"SweepsDone", "VolumesProtected", *FOUND.values()} <= {metric["MetricName"] for metric in listed}


def test_a_copy_that_a_person_deletes_is_reported_with_the_person(installation: Installation) -> None:
    copy = installation.copied(installation.snapshot(installation.volume(Name="deleted")))["SnapshotId"]
    installation.sweep("dr")
    installation.client("ec2", DR).delete_snapshot(SnapshotId=copy)
    found = [item for item in installation.sweep("dr")["items"] if item["kind"] == "snapshot_deleted_by_others"]
    (text,) = [item["text"] for item in found if item["subject"] == copy]
    assert text.rpartition("by: ")[2] == f"arn:aws:iam::{installation.account_id}:root"


def test_the_bucket_of_reports_is_private_and_versioned(installation: Installation) -> None:
    s3, bucket = installation.client("s3"), installation.outputs["primary"]["ReportsBucketName"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}


def test_an_undelivered_event_is_replayed_into_the_state_machine(installation: Installation) -> None:
    sqs, url = installation.client("sqs"), installation.outputs["primary"]["RuleDeadLettersUrl"]
    volume = installation.volume(Name="undelivered")
    snapshot = installation.snapshot(volume)
    installation.copied(snapshot)
    event = {
        "id": "11111111-2222-3333-4444-555555555555",
        "source": "aws.ec2",
        "detail-type": "EBS Snapshot Notification",
        "region": PRIMARY,
        "time": "2026-11-23T00:00:00Z",
        "detail": {
            "event": "createSnapshot",
            "result": "succeeded",
            "cause": "",
            "snapshot_id": f"arn:aws:ec2::{PRIMARY}:snapshot/{snapshot}",
            "source": f"arn:aws:ec2::{PRIMARY}:volume/{volume}",
            "startTime": "2026-11-23T00:00:00Z",
            "endTime": "2026-11-23T00:01:00Z",
        },
    }
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
    report = installation.sweep("primary")
    assert ("event_undelivered", "repaired") in {(finding["kind"], finding["handling"]) for finding in report["items"]}
    executions = installation.client("stepfunctions").list_executions(
        stateMachineArn=installation.outputs["primary"]["StateMachineArn"]
    )["executions"]
    assert f"replay-{event['id']}" in {execution["name"] for execution in executions}


def test_a_public_snapshot_raises_an_alarm(installation: Installation) -> None:
    ec2, cloudwatch = installation.client("ec2"), installation.client("cloudwatch")
    snapshot = installation.snapshot(installation.volume(Name="public"))
    installation.copied(snapshot)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]
    )
    report = installation.sweep("primary")
    assert report["outcome"] == "PARTIAL"
    assert ("snapshot_public", snapshot) in {(finding["kind"], finding["subject"]) for finding in report["items"]}

    def raised() -> bool:
        alarms = cloudwatch.describe_alarms()["MetricAlarms"]
        return "ALARM" in {alarm["StateValue"] for alarm in alarms if "PublicSnapshotAlarm" in alarm["AlarmName"]}

    def alarm_is_notified() -> bool:
        inbox = installation.aws.inbox(installation.outputs["primary"]["TopicArn"])
        return any("PublicSnapshotAlarm" in message["subject"] for message in inbox)

    wait_for(raised)
    wait_for(alarm_is_notified)
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="remove", GroupNames=["all"]
    )


def test_each_region_has_a_dashboard_whose_widgets_show_metrics_that_exist(installation: Installation) -> None:
    for region in (PRIMARY, DR):
        cloudwatch = installation.client("cloudwatch", region)
        body = json.loads(cloudwatch.get_dashboard(DashboardName=f"snapkeep-{region}")["DashboardBody"])
        assert len(body["widgets"]) >= 6
        assert "${" not in json.dumps(body)


def test_the_dr_region_is_swept_too(installation: Installation) -> None:
    report = installation.sweep("dr")
    assert report["outcome"] == "OK", (report["broken"], report["items"])
    assert report["counts"]["copies_managed"] >= 0
