"""The story of one snapshot, from its tags, the queues and the logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from io import StringIO
from typing import cast

import pytest
from rich.console import Console

from snapkeep.cli.views.explain import print_story, summary
from snapkeep.domain.copies.entry import entry_key
from snapkeep.domain.model import Action
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.tag_names import SOURCE_SNAPSHOT
from snapkeep.lab.ebs_model import World
from snapkeep.usecases.look.explain import AuditLine, ExecutionSummary, Explain, Story, StoryEventKind, describe_audit_line
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold

FAR = "us-west-2"
OTHER = "999988887777"


class Trail:
    def __init__(self, lines: Sequence[AuditLine] = ()) -> None:
        self.held = lines

    def lines(self, about: str, since: datetime) -> list[AuditLine]:
        return [line for line in self.held if about in str(line.data)]


class NoExecutions:
    def about(self, words: frozenset[str], around: datetime) -> list[ExecutionSummary]:
        return []


def explain(world: SweepingWorld, snapshot_id: str, lines: Sequence[AuditLine] = ()) -> Story:
    composition, regions = world.runner.composition, world.runner.layout.destinations
    explaining = Explain(
        system="snapkeep",
        primary=composition.reader(PRIMARY),
        others={region: composition.reader(region) for region in regions},
        queues={region: composition.queue_of(region) for region in regions},
        policies=dict.fromkeys((PRIMARY, *regions), world.policies),
        trails={PRIMARY: Trail(lines)},
        executions={PRIMARY: NoExecutions()},
    )
    return explaining.run(snapshot_id, composition.clock.now())


def shown(story: Story) -> Action:
    """Return what the next plan would do."""
    assert story.verdict is not None
    return story.verdict.action


def printed(story: Story) -> str:
    console = Console(file=StringIO(), width=160)
    print_story(console, story)
    return cast("StringIO", console.file).getvalue()


def test_a_snapshot_that_its_rule_leaves_out_is_explained() -> None:
    rule = CopyRule(DR, every=timedelta(days=1))
    world = SweepingWorld(policies=PolicySet((Policy("gold", Selector(), Retention(keep_last=3), (rule,)),)))
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    left_out = world.snapshot(volume)
    text = "none in us-east-2: of the snapshots of 1d one is copied"
    # Nothing is decided about a snapshot that is pending.
    assert text not in printed(explain(world, left_out))
    world.later(HOUR)
    assert text in printed(explain(world, left_out))


def test_a_kept_snapshot_is_explained_with_its_reasons_copy_and_entry() -> None:
    world = SweepingWorld(policies=gold(keep=2))
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    story = explain(world, snapshot)
    assert summary(story) == "the next plan would keep it: newest; last 1 of 2"
    assert [copy.id for copy in story.copies] == [copy["SnapshotId"]]
    assert len(story.entries) == 1
    assert [event.text for event in story.events] == [
        "snapshot started in us-east-1",
        f"copy {copy['SnapshotId']} started in us-east-2",
    ]


def test_a_copy_is_explained_with_its_origin() -> None:
    world = SweepingWorld()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    story = explain(world, copy["SnapshotId"])
    assert story.region == DR
    assert story.origin is not None
    assert (story.origin.snapshot_id, story.origin.region) == (snapshot, PRIMARY)
    assert story.verdict is not None


def test_explain_shows_which_of_two_copies_a_sweep_deletes() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    (checked,) = world.managed(DR)
    (source,) = (tag["Value"] for tag in checked["Tags"] if tag["Key"] == SOURCE_SNAPSHOT)
    tags = [{"ResourceType": "snapshot", "Tags": checked["Tags"]}]
    second = world.ec2_dr.copy_snapshot(
        SourceRegion=PRIMARY, SourceSnapshotId=source, TagSpecifications=tags, Description=checked["Description"]
    )["SnapshotId"]
    world.later(HOUR)
    assert shown(explain(world, checked["SnapshotId"])) is Action.KEEP
    assert shown(explain(world, second)) is Action.DELETE
    world.sweep(DR)
    assert [copy["SnapshotId"] for copy in world.managed(DR)] == [checked["SnapshotId"]]


def test_a_copy_is_kept_with_a_wrong_one_in_the_queue() -> None:
    """EC2 may show the mark of the wrong one late: a sweep deletes no good copy for it."""
    world = SweepingWorld(policies=gold(keep_copies=2))
    volume = world.volume()
    for _ in range(2):
        newer = world.snapshot(volume)
        world.later(HOUR)
    good, wrong = sorted(world.managed(DR), key=lambda copy: copy["StartTime"])
    world.policies = gold(keep_copies=1)
    queue = world.runner.composition.queue_of(DR)
    assert shown(explain(world, good["SnapshotId"])) is Action.DELETE
    entry = queue.get(entry_key(PRIMARY, newer, DR))
    queue.write(entry.restarted(entry.request, entry.enqueued_at).failed("its size differs", wrong["SnapshotId"]))
    assert shown(explain(world, good["SnapshotId"])) is Action.KEEP
    world.sweep(DR)
    assert good["SnapshotId"] in [copy["SnapshotId"] for copy in world.managed(DR)]


def test_a_deleted_snapshot_is_explained_by_its_audit_line() -> None:
    world = SweepingWorld(policies=gold(keep=1))
    volume = world.volume()
    first = world.snapshot(volume)
    world.later(HOUR)
    world.snapshot(volume)
    world.later(HOUR)
    data = {
        "audit": "deletion",
        "snapshot": first,
        "outcome": "deleted",
        "reasons": ["beyond last 1"],
        "plan": "plan-1",
        "cause": "",
    }
    line = AuditLine(world.runner.composition.clock.now(), "DeleteOldSnapshots", data)
    story = explain(world, first, [line])
    assert story.snapshot is None
    assert summary(story) == "it is deleted; its events are below"
    assert describe_audit_line(line) == f"DeleteOldSnapshots: {first} deleted: beyond last 1, plan plan-1"
    assert story.events[-1].kind is StoryEventKind.DELETION
    assert story.events[-1].text == describe_audit_line(line)


def test_an_unknown_snapshot_has_an_empty_story() -> None:
    story = explain(SweepingWorld(), "snap-0123456789abcdef0")
    assert (story.snapshot, story.entries, story.events) == (None, (), ())
    assert summary(story) == (
        "no such snapshot is known here: it was deleted, never existed, or belongs to an account that does not share it"
    )


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_shared_snapshot_is_explained_with_its_owner(region: str) -> None:
    world = SweepingWorld()
    theirs = world.world.client("ec2", region, OTHER)
    made = [theirs.create_volume(AvailabilityZone=f"{region}a", Size=8) for _ in range(2)]
    world.later(HOUR)
    shared, private = (theirs.create_snapshot(VolumeId=volume["VolumeId"])["SnapshotId"] for volume in made)
    world.later(HOUR)
    theirs.modify_snapshot_attribute(
        SnapshotId=shared, Attribute="createVolumePermission", OperationType="add", UserIds=[world.world.account_id]
    )
    story = explain(world, shared)
    assert (story.snapshot, story.region, story.owner) == (None, region, OTHER)
    assert summary(story) == f"it belongs to account {OTHER}: Snapkeep manages only the snapshots of its own account"
    assert "or belongs to an account that does not share it" in summary(explain(world, private))


def two_regions() -> SweepingWorld:
    rules = tuple(CopyRule(region, retention=Retention(keep_last=3)) for region in (DR, FAR))
    policies = PolicySet((Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=1), rules),), Limits())
    return SweepingWorld(World(seed=7, regions=(PRIMARY, DR, FAR)), policies, destinations=(DR, FAR))


def test_a_story_has_the_copies_and_entries_of_every_region() -> None:
    world = two_regions()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    story = explain(world, snapshot)
    assert [copy.region for copy in story.copies] == [DR, FAR]
    assert [entry.request.region for entry in story.entries] == [DR, FAR]
    assert story.problems == ()
    far = next(copy for copy in story.copies if copy.region == FAR)
    assert explain(world, far.id).region == FAR


def test_a_snapshot_with_the_tags_of_a_copy_is_not_a_copy() -> None:
    world = SweepingWorld()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    restored = world.ec2_dr.create_volume(AvailabilityZone=f"{DR}a", SnapshotId=copy["SnapshotId"], VolumeType="gp3")
    world.later(HOUR)
    specifications = [{"ResourceType": "snapshot", "Tags": copy["Tags"]}]
    world.ec2_dr.create_snapshot(VolumeId=restored["VolumeId"], TagSpecifications=specifications)
    assert [explained.id for explained in explain(world, snapshot).copies] == [copy["SnapshotId"]]


def test_a_running_copy_holds_its_source_without_a_queue_entry() -> None:
    world = SweepingWorld()
    volume = world.volume()
    first = world.snapshot(volume)
    world.later(HOUR)
    (copy,) = world.managed(DR)
    world.snapshot(volume)
    world.later(HOUR)
    world.policies = gold(keep=1)
    assert summary(explain(world, first)) == "the next plan would delete it: beyond last 1"
    world.ec2_dr.delete_snapshot(SnapshotId=copy["SnapshotId"])
    specifications = [{"ResourceType": "snapshot", "Tags": copy["Tags"]}]
    world.ec2_dr.copy_snapshot(
        SourceRegion=PRIMARY, SourceSnapshotId=first, TagSpecifications=specifications, Description=copy["Description"]
    )
    held = "the next plan would keep it: held: its copy to us-east-2 is waiting or running"
    assert summary(explain(world, first)) == held


def test_an_unreachable_region_is_a_problem_of_the_story() -> None:
    world = two_regions()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    world.world.take_region_away(FAR)
    story = explain(world, snapshot)
    assert [copy.region for copy in story.copies] == [DR]
    (problem,) = story.problems
    assert problem.startswith(f"{FAR} could not be read: ")
    assert story.verdict is not None
    assert story.verdict.action is Action.KEEP


def test_a_copy_is_explained_while_the_primary_region_is_unreachable() -> None:
    world = two_regions()
    snapshot = world.snapshot(world.volume())
    world.later(HOUR)
    (copy,) = world.managed(DR)
    world.world.take_region_away(PRIMARY)
    story = explain(world, copy["SnapshotId"])
    assert story.origin is not None
    assert story.origin.snapshot_id == snapshot
    assert [problem.partition(" ")[0] for problem in story.problems] == [PRIMARY]
    assert story.verdict is not None
    lost = explain(world, snapshot)
    assert summary(lost) == "it was not found in the regions that could be read"
