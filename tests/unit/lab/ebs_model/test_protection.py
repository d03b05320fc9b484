"""Locks, AMIs, the archive tier, Recycle Bin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ebs_worlds import PRIMARY, Bench, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX
from snapkeep.lab.ebs_model.store.tags import BACKUP_TAG, flat

DAY = 86_400


@pytest.fixture
def snapshot_id(bench: Bench) -> str:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100)
    return bench.snapshot(volume_id)


def lock(bench: Bench, snapshot_id: str, mode: str = "governance", days: int = 2, **more: Any) -> dict:
    return bench.primary.lock_snapshot(SnapshotId=snapshot_id, LockMode=mode, LockDuration=days, **more)


# AWS Backup


def test_a_snapshot_that_aws_backup_manages_cannot_be_deleted_by_ec2(bench: Bench, snapshot_id: str) -> None:
    place = bench.world.region_account(PRIMARY)
    place.set_tags(place.snapshots[snapshot_id], flat({BACKUP_TAG: "arn:aws:ec2:us-east-1:123456789012:volume/vol-1"}))
    assert refused(bench.primary.delete_snapshot, SnapshotId=snapshot_id) == ("InvalidParameterValue", 400)
    assert bench.described(bench.primary, snapshot_id)["State"] == "completed"


# Locks


def test_a_lock_ends_after_its_duration_with_an_event(bench: Bench, snapshot_id: str) -> None:
    lock(bench, snapshot_id, days=1)
    bench.advance(DAY - 1)
    refused(bench.primary.delete_snapshot, SnapshotId=snapshot_id)
    bench.advance(1)
    assert bench.primary.describe_locked_snapshots()["Snapshots"][0]["LockState"] == "expired"
    assert len(bench.named("lockDurationExpiry")) == 1
    bench.primary.delete_snapshot(SnapshotId=snapshot_id)


def test_a_compliance_lock_can_be_undone_only_in_its_cool_off_period(bench: Bench, snapshot_id: str) -> None:
    other = bench.snapshot(bench.volume())
    assert lock(bench, snapshot_id, "compliance", CoolOffPeriod=1)["LockState"] == "compliance-cooloff"
    lock(bench, other, "compliance", CoolOffPeriod=1)
    bench.primary.unlock_snapshot(SnapshotId=other)
    bench.advance(3600)
    refused(bench.primary.unlock_snapshot, SnapshotId=snapshot_id)
    refused(bench.primary.lock_snapshot, SnapshotId=snapshot_id, LockMode="governance", LockDuration=9)
    refused(bench.primary.lock_snapshot, SnapshotId=snapshot_id, LockMode="compliance", LockDuration=1)
    assert lock(bench, snapshot_id, "compliance", days=9)["LockDuration"] == 9
    assert len(bench.named("cooloffperiodExpiry")) == 1


def test_the_clock_of_a_lock_on_a_pending_snapshot_starts_at_completion(bench: Bench) -> None:
    pending = bench.start(bench.volume())
    assert "LockExpiresOn" not in lock(bench, pending, days=1)
    bench.advance(100)
    (snapshot,) = bench.primary.describe_locked_snapshots()["Snapshots"]
    completed = bench.described(bench.primary, pending)["CompletionTime"]
    assert (snapshot["LockExpiresOn"] - completed).total_seconds() == DAY


def test_the_clock_of_a_lock_on_a_pending_copy_starts_at_completion(bench: Bench, snapshot_id: str) -> None:
    copy_id = bench.copy(snapshot_id)
    bench.dr.lock_snapshot(SnapshotId=copy_id, LockMode="governance", LockDuration=1)
    refused(bench.dr.delete_snapshot, SnapshotId=copy_id)
    bench.advance(200)
    (locked,) = bench.dr.describe_locked_snapshots()["Snapshots"]
    completed = bench.described(bench.dr, copy_id)["CompletionTime"]
    assert (locked["LockExpiresOn"] - completed).total_seconds() == DAY
    bench.advance(DAY)
    bench.dr.delete_snapshot(SnapshotId=copy_id)


def test_a_copy_that_fails_loses_its_lock(bench: Bench, snapshot_id: str) -> None:
    key = bench.kms.create_key()["KeyMetadata"]["Arn"]
    bench.kms.disable_key(KeyId=key)
    copy_id = bench.copy(snapshot_id, Encrypted=True, KmsKeyId=key)
    bench.dr.lock_snapshot(SnapshotId=copy_id, LockMode="compliance", LockDuration=9)
    bench.settle()
    assert bench.dr.describe_locked_snapshots()["Snapshots"] == []
    bench.dr.delete_snapshot(SnapshotId=copy_id)


def test_a_compliance_lock_of_a_pending_snapshot_is_not_shortened(bench: Bench) -> None:
    pending = bench.start(bench.volume())
    lock(bench, pending, "compliance", days=9)
    code, _ = refused(bench.primary.lock_snapshot, SnapshotId=pending, LockMode="compliance", LockDuration=1)
    assert code == "InvalidParameterCombination"
    assert lock(bench, pending, "compliance", days=10)["LockDuration"] == 10


def test_a_lock_event_has_the_fields_of_the_page(bench: Bench, snapshot_id: str) -> None:
    lock(bench, snapshot_id)
    (event,) = bench.named("lockSnapshot")
    assert {"lockState", "lockCreatedOn", "lockExpiresOn", "cooOffPeriod"} <= set(event["detail"])
    assert event["detail"]["source"] == "123456789012"


@pytest.mark.parametrize(
    "params",
    [
        {"LockMode": "governance"},
        {"LockMode": "governance", "LockDuration": 1, "ExpirationDate": datetime(2027, 1, 1, tzinfo=UTC)},
        {"LockMode": "governance", "LockDuration": 1, "CoolOffPeriod": 1},
        {"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 73},
        {"LockMode": "compliance", "LockDuration": 36_501},
        {"LockMode": "none", "LockDuration": 1},
    ],
)
def test_wrong_lock_settings_are_refused(bench: Bench, snapshot_id: str, params: Any) -> None:
    code, status = refused(bench.primary.lock_snapshot, SnapshotId=snapshot_id, **params)
    assert code in {"InvalidParameterValue", "InvalidParameterCombination"}
    assert status == 400


def test_locked_snapshots_are_filtered_by_state(bench: Bench, snapshot_id: str) -> None:
    lock(bench, snapshot_id)
    lock(bench, bench.snapshot(bench.volume()), "compliance")
    answer = bench.primary.describe_locked_snapshots(Filters=[{"Name": "lock-state", "Values": ["compliance"]}])
    assert [entry["LockState"] for entry in answer["Snapshots"]] == ["compliance"]


# AMIs


def image(bench: Bench, snapshot_id: str, name: str = "image") -> str:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
    return bench.primary.register_image(Name=name, RootDeviceName="/dev/xvda", BlockDeviceMappings=[mapping])["ImageId"]


def test_a_snapshot_is_held_until_the_last_ami_is_deregistered(bench: Bench, snapshot_id: str) -> None:
    images = [image(bench, snapshot_id, name) for name in ("image a", "image b")]
    bench.primary.disable_image(ImageId=images[0])
    bench.primary.deregister_image(ImageId=images[1])
    assert refused(bench.primary.delete_snapshot, SnapshotId=snapshot_id) == ("InvalidSnapshot.InUse", 400)
    bench.primary.enable_image(ImageId=images[0])
    bench.primary.deregister_image(ImageId=images[0])
    bench.primary.delete_snapshot(SnapshotId=snapshot_id)


def test_images_are_found_by_the_snapshot_they_hold(bench: Bench, snapshot_id: str) -> None:
    image_id = image(bench, snapshot_id)
    filters = [{"Name": "block-device-mapping.snapshot-id", "Values": [snapshot_id]}]
    assert [entry["ImageId"] for entry in bench.primary.describe_images(Filters=filters)["Images"]] == [image_id]


def test_an_image_of_an_instance_holds_new_snapshots_of_its_volumes(bench: Bench) -> None:
    instance = bench.primary.run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    image_id = bench.primary.create_image(InstanceId=instance, Name="of instance")["ImageId"]
    (pending,) = bench.primary.describe_images(ImageIds=[image_id])["Images"]
    bench.settle()
    (image,) = bench.primary.describe_images(ImageIds=[image_id])["Images"]
    assert (pending["State"], image["State"]) == ("pending", "available")
    snapshot_id = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert refused(bench.primary.delete_snapshot, SnapshotId=snapshot_id)[0] == "InvalidSnapshot.InUse"


# Archive


def test_an_archived_snapshot_is_full_and_shared_data_stays(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100)
    first = bench.snapshot(volume_id)
    bench.write(volume_id, 0, 10)
    bench.snapshot(volume_id)
    bench.primary.modify_snapshot_tier(SnapshotId=first, StorageTier="archive")
    bench.settle()
    assert bench.described(bench.primary, first)["StorageTier"] == "archive"
    assert bench.world.archived_bytes(PRIMARY) == 100 * 524_288
    assert bench.world.stored_bytes(PRIMARY) == 100 * 524_288
    assert len(bench.named("archiveSnapshot")) == 1


def test_an_archived_snapshot_cannot_be_copied_or_read_until_restored(bench: Bench, snapshot_id: str) -> None:
    bench.primary.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    bench.settle()
    assert refused(bench.dr.copy_snapshot, SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id)[0] == "IncorrectState"
    assert refused(bench.blocks.list_snapshot_blocks, SnapshotId=snapshot_id)[0] == "ValidationException"
    bench.primary.restore_snapshot_tier(SnapshotId=snapshot_id, PermanentRestore=True)
    bench.settle()
    assert bench.settled_copy(snapshot_id)


def test_a_temporary_restore_ends_by_itself(bench: Bench, snapshot_id: str) -> None:
    bench.primary.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    bench.settle()
    bench.primary.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)
    bench.advance(3600)
    (status,) = bench.primary.describe_snapshot_tier_status()["SnapshotTierStatuses"]
    assert status["LastTieringOperationStatus"] == "temporary-restore-completed"
    assert "RestoreExpiryTime" in bench.described(bench.primary, snapshot_id)
    bench.advance(DAY)
    assert bench.described(bench.primary, snapshot_id)["StorageTier"] == "archive"
    assert len(bench.named("restoreExpiry")) == 1


# Recycle Bin


def test_a_deleted_snapshot_is_restored_from_the_bin_with_its_tags(bench: Bench, snapshot_id: str) -> None:
    bench.primary.create_tags(Resources=[snapshot_id], Tags=[{"Key": "a", "Value": "1"}])
    bench.world.add_recycle_bin_rule(PRIMARY, 7)
    bench.primary.delete_snapshot(SnapshotId=snapshot_id)
    assert bench.primary.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    (binned,) = bench.primary.list_snapshots_in_recycle_bin()["Snapshots"]
    assert (binned["RecycleBinExitTime"] - binned["RecycleBinEnterTime"]).days == 7
    refused(bench.primary.delete_snapshot, SnapshotId=snapshot_id)
    bench.primary.restore_snapshot_from_recycle_bin(SnapshotId=snapshot_id)
    assert bench.described(bench.primary, snapshot_id)["Tags"] == [{"Key": "a", "Value": "1"}]


def test_a_snapshot_leaves_the_bin_at_its_end_and_frees_its_data(bench: Bench, snapshot_id: str) -> None:
    bench.world.add_recycle_bin_rule(PRIMARY, 1)
    bench.primary.delete_snapshot(SnapshotId=snapshot_id)
    assert bench.world.stored_bytes(PRIMARY) == 100 * 524_288
    bench.advance(DAY)
    assert bench.world.stored_bytes(PRIMARY) == 0
    assert bench.primary.list_snapshots_in_recycle_bin()["Snapshots"] == []


def test_the_longest_matching_rule_wins_and_exclusion_tags_exclude(bench: Bench) -> None:
    bench.world.add_recycle_bin_rule(PRIMARY, 2, exclude_tags={"scratch": ""})
    bench.world.add_recycle_bin_rule(PRIMARY, 9, tags={"gold": "yes"})
    made = []
    for key in ("gold", "plain", "scratch"):
        specification = [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": "yes"}]}]
        made.append(bench.snapshot(bench.volume(), TagSpecifications=specification))
    for snapshot_id in made:
        bench.primary.delete_snapshot(SnapshotId=snapshot_id)
    binned = bench.primary.list_snapshots_in_recycle_bin()["Snapshots"]
    days = [(entry["RecycleBinExitTime"] - entry["RecycleBinEnterTime"]).days for entry in binned]
    assert sorted(days) == [2, 9]
