"""Each fault that the original system's users ran into, as far as the flows can show it: none of them is here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snapkeep.domain.policy.model import Limits
from snapkeep.lab.ebs_model import PUBLIC_LINUX, EventOptions, FaultRule, Faults, World
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, HOUR, PRIMARY, CallCounter, Laboratory, policy_set, retry_policy

STATE_LIMIT_BYTES = 256 * 1024
"""Step Functions developer guide, "Quotas": input or result data of a task, state or execution."""


def fails_once(kind: str, **given: Any) -> Faults:
    return Faults(script=(FaultRule(kind, times=1, **given),))


def test_fault_1_a_failed_snapshot_is_not_tagged_or_counted() -> None:
    lab = Laboratory(policies=policy_set(keep=2))
    volume = lab.make_volume()
    good = [lab.protect(volume), lab.protect(volume)]
    lab.world.set_faults(fails_once("snapshot_fails"))
    failed = lab.protect(volume)
    assert lab.ids() == [*good, failed]
    assert lab.tags(failed) == {}
    assert lab.runs("protect")[-1].status == "FAILED"
    assert ("SnapshotFailed", failed) in lab.notified


def test_fault_1_a_failed_copy_pushes_no_good_one_out() -> None:
    lab = Laboratory(policies=policy_set(keep_copies=1), layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    volume = lab.make_volume()
    good = lab.protect(volume)
    lab.world.set_faults(fails_once("copy_fails"))
    lab.protect(volume)
    assert lab.sources_of_copies() == [good]


def test_fault_2_a_snapshot_of_an_excluded_volume_is_left() -> None:
    lab = Laboratory()
    volume = lab.make_volume({"Name": "scratch"})
    snapshot = lab.protect(volume)
    assert lab.tags(snapshot) == {}
    assert lab.snapshots(DR) == []
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]


def test_fault_2_another_principals_copy_is_left() -> None:
    lab = Laboratory()
    snapshot = lab.protect(lab.make_volume({"Name": "scratch"}))
    copied = lab.ec2(DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot)["SnapshotId"]
    lab.settle()
    assert lab.tags(copied, DR) == {}
    assert [run.status for run in lab.runs("receive")] == ["SUCCEEDED"]


def test_fault_3_only_completed_managed_snapshots_of_all_pages_count() -> None:
    lab = Laboratory(policies=policy_set(keep=2, limits=Limits(max_deletions=1000, max_share_percent=100)))
    volume = lab.make_volume()
    by_hand = lab.protect(lab.make_volume({"Name": "scratch"}))
    kept = [lab.protect(volume) for _ in range(4)][-2:]
    assert lab.ids() == [by_hand, *kept]


def test_fault_3_a_runs_state_is_independent_of_the_snapshots() -> None:
    lab = Laboratory(policies=policy_set(keep=500))
    volume = lab.make_volume()
    sizes = []
    for _ in range(30):
        lab.protect(volume)
        sizes.append(len(json.dumps(lab.runs("protect")[-1].state)))
    assert max(sizes) - min(sizes) < 100
    assert max(sizes) < STATE_LIMIT_BYTES


def test_fault_4_the_copies_beyond_the_quota_wait_and_all_arrive() -> None:
    lab = Laboratory(layout=SystemLayout(copy_quota=5))
    most_in_flight = 0

    def look(_: object) -> None:
        nonlocal most_in_flight
        most_in_flight = max(most_in_flight, len(lab.world.region_account(DR).copies_in_flight))

    lab.world.subscribe(look)
    snapshots = [lab.start_snapshot(lab.make_volume()) for _ in range(60)]
    lab.settle()
    assert lab.sources_of_copies() == sorted(snapshots)
    assert most_in_flight <= 5
    assert {run.status for run in lab.ended} == {"SUCCEEDED"}


def test_fault_4_a_late_key_failure_fails_the_run_with_its_cause() -> None:
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=2)))
    key = lab.world.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
    lab.policies = policy_set(kms_key=key)
    volume = lab.make_volume(Encrypted=True)
    deny(lab.world, key)
    snapshot = lab.protect(volume)
    (run,) = lab.runs("protect")
    assert run.status == "FAILED"
    assert "Given key ID is not accessible" in run.state["copies"]["results"][0]["cause"]
    assert ("CopyFailed", f"{snapshot} to {DR}") in lab.notified
    assert lab.snapshots(DR) == [], "copies in error are removed"


def deny(world: World, key: str) -> None:

    world.deny_key(key)


def test_fault_4_the_copy_call_carries_tags_and_key() -> None:
    lab = Laboratory()
    key = lab.world.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
    lab.policies = policy_set(kms_key=key)
    lab.protect(lab.make_volume({"Backup": "yes", "Name": "database"}, Encrypted=True))
    (copy,) = lab.snapshots(DR)
    assert copy.key_arn == key
    assert lab.tags(copy.id, DR)["Name"] == "database"


@pytest.mark.parametrize("shape", ["A", "B", "C"])
def test_fault_5_every_documented_arn_shape_is_read(shape: str) -> None:
    lab = Laboratory()
    lab.world.state.event_options = EventOptions(arn_shape=shape)
    snapshot = lab.protect(lab.make_volume())
    assert lab.sources_of_copies() == [snapshot]
    assert [run.status for run in lab.ended] == ["SUCCEEDED", "SUCCEEDED"]


def test_fault_6_a_snapshot_that_an_image_uses_stops_no_other_deletion() -> None:
    lab = Laboratory(policies=policy_set(keep=2))
    volume = lab.make_volume()
    used, *others = [lab.protect(volume) for _ in range(2)]
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": used}}]
    lab.ec2().register_image(Name="golden", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)
    others += [lab.protect(volume) for _ in range(3)]
    assert lab.ids() == [used, *others[-2:]]
    assert {run.status for run in lab.runs("protect")} == {"SUCCEEDED"}, "AWS was never asked to delete it"


def test_fault_6_a_locked_snapshot_stops_no_other_deletion() -> None:
    lab = Laboratory(policies=policy_set(keep=2))
    volume = lab.make_volume()
    locked = lab.protect(volume)
    lab.ec2().lock_snapshot(SnapshotId=locked, LockMode="governance", LockDuration=30)
    others = [lab.protect(volume) for _ in range(4)]
    assert lab.ids() == [locked, *others[-2:]]


def test_fault_6_a_refused_deletion_is_notified_and_stops_no_other() -> None:
    lab = Laboratory(policies=policy_set(keep=1))
    volume = lab.make_volume()
    snapshots = [lab.start_snapshot(volume)]
    lab.settle()
    refusal = FaultRule(
        "api_error", region=PRIMARY, action="DeleteSnapshot", code="UnauthorizedOperation", http_status=403, times=1
    )
    lab.world.add_fault(refusal)
    snapshots += [lab.protect(volume), lab.protect(volume)]
    assert lab.ids() == snapshots[2:]
    assert ("NotDeleted", snapshots[0]) in lab.notified
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]


def test_fault_7_an_uncopied_snapshot_stays_until_a_newer_copy_completes() -> None:
    lab = Laboratory(policies=policy_set(keep=1))
    volume = lab.make_volume()
    lab.world.take_region_away(DR)
    waiting = []
    for _ in range(3):
        waiting.append(lab.start_snapshot(volume))
        lab.runner.advance(HOUR)
    assert lab.ids() == waiting
    lab.world.bring_region_back(DR)
    newest = lab.protect(volume)
    assert lab.ids() == [newest]


def test_fault_7_copies_are_ordered_by_their_snapshots_time() -> None:
    lab = Laboratory(policies=policy_set(keep_copies=1), layout=SystemLayout(retry_policy=retry_policy(limit=3, minutes=30)))
    volume = lab.make_volume()
    lab.world.set_faults(fails_once("copy_fails"))
    older = lab.start_snapshot(volume)
    lab.runner.advance(300)
    newer = lab.start_snapshot(volume)
    lab.settle()
    assert lab.sources_of_copies() == [newer], f"the copy of {older} came last, and is the older one"


def test_fault_8_a_multi_volume_set_is_protected_member_by_member() -> None:
    lab = Laboratory()
    ec2 = lab.ec2()
    instance = ec2.run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    volumes = [lab.make_volume() for _ in range(2)]
    for device, volume in zip(["/dev/sdf", "/dev/sdg"], volumes, strict=True):
        ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": instance, "ExcludeBootVolume": True})
    lab.settle()
    assert lab.sources_of_copies() == sorted(snapshot["SnapshotId"] for snapshot in made["Snapshots"])
    assert len(lab.runs("protect")) == 1


@pytest.mark.parametrize("kind", ["snapshot_fails", "copy_fails"])
def test_fault_9_a_run_with_a_failure_has_failed_and_is_notified(kind: str) -> None:
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=1)), faults=fails_once(kind))
    lab.protect(lab.make_volume())
    assert [run.status for run in lab.runs("protect")] == ["FAILED"]
    assert lab.notified


def test_fault_10_only_managed_snapshots_are_ever_given_to_the_deleter() -> None:
    lab = Laboratory(policies=policy_set(keep=1))
    volume = lab.make_volume()
    lab.world.set_faults(Faults(event_lost=1.0))
    unmanaged = [lab.start_snapshot(volume)]
    lab.runner.advance(HOUR)
    lab.world.set_faults(Faults())
    for _ in range(3):
        newest = lab.protect(volume)
    assert lab.ids() == [*unmanaged, newest]


def test_fault_12_a_plan_that_deletes_too_much_is_refused_and_notified() -> None:
    lab = Laboratory(policies=policy_set(keep=12))
    volume = lab.make_volume()
    kept = [lab.protect(volume) for _ in range(12)]
    lab.policies = policy_set(keep=1)
    kept.append(lab.protect(volume))
    assert lab.ids() == kept
    assert lab.notified[-1][0] == "PlanRefused"
    assert lab.runs("protect")[-1].status == "FAILED"


def test_the_calls_for_one_protected_snapshot_stay_within_their_budget() -> None:
    counter = CallCounter()
    lab = Laboratory(hook=counter)
    volume = lab.make_volume()
    for _ in range(4):
        lab.protect(volume)
    counter.calls.clear()
    before = lab.world.state.calls_made
    lab.protect(volume)
    assert counter.count("copier.start_copy") == 1
    assert counter.count("deleter.delete") == 2, "one in each region"
    listings_of_what_holds = 4  # images and locks, in both regions
    assert lab.world.state.calls_made - before - 1 <= 12 + listings_of_what_holds
