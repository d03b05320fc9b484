"""Each observer of an invariant reports a breach, and nothing else.

The property test of the flows relies on the observers alone: a silent observer would let it always pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.domain.model import Action, DeletionPlan, Reason, Verdict
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.tag_names import MANAGED
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.simulator.executions import PROTECT, SUCCEEDED, Execution
from snapkeep.lab.simulator.invariant_monitor import FIRST_HELD_SECONDS, HELD_TOLERANCE_SECONDS, InvariantMonitor
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.model_clients import CALLER
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set, retry_policy
from support.lineages import REGION, lineage
from support.placing import hold

NO_SLOT = SystemLayout(copy_quota=0)
"""A system that starts no copy: all requested copies keep waiting."""


def governed(_: str, tags: Mapping[str, str]) -> bool:
    """The tester's own decision which volumes the laboratory's policies include."""
    return "Backup" in tags


def watched(**options: Any) -> tuple[Laboratory, InvariantMonitor]:
    """A laboratory, and the watch over every write in it."""
    lab = Laboratory(**options)
    return lab, InvariantMonitor(lab.runner, lambda: lab.policies, governed).attach()


def as_system(lab: Laboratory, region: str, method: str, **params: Any) -> None:
    """Call EC2 as the system does, and ignore its errors."""
    try:
        getattr(lab.world.client("ec2", region, caller=CALLER), method)(**params)
    except ClientError:
        return


def delete(lab: Laboratory, snapshot_id: str, region: str = PRIMARY) -> None:
    as_system(lab, region, "delete_snapshot", SnapshotId=snapshot_id)


def copy(lab: Laboratory, snapshot_id: str) -> None:
    as_system(lab, DR, "copy_snapshot", SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id)


def by_person(lab: Laboratory, snapshot_id: str, region: str = PRIMARY) -> None:
    lab.ec2(region).delete_snapshot(SnapshotId=snapshot_id)


def copies_of(lab: Laboratory, snapshot_id: str) -> list[str]:
    return [copy.id for copy in lab.snapshots(DR) if copy.source_id == snapshot_id]


def test_a_correct_system_and_people_s_actions_are_no_violations() -> None:
    lab, watch = watched(policies=policy_set(keep=2, keep_copies=1))
    volume = lab.make_volume()
    protected = [lab.protect(volume) for _ in range(5)]
    assert protected[0] not in lab.ids()
    assert watch.writes > 0
    by_person(lab, protected[-1])
    assert watch.violations == []
    assert watch.missing_at_the_end() == []


def test_inv_01_a_deletion_of_an_unmanaged_snapshot_is_seen() -> None:
    lab, watch = watched()
    foreign = lab.protect(lab.make_volume(tags={}))
    delete(lab, foreign)
    assert f"INV-01: {foreign} in {PRIMARY}: deleted, and it is not ours" in watch.violations


def test_inv_01_a_copy_of_an_unmanaged_snapshot_is_seen() -> None:
    lab, watch = watched()
    foreign = lab.protect(lab.make_volume(tags={}))
    copy(lab, foreign)
    assert watch.violations == [f"INV-01: {foreign} in {DR}: copied, and it is not ours"]


def test_inv_01_tags_on_a_snapshot_without_policy_are_seen() -> None:
    lab, watch = watched()
    foreign = lab.protect(lab.make_volume(tags={}))
    as_system(lab, PRIMARY, "create_tags", Resources=[foreign], Tags=[{"Key": "Name", "Value": "ours now"}])
    assert watch.violations == [f"INV-01: {foreign} in {PRIMARY}: tagged, and no policy includes it"]


def test_inv_02_a_deletion_of_the_newest_completed_snapshot_is_seen() -> None:
    lab, watch = watched()
    volume = lab.make_volume()
    newest = lab.protect(volume)
    lab.start_snapshot(volume)
    delete(lab, newest)
    assert f"INV-02: {newest} in {PRIMARY}: deleted, and it is the newest completed one of its lineage" in watch.violations


def test_inv_03_a_deletion_that_leaves_too_few_is_seen() -> None:
    lab, watch = watched(policies=policy_set(keep=3, keep_copies=2))
    volume = lab.make_volume()
    oldest, *_ = [lab.protect(volume) for _ in range(3)]
    delete(lab, oldest)
    assert watch.violations == [f"INV-03: {oldest} in {PRIMARY}: deleted, and only 2 good ones are newer; 3 are to be kept"]
    watch.violations.clear()
    older_copy = copies_of(lab, lab.ids()[0])[0]
    delete(lab, older_copy, DR)
    assert watch.violations == [f"INV-03: {older_copy} in {DR}: deleted, and only 1 good ones are newer; 2 are to be kept"]


def test_inv_03_a_deletion_of_a_pending_or_failed_source_is_seen() -> None:
    lab, watch = watched(layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    volume = lab.make_volume()
    lab.world.set_faults(Faults(script=(FaultRule("snapshot_fails", times=1), FaultRule("copy_fails", times=1))))
    failed = lab.protect(volume)
    delete(lab, failed)
    assert f"INV-03: {failed} in {PRIMARY}: deleted while it is error" in watch.violations
    pending = lab.start_snapshot(volume)
    delete(lab, pending)
    assert f"INV-03: {pending} in {PRIMARY}: deleted while it is pending" in watch.violations
    watch.violations.clear()
    lab.protect(volume)
    assert watch.violations == []


def test_inv_03_tags_on_an_uncompleted_snapshot_are_seen() -> None:
    lab, watch = watched()
    pending = lab.start_snapshot(lab.make_volume())
    as_system(lab, PRIMARY, "create_tags", Resources=[pending], Tags=[{"Key": MANAGED, "Value": "snapkeep"}])
    assert f"INV-03: {pending} in {PRIMARY}: tagged while it is pending" in watch.violations


@pytest.mark.parametrize("planned_before", [False, True])
def test_inv_04_a_deletion_planned_while_the_copy_runs_is_seen(planned_before: bool) -> None:
    lab, watch = watched(policies=policy_set(keep=1))
    volume = lab.make_volume()
    before = lab.runner.composition.clock.now()
    lab.world.set_faults(Faults(script=(FaultRule("slow_copy", factor=100.0, times=1),)))
    source = lab.start_snapshot(volume)
    lab.runner.advance(300)
    if planned_before:
        watch.planned_at[source] = before
    delete(lab, source)
    violation = f"INV-04: {source} in {PRIMARY}: deleted while its copy to {DR} runs"
    assert (violation in watch.violations) is not planned_before
    assert f"INV-04: {source} in {PRIMARY}: deleted, and neither it nor a newer one has a copy in {DR}" in watch.violations


def test_inv_04_a_deletion_while_the_copy_waits_is_seen() -> None:
    lab, watch = watched(layout=NO_SLOT)
    source = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(300)
    delete(lab, source)
    assert f"INV-04: {source} in {PRIMARY}: deleted while its copy to {DR} waits" in watch.violations


def test_inv_04_a_deletion_without_a_completed_copy_is_seen() -> None:
    lab, watch = watched(policies=policy_set(keep=1))
    volume = lab.make_volume()
    source = lab.protect(volume)
    lab.world.set_faults(Faults(script=(FaultRule("copy_fails", probability=1.0),)))
    lab.start_snapshot(volume)
    lab.runner.advance(300)
    assert source in lab.ids()
    by_person(lab, copies_of(lab, source)[0], DR)
    delete(lab, source)
    assert f"INV-04: {source} in {PRIMARY}: deleted, and neither it nor a newer one has a copy in {DR}" in watch.violations


def test_inv_05_a_deletion_of_the_newest_copy_is_seen() -> None:
    lab, watch = watched()
    newest = copies_of(lab, lab.protect(lab.make_volume()))[0]
    delete(lab, newest, DR)
    assert f"INV-05: {newest} in {DR}: deleted, and it is the newest completed one of its lineage" in watch.violations


def test_inv_05_a_copy_in_progress_is_not_the_newest() -> None:
    lab, watch = watched()
    volume = lab.make_volume()
    newest = copies_of(lab, lab.protect(volume))[0]
    lab.world.set_faults(Faults(script=(FaultRule("slow_copy", factor=100.0, times=1),)))
    lab.start_snapshot(volume)
    lab.runner.advance(300)
    delete(lab, newest, DR)
    assert f"INV-05: {newest} in {DR}: deleted, and it is the newest completed one of its lineage" in watch.violations


@pytest.mark.parametrize("held_by", ["image", "lock"])
def test_inv_06_a_deletion_of_a_held_snapshot_is_seen(held_by: str) -> None:
    lab, watch = watched()
    snapshot_id = lab.protect(lab.make_volume())
    if held_by == "image":
        mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
        lab.ec2().register_image(Name="uses it", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)
    else:
        lab.ec2().lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
    violation = f"INV-06: {snapshot_id} in {PRIMARY}: given to DeleteSnapshot while an AMI, a lock or AWS Backup holds it"
    delete(lab, snapshot_id)
    lab.runner.advance(FIRST_HELD_SECONDS - 1)
    delete(lab, snapshot_id)
    assert violation not in watch.violations
    lab.runner.advance(2)
    delete(lab, snapshot_id)
    assert violation in watch.violations


def test_inv_06_a_second_held_snapshot_is_known_at_once() -> None:
    lab, watch = watched()
    volume = lab.make_volume()
    first, second = lab.protect(volume), lab.protect(volume)
    lab.ec2().lock_snapshot(SnapshotId=first, LockMode="governance", LockDuration=1)
    lab.runner.advance(FIRST_HELD_SECONDS + 1)
    lab.ec2().lock_snapshot(SnapshotId=second, LockMode="governance", LockDuration=1)
    violation = f"INV-06: {second} in {PRIMARY}: given to DeleteSnapshot while an AMI, a lock or AWS Backup holds it"
    delete(lab, second)
    assert violation not in watch.violations
    lab.runner.advance(HELD_TOLERANCE_SECONDS + 1)
    delete(lab, second)
    assert violation in watch.violations


def test_inv_08_a_plan_beyond_the_count_or_the_share_is_seen() -> None:
    lab, watch = watched()
    many = lineage(f"2026-10-{day:02d}T03:00" for day in range(1, 13))

    def plan(deleted: int) -> DeletionPlan:
        reasons = (Reason("keep_last", "beyond last 1"),)
        verdicts = tuple(
            Verdict(snapshot, Action.DELETE if number < deleted else Action.KEEP, reasons) for number, snapshot in enumerate(many)
        )
        return DeletionPlan("plan-1", REGION, many[-1].start_time, verdicts)

    lab.policies = replace(lab.policies, limits=Limits(max_deletions=9, max_share_percent=75, small_lineage=11))
    watch.plan_made(plan(9))
    assert watch.violations == []
    watch.plan_made(plan(10))
    assert watch.violations == [
        "INV-08: plan-1 deletes 10 of vol-0a; 9 are allowed",
        "INV-08: plan-1 deletes 10 of 12 of vol-0a",
    ]


def test_inv_09_a_second_copy_is_seen() -> None:
    lab, watch = watched()
    source = lab.protect(lab.make_volume())
    copy(lab, source)
    assert watch.violations == [f"INV-09: {source} in {DR}: copied once more; {copies_of(lab, source)[0]} is there"]


def test_inv_10_a_copy_beyond_the_quota_is_seen() -> None:
    lab, watch = watched(layout=NO_SLOT)
    source = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(300)
    copy(lab, source)
    assert watch.violations == [f"INV-10: {source} in {DR}: a copy beyond the quota of 0"]


def test_inv_12_a_run_that_names_a_missing_copy_is_seen() -> None:
    lab, watch = watched()
    source = lab.protect(lab.make_volume())
    state = {"copies": {"results": [{"snapshot_id": source, "region": DR}, {"snapshot_id": "snap-0dead", "region": DR}]}}
    watch.run_ended(Execution("protect:1", PROTECT, PRIMARY, {}, 0.0, state=state, status=SUCCEEDED))
    assert watch.violations == [f"INV-12: protect:1 says that snap-0dead is in {DR}; it is not"]


def test_inv_12_a_snapshot_without_copy_or_notice_is_seen() -> None:
    lab, watch = watched(layout=NO_SLOT)
    source = lab.start_snapshot(lab.make_volume())
    lab.runner.advance(300)
    assert watch.missing_at_the_end() == [f"INV-12: {source} in {PRIMARY} has no copy in {DR}, and no notice"]
    lab.runner.advance(30 * HOUR)
    assert [subject for _, subject in lab.notified] == [f"{source} to {DR}"]
    assert watch.missing_at_the_end() == []


def test_tags_given_back_to_a_copy_that_lost_them_are_right() -> None:
    lab, watch = watched()
    made = copies_of(lab, lab.protect(lab.make_volume()))[0]
    tags = [{"Key": key, "Value": value} for key, value in lab.tags(made, DR).items()]
    lab.ec2(DR).delete_tags(Resources=[made], Tags=[{"Key": tag["Key"]} for tag in tags])
    as_system(lab, DR, "create_tags", Resources=[made], Tags=tags)
    assert MANAGED in lab.tags(made, DR)
    assert watch.violations == []


@pytest.mark.parametrize("covers", ["snapshot", "volume", "everything"])
def test_inv_26_a_deletion_of_a_held_snapshot_is_found(covers: str) -> None:
    lab, watch = watched(policies=policy_set(keep=1, keep_copies=9))
    volume = lab.make_volume()
    first = lab.protect(volume)
    placed = {"snapshot": hold(snapshots=(first,)), "volume": hold(volumes=(volume,)), "everything": hold()}[covers]
    lab.runner.composition.hold_stores[PRIMARY].place(placed)
    lab.protect(volume)
    (held,) = copies_of(lab, first)
    assert watch.violations == []
    delete(lab, held, DR)
    assert f"INV-26: {held} in {DR}: given to DeleteSnapshot while a person holds it" in watch.violations
