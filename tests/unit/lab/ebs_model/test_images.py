"""AMIs: RegisterImage and its refusals, CopyImage, and the attributes of an image."""

from __future__ import annotations

from typing import Any

import pytest
from ebs_worlds import DR, PRIMARY, Bench, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX, FaultRule, World

MODERN = {"Architecture": "arm64", "VirtualizationType": "hvm", "EnaSupport": True, "SriovNetSupport": "simple"}


@pytest.fixture
def snapshot_id(bench: Bench) -> str:
    return bench.snapshot(bench.volume(8))


def register(bench: Bench, snapshot_id: str, name: str = "golden", **more: Any) -> str:
    ebs = {"SnapshotId": snapshot_id, **more.pop("ebs", {})}
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": ebs}]
    params = {"Name": name, "RootDeviceName": "/dev/xvda", "BlockDeviceMappings": mapping, **more}
    return bench.primary.register_image(**params)["ImageId"]


def described(client: Any, image_id: str) -> dict[str, Any]:
    (image,) = client.describe_images(ImageIds=[image_id])["Images"]
    return image


def test_a_registered_image_keeps_the_request_s_properties(bench: Bench, snapshot_id: str) -> None:
    uefi = {"BootMode": "uefi", "TpmSupport": "v2.0", "UefiData": "QUJD", "ImdsSupport": "v2.0"}
    image_id = register(bench, snapshot_id, **MODERN, **uefi, ebs={"VolumeSize": 20, "VolumeType": "gp3", "Throughput": 250})
    image = described(bench.primary, image_id)
    assert {name: image[name] for name in MODERN} == MODERN
    assert (image["BootMode"], image["TpmSupport"], image["ImdsSupport"]) == ("uefi", "v2.0", "v2.0")
    assert (image["PlatformDetails"], image["UsageOperation"]) == ("Linux/UNIX", "RunInstances")
    ebs = image["BlockDeviceMappings"][0]["Ebs"]
    assert (ebs["VolumeSize"], ebs["VolumeType"], ebs["Throughput"], ebs["DeleteOnTermination"]) == (20, "gp3", 250, True)
    assert "UefiData" not in image
    for attribute, name, value in (
        ("uefiData", "UefiData", "QUJD"),
        ("bootMode", "BootMode", "uefi"),
        ("tpmSupport", "TpmSupport", "v2.0"),
    ):
        answer = bench.primary.describe_image_attribute(ImageId=image_id, Attribute=attribute)
        assert answer[name] == {"Value": value}


def test_an_image_without_properties_is_i386_and_paravirtual(bench: Bench, snapshot_id: str) -> None:
    image = described(bench.primary, register(bench, snapshot_id))
    assert (image["Architecture"], image["VirtualizationType"]) == ("i386", "paravirtual")
    assert not {"BootMode", "EnaSupport", "SriovNetSupport", "TpmSupport"} & set(image)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"name": "ab"}, "InvalidAMIName.Malformed"),
        ({"name": "x" * 129}, "InvalidAMIName.Malformed"),
        ({"name": "golden!"}, "InvalidAMIName.Malformed"),
        ({"name": "taken"}, "InvalidAMIName.Duplicate"),
        ({"Architecture": "sparc"}, "InvalidParameterValue"),
        ({"BootMode": "bios"}, "InvalidParameterValue"),
        ({"TpmSupport": "v2.0"}, "InvalidParameterCombination"),
        ({"TpmSupport": "v2.0", "BootMode": "uefi-preferred"}, "InvalidParameterCombination"),
        ({"TpmSupport": "v1.2", "BootMode": "uefi"}, "InvalidParameterValue"),
        ({"UefiData": "x" * 64_001}, "InvalidParameterValue"),
        ({"ebs": {"Encrypted": False}}, "InvalidParameterCombination"),
        ({"ebs": {"VolumeSize": 1}}, "InvalidBlockDeviceMapping"),
        ({"RootDeviceName": "/dev/sda1"}, "InvalidBlockDeviceMapping"),
    ],
)
def test_an_image_that_aws_refuses_is_refused(bench: Bench, snapshot_id: str, settings: dict[str, Any], code: str) -> None:
    register(bench, snapshot_id, "taken")
    with pytest.raises(Exception, match=code):
        register(bench, snapshot_id, **settings)


def test_a_malformed_image_id_has_a_code_of_its_own(bench: Bench) -> None:
    assert refused(bench.primary.describe_images, ImageIds=["golden"])[0] == "InvalidAMIID.Malformed"
    assert refused(bench.primary.describe_images, ImageIds=["ami-00000000"])[0] == "InvalidAMIID.NotFound"


def test_the_licence_is_that_of_the_volume_not_of_a_copy() -> None:
    document = {
        "version": 1,
        "instances": [{"name": "sql", "region": PRIMARY, "image": "ami-0abcdef1234567892"}],
        "volumes": [{"name": "root", "region": PRIMARY, "size_gib": 30, "instance": "sql", "device": "/dev/sda1"}],
        "history": [{"volume": "root", "count": 1, "copies": [{"region": DR}]}],
    }
    world = World.from_document(document)
    platforms = []
    for region in (PRIMARY, DR):
        ec2 = world.client("ec2", region)
        (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot["SnapshotId"]}}]
        image_id = ec2.register_image(Name="again", RootDeviceName="/dev/sda1", BlockDeviceMappings=mapping)["ImageId"]
        platforms.append(described(ec2, image_id)["PlatformDetails"])
    assert platforms == ["Windows", "Linux/UNIX"]


def test_an_image_is_copied_with_its_snapshots_and_their_events(bench: Bench, snapshot_id: str) -> None:
    tags = [{"ResourceType": "image", "Tags": [{"Key": "app", "Value": "shop"}]}]
    image_id = register(bench, snapshot_id, **MODERN, BootMode="uefi", TagSpecifications=tags)
    params = {"Name": "golden", "SourceImageId": image_id, "SourceRegion": PRIMARY, "CopyImageTags": True, "ClientToken": "once"}
    copy_id, again = (bench.dr.copy_image(**params)["ImageId"] for _ in range(2))
    assert copy_id == again
    assert described(bench.dr, copy_id)["State"] == "pending"
    bench.settle()
    copy = described(bench.dr, copy_id)
    assert (copy["State"], copy["SourceImageId"], copy["SourceImageRegion"]) == ("available", image_id, PRIMARY)
    assert (copy["Architecture"], copy["BootMode"], copy["Tags"]) == ("arm64", "uefi", [{"Key": "app", "Value": "shop"}])
    copied = copy["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert bench.described(bench.dr, copied)["Description"].startswith(
        f"Copied for DestinationAmi {copy_id} from SourceAmi {image_id}"
    )
    (event,) = bench.named("copySnapshot")
    assert event["detail"]["snapshot_id"].endswith(copied)
    assert refused(bench.dr.delete_snapshot, SnapshotId=copied)[0] == "InvalidSnapshot.InUse"


def test_a_copy_of_an_image_whose_snapshot_fails_has_failed(bench: Bench, snapshot_id: str) -> None:
    image_id = register(bench, snapshot_id)
    bench.world.add_fault(FaultRule("copy_fails"))
    copy_id = bench.dr.copy_image(Name="golden", SourceImageId=image_id, SourceRegion=PRIMARY)["ImageId"]
    bench.settle()
    copy = described(bench.dr, copy_id)
    assert (copy["State"], copy["StateReason"]["Code"]) == ("failed", "Client.InternalError")


def test_an_image_beyond_the_quota_of_copies_leaves_nothing(bench: Bench, snapshot_id: str) -> None:
    image_id = register(bench, snapshot_id)
    bench.world.change_quotas(DR, copies_per_destination=0)
    params = {"Name": "golden", "SourceImageId": image_id, "SourceRegion": PRIMARY}
    assert refused(bench.dr.copy_image, **params)[0] == "ResourceLimitExceeded"
    assert bench.dr.describe_images(Owners=["self"])["Images"] == []


def test_launch_permissions_are_changed_and_shown(bench: Bench, snapshot_id: str) -> None:
    image_id = register(bench, snapshot_id)
    add = {"Add": [{"UserId": "999999999999"}]}
    bench.primary.modify_image_attribute(ImageId=image_id, LaunchPermission=add, Description={"Value": "shared"})
    answer = bench.primary.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    assert answer["LaunchPermissions"] == [{"UserId": "999999999999"}]
    assert described(bench.primary, image_id)["Description"] == "shared"
    assert refused(bench.primary.describe_image_attribute, ImageId=PUBLIC_LINUX, Attribute="bootMode") == ("AuthFailure", 403)
    assert refused(bench.primary.deregister_image, ImageId=PUBLIC_LINUX)[0] == "AuthFailure"


def test_public_images_are_listed_by_their_owner(bench: Bench, snapshot_id: str) -> None:
    image_id = register(bench, snapshot_id)
    assert [entry["ImageId"] for entry in bench.primary.describe_images(Owners=["self"])["Images"]] == [image_id]
    owners = {entry["ImageOwnerAlias"] for entry in bench.primary.describe_images(Owners=["amazon"])["Images"]}
    assert owners == {"amazon"}


def test_an_image_of_an_instance_has_the_instance_s_properties(bench: Bench) -> None:
    made = bench.primary.run_instances(ImageId=PUBLIC_LINUX, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    image_id = bench.primary.create_image(InstanceId=made["InstanceId"], Name="of the instance")["ImageId"]
    image = described(bench.primary, image_id)
    assert (image["Architecture"], image["BootMode"], image["SourceInstanceId"]) == (
        "x86_64",
        "uefi-preferred",
        made["InstanceId"],
    )
