"""DeleteOldSnapshots believes no plan: it makes its own, and of another plan it carries out what its own deletes too.

A plan went straight from the function that made it to the one that deletes: a fault in the first, or a hand on its role, deleted
every managed snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from snapkeep.domain.json_codec import to_json
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.deletion import DeletionKind, DeletionOrder, deletion_orders
from snapkeep.domain.tag_names import CHECK, WRONG
from snapkeep.domain.tags import parse_time
from snapkeep.lab.simulator.executions import PROTECT, RECEIVE, SWEEP
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult
from support.flows import DR, HOUR, PRIMARY, Laboratory, policy_set

EVERY_KIND = pytest.mark.parametrize("kind", list(DeletionKind))
START = parse_time("2026-01-01T00:00:00Z")
ENDS = ("createSnapshot", "copySnapshot")
ONE = policy_set(keep=1, keep_copies=1)


def laboratory(snapshots: int = 3, policies: PolicySet | None = None) -> tuple[Laboratory, str]:
    """Return a laboratory with a volume, its snapshots and their copies, none of which was deleted; then `policies` hold."""
    lab = Laboratory(policies=policy_set(keep=100, keep_copies=100))
    volume = lab.make_volume()
    for _ in range(snapshots):
        lab.protect(volume)
    lab.policies = policies or lab.policies
    return lab, volume


def order(snapshot_id: str, volume: str, kind: DeletionKind = DeletionKind.RETENTION) -> DeletionOrder:
    return DeletionOrder(snapshot_id, volume, START, "default", ("beyond last 3",), kind)


def delete(
    lab: Laboratory, volume: str, ids: Sequence[str], region: str = PRIMARY, kind: DeletionKind = DeletionKind.RETENTION
) -> list[DeletionResult]:
    """Carry out a crafted plan."""
    orders = [order(snapshot_id, volume, kind) for snapshot_id in ids]
    return lab.runner.composition.delete_snapshots(region).run((), asked=orders).results


@EVERY_KIND
@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_crafted_plan_deletes_nothing_that_retention_keeps(region: str, kind: DeletionKind) -> None:
    lab, volume = laboratory()
    ids = lab.ids(region)
    results = delete(lab, volume, ids, region, kind)
    assert [result.outcome for result in results] == [DeletionOutcome.UNSAFE] * 3
    assert lab.ids(region) == ids


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_crafted_plan_deletes_only_what_retention_deletes_too(region: str) -> None:
    lab, volume = laboratory(policies=ONE)
    oldest, middle, newest = lab.ids(region)
    results = delete(lab, volume, [oldest, newest], region)
    assert {result.snapshot_id: result.outcome for result in results} == {
        oldest: DeletionOutcome.DELETED,
        newest: DeletionOutcome.UNSAFE,
    }
    assert lab.ids(region) == [middle, newest]


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_run_deletes_by_its_own_plan(region: str) -> None:
    lab, volume = laboratory(policies=ONE)
    oldest, middle, newest = lab.ids(region)
    done = lab.runner.composition.delete_snapshots(region).run([volume])
    assert [(order.snapshot_id, result.done) for order, result in zip(done.orders, done.results, strict=True)] == [
        (oldest, True),
        (middle, True),
    ]
    assert lab.ids(region) == [newest]


def test_an_order_that_names_another_volume_is_not_carried_out() -> None:
    lab, _ = laboratory(policies=ONE)
    other = lab.make_volume()
    lab.protect(other)
    ids = lab.ids()
    results = delete(lab, other, ids[:3])
    assert {result.outcome for result in results} == {DeletionOutcome.UNSAFE}
    assert lab.ids() == ids


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_snapshots_that_are_locked_or_used_by_an_image_stay(region: str) -> None:
    lab, volume = laboratory(policies=ONE)
    locked, used, newest = lab.ids(region)
    lab.ec2(region).lock_snapshot(SnapshotId=locked, LockMode="governance", LockDuration=1)
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": used}}]
    lab.ec2(region).register_image(Name="golden", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)
    lab.runner.advance(120)
    results = {result.snapshot_id: result for result in delete(lab, volume, [locked, used], region)}
    assert {result.outcome for result in results.values()} == {DeletionOutcome.UNSAFE}
    assert "locked" in results[locked].cause
    assert "ami-" in results[used].cause
    assert lab.runner.composition.delete_snapshots(region).run([volume]).results == []
    assert lab.ids(region) == [locked, used, newest]


def test_a_snapshot_that_another_hand_made_does_not_count_as_newer() -> None:
    lab, volume = laboratory(1)
    lab.ec2().delete_tags(Resources=[volume], Tags=[{"Key": "Backup"}])
    lab.runner.advance(60)
    lab.protect(volume)
    lab.policies = ONE
    (result,) = delete(lab, volume, lab.ids()[:1])
    assert result.outcome is DeletionOutcome.UNSAFE


@pytest.mark.parametrize("settled", [True, False])
def test_of_two_copies_the_one_that_a_run_checked_stays(settled: bool) -> None:
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
    if not settled:  # then the last one made stays
        lab.runner.composition.queues[DR].lose_everything()
    first, second = (copy, twin) if settled else (twin, copy)
    assert [result.outcome for result in delete(lab, volume, [first], DR, DeletionKind.SECOND_COPY)] == [DeletionOutcome.UNSAFE]
    assert delete(lab, volume, [second], DR, DeletionKind.SECOND_COPY)[0].done
    assert lab.ids(DR) == [first]


def test_a_run_leaves_second_copies_to_the_sweep() -> None:
    lab, volume = laboratory(1)
    (shown,) = lab.ec2(DR).describe_snapshots(OwnerIds=["self"])["Snapshots"]
    specifications = [{"ResourceType": "snapshot", "Tags": shown["Tags"]}]
    copy = {"SourceRegion": PRIMARY, "SourceSnapshotId": lab.ids()[0], "Description": shown["Description"]}
    lab.ec2(DR).copy_snapshot(TagSpecifications=specifications, **copy)
    lab.runner.advance(3600)
    assert lab.runner.composition.delete_snapshots(DR).run([volume]).orders == []


def test_a_copy_that_was_found_wrong_stays() -> None:
    lab, volume = laboratory(policies=ONE)
    oldest = lab.ids(DR)[0]
    lab.ec2(DR).create_tags(Resources=[oldest], Tags=[{"Key": CHECK, "Value": WRONG}])
    assert [result.outcome for result in delete(lab, volume, [oldest], DR)] == [DeletionOutcome.UNSAFE]


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_plan_that_relies_on_a_deleted_snapshot_is_not_carried_out(region: str) -> None:
    """A person deleted a kept snapshot between the plan and its execution: fewer were kept than the policy says."""
    lab, volume = laboratory(4, policy_set(keep=2, keep_copies=2))
    planner = lab.runner.composition.planner(region)
    plan = planner.plan_sources([volume]) if region == PRIMARY else planner.plan_copies([volume])
    first, second, third, fourth = lab.ids(region)
    orders = deletion_orders(plan.deletions)
    assert [order.snapshot_id for order in orders] == [first, second]
    lab.ec2(region).delete_snapshot(SnapshotId=third)
    results = lab.runner.composition.delete_snapshots(region).run((), asked=orders).results
    assert {result.snapshot_id: result.outcome for result in results} == {
        first: DeletionOutcome.DELETED,
        second: DeletionOutcome.UNSAFE,
    }
    assert lab.ids(region) == [second, fourth]


def test_a_plan_of_any_age_is_made_again() -> None:
    """An execution can be redriven within 14 days (Step Functions): its plan is old, and its deletions are planned again."""
    lab, volume = laboratory(policies=ONE)
    plan = lab.runner.composition.planner(PRIMARY).plan_sources([volume])
    lab.policies = policy_set(keep=2, keep_copies=2)
    lab.runner.advance(10 * 86_400)
    results = lab.runner.composition.delete_snapshots(PRIMARY).run((), asked=deletion_orders(plan.deletions)).results
    assert sorted(result.done for result in results) == [False, True]
    assert len(lab.ids()) == 2


def test_a_refused_plan_is_reported_and_stops_no_other_volume() -> None:
    lab, volume = laboratory(4)
    other = lab.make_volume()
    for _ in range(2):
        lab.protect(other)
    lab.policies = policy_set(keep=1, keep_copies=9, limits=lab.policies.limits.__class__(max_deletions=2))
    done = lab.runner.composition.delete_snapshots(PRIMARY).run([volume, other])
    assert [refusal.lineage.volume_id for refusal in done.refusals] == [volume]
    assert [(order.volume_id, result.done) for order, result in zip(done.orders, done.results, strict=True)] == [(other, True)]


@pytest.mark.parametrize(
    ("machine", "region", "stack"),
    [(PROTECT, PRIMARY, "primary"), (SWEEP, PRIMARY, "primary"), (RECEIVE, DR, "dr"), (SWEEP, DR, "dr")],
)
def test_a_crafted_plan_in_a_hand_started_execution_deletes_nothing(machine: str, region: str, stack: str) -> None:
    lab, volume = laboratory()
    Sweeper(lab.runner)
    ids = lab.ids(region)
    orders = [to_json(order(snapshot_id, volume)) for snapshot_id in ids]
    plan = {"plan_id": "mine", "made_at": "2026-01-01T00:00:00Z", "counts": {}, "delete": orders, "problems": []}
    tagged = {"outcome": "MANAGED", "volumes": [volume], "copies": [], "problems": []}
    genuine = next(event for event in lab.events if event["detail"].get("event") in ENDS and event["region"] == region)
    crafted = {"plan": plan, "delete": orders, "asked": orders, "tagged": tagged, "received": tagged, "stack": stack}
    execution = lab.runner.start(machine, region, {**genuine, **crafted})
    lab.runner.advance(HOUR)
    assert "DeleteOldSnapshots" in execution.entered
    assert execution.status == "SUCCEEDED"
    assert lab.ids(region) == ids
