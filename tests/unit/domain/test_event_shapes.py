"""Each generation of AWS's events is read to the same facts, and what no page documents is refused by its field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.events import (
    MULTI_VOLUME_COMPLETION,
    SNAPSHOT_NOTIFICATION,
    CopyEnded,
    NotOurs,
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


def test_of_a_set_those_that_failed_are_told_from_those_that_completed() -> None:
    ended = parse_snapshot_event(
        event("createSnapshots", MULTI_VOLUME_COMPLETION, snapshots=[member("completed", 1), member("error", 2)])
    )
    assert isinstance(ended, list)
    assert [(one.snapshot_id, one.succeeded) for one in ended] == [("snap-1", True), ("snap-2", False)]


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ({"startTime": "2026-11-23T03:00:00Z"}, datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ({"StartTime": "2026-11-23T03:00:00"}, datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ({"startTime": "Mon Nov 23 03:00:00 UTC 2026"}, datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ({}, datetime(2026, 11, 23, 3, 5, tzinfo=UTC)),
    ],
)
def test_when_a_snapshot_began_is_read_in_every_spelling(given: dict[str, str], start: datetime) -> None:
    ended = parse_snapshot_event(event("createSnapshot", **SOURCE, **given))
    assert isinstance(ended, list)
    assert ended[0].start_time == start


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (event("createSnapshot", **SOURCE, result="perhaps"), "detail.result is 'perhaps'"),
        (event("createSnapshot", **SOURCE | {"source": ""}), "'source' is ''"),
        (event("createSnapshot", **SOURCE, startTime="soon"), "time 'soon'"),
        (event("createSnapshots", MULTI_VOLUME_COMPLETION, snapshots=[member("pending", 1)]), "status is 'pending'"),
    ],
)
def test_what_is_not_documented_is_refused_by_its_field(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent, match=field):
        parse_snapshot_event(asked)


@pytest.mark.parametrize("arn", ["arn:aws:ec2::us-east-1:image/ami-1", "arn:aws:ec2::us-east-1:snapshot/", "snap-1"])
def test_an_arn_of_something_else_is_refused(arn: str) -> None:
    with pytest.raises(InvalidEvent, match="no ARN of a snapshot or a volume"):
        parse_arn(arn)


@pytest.mark.parametrize(
    "asked",
    [
        event("createSnapshots", snapshots=[member("completed", 1)]),
        event("createSnapshot", "EBS Volume Notification", **SOURCE),
        event("copySnapshot", "EBS Copy Snapshot Missed Completion Duration", **COPY),
    ],
)
def test_an_event_of_another_type_is_not_ours_whatever_it_is_called(asked: dict[str, Any]) -> None:
    assert isinstance(parse_snapshot_event(asked), NotOurs)
    assert isinstance(parse_copy_event(asked), NotOurs)


def test_the_region_of_a_copys_source_is_what_its_arn_names_and_the_copys_own_that_of_the_envelope() -> None:
    assert parse_copy_event(event("copySnapshot", **COPY)) == CopyEnded("snap-2", "us-east-1", "snap-1", "eu-west-1", True, "")
    unnamed = event("copySnapshot", **COPY | {"source": "arn:aws:ec2:::snapshot/snap-1"})
    assert parse_copy_event(unnamed) == CopyEnded("snap-2", "us-east-1", "snap-1", "", True, "")
