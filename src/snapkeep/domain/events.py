"""Parsers of AWS's EBS events, with all three ARN shapes.

Sources: EBS user guide, "Amazon EventBridge events for Amazon EBS"; the generations of that page differ in ARN shapes
and in the spelling of fields, so both are read leniently, and the region is taken from the envelope rather than the ARN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.records import dataclass

SNAPSHOT_NOTIFICATION = "EBS Snapshot Notification"
MISSED_DURATION = "EBS Copy Snapshot Missed Completion Duration"
MULTI_VOLUME_COMPLETION = "EBS Multi-Volume Snapshots Completion Status"

_REGION = re.compile(r"^[a-z]{2,4}(-[a-z]+)+-\d+$")
ARN_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Resource:
    """An id, and the region that its ARN names (empty when the ARN names none)."""

    id: str
    region: str


@dataclass(frozen=True, slots=True)
class SnapshotEndEvent:
    """A snapshot of a volume completed or failed."""

    snapshot_id: str
    succeeded: bool | None
    """None if the event does not name it: EC2 knows it."""
    cause: str


@dataclass(frozen=True, slots=True)
class CopyEndEvent:
    """A copy completed or failed in its own region."""

    copy_id: str
    region: str
    source_snapshot_id: str
    source_region: str
    """Empty if the source's ARN names no region or cannot be read: the copy's tags name its source too."""
    succeeded: bool
    cause: str
    full: bool = False
    """Whether the event shows that the copy was not incremental. False if it does not show this, and for a sweep's repair."""


@dataclass(frozen=True, slots=True)
class LateCopyEvent:
    """A time-based copy missed its completion duration. AWS's example names a source in the copy's own region: EC2 knows it."""

    copy_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class IgnoredEvent:
    """An event that Snapkeep ignores, and why, in words."""

    why: str


def parse_arn(arn: str) -> Resource:
    """Return the id and region of an EBS ARN of any documented shape. Raise InvalidEvent for anything else.

    Shapes: `arn:aws:ec2::REGION:snapshot/ID`, `arn:aws:ec2:REGION::snapshot/ID`, `arn:aws:ec2:REGION:ACCOUNT:snapshot/ID`;
    partitions differ (`aws-cn`).
    """
    parts = arn.split(":", 5)
    resource_type, slash, resource_id = (parts[5] if len(parts) == ARN_FIELDS else "").partition("/")
    if parts[0] != "arn" or not slash or resource_type not in ("snapshot", "volume") or not resource_id:
        raise InvalidEvent(f"'{arn}' is not an ARN of a snapshot or a volume, such as arn:aws:ec2:us-east-1::snapshot/snap-0123")
    # AWS documents ARNs that have the region in the field of the account.
    region = next((field for field in parts[3:5] if _REGION.match(field)), "")
    return Resource(resource_id, region)


def parse_snapshot_event(event: Mapping[str, Any]) -> list[SnapshotEndEvent] | IgnoredEvent:
    """Return the snapshots that ended (a multi-volume set has several), or why the event is ignored.

    Raise InvalidEvent, naming the field, if the event is of a snapshot's end and cannot be read.
    """
    detail = detail_of(event)
    kind = detail.get("event", "")
    if event.get("detail-type") == MULTI_VOLUME_COMPLETION and kind == "createSnapshots":
        return _members(detail)
    if event.get("detail-type") == SNAPSHOT_NOTIFICATION and kind == "createSnapshot":
        snapshot_id = parse_arn(text_of(detail, "snapshot_id")).id
        return [SnapshotEndEvent(snapshot_id, _result(detail), str(detail.get("cause", "")))]
    return IgnoredEvent(f"'{event.get('detail-type', '')}' with event '{kind}' is not the end of a snapshot")


def parse_copy_event(event: Mapping[str, Any]) -> CopyEndEvent | IgnoredEvent:
    """Return the copy that ended, or why the event is ignored. Raise InvalidEvent as above."""
    detail = detail_of(event)
    kind = detail.get("event", "")
    if event.get("detail-type") != SNAPSHOT_NOTIFICATION or kind != "copySnapshot":
        return IgnoredEvent(f"'{event.get('detail-type', '')}' with event '{kind}' is not the end of a copy")
    copy, source = parse_arn(text_of(detail, "snapshot_id")), _source(detail)
    return CopyEndEvent(
        copy_id=copy.id,
        region=str(event.get("region", "")),
        source_snapshot_id=source.id,
        source_region=source.region,
        succeeded=_result(detail),
        cause=str(detail.get("cause", "")),
        full=str(detail.get("incremental", "")).lower() == "false",
    )


def parse_late_copy(event: Mapping[str, Any]) -> LateCopyEvent | None:
    """Return the copy that missed its completion duration; None for any other event, and for an event that names no copy."""
    detail = event.get("detail")
    if event.get("detail-type") != MISSED_DURATION or not isinstance(detail, Mapping):
        return None
    try:
        copy = parse_arn(text_of(detail, "snapshot_id"))
    except InvalidEvent:
        return None
    return LateCopyEvent(copy.id, str(detail.get("missedCompletionDurationCause") or "AWS gave no cause"))


def parse_share(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the snapshot of EC2's event of a share by another account; nothing for any other event, or without a snapshot.

    The account in the event is no evidence: EC2 names the snapshot's owner.
    """
    detail = event.get("detail")
    if event.get("detail-type") != SNAPSHOT_NOTIFICATION or not isinstance(detail, Mapping):
        return ()
    try:
        return (parse_arn(text_of(detail, "snapshot_id")).id,) if detail.get("event") == "shareSnapshot" else ()
    except InvalidEvent:
        return ()


def _members(detail: Mapping[str, Any]) -> list[SnapshotEndEvent]:
    members = detail.get("snapshots")
    if not isinstance(members, list) or not members:
        cause = f"; its cause: {detail['cause']}" if detail.get("cause") else ""
        raise InvalidEvent(f"the event's 'snapshots' is {members!r}; a list of the set's snapshots is documented{cause}")
    return [_member(detail, member) for member in members]


def _member(detail: Mapping[str, Any], member: Any) -> SnapshotEndEvent:
    """Return a member of a set. A member that cannot be read counts as failed, so that the others are protected."""
    member = member if isinstance(member, Mapping) else {}
    try:
        snapshot_id = parse_arn(text_of(member, "snapshot_id")).id
    except InvalidEvent as error:
        return SnapshotEndEvent("a snapshot of the set", succeeded=False, cause=f"the event does not name it: {error}")
    # An unknown status is not a failure: EC2 knows the state of the snapshot.
    succeeded = {"completed": True, "error": False}.get(str(member.get("status")))
    cause = str(detail.get("cause", ""))
    if succeeded is None:
        cause = f"the event's status is {member.get('status')!r:.200}; completed or error is documented"
    return SnapshotEndEvent(snapshot_id, succeeded, cause)


def _source(detail: Mapping[str, Any]) -> Resource:
    try:
        return parse_arn(text_of(detail, "source"))
    except InvalidEvent:
        return Resource("", "")


def detail_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the detail of an event. Raise InvalidEvent if it has none."""
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise InvalidEvent("the event has no 'detail'; one from EventBridge has")
    return detail


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return a text in a part of an event. Raise InvalidEvent if there is none."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidEvent(f"the event's '{name}' is {value!r}; a text is documented")
    return value


def _result(detail: Mapping[str, Any]) -> bool:
    result = text_of(detail, "result")
    if result not in ("succeeded", "failed"):
        raise InvalidEvent(f"detail.result is '{result}'; succeeded or failed is documented")
    return result == "succeeded"
