"""Unusable keys: their snapshots and copies count nowhere, every view shows this, and nothing is deleted because of them."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.model import Unusable
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.protection import VolumeHealth
from snapkeep.domain.retention.deletion import deletion_orders
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling, SweepOutcome, SweepReport
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.usecases.ports import CopyResult, CopyResultStatus, DeletionOutcome
from snapkeep.usecases.sweep.shared import SweepOptions
from support.flows import CallCounter
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, kinds

DENIED = FaultRule("api_error", region=DR, action="DescribeKey", code="AccessDeniedException", message="no", http_status=400)


class KeyedWorld(SweepingWorld):
    """A volume whose copies are encrypted with a customer managed key of the DR region."""

    def __init__(self, *, keep: int = 2, keep_copies: int = 2, snapshots: int = 2) -> None:
        super().__init__()
        self.kms: Any = self.world.client("kms", DR)
        self.key: str = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.keep, self.keep_copies = keep, keep_copies
        self.use(self.key)
        self.volume_id = self.volume()
        for _ in range(snapshots):
            self.protect()

    def use(self, key: str) -> None:
        rule = CopyRule(DR, kms_key=key, retention=Retention(keep_last=self.keep_copies))
        policy = Policy("gold", Selector(tags={"Backup": ("*",)}), Retention(keep_last=self.keep), (rule,))
        self.policies = PolicySet((policy,), Limits(max_deletions=1000, max_share_percent=100))

    def protect(self) -> str:
        snapshot_id = self.snapshot(self.volume_id)
        self.later(6 * HOUR)
        return snapshot_id

    def ids(self, region: str) -> list[str]:
        return [str(item["SnapshotId"]) for item in self.snapshots(region)]

    def sweep_both(self) -> tuple[SweepReport, SweepReport]:
        return self.sweep(DR), self.sweep(PRIMARY)


def test_a_key_pending_deletion_is_found_in_both_regions() -> None:
    world = KeyedWorld()
    assert world.status().healthy
    world.kms.schedule_key_deletion(KeyId=world.key, PendingWindowInDays=7)
    world.later(10 * 60)
    for report in world.sweep_both():
        assert (report.outcome, kinds(report, Handling.NEEDS_ATTENTION)[FindingKind.KEY_AT_RISK]) == (SweepOutcome.PARTIAL, 1)
        [item] = [item for item in report.items if item.kind is FindingKind.KEY_AT_RISK]
        assert item.subject == world.key
        assert f"2 copies of {world.volume_id} (policy gold) cannot be restored" in item.text
        assert f"aws kms cancel-key-deletion --key-id {world.key} --region {DR} && aws kms enable-key" in item.text
    status = world.status()
    [volume] = status.volumes
    assert (status.healthy, volume.health, volume.age) == (False, VolumeHealth.NO_RECOVERY_POINT, None)
    assert volume.why == f"none of its copies in {DR} can be restored: its key is pending deletion (2)"
    world.kms.cancel_key_deletion(KeyId=world.key)
    world.kms.enable_key(KeyId=world.key)
    world.later(10 * 60)
    assert [report.outcome for report in world.sweep_both()] == [SweepOutcome.OK, SweepOutcome.OK]
    assert world.status().healthy


def test_a_source_stays_while_its_newer_copy_cannot_be_restored() -> None:
    world = KeyedWorld(keep=2, snapshots=2)
    sources, copies = world.ids(PRIMARY), world.ids(DR)
    world.kms.disable_key(KeyId=world.key)
    world.later(10 * 60)
    newest = [world.protect() for _ in range(2)]
    world.sweep_both()
    assert world.ids(PRIMARY) == [*sources, *newest]
    assert world.ids(DR) == copies


def test_a_source_that_cannot_be_restored_displaces_no_older_one() -> None:
    world = KeyedWorld(keep=1, keep_copies=5, snapshots=1)
    kms = world.world.client("kms", PRIMARY)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    made = world.ec2.create_volume(AvailabilityZone=f"{PRIMARY}a", Size=8, Encrypted=True, KmsKeyId=key)["VolumeId"]
    world.ec2.create_tags(Resources=[made], Tags=[{"Key": "Backup", "Value": "gold"}])
    world.volume_id = made
    world.later(5)
    first = world.protect()
    second = world.protect()
    assert first not in world.ids(PRIMARY)
    kms.disable_key(KeyId=key)
    world.later(10 * 60)
    world.sweep(PRIMARY)
    assert second in world.ids(PRIMARY)
    [health] = [volume for volume in world.status().volumes if volume.volume.id == made]
    assert health.snapshot.unusable == (Unusable.KEY_DISABLED,)


def test_copies_are_made_again_under_a_key_that_can_be_used() -> None:
    world = KeyedWorld()
    old = world.ids(DR)
    world.kms.disable_key(KeyId=world.key)
    new_key = world.kms.create_key()["KeyMetadata"]["Arn"]
    world.use(new_key)
    world.later(10 * 60)
    world.sweep(PRIMARY)
    world.later(2 * HOUR)
    copies = {item["SnapshotId"]: item["KmsKeyId"] for item in world.snapshots(DR)}
    assert set(old) < set(copies)
    assert {key for copy_id, key in copies.items() if copy_id not in old} == {new_key}
    assert len(copies) == 2 * len(old)
    assert world.status().volumes[0].health is VolumeHealth.PROTECTED


def test_no_copy_is_requested_again_under_the_key_at_risk() -> None:
    world = KeyedWorld()
    world.kms.disable_key(KeyId=world.key)
    world.later(10 * 60)
    assert not kinds(world.sweep(PRIMARY))[FindingKind.COPY_MISSING]
    assert not world.runner.composition.notices.added


def test_a_key_that_may_not_be_described_is_not_known() -> None:
    world = KeyedWorld(snapshots=3)
    copies = world.ids(DR)
    world.world.add_fault(DENIED)
    world.later(10 * 60)
    for report in world.sweep_both():
        assert report.outcome is SweepOutcome.PARTIAL
        [item] = [item for item in report.items if item.kind is FindingKind.KEY_AT_RISK]
        assert "the state of its key is not known" in item.text
        assert "are not known to be restorable: allow kms:DescribeKey" in item.text
    status = world.status()
    assert (status.healthy, status.volumes[0].health) == (False, VolumeHealth.UNKNOWN)
    assert world.ids(DR) == copies


def test_a_copy_under_a_disabled_key_is_confirmed_after_its_enabling() -> None:
    world = KeyedWorld(snapshots=1)
    snapshot_id = world.snapshot(world.volume_id)
    while len(world.ids(DR)) < 2:
        world.later(10)
    world.world.region_account(DR).keys[world.key.rpartition("/")[2]].state = "Disabled"
    world.later(6 * HOUR)
    [copy] = [item for item in world.snapshots(DR) if snapshot_id in item["Description"]]
    if copy["State"] == "completed":
        assert "snapkeep:check" not in {tag["Key"] for tag in copy["Tags"]}
        assert any("cannot be restored: its key is disabled" in notice.cause for notice in world.runner.composition.notices.added)
        world.sweep_both()
        world.kms.enable_key(KeyId=world.key)
        world.later(10 * 60)
        assert [report.outcome for report in world.sweep_both()] == [SweepOutcome.OK, SweepOutcome.OK]
        assert world.status().healthy
    else:
        pytest.fail(f"the copy is {copy['State']}")


def test_each_key_is_described_once_in_a_sweep() -> None:
    world = KeyedWorld(snapshots=4, keep=4, keep_copies=4)
    world.later(HOUR)
    counter = CallCounter()
    call = world.world.call
    world.world.call = lambda service, action, *rest, **options: (  # type: ignore[method-assign]
        counter(action),
        call(service, action, *rest, **options),
    )[1]
    world.sweep(DR, settle=1)
    assert counter.calls.count("DescribeKey") == 1


def test_an_archived_copy_is_no_recovery_point_and_is_kept() -> None:
    world = KeyedWorld(keep=3, keep_copies=1, snapshots=2)
    [copy_id] = world.ids(DR)
    world.ec2_dr.modify_snapshot_tier(SnapshotId=copy_id, StorageTier="archive")
    world.later(3 * DAY)
    world.protect()
    world.sweep_both()
    world.later(HOUR)
    assert copy_id in world.ids(DR)
    [volume] = world.status().volumes
    assert volume.copies[0].unusable == (Unusable.ARCHIVED,)


def test_a_confirmed_copy_counts_only_while_its_key_can_be_used() -> None:
    world = KeyedWorld(keep=3, snapshots=2)
    world.snapshot(world.volume_id)
    world.later(10 * 60)
    world.keep = 1
    world.use(world.key)
    planner = world.composition().planner(PRIMARY)
    (oldest, _, newest), (*_, copy_id) = world.ids(PRIMARY), world.ids(DR)
    result = CopyResult(CopyResultStatus.COPIED, newest, DR, world.volume_id, copy_id)

    def deleted() -> set[str]:
        plan = planner.plan_sources([world.volume_id], [result])
        return {verdict.snapshot.id for verdict in plan.deletions}

    assert oldest in deleted()
    assert planner._confirmed([result]) == [(newest, DR)], "one that is not confirmed is listed, and its key looked at there"
    world.kms.disable_key(KeyId=world.key)
    world.later(6 * 60)
    assert deleted() == set()


def test_a_plan_from_before_a_disabled_key_deletes_no_needed_snapshot() -> None:
    world = KeyedWorld(keep_copies=2, snapshots=2)
    oldest, _ = world.ids(DR)
    world.keep_copies = 1
    world.use(world.key)
    plan = world.make_sweep(DR).run("sweep-now", SweepOptions()).plan
    assert [verdict.snapshot.id for verdict in plan.deletions] == [oldest]
    world.kms.disable_key(KeyId=world.key)
    world.later(6 * 60)
    [result] = world.composition().delete_snapshots(DR).run((), asked=deletion_orders(plan.deletions)).results
    assert result.outcome is DeletionOutcome.UNSAFE
    assert "its key is disabled" in result.cause
    assert oldest in world.ids(DR)
