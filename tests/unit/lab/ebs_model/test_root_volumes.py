"""Replacing the root volume of a running instance."""

from __future__ import annotations

from typing import Any

from ebs_worlds import PRIMARY, Bench, described, launch, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX, World

WINDOWS = "ami-0abcdef1234567892"


def root_of(bench: Bench, instance_id: str) -> str:
    return described(bench, instance_id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]


def task_state(bench: Bench, task_id: str) -> str:
    (task,) = bench.primary.describe_replace_root_volume_tasks(ReplaceRootVolumeTaskIds=[task_id])["ReplaceRootVolumeTasks"]
    return task["TaskState"]


def replace(bench: Bench, instance_id: str, **source: Any) -> str:
    answer = bench.primary.create_replace_root_volume_task(InstanceId=instance_id, **source)
    return answer["ReplaceRootVolumeTask"]["ReplaceRootVolumeTaskId"]


def test_a_root_volume_is_replaced_from_its_snapshot(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    former = root_of(bench, instance_id)
    snapshot_id = bench.snapshot(former)
    params = {"SnapshotId": snapshot_id, "DeleteReplacedRootVolume": True, "ClientToken": "once", "VolumeInitializationRate": 100}
    task_id = replace(bench, instance_id, **params)
    assert replace(bench, instance_id, **params) == task_id
    states = []
    for _ in range(3):
        states.append(task_state(bench, task_id))
        bench.advance(30)
    assert states == ["pending", "in-progress", "succeeded"]
    (root,) = bench.primary.describe_volumes(VolumeIds=[root_of(bench, instance_id)])["Volumes"]
    assert (root["SnapshotId"], root["VolumeInitializationRate"]) == (snapshot_id, 100)
    assert refused(bench.primary.describe_volumes, VolumeIds=[former])[0] == "InvalidVolume.NotFound"


def test_a_root_volume_is_replaced_by_a_volume_of_its_zone(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    former, volume_id = root_of(bench, instance_id), bench.volume(8)
    replace(bench, instance_id, VolumeId=volume_id)
    bench.settle()
    assert root_of(bench, instance_id) == volume_id
    (kept,) = bench.primary.describe_volumes(VolumeIds=[former])["Volumes"]
    assert kept["State"] == "available"


def test_a_root_volume_is_restored_to_its_launch_state(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    former = root_of(bench, instance_id)
    replace(bench, instance_id)
    bench.settle()
    assert root_of(bench, instance_id) != former


def test_sources_that_do_not_fit_a_root_volume_are_refused(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    other = bench.snapshot(bench.volume())
    copy = bench.settled_copy(bench.snapshot(root_of(bench, instance_id)))
    far = bench.primary.create_volume(AvailabilityZone=PRIMARY + "b", Size=8)["VolumeId"]
    task = bench.primary.create_replace_root_volume_task
    for source, code in (
        ({"SnapshotId": other}, "InvalidParameterValue"),
        ({"SnapshotId": copy}, "InvalidSnapshot.NotFound"),
        ({"ImageId": WINDOWS}, "InvalidParameterValue"),
        ({"VolumeId": far}, "InvalidVolume.ZoneMismatch"),
        ({"VolumeId": far, "ImageId": PUBLIC_LINUX}, "InvalidParameterCombination"),
    ):
        assert refused(task, InstanceId=instance_id, **source)[0] == code
    bench.primary.stop_instances(InstanceIds=[instance_id])
    assert refused(task, InstanceId=instance_id)[0] == "IncorrectInstanceState"


def test_a_task_fails_if_the_instance_stops(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    former = root_of(bench, instance_id)
    task_id = replace(bench, instance_id)
    bench.primary.stop_instances(InstanceIds=[instance_id])
    bench.settle()
    assert task_state(bench, task_id) == "failed"
    assert root_of(bench, instance_id) == former


def test_a_world_with_instances_is_saved_and_continues(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    task_id = replace(bench, instance_id)
    again = World.from_saved(bench.world.save())
    again.run_until_idle()
    ec2 = again.client("ec2", PRIMARY)
    (task,) = ec2.describe_replace_root_volume_tasks(ReplaceRootVolumeTaskIds=[task_id])["ReplaceRootVolumeTasks"]
    assert task["TaskState"] == "succeeded"
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    assert reservation["Instances"][0]["VpcId"].startswith("vpc-")
