from __future__ import annotations

import pytest
from ebs_worlds import DR, PRIMARY, Bench, refused

from snapkeep.lab.ebs_model import EventOptions, Quotas

GIB_BLOCKS = 2048


def moved(bench: Bench, copy_id: str) -> int:
    return bench.world.region_account(DR).snapshots[copy_id].moved_blocks


@pytest.fixture
def two(bench: Bench) -> tuple[str, str]:
    """Two snapshots of a volume with 100 blocks, 10 of which changed in between."""
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100)
    first = bench.snapshot(volume_id)
    bench.write(volume_id, 50, 10)
    return first, bench.snapshot(volume_id)


def test_the_first_copy_is_full_and_the_next_one_incremental(bench: Bench, two: tuple[str, str]) -> None:
    assert moved(bench, bench.settled_copy(two[0])) == 100
    assert moved(bench, bench.settled_copy(two[1])) == 10
    assert [event["detail"]["incremental"] for event in bench.named("copySnapshot")] == ["false", "true"]


def test_a_copy_is_full_when_the_most_recent_copy_was_deleted(bench: Bench, two: tuple[str, str]) -> None:
    first = bench.settled_copy(two[0])
    bench.dr.delete_snapshot(SnapshotId=first)
    assert moved(bench, bench.settled_copy(two[1])) == 100


def test_a_copy_is_full_when_the_most_recent_copy_is_archived(bench: Bench, two: tuple[str, str]) -> None:
    first = bench.settled_copy(two[0])
    bench.dr.modify_snapshot_tier(SnapshotId=first, StorageTier="archive")
    bench.settle()
    assert moved(bench, bench.settled_copy(two[1])) == 100


def test_a_copy_is_full_when_the_copies_there_use_another_key(bench: Bench, two: tuple[str, str]) -> None:
    bench.settled_copy(two[0])
    assert moved(bench, bench.settled_copy(two[1], Encrypted=True)) == 100


def test_a_copy_within_a_region_under_one_key_stores_nothing_new(bench: Bench, two: tuple[str, str]) -> None:
    before = bench.world.stored_bytes(PRIMARY)
    made = bench.primary.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=two[1])["SnapshotId"]
    bench.settle()
    assert bench.world.stored_bytes(PRIMARY) == before
    assert bench.described(bench.primary, made)["State"] == "completed"


def test_a_copy_takes_as_long_as_its_bytes_need(bench: Bench, two: tuple[str, str]) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 10 * GIB_BLOCKS)
    large = bench.snapshot(volume_id)
    started = bench.world.now()
    bench.copy(large)
    bench.settle()
    speeds = bench.world.state.speeds
    assert bench.world.now() - started == pytest.approx(speeds.copy_base_seconds + 10 * 1024 / speeds.copy_mib_per_second)


def test_copies_count_only_towards_the_quota_of_their_destination(bench: Bench, two: tuple[str, str]) -> None:
    bench.world.change_quotas(DR, copies_per_destination=1)
    bench.copy(two[0])
    assert refused(bench.dr.copy_snapshot, SourceRegion=PRIMARY, SourceSnapshotId=two[1]) == ("ResourceLimitExceeded", 400)
    assert bench.world.client("ec2", "eu-west-1").copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=two[1])


def test_a_deleted_copy_in_flight_frees_its_slot_and_emits_nothing(bench: Bench, two: tuple[str, str]) -> None:
    bench.world.change_quotas(DR, copies_per_destination=1)
    bench.dr.delete_snapshot(SnapshotId=bench.copy(two[0]))
    assert bench.settled_copy(two[1])
    assert len(bench.named("copySnapshot")) == 1


def test_a_copy_whose_source_is_deleted_in_between_fails(bench: Bench, two: tuple[str, str]) -> None:
    copy_id = bench.copy(two[0])
    bench.primary.delete_snapshot(SnapshotId=two[0])
    bench.settle()
    assert bench.described(bench.dr, copy_id)["StateMessage"] == "Source snapshot ID is not valid"
    (event,) = bench.named("copySnapshot")
    assert (event["detail"]["result"], event["detail"]["cause"]) == ("failed", "Source snapshot ID is not valid")
    assert "incremental" not in event["detail"]


@pytest.mark.parametrize("key_state", ["unknown", "alias", "disabled", "pending deletion", "of another region", "denied"])
def test_a_key_that_is_not_accessible_fails_the_copy_later(bench: Bench, two: tuple[str, str], key_state: str) -> None:
    key = bench.kms.create_key()["KeyMetadata"]["Arn"]
    if key_state == "unknown":
        key = "1234abcd-12ab-34cd-56ef-1234567890ab"
    elif key_state == "alias":
        key = "alias/none"
    elif key_state == "disabled":
        bench.kms.disable_key(KeyId=key)
    elif key_state == "pending deletion":
        bench.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    elif key_state == "of another region":
        key = bench.world.client("kms", PRIMARY).create_key()["KeyMetadata"]["Arn"]
    else:
        bench.world.deny_key(key)
    copy_id = bench.copy(two[0], Encrypted=True, KmsKeyId=key)
    assert bench.described(bench.dr, copy_id)["State"] == "pending"
    bench.settle()
    copy = bench.described(bench.dr, copy_id)
    assert (copy["State"], copy["StateMessage"]) == ("error", "Given key ID is not accessible")


def test_a_key_can_be_denied_to_a_single_caller(bench: Bench, two: tuple[str, str]) -> None:
    key = bench.kms.create_key()["KeyMetadata"]["Arn"]
    bench.world.deny_key(key, "arn:aws:iam::*:role/dispatch")
    params = {"SourceRegion": PRIMARY, "SourceSnapshotId": two[0], "Encrypted": True, "KmsKeyId": key}
    denied = bench.world.client("ec2", DR, caller="arn:aws:iam::1:role/dispatch").copy_snapshot(**params)["SnapshotId"]
    allowed = bench.world.client("ec2", DR, caller="arn:aws:iam::1:role/other").copy_snapshot(**params)["SnapshotId"]
    bench.settle()
    assert [bench.described(bench.dr, copy_id)["State"] for copy_id in (denied, allowed)] == ["error", "completed"]


def test_a_key_failure_can_be_silent() -> None:
    bench = Bench(events=EventOptions(key_failures=False))
    bench.settled_copy(bench.snapshot(bench.volume()), Encrypted=True, KmsKeyId="alias/none")
    assert bench.named("copySnapshot") == []


def test_encrypted_cannot_be_set_to_false(bench: Bench, two: tuple[str, str]) -> None:
    params = {"SourceRegion": PRIMARY, "SourceSnapshotId": two[0], "Encrypted": False}
    assert refused(bench.dr.copy_snapshot, **params)[0] == "InvalidParameterValue"


def test_a_copy_of_an_encrypted_snapshot_gets_its_region_s_default_key(bench: Bench) -> None:
    copy_id = bench.settled_copy(bench.snapshot(bench.volume(Encrypted=True)))
    copy = bench.described(bench.dr, copy_id)
    assert copy["Encrypted"] is True
    assert f":kms:{DR}:" in copy["KmsKeyId"]


# Time-based copies


def test_a_time_based_copy_completes_within_its_duration(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100 * GIB_BLOCKS)
    snapshot_id = bench.snapshot(volume_id)
    started = bench.world.now()
    copy_id = bench.settled_copy(snapshot_id, CompletionDurationMinutes=15)
    copy = bench.described(bench.dr, copy_id)
    assert (copy["TransferType"], copy["CompletionDurationMinutes"]) == ("time-based", 15)
    assert copy["CompletionTime"].timestamp() - started <= 15 * 60 + 1
    assert bench.named("copySnapshot")[-1]["detail"]["transferType"] == "time-based"


def test_a_duration_that_needs_more_than_500_mib_per_second_is_refused(bench: Bench) -> None:
    volume_id = bench.volume(1000)
    bench.write(volume_id, 0, 1000 * GIB_BLOCKS)
    params = {"SourceRegion": PRIMARY, "SourceSnapshotId": bench.snapshot(volume_id), "CompletionDurationMinutes": 15}
    assert refused(bench.dr.copy_snapshot, **params)[0] == "InvalidParameterValue"


def test_a_time_based_copy_is_late_or_refused_without_throughput() -> None:
    bench = Bench(quotas=Quotas(copy_mib_per_second=150))
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100 * GIB_BLOCKS)
    snapshot_id = bench.snapshot(volume_id)
    bench.copy(snapshot_id, CompletionDurationMinutes=15)
    bench.copy(snapshot_id, CompletionDurationMinutes=15)
    params = {"SourceRegion": PRIMARY, "SourceSnapshotId": snapshot_id, "CompletionDurationMinutes": 15}
    assert refused(bench.dr.copy_snapshot, **params)[0] == "ResourceLimitExceeded"
    bench.settle()
    (late,) = [event for event in bench.events if "Missed" in event["detail-type"]]
    assert late["resources"][0].startswith(f"arn:aws:ec2:{DR}:123456789012:snapshot/")
    assert len(bench.named("copySnapshot")) == 3
