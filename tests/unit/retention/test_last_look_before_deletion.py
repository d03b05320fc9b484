"""DeleteOldSnapshots believes no plan: it looks at EC2 itself before it deletes.

A plan went straight from the function that made it to the one that deletes: a fault in the first, or a hand on its role, deleted
every managed snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder, deletion_orders
from snapkeep.domain.tag_names import CHECK, WRONG
from snapkeep.domain.tags import parse_time
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult
from support.flows import DR, PRIMARY, Laboratory, policy_set

EVERY_KIND = pytest.mark.parametrize("kind", list(DeletionKind))
START = parse_time("2026-01-01T00:00:00Z")


def laboratory(snapshots: int = 3) -> tuple[Laboratory, str]:
    """Return a laboratory whose retention deletes nothing, and a volume with snapshots and their copies."""
    lab = Laboratory(policies=policy_set(keep=100, keep_copies=100))
    volume = lab.make_volume()
    for _ in range(snapshots):
        lab.protect(volume)
    return lab, volume


def delete(
    lab: Laboratory, volume: str, ids: Sequence[str], region: str = PRIMARY, kind: DeletionKind = DeletionKind.RETENTION
) -> list[DeletionResult]:
    """Carry out an unchecked plan."""
    composition = lab.runner.composition
    orders = [DeletionOrder(snapshot_id, volume, START, "default", ("beyond last 3",), kind) for snapshot_id in ids]
    return composition.delete_snapshots(region, lambda _, __: None).run(composition.clock.now(), orders)


@EVERY_KIND
@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_plan_that_deletes_everything_deletes_nothing(region: str, kind: DeletionKind) -> None:
    lab, volume = laboratory()
    ids = lab.ids(region)
    results = delete(lab, volume, ids, region, kind)
    assert [result.outcome for result in results] == [DeletionOutcome.UNSAFE] * 3
    assert lab.ids(region) == ids


@pytest.mark.parametrize(("region", "invariant"), [(PRIMARY, "INV-02"), (DR, "INV-05")])
def test_the_newest_stays_and_older_ones_are_deleted(region: str, invariant: str) -> None:
    lab, volume = laboratory()
    oldest, middle, newest = lab.ids(region)
    (refused,) = delete(lab, volume, [newest], region)
    assert refused.outcome is DeletionOutcome.UNSAFE
    assert refused.cause.startswith(invariant)
    (done,) = delete(lab, volume, [oldest], region)
    assert done.outcome is DeletionOutcome.DELETED
    assert lab.ids(region) == [middle, newest]


def test_an_order_that_names_another_volume_protects_the_newest_too() -> None:
    lab, _ = laboratory()
    other = lab.make_volume()
    lab.protect(other)
    results = delete(lab, other, lab.ids()[:3])
    assert {result.outcome for result in results} == {DeletionOutcome.UNSAFE}


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_snapshots_that_are_locked_or_used_by_an_image_stay(region: str) -> None:
    lab, volume = laboratory()
    locked, used, _ = lab.ids(region)
    lab.ec2(region).lock_snapshot(SnapshotId=locked, LockMode="governance", LockDuration=1)
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": used}}]
    lab.ec2(region).register_image(Name="golden", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)
    lab.runner.advance(120)
    results = {result.snapshot_id: result for result in delete(lab, volume, [locked, used], region)}
    assert {result.outcome for result in results.values()} == {DeletionOutcome.UNSAFE}
    assert "locked" in results[locked].cause
    assert "ami-" in results[used].cause


def test_a_snapshot_that_another_hand_made_does_not_count_as_newer() -> None:
    lab, volume = laboratory(1)
    lab.ec2().delete_tags(Resources=[volume], Tags=[{"Key": "Backup"}])
    lab.runner.advance(60)
    lab.protect(volume)
    (result,) = delete(lab, volume, lab.ids()[:1])
    assert result.outcome is DeletionOutcome.UNSAFE


def test_a_second_copy_is_deleted_while_its_twin_remains() -> None:
    lab, volume = laboratory(1)
    (source,), (copy,) = lab.ids(), lab.ids(DR)
    (shown,) = lab.ec2(DR).describe_snapshots(SnapshotIds=[copy])["Snapshots"]
    twin = lab.ec2(DR).copy_snapshot(
        SourceRegion=PRIMARY,
        SourceSnapshotId=source,
        Description=shown["Description"],
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": shown["Tags"]}],
    )["SnapshotId"]
    lab.runner.advance(3600)
    assert [result.outcome for result in delete(lab, volume, [copy], DR)] == [DeletionOutcome.UNSAFE]
    assert delete(lab, volume, [copy], DR, DeletionKind.SECOND_COPY)[0].done
    assert lab.ids(DR) == [twin]


def test_a_copy_that_was_found_wrong_stays() -> None:
    lab, volume = laboratory()
    oldest = lab.ids(DR)[0]
    lab.ec2(DR).create_tags(Resources=[oldest], Tags=[{"Key": CHECK, "Value": WRONG}])
    assert [result.outcome for result in delete(lab, volume, [oldest], DR)] == [DeletionOutcome.UNSAFE]


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_plan_that_relies_on_a_deleted_snapshot_is_not_carried_out(region: str) -> None:
    """A person deleted a kept snapshot between the plan and its execution: fewer were kept than the policy says."""
    lab, volume = laboratory(4)
    lab.policies = policy_set(keep=2, keep_copies=2)
    if region == PRIMARY:
        plan = lab.runner.composition.planner(PRIMARY).plan_sources([volume])
    else:
        planner = lab.runner.composition.receive(DR).planner
        plan = planner.plan_copies(planner.reader.copies_of_volumes([volume]))
    first, second, third, fourth = lab.ids(region)
    orders = deletion_orders(plan.deletions, newer_kept=plan.newer_kept)
    assert [order.snapshot_id for order in orders] == [first, second]
    lab.ec2(region).delete_snapshot(SnapshotId=third)
    results = lab.runner.composition.delete_snapshots(region, lambda _, __: None).run(plan.made_at, orders)
    assert [(result.outcome, result.cause[:6]) for result in results] == [(DeletionOutcome.UNSAFE, "INV-03")] * 2
    assert lab.ids(region) == [first, second, fourth]
