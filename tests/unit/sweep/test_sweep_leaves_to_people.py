"""A sweep asks for consent, keeps to its limits, and leaves to people what is theirs."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling, SweepOutcome
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.usecases.sweep.shared import SweepLimits
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, gold, kinds


def test_nothing_of_an_accounts_history_is_touched_without_consent() -> None:
    world = SweepingWorld()
    volume = world.volume()
    history = []
    for _ in range(20):
        history.append(world.snapshot(volume))
        world.later(DAY)
        for snapshot in world.managed(PRIMARY):
            world.ec2.delete_tags(Resources=[snapshot["SnapshotId"]])
    world.runs[PRIMARY].deployed = world.runner.composition.clock.now()
    before = {snapshot["SnapshotId"]: snapshot.get("Tags") for snapshot in world.snapshots(PRIMARY)}
    report = world.sweep()
    assert kinds(report, Handling.NOTED) == {FindingKind.ADOPTABLE: 20}
    assert {snapshot["SnapshotId"]: snapshot.get("Tags") for snapshot in world.snapshots(PRIMARY)} == before
    world.sweep(adopt=True)
    assert len(world.managed(PRIMARY)) == 20


def test_a_volume_that_comes_under_protection_loses_none_of_its_older_snapshots() -> None:
    world = SweepingWorld(policies=gold(keep=1))
    volume = world.volume(Scratch="yes")
    older = [world.snapshot(volume)]
    for _ in range(3):
        world.later(DAY)
        older.append(world.snapshot(volume))
    world.later(HOUR)
    world.ec2.create_tags(Resources=[volume], Tags=[{"Key": "Backup", "Value": "gold"}])
    for _ in range(3):
        world.sweep(DR)
        report = world.sweep()
    assert kinds(report) == {FindingKind.ADOPTABLE: 3}
    assert [snapshot["SnapshotId"] for snapshot in world.managed(PRIMARY)] == older[-1:]
    assert {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)} == set(older)


def test_repairs_stop_at_the_limit_oldest_recovery_point_first() -> None:
    world = SweepingWorld(limits=SweepLimits(repairs=1))
    old, young = world.volume(), world.volume()
    world.snapshot(old)
    world.later(DAY)
    world.snapshot(young)
    world.later(HOUR)
    world.world.add_fault(FaultRule("event_lost", event="createSnapshot"))
    lost = {volume: world.snapshot(volume) for volume in (young, old)}
    world.later(HOUR)
    first = world.sweep()
    assert first.outcome is SweepOutcome.PARTIAL
    assert [item.subject for item in first.items if item.handling is Handling.REPAIRED] == [lost[old]]
    assert [item.subject for item in first.items if item.handling is Handling.LEFT] == [lost[young]]
    second = world.sweep()
    assert [item.subject for item in second.items if item.handling is Handling.REPAIRED] == [lost[young]]


def test_an_unreachable_dr_region_is_a_finding_and_holds_its_sources() -> None:
    world = SweepingWorld(policies=gold(keep=1))
    volume = world.volume()
    for _ in range(3):
        world.snapshot(volume)
        world.later(DAY)
    world.world.take_region_away(DR)
    world.snapshot(volume)
    world.later(HOUR)
    count = len(world.snapshots(PRIMARY))
    report = world.sweep()
    assert report.outcome is not SweepOutcome.OK
    assert FindingKind.OUT_OF_REACH in {item.kind for item in report.failures}
    assert len(world.snapshots(PRIMARY)) == count


def test_a_plan_that_deletes_too_much_is_reported_and_not_carried_out() -> None:
    policies = gold(keep=1, limits=Limits(max_deletions=100, max_share_percent=50, small_lineage=2))
    world = SweepingWorld(policies=gold(keep=10))
    volume = world.volume()
    for _ in range(8):
        world.snapshot(volume)
        world.later(HOUR)
    world.policies = policies
    report = world.sweep()
    assert [item.subject for item in report.failures if item.kind is FindingKind.PLAN_REFUSED] == [volume]
    assert len(world.snapshots(PRIMARY)) == 8


def test_snapshots_past_retention_of_a_deleted_volume_are_deleted() -> None:
    world = SweepingWorld(policies=gold(keep=5))
    volume = world.volume()
    for _ in range(5):
        world.snapshot(volume)
        world.later(HOUR)
    world.ec2.delete_volume(VolumeId=volume)
    world.later(90 * DAY)
    world.policies = gold(keep=2)
    report = world.sweep()
    assert kinds(report, Handling.REPAIRED) == {FindingKind.PAST_RETENTION: 3}
    assert len(world.snapshots(PRIMARY)) == 2


def test_a_public_snapshot_and_one_shared_with_an_unknown_account_are_reported() -> None:
    world = SweepingWorld()
    volumes = [world.volume() for _ in range(3)]
    public, shared, known = (world.snapshot(volume) for volume in volumes)
    world.later(HOUR)
    grant = {"Attribute": "createVolumePermission", "OperationType": "add"}
    world.ec2.modify_snapshot_attribute(SnapshotId=public, GroupNames=["all"], **grant)
    world.ec2.modify_snapshot_attribute(SnapshotId=shared, UserIds=["999988887777"], **grant)
    world.ec2.modify_snapshot_attribute(SnapshotId=known, UserIds=["111122223333"], **grant)
    report = world.sweep()
    assert {(item.kind, item.subject) for item in report.failures} == {(FindingKind.PUBLIC, public), (FindingKind.SHARED, shared)}
    assert FindingKind.SHARING_NOT_BLOCKED in {item.kind for item in report.items}
    world.ec2.enable_snapshot_block_public_access(State="block-all-sharing")
    assert FindingKind.SHARING_NOT_BLOCKED not in {item.kind for item in world.sweep().items}


def test_a_failed_copy_is_reported_each_sweep_and_retried_daily() -> None:
    world = SweepingWorld()
    world.world.set_faults(Faults(copy_fails=1.0))
    world.snapshot(world.volume())
    world.later(3 * HOUR)
    assert world.runner.composition.queues[DR].count(EntryState.FAILED) == 1
    report = world.sweep()
    assert kinds(report, Handling.NEEDS_ATTENTION)[FindingKind.COPY_FAILED] == 1
    assert kinds(report, Handling.REPAIRED) == {}
    world.world.set_faults(Faults())
    again = world.sweep(retry_failed=True)
    assert kinds(again, Handling.REPAIRED) == {FindingKind.COPY_FAILED: 1}
    assert len(world.managed(DR)) == 1


def test_a_wrong_copy_stays_and_displaces_no_good_one() -> None:
    world = SweepingWorld(policies=gold(keep_copies=1))
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    world.snapshot(volume)
    world.world.add_fault(FaultRule("slow_copy", factor=10.0, times=1))
    world.later(60)
    queue = world.runner.composition.queues[DR]
    (running,) = queue.in_state(EntryState.RUNNING)
    queue.write(replace(running, request=replace(running.request, encrypted=True)))
    world.later(2 * HOUR)
    assert [entry.copy_id for entry in queue.in_state(EntryState.FAILED)] == [running.copy_id]
    both = {copy["SnapshotId"] for copy in world.managed(DR)}
    assert len(both) == 2
    world.sweep(DR)
    assert {copy["SnapshotId"] for copy in world.managed(DR)} == both


def test_a_wrong_copy_counts_nowhere_after_its_entry_expired() -> None:
    """Once the queue forgot a wrong copy, it displaced a good one, and the volume was called protected by it."""
    world = SweepingWorld(policies=gold(keep=1, keep_copies=1))
    volume = world.volume()
    world.snapshot(volume)
    world.later(HOUR)
    (good,) = (copy["SnapshotId"] for copy in world.managed(DR))
    second = world.snapshot(volume)
    world.world.add_fault(FaultRule("slow_copy", factor=10.0, times=1))
    world.later(60)
    queue = world.runner.composition.queues[DR]
    (running,) = queue.in_state(EntryState.RUNNING)
    queue.write(replace(running, request=replace(running.request, encrypted=True)))
    world.later(2 * HOUR)
    (failed,) = queue.in_state(EntryState.FAILED)
    queue.lose_everything()
    for _ in range(2):
        assert [copy.id for protection in world.status().volumes for copy in protection.copies] == [good]
        world.sweep(DR)
        world.sweep()
        world.later(HOUR)
        assert {copy["SnapshotId"] for copy in world.managed(DR)} == {good, failed.copy_id}
        assert second in {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)}
    third = world.snapshot(volume)
    world.later(2 * HOUR)
    assert {snapshot["SnapshotId"] for snapshot in world.snapshots(PRIMARY)} == {third}
    copies = {copy["SnapshotId"] for copy in world.managed(DR)}
    assert len(copies) == 2
    assert failed.copy_id in copies


def test_a_sweep_marks_a_wrong_copy_that_lost_its_mark() -> None:
    world = SweepingWorld()
    world.snapshot(world.volume())
    world.later(HOUR)
    queue = world.runner.composition.queues[DR]
    (entry,) = queue.in_state(EntryState.DONE)
    queue.write(replace(entry, state=EntryState.FAILED, cause="its size is 1 GiB"))
    assert kinds(world.sweep(DR), Handling.REPAIRED) == {FindingKind.TAGS_LOST: 1}
    (copy,) = world.managed(DR)
    assert {"Key": "snapkeep:check", "Value": "wrong"} in copy["Tags"]
    assert kinds(world.sweep(DR)) == {}
