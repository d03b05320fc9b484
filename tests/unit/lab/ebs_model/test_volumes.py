"""Volumes: how they are initialised, attached, modified, and what their types take."""

from __future__ import annotations

from typing import Any

import pytest
from ebs_worlds import PRIMARY, Bench, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX, EventOptions, Quotas, Speeds

BLOCKS_OF_A_GIB = 2048


def restored(bench: Bench, gib: int = 10, **more: Any) -> str:
    """A volume from a snapshot that holds so many GiB."""
    volume_id = bench.volume(20)
    bench.write(volume_id, 0, gib * BLOCKS_OF_A_GIB)
    snapshot_id = bench.snapshot(volume_id)
    bench.events.clear()
    return bench.primary.create_volume(AvailabilityZone=PRIMARY + "a", SnapshotId=snapshot_id, **more)["VolumeId"]


def status(bench: Bench, volume_id: str) -> dict[str, Any]:
    (answer,) = bench.primary.describe_volume_status(VolumeIds=[volume_id])["VolumeStatuses"]
    return answer


def state_of(bench: Bench, volume_id: str) -> str:
    details = {entry["Name"]: entry["Status"] for entry in status(bench, volume_id)["VolumeStatus"]["Details"]}
    return details["initialization-state"]


def instance(bench: Bench, **more: Any) -> str:
    made = bench.primary.run_instances(ImageId=PUBLIC_LINUX, InstanceType="t3.micro", MinCount=1, MaxCount=1, **more)
    return made["Instances"][0]["InstanceId"]


# Initialisation


def test_a_volume_is_initialised_at_a_provisioned_rate(bench: Bench) -> None:
    volume_id = restored(bench, VolumeInitializationRate=100)
    bench.advance(10 * 1024 / 100 / 2)
    details = status(bench, volume_id)["InitializationStatusDetails"]
    assert details == {"InitializationType": "provisioned-rate", "Progress": 50, "EstimatedTimeToCompleteInSeconds": 51}
    assert state_of(bench, volume_id) == "initializing"
    bench.advance(52)
    details = status(bench, volume_id)["InitializationStatusDetails"]
    assert details == {"InitializationType": "provisioned-rate", "Progress": 100, "EstimatedTimeToCompleteInSeconds": 0}
    assert state_of(bench, volume_id) == "completed"


def test_the_default_rate_is_a_speed_and_gives_no_estimate(bench: Bench) -> None:
    volume_id = restored(bench)
    bench.advance(10 * 1024 / bench.world.state.speeds.initialization_mib_per_second / 4)
    assert status(bench, volume_id)["InitializationStatusDetails"] == {"InitializationType": "default", "Progress": 25}


def test_an_empty_volume_has_nothing_to_initialise(bench: Bench) -> None:
    answer = status(bench, bench.volume())
    assert "InitializationStatusDetails" not in answer
    assert answer["VolumeStatus"]["Status"] == "ok"


@pytest.mark.parametrize("rate", [99, 301])
def test_a_rate_outside_100_to_300_is_refused(bench: Bench, rate: int) -> None:
    snapshot_id = bench.snapshot(bench.volume())
    params = {"AvailabilityZone": PRIMARY + "a", "SnapshotId": snapshot_id, "VolumeInitializationRate": rate}
    assert refused(bench.primary.create_volume, **params)[0] == "InvalidParameterValue"


def test_a_rate_without_a_snapshot_is_refused(bench: Bench) -> None:
    params = {"AvailabilityZone": PRIMARY + "a", "Size": 1, "VolumeInitializationRate": 100}
    assert refused(bench.primary.create_volume, **params)[0] == "InvalidParameterCombination"


def test_the_volumes_of_a_type_together_have_a_quota_of_storage() -> None:
    """Code and cause: botocore, StateReason (Client.VolumeLimitExceeded)."""
    ec2 = Bench(quotas=Quotas(storage_tib={"gp3": 1})).primary
    zone = PRIMARY + "a"
    ec2.create_volume(AvailabilityZone=zone, Size=1000, VolumeType="gp3")
    assert refused(ec2.create_volume, AvailabilityZone=zone, Size=25, VolumeType="gp3")[0] == "VolumeLimitExceeded"
    ec2.create_volume(AvailabilityZone=zone, Size=25, VolumeType="gp2")


def test_the_rates_of_a_region_together_have_a_quota() -> None:
    bench = Bench(quotas=Quotas(initialization_mib_per_second=300))
    first = restored(bench, VolumeInitializationRate=200)
    snapshot_id = bench.described(bench.primary, bench.world.region_account(PRIMARY).volumes[first].snapshot_id)["SnapshotId"]
    params = {"AvailabilityZone": PRIMARY + "a", "SnapshotId": snapshot_id, "VolumeInitializationRate": 200}
    assert refused(bench.primary.create_volume, **params)[0] == "ResourceLimitExceeded"
    bench.settle()
    bench.primary.create_volume(**params)


def test_the_end_of_initialisation_is_an_event(bench: Bench) -> None:
    volume_id = restored(bench, VolumeInitializationRate=100)
    bench.settle()
    (event,) = bench.named("initializeVolume")
    assert event["detail-type"] == "EBS Volume Notification"
    assert event["detail"]["result"] == "succeeded"
    assert event["detail"]["completionTime"]
    assert event["resources"][0].endswith(volume_id)


def test_a_volume_deleted_before_its_event_sends_none() -> None:
    bench = Bench(speeds=Speeds(volume_create_seconds=0, initialize_event_seconds=300))
    volume_id = restored(bench, VolumeInitializationRate=300)
    bench.advance(60)
    bench.primary.delete_volume(VolumeId=volume_id)
    bench.settle()
    assert bench.named("initializeVolume") == []


def test_the_event_can_have_the_leading_space_of_the_page() -> None:
    bench = Bench(events=EventOptions(leading_space=True))
    restored(bench)
    bench.settle()
    assert bench.named(" initializeVolume")


def test_volume_status_is_found_by_its_filters(bench: Bench) -> None:
    volume_id = restored(bench)
    filters = [{"Name": "volume-status.details-name", "Values": ["initialization-state"]}]
    (answer,) = bench.primary.describe_volume_status(Filters=filters)["VolumeStatuses"]
    assert answer["VolumeId"] == volume_id
    assert refused(bench.primary.describe_volume_status, VolumeIds=["vol-00000000"])[0] == "InvalidVolume.NotFound"


# Attachments


def test_attaching_and_detaching_answer_the_state_on_the_way(bench: Bench) -> None:
    volume_id, instance_id = bench.volume(), instance(bench)
    answer = bench.primary.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    assert answer["State"] == "attaching"
    assert refused(bench.primary.attach_volume, VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdg")[0] == "VolumeInUse"
    assert bench.primary.detach_volume(VolumeId=volume_id)["State"] == "detaching"
    assert refused(bench.primary.detach_volume, VolumeId=volume_id)[0] == "IncorrectState"


def test_attaching_can_take_its_time() -> None:
    bench = Bench(speeds=Speeds(volume_create_seconds=0, attachment_seconds=5))
    volume_id, instance_id = bench.volume(), instance(bench)
    bench.primary.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    filters = [{"Name": "attachment.status", "Values": ["attaching"]}]
    assert [entry["VolumeId"] for entry in bench.primary.describe_volumes(Filters=filters)["Volumes"]] == [volume_id]
    bench.advance(5)
    assert bench.primary.describe_volumes(Filters=filters)["Volumes"] == []
    bench.primary.detach_volume(VolumeId=volume_id)
    bench.advance(5)
    (volume,) = bench.primary.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    assert (volume["State"], volume["Attachments"]) == ("available", [])


def test_a_root_volume_is_detached_only_from_a_stopped_instance(bench: Bench) -> None:
    instance_id = instance(bench)
    (root,) = bench.world.region_account(PRIMARY).instances[instance_id].volume_ids
    assert refused(bench.primary.detach_volume, VolumeId=root)[0] == "OperationNotPermitted"
    bench.primary.stop_instances(InstanceIds=[instance_id])
    bench.primary.detach_volume(VolumeId=root)
    assert refused(bench.primary.start_instances, InstanceIds=[instance_id])[0] == "InvalidParameterValue"


def test_an_attachment_is_named_by_instance_and_device(bench: Bench) -> None:
    volume_id, instance_id = bench.volume(), instance(bench)
    bench.primary.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device="/dev/sdf")
    assert refused(bench.primary.detach_volume, VolumeId=volume_id, Device="/dev/sdx")[0] == "InvalidAttachment.NotFound"
    assert refused(bench.primary.detach_volume, VolumeId=volume_id, InstanceId="i-0")[0] == "InvalidAttachment.NotFound"


def test_a_volume_not_available_or_in_another_zone_is_not_attached() -> None:
    bench = Bench(speeds=Speeds())
    instance_id = instance(bench)
    creating = bench.volume()
    attach = {"InstanceId": instance_id, "Device": "/dev/sdf"}
    assert refused(bench.primary.attach_volume, VolumeId=creating, **attach)[0] == "IncorrectState"
    elsewhere = bench.primary.create_volume(AvailabilityZone=PRIMARY + "b", Size=1)["VolumeId"]
    bench.advance(5)
    assert refused(bench.primary.attach_volume, VolumeId=elsewhere, **attach)[0] == "InvalidVolume.ZoneMismatch"
    taken = {"InstanceId": instance_id, "Device": "/dev/xvda"}
    assert refused(bench.primary.attach_volume, VolumeId=creating, **taken)[0] == "InvalidParameterValue"
    bench.primary.terminate_instances(InstanceIds=[instance_id])
    assert refused(bench.primary.attach_volume, VolumeId=creating, **attach)[0] == "IncorrectState"


def test_a_second_attachment_of_a_multi_attach_volume_is_not_modelled(bench: Bench) -> None:
    volume_id = bench.volume(10, VolumeType="io2", Iops=100, MultiAttachEnabled=True)
    for device in ("/dev/sdf", "/dev/sdg"):
        params = {"VolumeId": volume_id, "InstanceId": instance(bench), "Device": device}
        if device == "/dev/sdf":
            bench.primary.attach_volume(**params)
        else:
            assert refused(bench.primary.attach_volume, **params)[0] == "InvalidAction"


def test_a_zone_can_be_named_by_its_id(bench: Bench) -> None:
    volume_id = bench.primary.create_volume(AvailabilityZoneId="useast1-az2", Size=1)["VolumeId"]
    (volume,) = bench.primary.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    assert volume["AvailabilityZone"] == PRIMARY + "b"
    assert refused(bench.primary.create_volume, AvailabilityZoneId="euwest1-az1", Size=1)[0] == "InvalidZone.NotFound"


# Types and modifications


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"VolumeType": "gp2", "Throughput": 125}, "InvalidParameterCombination"),
        ({"VolumeType": "gp2", "Iops": 100}, "InvalidParameterCombination"),
        ({"VolumeType": "gp2", "MultiAttachEnabled": True}, "InvalidParameterCombination"),
        ({"VolumeType": "gp3", "MultiAttachEnabled": True}, "InvalidParameterCombination"),
        ({"VolumeType": "gp3", "Throughput": 2001}, "InvalidParameterValue"),
        ({"VolumeType": "gp3", "Iops": 2999}, "InvalidParameterValue"),
        ({"VolumeType": "io2"}, "MissingParameter"),
        ({"VolumeType": "io1", "Iops": 64_001}, "InvalidParameterValue"),
    ],
)
def test_a_type_refuses_options_that_it_lacks(bench: Bench, settings: dict[str, Any], code: str) -> None:
    assert refused(bench.primary.create_volume, AvailabilityZone=PRIMARY + "a", Size=100, **settings)[0] == code


def test_a_volume_shows_its_performance(bench: Bench) -> None:
    volume_id = bench.volume(100, VolumeType="gp3", Iops=4000, Throughput=250)
    (volume,) = bench.primary.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    assert (volume["Iops"], volume["Throughput"], volume["MultiAttachEnabled"]) == (4000, 250, False)


def test_a_modification_answers_all_that_it_changes(bench: Bench) -> None:
    volume_id = bench.volume(100, VolumeType="gp2")
    change = bench.primary.modify_volume(VolumeId=volume_id, VolumeType="gp3", Size=200, Throughput=500)["VolumeModification"]
    start = change.pop("StartTime")
    assert start.timestamp() == bench.world.now()
    assert change == {
        "VolumeId": volume_id,
        "ModificationState": "modifying",
        "Progress": 0,
        "OriginalSize": 100,
        "OriginalVolumeType": "gp2",
        "OriginalIops": 300,
        "OriginalMultiAttachEnabled": False,
        "TargetSize": 200,
        "TargetVolumeType": "gp3",
        "TargetIops": 3000,
        "TargetThroughput": 500,
        "TargetMultiAttachEnabled": False,
    }


def test_a_modification_keeps_unnamed_values(bench: Bench) -> None:
    volume_id = bench.volume(100, VolumeType="gp3", Iops=4000, Throughput=250)
    change = bench.primary.modify_volume(VolumeId=volume_id, Size=200)["VolumeModification"]
    assert (change["TargetIops"], change["TargetThroughput"]) == (4000, 250)


def test_a_modification_takes_time_and_waits_for_the_previous_one() -> None:
    bench = Bench(speeds=Speeds(volume_create_seconds=0, modification_seconds=100))
    volume_id = bench.volume(1)
    bench.primary.modify_volume(VolumeId=volume_id, Size=2)
    bench.advance(50)
    (change,) = bench.primary.describe_volumes_modifications(VolumeIds=[volume_id])["VolumesModifications"]
    assert (change["ModificationState"], change["Progress"]) == ("optimizing", 50)
    assert refused(bench.primary.modify_volume, VolumeId=volume_id, Size=3)[0] == "IncorrectModificationState"
    bench.advance(50)
    (change,) = bench.primary.describe_volumes_modifications()["VolumesModifications"]
    assert (change["ModificationState"], change["Progress"], "EndTime" in change) == ("completed", 100, True)


def test_a_volume_is_modified_four_times_in_24_hours(bench: Bench) -> None:
    volume_id = bench.volume(1)
    for size_gib in (2, 3, 4, 5):
        bench.primary.modify_volume(VolumeId=volume_id, Size=size_gib)
    assert refused(bench.primary.modify_volume, VolumeId=volume_id, Size=6)[0] == "VolumeModificationRateExceeded"
    bench.advance(86_400)
    bench.primary.modify_volume(VolumeId=volume_id, Size=6)


def test_a_volume_that_never_was_modified_has_no_modification(bench: Bench) -> None:
    volume_id = bench.volume()
    code = "InvalidVolumeModification.NotFound"
    assert refused(bench.primary.describe_volumes_modifications, VolumeIds=[volume_id])[0] == code


def test_attributes_of_a_volume_are_changed_and_shown(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.primary.modify_volume_attribute(VolumeId=volume_id, AutoEnableIO={"Value": True})
    answer = bench.primary.describe_volume_attribute(VolumeId=volume_id, Attribute="autoEnableIO")
    assert answer["AutoEnableIO"] == {"Value": True}
    assert bench.primary.describe_volume_attribute(VolumeId=volume_id, Attribute="productCodes")["ProductCodes"] == []


def test_a_client_token_makes_one_volume_and_allows_no_other_parameters(bench: Bench) -> None:
    params = {"AvailabilityZone": PRIMARY + "a", "Size": 1, "ClientToken": "once"}
    first, second = (bench.primary.create_volume(**params)["VolumeId"] for _ in range(2))
    assert first == second
    assert refused(bench.primary.create_volume, **{**params, "Size": 2})[0] == "IdempotentParameterMismatch"
