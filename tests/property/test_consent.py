"""The announcements of `plan`, `plan --adopt`, `policy push`, `policy rollback`, `deploy` and `rename` happen within 24 hours.

No more happens, and no less. The system has swept once before the announcement; what people do later is part of none. A
failed copy holds no data: its removal is not announced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.deploy.changes import Risk, parameter_changes
from snapkeep.deploy.parameters import SUFFIX, InvalidParameters
from snapkeep.domain.model import Snapshot, SnapshotInRegion
from snapkeep.domain.policy.model import Limits, PolicySet
from snapkeep.domain.policy.parameters import from_dr_parameters, from_parameters
from snapkeep.domain.retention.comparison import compare
from snapkeep.domain.retention.region_plan import CopyStatus, RegionPlan
from snapkeep.domain.tag_names import POLICY
from snapkeep.lab.ebs_model import Faults
from snapkeep.usecases.retention.plan_regions import make_plans
from support.policy_numbers import NAMES, make_policies
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld

pytestmark = pytest.mark.slow

SYSTEM, SUCCESSOR, REGIONS = "snapkeep", "snapkeep-two", (PRIMARY, DR)
OTHER_DR, KEYS = "eu-west-1", ("alias/former", "alias/present")
NUMBERS = st.integers(0, 999)


@dataclass
class Announcement:
    """Everything that is to be deleted, copied and adopted."""

    deleted: set[str] = field(default_factory=set)
    copied: set[SnapshotInRegion] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)


def announcement_of(plans: Sequence[RegionPlan]) -> Announcement:
    """Return what plans announce."""
    return Announcement(
        {verdict.snapshot.id for plan in plans for verdict in (*plan.deletions, *plan.deletions_after_copies)},
        {(copy.snapshot_id, copy.region) for plan in plans for copy in plan.missing if copy.status is not CopyStatus.FAILED},
        {snapshot_id for plan in plans for volume in plan.volumes for snapshot_id in volume.adopted},
    )


class Account:
    """An account with three volumes: history from before the system was deployed, then its life with the system."""

    def __init__(self, number: int, history: Sequence[int], **layout: Any) -> None:
        self.story = [f"policies {number}", f"history {list(history)}"]
        self.world = SweepingWorld(verify=number % 4 < 2, **layout)
        self.policies_change(number)
        self.system = SYSTEM
        self.regions = (PRIMARY, *self.world.runner.layout.destinations)
        self.volumes = [self.world.volume(Backup=name) for name in NAMES[:3]]
        self.world.world.set_faults(Faults(event_lost=1.0))
        for volume in history:
            self.world.snapshot(self.volumes[volume])
            self.world.later(7 * HOUR)
        self.world.world.set_faults(Faults())
        self.system_is_deployed()

    def system_is_deployed(self) -> None:
        self.deployed_at = self.world.runner.composition.clock.now()
        self.world.runs[PRIMARY].deployed = self.world.runner.composition.deployed_at = self.deployed_at

    def __repr__(self) -> str:
        return f"Account({', '.join(self.story)})"

    # Deeds of people

    def snapshot_is_made(self, number: int) -> None:
        self.world.snapshot(self.volumes[number % 3])
        self.world.later((70, 600, 2 * HOUR, DAY)[number % 4])

    def volume_is_tagged(self, number: int) -> None:
        tags = {("Backup", POLICY)[number % 2]: NAMES[number // 2 % 4]}
        self.world.ec2.create_tags(Resources=[self.volumes[number % 3]], Tags=tag_list(tags))

    def volume_is_deleted(self, number: int) -> None:
        self.world.ec2.delete_volume(VolumeId=self.volumes[number % 3])

    def policies_change(self, number: int) -> None:
        self.world.policies = make_policies(number, self.world.runner.layout.destinations)

    def snapshot_is_deleted(self, number: int) -> None:
        region, snapshot_id = self._some(number)
        self._ec2(region).delete_snapshot(SnapshotId=snapshot_id)

    def snapshot_is_locked(self, number: int) -> None:
        region, snapshot_id = self._some(number)
        self._ec2(region).lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=2 + number % 30)

    def image_is_registered(self, number: int) -> None:
        region, snapshot_id = self._some(number)
        mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
        self._ec2(region).register_image(Name=f"image-{number}", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)

    def region_is_swept(self, number: int) -> None:
        self.world.sweep(REGIONS[number % 2])

    def do(self, story: Sequence[tuple[Callable[[Account, int], None], int]]) -> None:
        """Do everything of a story; AWS refuses some of it."""
        for deed, number in story:
            self.story.append(f"{deed.__name__} {number}")
            try:
                deed(self, number)
            except (ClientError, LookupError):
                continue

    def _ec2(self, region: str) -> Any:
        return self.world.world.client("ec2", region, caller="person")

    def _some(self, number: int) -> tuple[str, str]:
        """Return the region and the id of the snapshot of a number. Raise LookupError if there is none."""
        region = REGIONS[number % 2]
        snapshots = self.world.snapshots(region)
        if not snapshots:
            raise LookupError(region)
        return region, str(snapshots[number // 2 % len(snapshots)]["SnapshotId"])

    # Deeds and announcements of the system

    def system_is_renamed(self) -> None:
        """Destroy the system, and deploy another one."""
        former, self.system = self.world, SUCCESSOR
        former.world.state.listeners.remove(former.runner._on_event)
        self.world = SweepingWorld(former.world, former.policies, system=SUCCESSOR, verify=former.runner.layout.verify)
        self.system_is_deployed()

    def sweep_all(self, settle: float, *, adopt: bool = False, former: str = "") -> None:
        for region in reversed(self.regions):
            self.world.sweep(region, settle=settle, adopt=adopt, former=former)

    def come_to_rest(self) -> None:
        for _ in range(2):
            self.sweep_all(2 * HOUR)
        assert self.world.runner.run_until_idle(2 * DAY)

    def plans(self, policies: PolicySet, **options: Any) -> list[RegionPlan]:
        """Return the plans that the commands make with a document in force in every region."""
        return self.plans_by_region(dict.fromkeys(self.regions, policies), **options)

    def plans_by_region(self, policies: Mapping[str, PolicySet], **options: Any) -> list[RegionPlan]:
        """Return the plans that the commands make by what is in force in each region."""
        composition = self.world.composition()
        readers = [composition.reader(region) for region in self.regions]
        facts, now = self.world.facts(self.deployed_at), composition.clock.now()
        return make_plans(readers, facts, policies, now, system=self.system, **options)

    def dr_regions_are_prepared(self) -> None:
        """Make the keys of copies, under the same aliases, and a stack in every DR region."""
        for region in self.regions[1:]:
            self.world.policies_by_region[region] = from_dr_parameters(region, 1, Limits())
            kms = self.world.world.client("kms", region)
            for alias in KEYS:
                kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

    def next_day(self, *, adopt: bool = False, former: str = "") -> Announcement:
        """Let a day pass, with four sweeps, the first with consent to an adoption or without. Return what happened.

        Each of them adopts the snapshots of a former system.
        """
        before = self._listed()
        with patch.object(self.world.world, "call", wraps=self.world.world.call) as calls:
            for number in range(4):
                self.sweep_all(6 * HOUR / len(self.regions) - 1, adopt=adopt and number == 0, former=former)
        assert self.world.runner.unexpected == []
        after = self._listed()
        # By the calls: a copy may expire as soon as it has arrived, but it was made, and paid for.
        copied = {
            (call.args[2]["SourceSnapshotId"], call.kwargs["region"])
            for call in calls.call_args_list
            if call.args[1] == "CopySnapshot"
        }
        unmanaged = {snapshot_id for snapshot_id, snapshot in before.items() if not snapshot.managed_by(self.system)}
        adopted = {
            snapshot_id for snapshot_id in unmanaged if snapshot_id not in after or after[snapshot_id].managed_by(self.system)
        }
        return Announcement(
            {snapshot_id for snapshot_id, snapshot in before.items() if snapshot.completed and snapshot_id not in after},
            copied,
            adopted,
        )

    def _listed(self) -> dict[str, Snapshot]:
        readers = [self.world.composition().reader(region) for region in self.regions]
        return {snapshot.id: snapshot for reader in readers for snapshot in reader.all_snapshots()}


LIFE = (
    *(Account.snapshot_is_made,) * 6,
    Account.volume_is_tagged,
    Account.volume_is_deleted,
    Account.policies_change,
    Account.snapshot_is_deleted,
    Account.region_is_swept,
)
LATE = (
    Account.snapshot_is_deleted,
    Account.snapshot_is_deleted,
    Account.snapshot_is_locked,
    Account.image_is_registered,
    Account.volume_is_tagged,
    Account.volume_is_deleted,
)
HISTORIES = st.lists(st.integers(0, 2), max_size=8)
LIVES = st.lists(st.tuples(st.sampled_from(LIFE), NUMBERS), min_size=3, max_size=12)
LATE_DEEDS = st.lists(st.tuples(st.sampled_from(LATE), NUMBERS), max_size=5)


@st.composite
def accounts(draw: st.DrawFn, dr_regions: tuple[str, ...] = (DR,)) -> Account:
    """An account at rest, and what people did since the last sweep."""
    account = Account(draw(NUMBERS), draw(HISTORIES), destinations=dr_regions)
    account.do(draw(LIVES))
    account.come_to_rest()
    account.do(draw(LATE_DEEDS))
    return account


@settings(max_examples=100)
@given(accounts())
def test_a_day_brings_what_the_plan_announces(account: Account) -> None:
    announced = announcement_of(account.plans(account.world.policies))
    assert account.next_day() == announced


@settings(max_examples=100)
@given(accounts())
def test_an_adoption_brings_what_its_plan_announces(account: Account) -> None:
    announced = announcement_of(account.plans(account.world.policies, adopt=True))
    assert account.next_day(adopt=True) == announced


@settings(max_examples=100)
@given(st.one_of(accounts(), accounts((DR, OTHER_DR))), NUMBERS)
def test_a_push_brings_what_its_comparison_announces(account: Account, number: int) -> None:
    """A rollback puts other policies in force in the same way. Policies may copy into another region than before."""
    policies = make_policies(number, account.regions[1:])
    before, after = account.plans(account.world.policies), account.plans(policies)
    expected, announced = announcement_of(before), announcement_of(after)
    for old, new in zip(before, after, strict=True):
        comparison = compare(old, new)
        changed = {change.after.snapshot.id for change in comparison.deleted}
        changed |= {verdict.snapshot.id for verdict in comparison.deleted_after_copies}
        region_ids = {verdict.snapshot.id for verdict in new.verdicts}
        assert changed >= (announced.deleted - expected.deleted) & region_ids
        assert changed <= announced.deleted
        assert {(copy.snapshot_id, copy.region) for copy in comparison.copies} >= (
            {(copy.snapshot_id, copy.region) for copy in new.missing} - {(copy.snapshot_id, copy.region) for copy in old.missing}
        )
    account.world.policies = policies
    assert account.next_day() == announced


@settings(max_examples=60)
@given(accounts())
def test_a_renamed_system_takes_over_what_its_plan_announces(account: Account) -> None:
    """A deployment refuses another suffix; the way to one is a second system that takes over the first one's snapshots."""
    with pytest.raises(InvalidParameters, match="a running system keeps its name"):
        parameter_changes("stack", PRIMARY, {SUFFIX: ""}, {SUFFIX: SUCCESSOR.removeprefix(SYSTEM)})
    account.system_is_renamed()
    announced = announcement_of(account.plans(account.world.policies, former=SYSTEM))
    assert account.next_day(former=SYSTEM) == announced


def test_a_copy_that_expires_on_arrival_was_announced() -> None:
    """The first snapshot, which no policy governed when it was made, gets a run, and a newer snapshot has a copy already."""
    account = Account(249, [])
    made = (Account.snapshot_is_made, 14), (Account.snapshot_is_made, 254)
    account.do([*made, (Account.volume_is_tagged, 59), (Account.snapshot_is_made, 0)])
    account.come_to_rest()
    account.do([(Account.snapshot_is_deleted, 92)])
    account.world.policies = make_policies(0)
    announced = announcement_of(account.plans(account.world.policies))
    assert announced.copied
    assert account.next_day() == announced


def test_a_copy_beside_snapshots_without_a_run_was_announced() -> None:
    """The sweep that starts their runs requests it without a look at the newer copies that these will bring."""
    account = Account(19, [])
    account.do([(Account.snapshot_is_made, 380), (Account.policies_change, 67), (Account.volume_is_tagged, 920)])
    account.do([(Account.snapshot_is_made, 387), (Account.snapshot_is_made, 260)])
    account.come_to_rest()
    account.do([(Account.snapshot_is_deleted, 189), (Account.volume_is_tagged, 179)])
    announced = announcement_of(account.plans(account.world.policies))
    assert account.next_day() == announced


@dataclass(frozen=True)
class Parameters:
    """The parameters of the stacks that make the policies."""

    tag: str
    retention: int
    dr_retention: int
    dr_region: str
    key: str
    limit: int

    @property
    def limits(self) -> Limits:
        return Limits(max_deletions=self.limit, max_share_percent=100)

    def put_in_force(self, world: SweepingWorld) -> None:
        """Put the policies in force that each stack's functions make of them. Another DR region's stack keeps its own."""
        world.policies = self._of_primary(1)
        world.policies_by_region[self.dr_region] = from_dr_parameters(self.dr_region, self.dr_retention, self.limits)

    def known_to_commands(self, world: SweepingWorld) -> dict[str, PolicySet]:
        """Return the policies in force in each region as the commands know them, which read the parameters of all stacks."""
        return {PRIMARY: self._of_primary(self.dr_retention), **world.policies_by_region}

    def _of_primary(self, dr_retention: int) -> PolicySet:
        return from_parameters(self.tag, self.dr_region, self.retention, dr_retention, self.key, 24, self.limits, region=PRIMARY)

    @property
    def of_stacks(self) -> dict[str, dict[str, str]]:
        primary = {"tagKeyValue": self.tag, "Retention": str(self.retention), "DRRegion": self.dr_region, "DRKmsKey": self.key}
        limit = {"MaxDeletions": str(self.limit)}
        return {PRIMARY: primary | limit, self.dr_region: {"Retention": str(self.dr_retention)} | limit}


PARAMETERS = st.builds(
    Parameters,
    st.sampled_from(("none", "Backup", f"Backup={NAMES[0]}")),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from((DR, OTHER_DR)),
    st.sampled_from(("", *KEYS)),
    st.sampled_from((1, 100)),
)


@settings(max_examples=60)
@given(NUMBERS, HISTORIES, LIVES, PARAMETERS, PARAMETERS, PARAMETERS)
def test_a_deployment_asks_before_it_deletes_or_ends_protection(
    number: int,
    history: list[int],
    life: list[tuple[Callable[[Account, int], None], int]],
    earlier: Parameters,
    before: Parameters,
    after: Parameters,
) -> None:
    account = Account(number, history, destinations=(DR, OTHER_DR))
    account.dr_regions_are_prepared()
    deeds = [deed for deed in life if deed[0] is not Account.policies_change]
    for parameters, part in ((earlier, deeds[::2]), (before, deeds[1::2])):
        parameters.put_in_force(account.world)
        account.do(part)
        account.come_to_rest()
    old = account.plans_by_region(before.known_to_commands(account.world))
    after.put_in_force(account.world)
    new = account.plans_by_region(after.known_to_commands(account.world))
    expected, announced = announcement_of(old), announcement_of(new)
    governed, still_governed = (
        {volume.lineage for plan in plans for volume in plan.volumes if volume.volume and volume.policy_name}
        for plans in (old, new)
    )
    deployed = earlier.of_stacks | before.of_stacks
    changes = [
        change
        for region, values in after.of_stacks.items()
        for change in parameter_changes("stack", region, deployed.get(region, {}), values)
    ]
    risks = {change.risk for change in changes}
    # Another tag may select volumes again, and new copies replace older ones in a region that was the DR region before.
    assert risks & {Risk.DELETES_SNAPSHOTS, Risk.ENDS_PROTECTION, Risk.MOVES_COPIES} or announced.deleted <= expected.deleted
    assert Risk.ENDS_PROTECTION in risks or governed <= still_governed
    assert Risk.MOVES_COPIES in risks or announced.copied <= expected.copied or before.tag != after.tag
    assert (Risk.CHANGES_KEY in risks) == (before.key != after.key)
    if Risk.MOVES_COPIES in risks:
        assert {region for _, region in announced.copied} <= {after.dr_region}
    assert account.next_day() == announced
