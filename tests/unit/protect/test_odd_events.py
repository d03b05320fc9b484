"""Events that are late, empty, or about something that has changed: each has a clear outcome, and none stays silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.copies.check import missing_tags
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.errors import AwsRefused, AwsUnavailable, InvalidEvent
from snapkeep.domain.events import MULTI_VOLUME_COMPLETION, CopyEndEvent, parse_arn, parse_snapshot_event
from snapkeep.domain.model import SnapshotState
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.usecases.copies.receive import ReceiveOutcome
from support.flows import DR, HOUR, INCLUDED, PRIMARY, Laboratory, retry_policy


def set_event(snapshots: Any) -> dict[str, Any]:
    detail = {"event": "createSnapshots", "result": "failed", "cause": "no volume could be read", "snapshots": snapshots}
    return {"detail-type": MULTI_VOLUME_COMPLETION, "source": "aws.ec2", "region": PRIMARY, "time": "", "detail": detail}


@pytest.mark.parametrize("snapshots", [[], None, "none"])
def test_a_set_without_snapshots_is_an_invalid_event_with_its_cause(snapshots: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"'snapshots'.*no volume could be read"):
        parse_snapshot_event(set_event(snapshots))


@pytest.mark.parametrize(
    ("arn", "region"),
    [
        ("arn:aws-us-gov:ec2::us-gov-west-1:snapshot/snap-1", "us-gov-west-1"),
        ("arn:aws-cn:ec2:cn-northwest-1::snapshot/snap-1", "cn-northwest-1"),
        ("arn:aws-eusc:ec2:eusc-de-east-1:123456789012:snapshot/snap-1", "eusc-de-east-1"),
        ("arn:aws-iso-b:ec2::us-isob-east-1:snapshot/snap-1", "us-isob-east-1"),
        ("arn:aws:ec2:::snapshot/snap-1", ""),
    ],
)
def test_regions_of_every_partition_are_found_in_an_arn(arn: str, region: str) -> None:
    assert (parse_arn(arn).id, parse_arn(arn).region) == ("snap-1", region)


@pytest.mark.parametrize("state", [SnapshotState.RECOVERING, SnapshotState.RECOVERABLE])
def test_a_copy_restored_from_the_recycle_bin_is_not_deleted(state: SnapshotState, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Laboratory()
    snapshot = lab.protect(lab.make_volume())
    receive = lab.runner.composition.receive(DR)
    (copy,) = lab.snapshots(DR)
    read = receive.reader.copies_of_volumes
    monkeypatch.setattr(receive.reader, "copies_of_volumes", lambda one: [replace(copy, state=state) for copy in read(one)])
    ended = CopyEndEvent(copy.id, DR, snapshot, PRIMARY, succeeded=True, cause="")
    with pytest.raises(AwsUnavailable, match=f"EC2 says it is {state}"):
        receive.run(ended)


def test_a_repeated_end_of_a_failed_copy_reports_it_again() -> None:
    faults = Faults(
        script=(FaultRule("copy_fails", probability=1.0), FaultRule("event_lost", probability=1.0, event="copySnapshot"))
    )
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=1)), faults=faults)
    snapshot = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(HOUR)
    receive = lab.runner.composition.receive(DR)
    (copy,) = lab.snapshots(DR)
    ended = CopyEndEvent(copy.id, DR, snapshot, PRIMARY, succeeded=False, cause="")
    first, again = receive.run(ended), receive.run(ended)
    assert first.outcome is again.outcome is ReceiveOutcome.FAILED
    assert [problem.subject for problem in again.problems] == [snapshot]
    assert [removed.id for removed in again.remove] == [copy.id]


def test_a_running_copy_that_loses_its_tags_still_settles_its_entry() -> None:
    lab = Laboratory()
    volume = lab.make_volume(INCLUDED, size_gib=500)
    snapshot = lab.start_snapshot(volume)
    while not lab.snapshots(DR):
        lab.runner.advance(10)
    (copy,) = lab.snapshots(DR)
    before = lab.tags(copy.id, DR)
    lab.ec2(DR).delete_tags(Resources=[copy.id], Tags=[{"Key": key} for key in before])
    assert copy.state == "pending"
    lab.settle()
    assert lab.tags(copy.id, DR) == before
    assert lab.sources_of_copies() == [snapshot]
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]


class TagsManagedOnly:
    """The role of TagSnapshotCopy: EC2 refuses it every snapshot that does not carry `snapkeep:managed`."""

    def tag(self, snapshot_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        raise AwsRefused(f"create_tags: UnauthorizedOperation: {snapshot_ids}, {sorted(tags)}")


def test_an_untaggable_copy_is_answered_and_left_to_the_sweep() -> None:
    lab = Laboratory(faults=Faults(script=(FaultRule("event_lost", probability=1.0, event="copySnapshot"),)))
    snapshot = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(HOUR)
    (copy,) = lab.snapshots(DR)
    before = lab.tags(copy.id, DR)
    lab.ec2(DR).delete_tags(Resources=[copy.id], Tags=[{"Key": key} for key in before])
    receive = replace(lab.runner.composition.receive(DR), tagger=TagsManagedOnly())
    received = receive.run(CopyEndEvent(copy.id, DR, snapshot, PRIMARY, succeeded=True, cause=""))
    assert received.outcome is ReceiveOutcome.RECEIVED
    lab.settle()
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]
    (done,) = lab.runner.composition.queues[DR].in_state(EntryState.DONE)
    assert missing_tags(done.request, Ec2Reader(client=lab.ec2(DR), region=DR).snapshots([copy.id])[copy.id]) == before


def full_of_tags(lab: Laboratory, volume: str) -> str:
    tags = tag_list({f"k{number:02}": "v" for number in range(48)})
    made = lab.ec2().create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    return str(made["SnapshotId"])


def test_a_snapshot_full_of_tags_stops_no_other_of_its_set() -> None:
    lab = Laboratory()
    crowded, roomy = lab.make_volume(), lab.make_volume()
    full, other = full_of_tags(lab, crowded), lab.start_snapshot(roomy)
    ended = []
    lab.runner.advance(HOUR)
    for snapshot, volume in ((full, crowded), (other, roomy)):
        member = {"snapshot_id": f"arn:aws:ec2::{PRIMARY}:snapshot/{snapshot}", "status": "completed"}
        ended.append(member | {"source": f"arn:aws:ec2::{PRIMARY}:volume/{volume}"})
    event = set_event(ended) | {"time": "2026-11-23T00:00:00Z"}
    found = parse_snapshot_event(event)
    assert isinstance(found, list)
    tagged = lab.runner.composition.tag_snapshots(PRIMARY).run(found)
    assert [copy.origin.snapshot_id for copy in tagged.copies] == [full, other]
    assert [(problem.kind, problem.subject) for problem in tagged.problems] == [("TagsDoNotFit", full)]


def test_the_last_snapshot_of_a_deleted_volume_follows_the_earlier_policy() -> None:
    lab = Laboratory()
    volume = lab.make_volume(INCLUDED)
    lab.protect(volume)
    last = lab.start_snapshot(volume)
    lab.ec2().delete_volume(VolumeId=volume)
    lab.settle()
    assert lab.tags(last)["snapkeep:policy"] == "default"
    assert last in lab.sources_of_copies()


def test_a_snapshot_of_a_deleted_volume_without_a_policy_is_left_alone() -> None:
    lab = Laboratory()
    volume = lab.make_volume({})
    last = lab.start_snapshot(volume)
    lab.ec2().delete_volume(VolumeId=volume)
    lab.settle()
    assert lab.tags(last) == {}
    assert lab.sources_of_copies() == []
