"""Each generation of AWS's events is read to the same facts, and what no page documents is refused by its field."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.events import (
    MULTI_VOLUME_COMPLETION,
    SNAPSHOT_NOTIFICATION,
    CopyEndEvent,
    IgnoredEvent,
    SnapshotEndEvent,
    parse_arn,
    parse_copy_event,
    parse_snapshot_event,
)

SOURCE = {"snapshot_id": "arn:aws:ec2::us-east-1:snapshot/snap-1", "source": "arn:aws:ec2::us-east-1:volume/vol-1"}
COPY = {"snapshot_id": "arn:aws:ec2::us-east-2:snapshot/snap-2", "source": "arn:aws:ec2:eu-west-1::snapshot/snap-1"}


def event(kind: str, detail_type: str = SNAPSHOT_NOTIFICATION, **detail: Any) -> dict[str, Any]:
    envelope = {"detail-type": detail_type, "region": "us-east-1", "time": "2026-11-23T03:05:00Z"}
    return {**envelope, "detail": {"event": kind, "result": "succeeded", **detail}}


def member(status: str, number: int) -> dict[str, str]:
    return {"status": status, "snapshot_id": f"arn:aws:ec2::us-east-1:snapshot/snap-{number}", "source": SOURCE["source"]}


def test_failed_and_completed_members_of_a_set_are_distinguished() -> None:
    ended = parse_snapshot_event(
        event("createSnapshots", MULTI_VOLUME_COMPLETION, snapshots=[member("completed", 1), member("error", 2)])
    )
    assert isinstance(ended, list)
    assert [(member.snapshot_id, member.succeeded) for member in ended] == [("snap-1", True), ("snap-2", False)]


@pytest.mark.parametrize("fields", [{"source": ""}, {"source": "vol-1"}, {"startTime": "soon"}, {"StartTime": 5}])
def test_unused_fields_fail_no_run(fields: dict[str, Any]) -> None:
    """A volume's ARN or a start time of another form failed the run, although both are read from EC2."""
    assert parse_snapshot_event(event("createSnapshot", **SOURCE | fields)) == [SnapshotEndEvent("snap-1", True, "")]
    assert isinstance(parse_copy_event(event("copySnapshot", **COPY | fields)), CopyEndEvent)


def test_a_source_that_cannot_be_read_leaves_the_copy_its_tags() -> None:
    unreadable = event("copySnapshot", **COPY | {"source": "snap-1"})
    assert parse_copy_event(unreadable) == CopyEndEvent("snap-2", "us-east-1", "", "", True, "")


@pytest.mark.parametrize("status", ["pending", "", None, 5])
def test_a_member_of_unknown_status_is_left_to_ec2(status: Any) -> None:
    """One member with an unknown status failed the whole set."""
    members = [member("completed", 1), {**member("", 2), "status": status}]
    ended = parse_snapshot_event(event("createSnapshots", MULTI_VOLUME_COMPLETION, snapshots=members))
    assert isinstance(ended, list)
    assert [(member.snapshot_id, member.succeeded) for member in ended] == [("snap-1", True), ("snap-2", None)]
    assert "completed or error is documented" in ended[1].cause


@pytest.mark.parametrize("unreadable", [None, "snap-2", {}, {"snapshot_id": "snap-2", "status": "completed"}])
def test_a_member_without_a_readable_id_fails_no_other(unreadable: Any) -> None:
    ended = parse_snapshot_event(
        event("createSnapshots", MULTI_VOLUME_COMPLETION, snapshots=[unreadable, member("completed", 1)])
    )
    assert isinstance(ended, list)
    assert [member.succeeded for member in ended] == [False, True]
    assert "does not name it" in ended[0].cause


@pytest.mark.parametrize(
    ("received", "field"),
    [
        (event("createSnapshot", **SOURCE, result="perhaps"), "detail.result is 'perhaps'"),
        (event("createSnapshot", **SOURCE | {"snapshot_id": ""}), "'snapshot_id' is ''"),
    ],
)
def test_an_undocumented_value_is_refused_with_its_field(received: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent, match=field):
        parse_snapshot_event(received)


@pytest.mark.parametrize("arn", ["arn:aws:ec2::us-east-1:image/ami-1", "arn:aws:ec2::us-east-1:snapshot/", "snap-1"])
def test_an_arn_of_something_else_is_refused(arn: str) -> None:
    with pytest.raises(InvalidEvent, match="not an ARN of a snapshot or a volume"):
        parse_arn(arn)


@pytest.mark.parametrize(
    "received",
    [
        event("createSnapshots", snapshots=[member("completed", 1)]),
        event("createSnapshot", "EBS Volume Notification", **SOURCE),
        event("copySnapshot", "EBS Copy Snapshot Missed Completion Duration", **COPY),
    ],
)
def test_an_event_of_another_type_is_ignored(received: dict[str, Any]) -> None:
    assert isinstance(parse_snapshot_event(received), IgnoredEvent)
    assert isinstance(parse_copy_event(received), IgnoredEvent)


def test_the_arn_names_the_sources_region_and_the_envelope_the_copys() -> None:
    assert parse_copy_event(event("copySnapshot", **COPY)) == CopyEndEvent("snap-2", "us-east-1", "snap-1", "eu-west-1", True, "")
    unnamed = event("copySnapshot", **COPY | {"source": "arn:aws:ec2:::snapshot/snap-1"})
    assert parse_copy_event(unnamed) == CopyEndEvent("snap-2", "us-east-1", "snap-1", "", True, "")
