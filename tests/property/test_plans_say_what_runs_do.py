"""Under any actions of people and AWS, `snapkeep plan` says what a run of Protect, of Receive and a sweep of the same moment would delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.model import Action
from snapkeep.domain.retention.region_plan import RegionPlan, VolumePlan
from snapkeep.domain.tag_names import MANAGED, ORIGINAL_VOLUME, OWN_TAGS, POLICY, SOURCE_REGION, SOURCE_START, SOURCE_VOLUME
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.retention.plan_regions import make_plans
from snapkeep.usecases.sweep.shared import SweepOptions
from support.policy_numbers import NAMES, make_policies
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld

WRITTEN_OVER = (
    {POLICY: "gold"},
    {POLICY: "nobody"},
    {MANAGED: "other"},
    {SOURCE_VOLUME: "vol-1"},
    {SOURCE_REGION: "eu-west-1"},
    {SOURCE_START: "last tuesday"},
    {SOURCE_START: "2099-01-01T00:00:00Z"},
    {ORIGINAL_VOLUME: "vol-1"},
)
PLACES = ((PRIMARY, PRIMARY), (PRIMARY, DR), (DR, DR), (DR, PRIMARY))
REFUSED = {"refused"}


@dataclass
class Account:
    """An account with three volumes, and all actions in it. Each action takes a number that selects its object."""

    world: SweepingWorld
    volumes: list[str]

    @classmethod
    def make(cls, number: int) -> Account:
        world = SweepingWorld(policies=make_policies(number))
        return cls(world, [world.volume(Backup=name) for name in NAMES[:3]])

    def snapshot_is_made(self, number: int) -> None:
        self.world.snapshot(self.volumes[number % len(self.volumes)])
        self.world.later((5, 70, 600, HOUR)[number % 4])

    def time_passes(self, number: int) -> None:
        self.world.later((30, 600, 6 * HOUR, DAY)[number % 4])

    def volume_is_tagged(self, number: int) -> None:
        tags = {("Backup", POLICY)[number % 2]: NAMES[number // 2 % 4]}
        self.world.ec2.create_tags(Resources=[self.volumes[number % len(self.volumes)]], Tags=tag_list(tags))

    def volume_is_deleted(self, number: int) -> None:
        gone = self.volumes.pop(number % len(self.volumes))
        self.world.ec2.delete_volume(VolumeId=gone)
        self.volumes.append(self.world.volume(Backup=NAMES[number % 4]))

    def policies_change(self, number: int) -> None:
        self.world.policies = make_policies(number)

    def event_is_lost(self, number: int) -> None:
        event = ("createSnapshot", "copySnapshot")[number % 2]
        self.world.world.add_fault(FaultRule("event_lost", event=event, times=1))

    def copies_fail(self, number: int) -> None:
        self.world.world.add_fault(FaultRule("copy_fails", times=1 + number % 3))

    def tags_are_written_over(self, number: int) -> None:
        region, snapshot = self._some(number)
        tags = WRITTEN_OVER[number // 2 % len(WRITTEN_OVER)]
        self._ec2(region).create_tags(Resources=[snapshot], Tags=tag_list(tags))

    def tag_is_removed(self, number: int) -> None:
        region, snapshot = self._some(number)
        key = sorted(OWN_TAGS)[number // 2 % len(OWN_TAGS)]
        self._ec2(region).delete_tags(Resources=[snapshot], Tags=[{"Key": key}])

    def snapshot_is_deleted(self, number: int) -> None:
        region, snapshot = self._some(number)
        self._ec2(region).delete_snapshot(SnapshotId=snapshot)

    def snapshot_is_copied_by_hand(self, number: int) -> None:
        source_region, region = PLACES[number % 4]
        _, source = self._some(number, source_region)
        (item,) = self._ec2(source_region).describe_snapshots(SnapshotIds=[source])["Snapshots"]
        specifications = [{"ResourceType": "snapshot", "Tags": item["Tags"]}] if item.get("Tags") else []
        description = item.get("Description", "") if number % 8 > 3 else ""
        self._ec2(region).copy_snapshot(
            SourceRegion=source_region, SourceSnapshotId=source, TagSpecifications=specifications, Description=description
        )

    def snapshot_is_locked(self, number: int) -> None:
        region, snapshot = self._some(number)
        self._ec2(region).lock_snapshot(SnapshotId=snapshot, LockMode="governance", LockDuration=1 + number % 30)

    def region_is_swept(self, number: int) -> None:
        self.world.sweep((PRIMARY, DR)[number % 2], settle=(5, HOUR)[number // 2 % 2])

    def _ec2(self, region: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a client of the model's
        return self.world.world.client("ec2", region, caller="person")

    def _some(self, number: int, region: str = "") -> tuple[str, str]:
        """Return the region and the id of the snapshot of a number. Raise LookupError if there is none."""
        where = region or (PRIMARY, DR)[number % 2]
        snapshots = self.world.snapshots(where)
        if not snapshots:
            raise LookupError(where)
        return where, str(snapshots[number // 2 % len(snapshots)]["SnapshotId"])

    def plans(self) -> list[RegionPlan]:
        """Return the deletions that `snapkeep plan` shows."""
        composition, policies = self.world.composition(), self.world.policies
        readers = [composition.reader(PRIMARY), composition.reader(DR)]
        return make_plans(
            readers, self.world.facts(), {PRIMARY: policies, DR: policies}, composition.clock.now(), system="snapkeep"
        )

    def deletions_of_protect(self, volume_id: str) -> set[str]:
        """Return the deletions of a run of Protect for a volume's snapshot."""
        plan = self.world.composition().planner(PRIMARY).plan_sources([volume_id])
        return REFUSED if plan.refusals else {verdict.snapshot.id for verdict in plan.deletions}

    def listed_of(self, plan: VolumePlan) -> set[str]:
        """Return the copies of a lineage that a run finds by their tag."""
        return {copy.id for copy in self.world.composition().reader(DR).copies_of_volumes([plan.lineage.volume_id])}

    def deletions_of_receive(self, plan: VolumePlan, *, as_sweep: bool = False) -> set[str]:
        """Return the deletions of a run of Receive for a copy of this lineage, among the copies that it finds by their tag."""
        made = self.world.composition().planner(DR).plan_copies([plan.lineage.volume_id], as_sweep=as_sweep)
        if any(refusal.lineage == plan.lineage for refusal in made.refusals):
            return REFUSED
        return {verdict.snapshot.id for verdict in made.deletions if verdict.snapshot.origin.lineage == plan.lineage}

    def deletions_of_sweep(self, region: str) -> set[str]:
        swept = self.world.make_sweep(region).run("sweep-of-this-moment", SweepOptions())
        return {verdict.snapshot.id for verdict in swept.plan.deletions}


def planned(plan: VolumePlan) -> set[str]:
    return REFUSED if plan.refusals else {verdict.snapshot.id for verdict in plan.verdicts if verdict.action is Action.DELETE}


DEEDS = (
    *(Account.snapshot_is_made,) * 6,
    *(Account.time_passes,) * 4,
    *(Account.region_is_swept,) * 2,
    *(Account.tags_are_written_over,) * 2,
    Account.volume_is_tagged,
    Account.volume_is_deleted,
    Account.policies_change,
    Account.event_is_lost,
    Account.copies_fail,
    Account.tag_is_removed,
    Account.snapshot_is_deleted,
    Account.snapshot_is_copied_by_hand,
    Account.snapshot_is_locked,
)
NUMBERS = st.integers(0, 999)


@pytest.mark.slow
@settings(max_examples=200)
@given(NUMBERS, st.lists(st.tuples(st.sampled_from(DEEDS), NUMBERS), min_size=10, max_size=40))
def test_a_plan_shows_the_actions_of_every_run(number: int, story: Sequence[tuple[Callable[[Account, int], None], int]]) -> None:
    account = Account.make(number)
    for deed, what in story:
        try:
            deed(account, what)
        except (ClientError, LookupError):  # what a person's own call is refused does not matter here
            continue
    for plan in account.plans()[1].volumes:  # at once: copies are in progress, or not checked yet
        assert planned(plan) == REFUSED or account.listed_of(plan) & planned(plan) <= account.deletions_of_receive(
            plan, as_sweep=True
        )
    account.world.later(2 * HOUR)  # a run takes what governs a volume from a snapshot that is younger than an hour
    assert account.world.runner.unexpected == []
    sources, copies = account.plans()
    for plan in sources.volumes:
        if plan.lineage.region == PRIMARY and plan.lineage.volume_id.startswith("vol-"):
            assert account.deletions_of_protect(plan.lineage.volume_id) == planned(plan)
    for plan in copies.volumes:
        received = account.deletions_of_receive(plan)
        assert received <= planned(plan) or planned(plan) == REFUSED
    for region_plan in (sources, copies):
        said = {verdict.snapshot.id for verdict in region_plan.deletions}
        assert account.deletions_of_sweep(region_plan.region) == said
