"""Every failure in the state of a run becomes a notice, and an unreadable part hides no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from snapkeep.functions.payloads import run_state
from snapkeep.usecases.notify import notices_of_run
from snapkeep.usecases.ports import Notice

START = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
LAMBDA_CAUSE = '{"errorMessage": "INV-08", "errorType": "PlanRefused"}'
PROBLEM = {"kind": "SnapshotFailed", "subject": "snap-2", "cause": "internal"}


def notices(state: dict[str, Any]) -> list[Notice]:
    return notices_of_run(run_state(state), "us-east-1", "run-1", START)


def test_a_failed_run_without_a_failure_in_its_state_makes_a_notice() -> None:
    state = {"detail-type": "EBS Multi-Volume Snapshots Completion Status", "tagged": {"problems": [], "volumes": []}}
    (notice,) = notices(state)
    assert (notice.kind, notice.subject) == ("RunFailed", "EBS Multi-Volume Snapshots Completion Status")


def test_a_sweep_whose_report_was_published_makes_no_notice() -> None:
    assert notices({"outcome": "PARTIAL", "summary": "", "json": "", "page": ""}) == []


def test_every_failure_becomes_a_notice() -> None:
    state = {
        "detail": {"source": "arn:aws:ec2::us-east-1:volume/vol-1", "snapshot_id": "arn:aws:ec2::us-east-1:snapshot/snap-1"},
        "tagged": {"volumes": ["vol-1"], "problems": [PROBLEM]},
        "copies": {
            "results": [
                {"status": "COPIED", "snapshot_id": "snap-1", "region": "eu-west-1"},
                {"status": "FAILED", "snapshot_id": "snap-1", "region": "us-east-2", "error": "CopyFailed", "cause": "key"},
                {"status": "FAILED", "snapshot_id": "snap-1", "region": "us-west-2", "error": "Key", "cause": LAMBDA_CAUSE},
            ]
        },
        "plan": {"problems": [{"kind": "PlanRefused", "subject": "vol-2", "cause": "INV-08"}]},
        "deletion": {"failed": [{"snapshot_id": "snap-0", "outcome": "in_use", "cause": "ami-1"}]},
        "error": {"Error": "AwsUnavailable", "Cause": LAMBDA_CAUSE},
    }
    assert [(notice.kind, notice.cause, notice.subject) for notice in notices(state)] == [
        ("SnapshotFailed", "internal", "snap-2"),
        ("PlanRefused", "INV-08", "vol-2"),
        ("CopyFailed", "key", "snap-1 to us-east-2"),
        ("Key", "INV-08", "snap-1 to us-west-2"),
        ("NotDeleted", "in use: ami-1", "snap-0"),
        ("AwsUnavailable", "INV-08", "snap-1"),
    ]


def test_an_unreadable_part_of_the_state_hides_no_other() -> None:
    state = {"tagged": {"volumes": ["vol-1"], "problems": [PROBLEM]}, "copies": {"results": [{"status": "MOLTEN"}]}}
    assert [(notice.kind, notice.subject) for notice in notices(state)] == [
        ("SnapshotFailed", "snap-2"),
        ("InvalidEvent", "copies in the state of a run"),
    ]


def test_the_notice_of_a_comparison_names_the_volume() -> None:
    problem = {"kind": "CopyDiffers", "subject": "snap-2", "cause": "it is different"}
    proof = {"pair": {"volume_id": "vol-1", "copy_id": "snap-2"}, "verdict": "DIFFERS"}
    (notice,) = notices({"copy": "snap-2", "verified": {"proof": proof, "problems": [problem]}})
    assert (notice.subject, notice.detail) == ("snap-2", "volume vol-1")


def test_the_source_of_a_copys_event_is_no_volume() -> None:
    source = "arn:aws:ec2::us-east-1:snapshot/snap-1"
    problem = {"kind": "CopyFailed", "subject": "snap-1", "cause": "key"}
    detail = {"source": source, "snapshot_id": "arn:aws:ec2::us-east-2:snapshot/snap-2"}
    without, known = ({"detail": detail, "received": {"volumes": ids, "problems": [problem]}} for ids in ([], ["vol-1"]))
    assert [notice.detail for notice in notices(without)] == ["no volume known"]
    assert [notice.detail for notice in notices(known)] == ["volume vol-1"]
