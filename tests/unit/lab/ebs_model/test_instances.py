"""Instances: their launch, states, checks and attributes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from ebs_worlds import PRIMARY, Bench, described, launch, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX, FaultRule, Speeds, World
from snapkeep.lab.ebs_model.store.public_images import PRODUCT

WINDOWS = "ami-0abcdef1234567892"
ARM = "ami-0123456789abcdef0"


def status(bench: Bench, instance_id: str, **more: Any) -> dict[str, Any]:
    (answer,) = bench.primary.describe_instance_status(InstanceIds=[instance_id], **more)["InstanceStatuses"]
    return answer


# Launching


def test_an_instance_has_the_properties_of_image_and_request(bench: Bench) -> None:
    bench.primary.import_key_pair(KeyName="ops", PublicKeyMaterial=b"ssh-ed25519 AAAA")
    made = launch(
        bench,
        ImageId=WINDOWS,
        KeyName="ops",
        IamInstanceProfile={"Name": "web"},
        EbsOptimized=True,
        Monitoring={"Enabled": True},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        CpuOptions={"CoreCount": 1, "ThreadsPerCore": 2},
        CreditSpecification={"CpuCredits": "unlimited"},
        DisableApiTermination=True,
        InstanceInitiatedShutdownBehavior="terminate",
        UserData="#!/bin/sh",
    )
    shown = described(bench, made["InstanceId"])
    assert (made["State"]["Name"], shown["State"]["Name"]) == ("pending", "running")
    assert (shown["RootDeviceName"], shown["Architecture"], shown["VirtualizationType"]) == ("/dev/sda1", "x86_64", "hvm")
    assert (shown["BootMode"], shown["CurrentInstanceBootMode"], shown["TpmSupport"]) == ("uefi", "uefi", "v2.0")
    assert (shown["PlatformDetails"], shown["UsageOperation"], shown["Platform"]) == ("Windows", "RunInstances:0002", "windows")
    assert (shown["EnaSupport"], shown["SriovNetSupport"], shown["KeyName"]) == (True, "simple", "ops")
    assert shown["IamInstanceProfile"]["Arn"] == "arn:aws:iam::123456789012:instance-profile/web"
    assert (shown["MetadataOptions"]["HttpTokens"], shown["MetadataOptions"]["HttpEndpoint"]) == ("required", "enabled")
    assert shown["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 2}
    assert (shown["EbsOptimized"], shown["Monitoring"], shown["SourceDestCheck"]) == (True, {"State": "enabled"}, True)
    burstable = bench.primary.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
    assert burstable == [{"InstanceId": made["InstanceId"], "CpuCredits": "unlimited"}]
    for attribute, name, value in (
        ("disableApiTermination", "DisableApiTermination", True),
        ("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior", "terminate"),
        ("userData", "UserData", "IyEvYmluL3No"),
        ("rootDeviceName", "RootDeviceName", "/dev/sda1"),
        ("sourceDestCheck", "SourceDestCheck", True),
        ("enaSupport", "EnaSupport", True),
    ):
        answer = bench.primary.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute=attribute)
        assert answer[name] == {"Value": value}
    assert refused(bench.primary.describe_instance_attribute, InstanceId=made["InstanceId"], Attribute="colour")[0] == (
        "InvalidParameterValue"
    )


@pytest.mark.parametrize(
    ("kind", "cpu", "architectures", "boot_modes", "nitro"),
    [
        ("m5.large", (1, 2), ["x86_64"], ["legacy-bios", "uefi"], True),
        ("m7g.xlarge", (4, 1), ["arm64"], ["uefi"], True),
        ("t3.micro", (1, 2), ["x86_64"], ["legacy-bios", "uefi"], True),
        ("t2.large", (2, 1), ["i386", "x86_64"], ["legacy-bios"], False),
    ],
)
def test_a_type_has_its_requirements(
    bench: Bench, kind: str, cpu: tuple[int, int], architectures: list[str], boot_modes: list[str], *, nitro: bool
) -> None:
    (shown,) = bench.primary.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    assert (shown["VCpuInfo"]["DefaultCores"], shown["VCpuInfo"]["DefaultThreadsPerCore"]) == cpu
    assert (shown["ProcessorInfo"]["SupportedArchitectures"], shown["SupportedBootModes"]) == (architectures, boot_modes)
    assert (shown["NetworkInfo"]["EnaSupport"] == "required", shown["NitroTpmSupport"] == "supported") == (nitro, nitro)


def test_a_type_is_offered_in_regions_and_zones_or_does_not_exist(bench: Bench) -> None:
    types = [{"Name": "instance-type", "Values": ["m5.large", "huge.large"]}]
    region = bench.primary.describe_instance_type_offerings(Filters=types)["InstanceTypeOfferings"]
    assert region == [{"InstanceType": "m5.large", "LocationType": "region", "Location": PRIMARY}]
    zone = [*types, {"Name": "location", "Values": [f"{PRIMARY}b"]}]
    offered = bench.primary.describe_instance_type_offerings(LocationType="availability-zone", Filters=zone)
    assert [offering["Location"] for offering in offered["InstanceTypeOfferings"]] == [f"{PRIMARY}b"]
    assert refused(bench.primary.describe_instance_types, InstanceTypes=["huge.large"])[0] == "InvalidInstanceType"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"ImageId": ""}, "MissingParameter"),
        ({"ImageId": "nonsense"}, "InvalidAMIID.Malformed"),
        ({"ImageId": "ami-00000000"}, "InvalidAMIID.NotFound"),
        ({"ImageId": ARM}, "InvalidParameterValue"),
        ({"InstanceType": "m1.small", "ImageId": WINDOWS}, "InvalidParameterValue"),
        ({"InstanceType": "huge"}, "InvalidParameterValue"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound"),
        ({"SecurityGroupIds": ["sg-0"]}, "InvalidGroup.NotFound"),
        ({"PrivateIpAddress": "10.0.0.1"}, "InvalidParameterValue"),
        ({"InstanceInitiatedShutdownBehavior": "hibernate"}, "InvalidParameterValue"),
        ({"LaunchTemplate": {"LaunchTemplateName": "web"}}, "InvalidAction"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "NoDevice": ""}]}, "InvalidBlockDeviceMapping"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {}}]}, "MissingParameter"),
        ({"TagSpecifications": [{"ResourceType": "snapshot", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_launch_that_cannot_be_leaves_nothing(bench: Bench, settings: dict[str, Any], code: str) -> None:
    with pytest.raises(Exception, match=code):
        launch(bench, **settings)
    account = bench.world.region_account(PRIMARY)
    assert (account.instances, account.volumes, account.interfaces) == ({}, {}, {})


def test_an_image_without_ena_or_hvm_does_not_start_on_nitro(bench: Bench) -> None:
    snapshot_id = bench.snapshot(bench.volume(8))
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}]
    settings: list[dict[str, Any]] = [
        {"Architecture": "x86_64"},
        {"Architecture": "x86_64", "VirtualizationType": "hvm"},
        {"Architecture": "x86_64", "VirtualizationType": "hvm", "EnaSupport": True},
    ]
    images = [
        bench.primary.register_image(Name=f"image {number}", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping, **more)
        for number, more in enumerate(settings)
    ]
    for image in images[:2]:
        params = {"ImageId": image["ImageId"], "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
        assert refused(bench.primary.run_instances, **params)[0] == "InvalidParameterCombination"
    assert launch(bench, ImageId=images[2]["ImageId"])["CurrentInstanceBootMode"] == "legacy-bios"


def test_instances_of_one_request_are_one_reservation(bench: Bench) -> None:
    first = bench.primary.run_instances(ImageId=PUBLIC_LINUX, InstanceType="t3.micro", MinCount=1, MaxCount=3)
    launch(bench)
    reservations = bench.primary.describe_instances()["Reservations"]
    assert [len(entry["Instances"]) for entry in reservations] == [3, 1]
    assert reservations[0]["ReservationId"] == first["ReservationId"]
    assert [entry["AmiLaunchIndex"] for entry in reservations[0]["Instances"]] == [0, 1, 2]


def test_a_client_token_launches_once(bench: Bench) -> None:
    first, second = (launch(bench, ClientToken="once")["InstanceId"] for _ in range(2))
    assert first == second
    params = {"ImageId": PUBLIC_LINUX, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "ClientToken": "once"}
    assert refused(bench.primary.run_instances, **params)[0] == "IdempotentParameterMismatch"


def test_a_mapping_adds_and_changes_volumes(bench: Bench) -> None:
    volume_id = bench.volume(20)
    bench.write(volume_id, 0, 10)
    snapshot_id = bench.snapshot(volume_id)
    mappings = [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "Throughput": 200}},
        {
            "DeviceName": "/dev/sdf",
            "Ebs": {"SnapshotId": snapshot_id, "VolumeInitializationRate": 300, "DeleteOnTermination": False, "Encrypted": True},
        },
    ]
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "from", "Value": "recovery"}]}]
    made = launch(bench, BlockDeviceMappings=mappings, TagSpecifications=tags)
    ids = {entry["DeviceName"]: entry["Ebs"]["VolumeId"] for entry in made["BlockDeviceMappings"]}
    root, data = (bench.primary.describe_volumes(VolumeIds=[ids[d]])["Volumes"][0] for d in ("/dev/xvda", "/dev/sdf"))
    assert (root["Size"], root["Throughput"], root["Attachments"][0]["DeleteOnTermination"]) == (30, 200, True)
    assert (data["Size"], data["Encrypted"], data["VolumeInitializationRate"]) == (20, True, 300)
    assert (data["Attachments"][0]["DeleteOnTermination"], data["Tags"]) == (False, [{"Key": "from", "Value": "recovery"}])


def test_only_volumes_of_the_launch_are_deleted_with_the_instance(bench: Bench) -> None:
    made = launch(bench, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}])
    later = bench.volume(1)
    bench.primary.attach_volume(VolumeId=later, InstanceId=made["InstanceId"], Device="/dev/sdg")
    bench.primary.terminate_instances(InstanceIds=[made["InstanceId"]])
    assert [entry["VolumeId"] for entry in bench.primary.describe_volumes()["Volumes"]] == [later]


def test_an_unusable_key_ends_the_launch(bench: Bench) -> None:
    key = bench.world.client("kms", PRIMARY).create_key()["KeyMetadata"]
    bench.world.client("kms", PRIMARY).disable_key(KeyId=key["KeyId"])
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "KmsKeyId": key["Arn"]}}]
    made = launch(bench, BlockDeviceMappings=mapping)
    assert made["State"]["Name"] == "pending"
    shown = described(bench, made["InstanceId"])
    assert (shown["State"]["Name"], shown["StateReason"]["Code"]) == ("terminated", "Client.InternalError")


def test_a_product_of_the_marketplace_needs_a_subscription(bench: Bench) -> None:
    document = {
        "version": 1,
        "instances": [
            {
                "name": "shop",
                "region": PRIMARY,
                "details": {"ProductCodes": [{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}]},
            }
        ],
        "volumes": [{"name": "root", "region": PRIMARY, "size_gib": 8, "instance": "shop", "device": "/dev/xvda"}],
        "history": [{"volume": "root", "count": 1}],
    }
    world = World.from_document(document)
    ec2 = world.client("ec2", PRIMARY)
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot["SnapshotId"]}}]
    modern = {"Architecture": "x86_64", "VirtualizationType": "hvm", "EnaSupport": True}
    image_id = ec2.register_image(Name="shop again", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping, **modern)["ImageId"]
    params = {"ImageId": image_id, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    assert refused(ec2.run_instances, **params) == ("OptInRequired", 401)
    world.accept_product("abc", region=PRIMARY)
    made = ec2.run_instances(**params)["Instances"][0]
    assert made["ProductCodes"] == [{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}]


def test_a_public_product_of_the_marketplace_needs_a_subscription(bench: Bench) -> None:
    params = {"ImageId": "ami-0abcdef1234567894", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    assert refused(bench.primary.run_instances, **params) == ("OptInRequired", 401)
    bench.world.accept_product(PRODUCT, region=PRIMARY)
    made = bench.primary.run_instances(**params)["Instances"][0]
    assert made["ProductCodes"] == [{"ProductCodeId": PRODUCT, "ProductCodeType": "marketplace"}]
    (image,) = bench.primary.describe_images(Owners=["aws-marketplace"])["Images"]
    assert (image["ImageId"], image["ProductCodes"]) == (params["ImageId"], made["ProductCodes"])


def test_a_spot_instance_is_shown_as_one_and_its_options_are_not_modelled(bench: Bench) -> None:
    spot = {"MarketType": "spot"}
    assert launch(bench, InstanceMarketOptions=spot)["InstanceLifecycle"] == "spot"
    filters = [{"Name": "instance-lifecycle", "Values": ["spot"]}]
    (reservation,) = bench.primary.describe_instances(Filters=filters)["Reservations"]
    (shown,) = reservation["Instances"]
    assert shown["SpotInstanceRequestId"].startswith("sir-")
    assert "InstanceLifecycle" not in launch(bench)
    priced = {**spot, "SpotOptions": {"MaxPrice": "0.01"}}
    with pytest.raises(ClientError, match=r"InvalidAction.* InstanceMarketOptions other than MarketType spot"):
        launch(bench, InstanceMarketOptions=priced)


# States and checks


def test_instances_stop_start_and_are_terminated() -> None:
    bench = Bench(speeds=Speeds(volume_create_seconds=0, instance_start_seconds=10, instance_stop_seconds=20))
    instance_id = launch(bench)["InstanceId"]
    assert described(bench, instance_id)["State"] == {"Code": 0, "Name": "pending"}
    bench.advance(10)
    (change,) = bench.primary.stop_instances(InstanceIds=[instance_id])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    assert refused(bench.primary.start_instances, InstanceIds=[instance_id])[0] == "IncorrectInstanceState"
    bench.advance(20)
    assert described(bench, instance_id)["State"] == {"Code": 80, "Name": "stopped"}
    (change,) = bench.primary.start_instances(InstanceIds=[instance_id])["StartingInstances"]
    assert change["CurrentState"]["Name"] == "pending"
    bench.advance(10)
    for former, now in (("running", "shutting-down"), ("terminated", "terminated")):
        (change,) = bench.primary.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
        assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == (former, now)
    assert refused(bench.primary.stop_instances, InstanceIds=[instance_id])[0] == "IncorrectInstanceState"


def test_a_terminated_instance_is_visible_for_an_hour(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    bench.primary.terminate_instances(InstanceIds=[instance_id])
    bench.advance(3600)
    assert described(bench, instance_id)["State"]["Name"] == "terminated"
    bench.advance(1)
    assert refused(bench.primary.describe_instances, InstanceIds=[instance_id])[0] == "InvalidInstanceID.NotFound"
    assert bench.primary.describe_instances()["Reservations"] == []


def test_termination_protection_holds_the_whole_zone(bench: Bench) -> None:
    protected = launch(bench, DisableApiTermination=True)["InstanceId"]
    beside = launch(bench)["InstanceId"]
    elsewhere = launch(bench, Placement={"AvailabilityZone": PRIMARY + "b"})["InstanceId"]
    ids = [protected, beside, elsewhere]
    assert refused(bench.primary.terminate_instances, InstanceIds=ids)[0] == "OperationNotPermitted"
    assert [described(bench, name)["State"]["Name"] for name in ids] == ["running", "running", "terminated"]
    bench.primary.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": False})
    bench.primary.terminate_instances(InstanceIds=[protected])


def test_status_checks_take_their_time_and_can_fail(bench: Bench) -> None:
    good = launch(bench)["InstanceId"]
    bench.world.add_fault(FaultRule("status_check_fails", source_id=WINDOWS))
    bad = launch(bench, ImageId=WINDOWS)["InstanceId"]
    assert status(bench, good)["InstanceStatus"] == {
        "Status": "initializing",
        "Details": [{"Name": "reachability", "Status": "initializing"}],
    }
    bench.advance(120)
    assert [status(bench, good)[name]["Status"] for name in ("InstanceStatus", "SystemStatus")] == ["ok", "ok"]
    assert [status(bench, bad)[name]["Status"] for name in ("InstanceStatus", "SystemStatus")] == ["impaired", "ok"]
    filters = [{"Name": "instance-status.reachability", "Values": ["failed"]}]
    assert [entry["InstanceId"] for entry in bench.primary.describe_instance_status(Filters=filters)["InstanceStatuses"]] == [bad]


def test_a_stopped_instance_has_a_status_only_on_request(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    bench.primary.stop_instances(InstanceIds=[instance_id])
    assert bench.primary.describe_instance_status()["InstanceStatuses"] == []
    assert status(bench, instance_id, IncludeAllInstances=True)["InstanceStatus"] == {"Status": "not-applicable"}


def test_some_attributes_change_only_while_stopped(bench: Bench) -> None:
    instance_id = launch(bench)["InstanceId"]
    change = {"InstanceId": instance_id, "InstanceType": {"Value": "t3.small"}}
    assert refused(bench.primary.modify_instance_attribute, **change)[0] == "IncorrectInstanceState"
    bench.primary.modify_instance_attribute(InstanceId=instance_id, SourceDestCheck={"Value": False})
    bench.primary.stop_instances(InstanceIds=[instance_id])
    bench.primary.modify_instance_attribute(**change)
    shown = described(bench, instance_id)
    assert (shown["InstanceType"], shown["SourceDestCheck"]) == ("t3.small", False)


def test_uefi_data_is_read_from_an_instance_that_boots_by_it(bench: Bench) -> None:
    assert bench.primary.get_instance_uefi_data(InstanceId=launch(bench)["InstanceId"])["UefiData"] == ""
    legacy = launch(bench, ImageId="ami-12345678")["InstanceId"]
    assert refused(bench.primary.get_instance_uefi_data, InstanceId=legacy)[0] == "UnsupportedOperation"
