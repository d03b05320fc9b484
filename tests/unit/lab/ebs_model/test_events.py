from __future__ import annotations

from typing import Any

import pytest
from ebs_worlds import DR, PRIMARY, Bench

from snapkeep.lab.ebs_model import PUBLIC_LINUX, EventOptions, FaultRule, Faults


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("A", "arn:aws:ec2::us-east-1:snapshot/"),
        ("B", "arn:aws:ec2:us-east-1::snapshot/"),
        ("C", "arn:aws:ec2:us-east-1:123456789012:snapshot/"),
    ],
)
def test_create_events_have_the_requested_arn_shape(shape: str, expected: Any) -> None:
    bench = Bench(events=EventOptions(arn_shape=shape))
    volume_id = bench.volume()
    snapshot_id = bench.snapshot(volume_id)
    (event,) = bench.named("createSnapshot")
    assert event["detail"]["snapshot_id"] == expected + snapshot_id
    assert event["detail"]["source"] == expected.replace("snapshot", "volume") + volume_id
    assert event["resources"] == [expected + snapshot_id]
    assert (event["detail-type"], event["source"], event["region"]) == ("EBS Snapshot Notification", "aws.ec2", PRIMARY)


def test_the_seed_decides_mixed_shapes() -> None:
    def shapes(seed: int) -> list[list[bool]]:
        bench = Bench(events=EventOptions(arn_shape="mixed"), seed=seed)
        for _ in range(40):
            bench.snapshot(bench.volume())
        return [[part == "" for part in event["resources"][0].split(":")] for event in bench.named("createSnapshot")]

    assert shapes(1) == shapes(1)
    assert {tuple(shape) for shape in shapes(1)} == {
        (False, False, False, True, False, False),
        (False, False, False, False, True, False),
        (False, False, False, False, False, False),
    }


def test_copy_events_are_in_the_destination_region_with_the_source_snapshot(bench: Bench) -> None:
    snapshot_id = bench.snapshot(bench.volume())
    copy_id = bench.settled_copy(snapshot_id)
    (event,) = bench.named("copySnapshot")
    assert event["region"] == DR
    assert event["detail"]["snapshot_id"].endswith(copy_id)
    assert event["detail"]["source"] == f"arn:aws:ec2::{PRIMARY}:snapshot/{snapshot_id}"
    assert event["detail"]["transferType"] == "standard"


def test_a_failed_snapshot_is_failed_in_state_and_event() -> None:
    bench = Bench(faults=Faults(script=(FaultRule("snapshot_fails", times=1, message="disk gone"),)))
    volume_id = bench.volume()
    failed, good = bench.snapshot(volume_id), bench.snapshot(volume_id)
    assert bench.described(bench.primary, failed)["State"] == "error"
    assert bench.described(bench.primary, good)["State"] == "completed"
    assert [event["detail"]["result"] for event in bench.named("createSnapshot")] == ["failed", "succeeded"]
    assert bench.named("createSnapshot")[0]["detail"]["cause"] == "disk gone"


def multi_volume(bench: Bench) -> list[dict]:
    bench.primary.run_instances(
        ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1, BlockDeviceMappings=[{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 5}}]
    )
    instance = bench.primary.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    made = bench.primary.create_snapshots(InstanceSpecification={"InstanceId": instance})["Snapshots"]
    bench.settle()
    return made


def test_a_multi_volume_set_ends_in_one_event_of_another_detail_type(bench: Bench) -> None:
    made = multi_volume(bench)
    (event,) = bench.named("createSnapshots")
    assert event["detail-type"] == "EBS Multi-Volume Snapshots Completion Status"
    assert [entry["status"] for entry in event["detail"]["snapshots"]] == ["completed", "completed"]
    assert [entry["snapshot_id"].rpartition("/")[2] for entry in event["detail"]["snapshots"]] == [
        snapshot["SnapshotId"] for snapshot in made
    ]
    assert "snapshot_id" not in event["detail"]
    assert bench.named("createSnapshot") == []


def test_a_set_with_a_failed_member_fails_and_names_it() -> None:
    bench = Bench(faults=Faults(script=(FaultRule("snapshot_fails", times=1),)))
    made = multi_volume(bench)
    (event,) = bench.named("createSnapshots")
    assert event["detail"]["result"] == "failed"
    assert event["detail"]["cause"] == f"Snapshot {made[0]['SnapshotId']} is in status error"
    assert sorted(entry["status"] for entry in event["detail"]["snapshots"]) == ["completed", "error"]


def test_members_of_a_set_can_emit_their_own_events_too() -> None:
    bench = Bench(events=EventOptions(members_of_sets=True))
    multi_volume(bench)
    assert len(bench.named("createSnapshot")) == 2
    assert len(bench.named("createSnapshots")) == 1


def test_events_can_be_lost_doubled_and_delayed_by_script() -> None:
    script = (
        FaultRule("event_lost", event="createSnapshot", times=1),
        FaultRule("event_doubled", event="createSnapshot", skip=0, times=1, delay_seconds=0.001),
        FaultRule("event_delayed", event="createSnapshot", skip=1, times=1, delay_seconds=3600),
    )
    bench = Bench(faults=Faults(script=script))
    volume_id = bench.volume()
    bench.snapshot(volume_id)
    assert bench.named("createSnapshot") == []
    bench.snapshot(volume_id)
    first, second = bench.named("createSnapshot")
    assert first == second
    bench.start(volume_id)
    bench.advance(100)
    assert len(bench.named("createSnapshot")) == 2
    bench.advance(3600)
    assert len(bench.named("createSnapshot")) == 3


def test_events_can_be_out_of_order_by_seed() -> None:
    bench = Bench(faults=Faults(event_reordered=1.0))
    volumes = [bench.volume() for _ in range(8)]
    for volume_id in volumes:
        bench.start(volume_id)
        bench.advance(1)
    bench.settle()
    ends = [event["detail"]["endTime"] for event in bench.named("createSnapshot")]
    assert len(ends) == 8
    assert ends != sorted(ends)


def test_a_share_emits_an_event_in_the_receiving_account(bench: Bench) -> None:
    snapshot_id = bench.snapshot(bench.volume())
    change = {"SnapshotId": snapshot_id, "OperationType": "add", "Attribute": "createVolumePermission"}
    bench.primary.modify_snapshot_attribute(UserIds=["210987654321"], **change)
    (event,) = bench.named("shareSnapshot")
    assert (event["account"], event["detail"]["source"]) == ("210987654321", 123456789012)
    other = bench.world.client("ec2", PRIMARY, "210987654321")
    assert [s["SnapshotId"] for s in other.describe_snapshots()["Snapshots"]] == [snapshot_id]
    assert other.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    made = other.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id)
    assert made["SnapshotId"]


def test_volume_events_name_the_volume_only_in_resources(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.primary.delete_volume(VolumeId=volume_id)
    created, deleted = bench.named("createVolume")[0], bench.named("deleteVolume")[0]
    assert (created["detail"]["result"], deleted["detail"]["result"]) == ("available", "deleted")
    assert created["resources"] == [f"arn:aws:ec2:{PRIMARY}:123456789012:volume/{volume_id}"]


def test_a_volume_with_a_disabled_key_fails_later_with_an_event(bench: Bench) -> None:
    kms = bench.world.client("kms", PRIMARY)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    bench.volume(Encrypted=True, KmsKeyId=key)
    bench.settle()
    (event,) = bench.named("createVolume")
    assert (event["detail"]["result"], event["detail"]["cause"]) == ("failed", f"{key} is disabled.")
