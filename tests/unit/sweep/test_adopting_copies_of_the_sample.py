"""Copies that AWS's sample made are adopted by the age of their data, never by the moment at which they were made."""

from __future__ import annotations

import pytest

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.domain.tag_names import ORIGINAL_NAME, ORIGINAL_REGION, ORIGINAL_VOLUME, SOURCE_START
from snapkeep.domain.tags import format_time
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.retention.plan_regions import make_plans
from support.all_facts import gather_all_facts
from support.sweeping_world import DR, HOUR, PRIMARY, SweepingWorld, gold, kinds


class SampleWorld(SweepingWorld):
    """The sample copied the newer of two snapshots first, and named both copies after the moments at which they were made."""

    def __init__(self) -> None:
        super().__init__(policies=gold(keep_copies=1))
        self.world.add_fault(FaultRule("event_lost"))
        volume = self.volume()
        self.older = self.snapshot(volume)
        self.later(HOUR)
        self.newer = self.snapshot(volume)
        self.later(HOUR)
        self.newer_copy, self.older_copy = self.copy(volume, self.newer), self.copy(volume, self.older)

    def copy(self, volume: str, source: str) -> str:
        name = f"{volume}_{format_time(self.runner.composition.clock.now())}"
        tags = {ORIGINAL_NAME: name, ORIGINAL_VOLUME: volume, ORIGINAL_REGION: PRIMARY}
        copied = self.ec2_dr.copy_snapshot(
            SourceRegion=PRIMARY,
            SourceSnapshotId=source,
            Description=f"{source}**{volume}**{PRIMARY}",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tag_list(tags)}],
        )
        self.later(HOUR)
        return str(copied["SnapshotId"])

    def adopted_by_plan(self) -> set[str]:
        readers = [self.runner.composition.reader(region) for region in (PRIMARY, DR)]
        facts = gather_all_facts(readers[0], readers[1:])
        policies, now = dict.fromkeys((PRIMARY, DR), self.policies), self.runner.composition.clock.now()
        _, dr = make_plans(readers, facts, policies, now, system=self.runner.layout.system, adopt=True)
        return {snapshot_id for volume in dr.volumes for snapshot_id in volume.adopted}


def test_the_newest_data_stays_although_its_copy_was_made_first() -> None:
    """The copy's own start was taken for its source's: the copy with the newer data was deleted as the older one."""
    world = SampleWorld()
    assert world.adopted_by_plan() == {world.older_copy, world.newer_copy}
    world.sweep(DR, adopt=True)
    world.sweep(DR)
    (copy,) = world.managed(DR)
    source = next(item for item in world.snapshots(PRIMARY) if item["SnapshotId"] == world.newer)
    start = next(tag["Value"] for tag in copy["Tags"] if tag["Key"] == SOURCE_START)
    assert (copy["SnapshotId"], start) == (world.newer_copy, format_time(source["StartTime"]))


@pytest.mark.parametrize("why", ["deleted", "unreachable"])
def test_a_copy_whose_data_has_no_known_age_is_left_alone(why: str) -> None:
    """An upper bound of the age, taken for the age, makes an older copy the newest."""
    world = SampleWorld()
    if why == "deleted":
        for snapshot_id in (world.older, world.newer):
            world.ec2.delete_snapshot(SnapshotId=snapshot_id)
        assert world.adopted_by_plan() == set()
    else:
        world.world.take_region_away(PRIMARY)
    report = world.sweep(DR, adopt=True)
    world.sweep(DR)
    assert kinds(report, Handling.NOTED) == {FindingKind.ADOPTABLE: 2}
    assert world.managed(DR) == []
    assert len(world.snapshots(DR)) == 2
