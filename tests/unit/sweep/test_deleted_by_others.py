"""A managed snapshot that another principal deleted is a finding, with its name where CloudTrail has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from snapkeep.adapters.cloudtrail_deletions import CloudTrailDeletions
from snapkeep.domain.errors import AwsRefused
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import ReportItem, SweepReport
from snapkeep.usecases.sweep.shared import SweepOptions
from support.placing import hold
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, gold

PERSON = "arn:aws:sts::111122223333:assumed-role/admin/somebody"
OURS = "arn:aws:sts::111122223333:assumed-role/snapkeep-primary-Delete-1/DeleteOldSnapshots"
SAMPLE = "arn:aws:sts::111122223333:assumed-role/sample-Delete-1/DeleteOldSnapshots-sample"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def protected(keep: int = 3, snapshots: int = 3) -> tuple[SweepingWorld, list[str]]:
    """Return a world with one volume's snapshots, each with its copy, after a sweep of both regions."""
    world = SweepingWorld(policies=gold(keep=keep, keep_copies=keep))
    volume, ids = world.volume(), []
    for _ in range(snapshots):
        ids.append(world.snapshot(volume))
        world.later(2 * HOUR)
    for region in (DR, PRIMARY):
        assert deletions(world.sweep(region)) == []
    return world, ids


def deletions(report: SweepReport) -> list[ReportItem]:
    return [item for item in report.items if item.kind is FindingKind.DELETED_BY_OTHERS]


def test_a_kept_snapshot_that_a_person_deletes_is_found_once() -> None:
    world, (_, middle, _) = protected()
    world.ec2.delete_snapshot(SnapshotId=middle)
    world.trail.by[middle] = PERSON
    report = world.sweep()
    (item,) = deletions(report)
    assert (item.subject, str(report.outcome)) == (middle, "PARTIAL")
    assert PERSON in item.text
    assert "AWS's sample" in item.kind.label
    assert deletions(world.sweep()) == []


def test_a_finding_whose_report_was_not_published_is_found_again() -> None:
    world, (_, middle, _) = protected()
    world.ec2.delete_snapshot(SnapshotId=middle)
    unpublished = world.make_sweep(PRIMARY)
    swept = unpublished.run("sweep-unpublished", SweepOptions())
    assert swept.memory is not None
    unpublished.watch.prepare(swept.report.id, swept.memory)
    assert [item.subject for item in deletions(swept.report)] == [middle]
    assert [item.subject for item in deletions(world.sweep())] == [middle]
    unpublished.watch.remember("sweep-without-a-memory")
    assert deletions(world.sweep()) == []


def test_a_copy_that_a_person_deletes_is_found_in_its_region() -> None:
    world, _ = protected()
    copy = min(world.managed(DR), key=lambda copy: str(copy["StartTime"]))
    world.ec2_dr.delete_snapshot(SnapshotId=copy["SnapshotId"])
    (item,) = deletions(world.sweep(DR))
    assert (item.subject, item.text.rpartition("by: ")[2]) == (copy["SnapshotId"], "not known")
    assert deletions(world.sweep(PRIMARY)) == []


def test_a_deletion_by_retention_between_sweeps_is_no_finding() -> None:
    world, (first, *_) = protected()
    world.snapshot(world.ec2.describe_snapshots(SnapshotIds=[first])["Snapshots"][0]["VolumeId"])
    world.later(2 * HOUR)
    assert first not in {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)}
    assert [deletions(world.sweep(region)) for region in (DR, PRIMARY)] == [[], []]


@pytest.mark.parametrize(("who", "found"), [(OURS, 0), (SAMPLE, 1), (OURS.replace("assumed-role", "user"), 1)])
def test_the_systems_own_deletion_under_an_earlier_policy_is_no_finding(who: str, found: int) -> None:
    world, (first, *_) = protected()
    world.ec2.delete_snapshot(SnapshotId=first)
    world.trail.by[first] = who
    assert len(deletions(world.sweep())) == found


@pytest.mark.parametrize(("age", "found"), [(DAY, 1), (-HOUR, 0)])
def test_a_deleted_snapshot_that_was_held_is_missed(age: float, found: int) -> None:
    world, (first, *_) = protected()
    volume = world.ec2.describe_snapshots(SnapshotIds=[first])["Snapshots"][0]["VolumeId"]
    world.sweep()
    since = world.composition().clock.now() - timedelta(seconds=age)
    world.composition().hold_stores[PRIMARY].place(hold(since=since))
    world.ec2.delete_snapshot(SnapshotId=first)
    world.snapshot(volume)
    world.later(HOUR)
    assert len(deletions(world.sweep())) == found


def test_a_trail_that_refuses_leaves_an_unknown_principal() -> None:
    world, (first, *_) = protected()
    world.ec2.delete_snapshot(SnapshotId=first)
    world.trail.error = AwsRefused("cloudtrail:LookupEvents is denied")
    (item,) = deletions(world.sweep())
    assert item.text.endswith("by: not known")


def test_a_memory_that_cannot_be_read_is_a_finding_and_is_replaced() -> None:
    world, _ = protected()
    world.reports[PRIMARY].objects["memory/snapshots.json"] = "{"
    assert FindingKind.OUT_OF_REACH in {item.kind for item in world.sweep().items}
    assert FindingKind.OUT_OF_REACH not in {item.kind for item in world.sweep().items}


def test_a_snapshot_that_lost_our_tags_is_not_deleted() -> None:
    world, (first, *_) = protected()
    world.ec2.delete_tags(Resources=[first], Tags=[{"Key": key} for key in ("snapkeep:managed", "snapkeep:source-volume")])
    assert deletions(world.sweep()) == []


class EventHistory:
    """The client of CloudTrail, with its answers page by page."""

    def __init__(self, *pages: Mapping[str, Any]) -> None:
        self.pages = list(pages)
        self.requests: list[Mapping[str, Any]] = []

    def lookup_events(self, **request: Any) -> Mapping[str, Any]:
        self.requests.append(request)
        return self.pages[len(self.requests) - 1]


def event(name: str, detail: Mapping[str, Any], username: str = "") -> dict[str, Any]:
    return {"EventName": name, "CloudTrailEvent": json.dumps(detail), "Username": username}


def test_the_snapshots_event_history_is_read_to_its_end() -> None:
    failed = event("DeleteSnapshot", {"errorCode": "Client.UnauthorizedOperation", "userIdentity": {"arn": "another"}})
    tagged = event("CreateTags", {"userIdentity": {"arn": "another"}})
    done = event("DeleteSnapshot", {"userIdentity": {"arn": PERSON}})
    history = EventHistory({"Events": [failed, tagged], "NextToken": "more"}, {"Events": [done]})
    assert CloudTrailDeletions(client=history).deleted_by("snap-1", NOW) == PERSON
    attribute = {"AttributeKey": "ResourceName", "AttributeValue": "snap-1"}
    assert history.requests[0] == {"LookupAttributes": [attribute], "StartTime": NOW}
    assert history.requests[1]["NextToken"] == "more"


def test_an_event_without_an_arn_names_the_user() -> None:
    root = EventHistory({"Events": [event("DeleteSnapshot", {}, "root")]})
    assert CloudTrailDeletions(client=root).deleted_by("snap-1", NOW) == "root"
    assert CloudTrailDeletions(client=EventHistory({"Events": []})).deleted_by("snap-1", NOW) == ""
