"""Tags of copies that a person removed or wrote over, or that another tool copied along: no copy is lost, missed or unseen by it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain import tag_names
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.model import Origin
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.domain.tag_names import ORIGINAL_REGION, ORIGINAL_VOLUME, SOURCE_SNAPSHOT, SOURCE_START, SOURCE_VOLUME
from snapkeep.domain.tags import format_time, origin_of
from snapkeep.lab.ebs_model import FaultRule
from support.flows import DR, PRIMARY, Laboratory, policy_set
from support.sweeping_world import HOUR, SweepingWorld, kinds

COPY_BEGAN = datetime(2026, 11, 2, tzinfo=UTC)
SOURCE_BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
WITHOUT_START = f"[Snapkeep: snap-1 of vol-1 from {PRIMARY}]"
"""As earlier versions described a copy."""
FUTURE, GARBAGE = "2099-01-01T00:00:00.000Z", "last tuesday"


def origin_start(**tags: str) -> datetime:
    given = {SOURCE_SNAPSHOT: "snap-1"} | {getattr(tag_names, name): value for name, value in tags.items()}
    return origin_of("snap-2", DR, "vol-ffffffff", COPY_BEGAN, given, WITHOUT_START).start_time


@pytest.mark.parametrize("wrong", [FUTURE, GARBAGE, ""])
def test_an_impossible_source_start_falls_back_to_the_name(wrong: str) -> None:
    assert origin_start(SOURCE_START=format_time(SOURCE_BEGAN)) == SOURCE_BEGAN
    assert origin_start(SOURCE_START=wrong, ORIGINAL_NAME=f"vol-1_{format_time(SOURCE_BEGAN)}") == SOURCE_BEGAN
    assert origin_start(SOURCE_START=wrong, ORIGINAL_NAME=f"vol-1_{wrong}") == COPY_BEGAN


def test_a_description_of_the_original_system_counts_only_with_its_tag() -> None:
    description = f"snap-0a**vol-0a**{PRIMARY}"
    given = "snap-2", DR, "vol-ffffffff", COPY_BEGAN
    assert origin_of(*given, {}, description) == origin_of(*given, {}) == Origin(DR, given[0], given[0], COPY_BEGAN)
    origin = origin_of(*given, {ORIGINAL_REGION: PRIMARY}, description)
    assert origin == Origin(PRIMARY, "vol-0a", "snap-0a", COPY_BEGAN, start_known=False)


def test_copies_are_ordered_by_their_sources_where_a_regions_clock_is_behind() -> None:
    lab = Laboratory(policy_set(keep=5, keep_copies=1))
    lab.world.set_clock_skew(DR, -600)
    lab.world.add_fault(FaultRule("copy_fails", times=1))
    volume = lab.make_volume()
    lab.start_snapshot(volume)
    lab.runner.advance(300)
    newest = lab.start_snapshot(volume)
    lab.settle()
    assert lab.sources_of_copies() == [newest]


@pytest.mark.parametrize("wrong", [FUTURE, GARBAGE])
def test_a_copy_tagged_with_a_future_start_frees_no_source(wrong: str) -> None:
    lab = Laboratory(policy_set(keep=2))
    volume = lab.make_volume()
    lab.protect(volume)
    (copy,) = lab.ids(DR)
    lab.ec2(DR).create_tags(Resources=[copy], Tags=tag_list({SOURCE_START: wrong}))
    lab.world.add_fault(FaultRule("copy_fails"))
    uncopied = [lab.protect(volume) for _ in range(4)]
    assert lab.ids() == uncopied


def test_a_future_start_tag_hides_no_missing_copy() -> None:
    world = SweepingWorld()
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    (copy,) = world.managed(DR)
    world.ec2_dr.create_tags(Resources=[copy["SnapshotId"]], Tags=tag_list({SOURCE_START: FUTURE}))
    world.world.add_fault(FaultRule("copy_fails", times=3))
    world.snapshot(volume)
    world.later(6 * HOUR)
    assert kinds(world.sweep(), Handling.NEEDS_ATTENTION)[FindingKind.COPY_FAILED] == 1
    assert kinds(world.sweep(DR), Handling.REPAIRED) == {FindingKind.TAGS_LOST: 1}
    assert kinds(world.sweep(DR)) == {}
    (tags,) = [copy["Tags"] for copy in world.managed(DR)]
    assert {"Key": SOURCE_START, "Value": FUTURE} not in tags


@pytest.mark.parametrize("lost", [[SOURCE_SNAPSHOT], [SOURCE_VOLUME, ORIGINAL_VOLUME]])
def test_a_copy_without_origin_counts_in_no_other_retention(lost: list[str]) -> None:
    lab = Laboratory(policy_set(keep_copies=2))
    volume = lab.make_volume()
    first = lab.protect(volume)
    (copy,) = lab.ids(DR)
    lab.ec2(DR).delete_tags(Resources=[copy], Tags=[{"Key": key} for key in lost])
    later = [lab.protect(volume) for _ in range(3)]
    assert lab.sources_of_copies() == sorted([first, *later[1:]])
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}


def test_another_tools_copy_with_our_tags_does_not_answer_a_run() -> None:
    lab = Laboratory()
    lab.world.add_fault(FaultRule("copy_fails", times=1))
    snapshot = lab.start_snapshot(lab.make_volume())
    queue = lab.runner.composition.queues[DR]
    while not queue.count(EntryState.DELAYED):
        lab.runner.advance(10)
    tags = lab.tags(snapshot)
    specifications = [{"ResourceType": "snapshot", "Tags": tag_list(tags)}]
    made = lab.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot, TagSpecifications=specifications)
    lab.settle()
    assert lab.tags(made["SnapshotId"], DR) == tags
    assert lab.sources_of_copies() == [snapshot, snapshot]
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]


def test_another_tools_failed_copy_with_our_tags_is_left() -> None:
    world = SweepingWorld()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (tags,) = [snapshot["Tags"] for snapshot in world.snapshots(PRIMARY)]
    world.world.add_fault(FaultRule("copy_fails"))
    specifications = [{"ResourceType": "snapshot", "Tags": tags}]
    made = world.ec2_dr.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot, TagSpecifications=specifications)
    world.later(HOUR)
    assert kinds(world.sweep(DR)) == {}
    assert made["SnapshotId"] in {copy["SnapshotId"] for copy in world.snapshots(DR)}
