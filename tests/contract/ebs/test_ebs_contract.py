"""EC2's documented behaviour of snapshots. Every test runs against every backend (see conftest)."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.refusals import code_of


def ids(snapshots: list[dict[str, Any]]) -> list[str]:
    return [snapshot["SnapshotId"] for snapshot in snapshots]


# CreateSnapshot


def test_a_new_snapshot_is_pending_and_then_completed(aws: Any) -> None:
    made = aws.primary.create_snapshot(VolumeId=aws.volume(), Description="nightly")
    assert made["State"] == "pending"
    assert made["Description"] == "nightly"
    aws.settle()
    snapshot = aws.described(aws.primary, made["SnapshotId"])
    assert (snapshot["State"], snapshot["Progress"]) == ("completed", "100%")


def test_a_snapshot_names_volume_size_owner_and_start(aws: Any) -> None:
    volume_id = aws.volume(size_gib=12)
    snapshot = aws.described(aws.primary, aws.snapshot(volume_id))
    assert (snapshot["VolumeId"], snapshot["VolumeSize"], snapshot["Encrypted"]) == (volume_id, 12, False)
    assert len(snapshot["OwnerId"]) == 12
    assert snapshot["StartTime"].tzinfo is not None
    assert snapshot["StartTime"].astimezone(UTC).year >= 2026


def test_a_snapshot_of_an_unknown_volume_is_refused(aws: Any) -> None:
    assert code_of(aws.primary.create_snapshot, VolumeId="vol-0123456789abcdef0") == ("InvalidVolume.NotFound", 400)


def test_tags_in_the_create_call_are_on_the_snapshot(aws: Any) -> None:
    snapshot = aws.described(aws.primary, aws.snapshot(aws.volume(), {"a": "1"}))
    assert snapshot["Tags"] == [{"Key": "a", "Value": "1"}]


def test_tags_of_another_resource_type_are_refused(aws: Any) -> None:
    specification = [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "1"}]}]
    volume_id = aws.volume()
    code, status = code_of(aws.primary.create_snapshot, VolumeId=volume_id, TagSpecifications=specification)
    assert (code, status) == ("InvalidParameterValue", 400)


def test_a_snapshot_outlives_its_volume(aws: Any) -> None:
    volume_id = aws.volume()
    snapshot_id = aws.snapshot(volume_id)
    aws.primary.delete_volume(VolumeId=volume_id)
    assert aws.described(aws.primary, snapshot_id)["VolumeId"] == volume_id


def test_a_dry_run_answers_with_an_error_and_changes_nothing(aws: Any) -> None:
    volume_id = aws.volume()
    assert code_of(aws.primary.create_snapshot, VolumeId=volume_id, DryRun=True) == ("DryRunOperation", 412)
    assert aws.listed(aws.primary) == []


def test_the_sixth_snapshot_of_a_volume_at_once_is_refused(aws: Any) -> None:
    volume_id = aws.volume()
    codes = []
    for _ in range(6):
        try:
            aws.primary.create_snapshot(VolumeId=volume_id)
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    # Within 15 seconds the rate error comes first; both belong to the volume.
    assert codes
    assert set(codes) <= {"ConcurrentSnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded"}


def test_a_multi_volume_set_has_one_tagged_snapshot_for_each_volume(aws: Any) -> None:
    instance = _instance(aws)
    made = aws.primary.create_snapshots(InstanceSpecification={"InstanceId": instance}, CopyTagsFromSource="volume")
    aws.settle()
    assert len(made["Snapshots"]) == 2
    tags = [aws.described(aws.primary, snapshot["SnapshotId"]).get("Tags", []) for snapshot in made["Snapshots"]]
    assert {"Key": "Backup", "Value": "gold"} in [tag for entry in tags for tag in entry]


def test_a_multi_volume_set_can_leave_out_the_boot_volume(aws: Any) -> None:
    instance = _instance(aws)
    specification = {"InstanceId": instance, "ExcludeBootVolume": True}
    made = aws.primary.create_snapshots(InstanceSpecification=specification)
    assert len(made["Snapshots"]) == 1


def _instance(aws: Any) -> str:
    images = aws.primary.describe_images(Owners=["self"])["Images"]
    image_id = images[0]["ImageId"] if images else _image(aws, aws.snapshot(aws.volume()))
    made = aws.primary.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)["Instances"][0]
    zone = made["Placement"]["AvailabilityZone"]
    data = aws.primary.create_volume(AvailabilityZone=zone, Size=4)["VolumeId"]
    aws.primary.create_tags(Resources=[data], Tags=[{"Key": "Backup", "Value": "gold"}])
    aws.primary.attach_volume(VolumeId=data, InstanceId=made["InstanceId"], Device="/dev/sdh")
    return made["InstanceId"]


def _image(aws: Any, snapshot_id: str) -> str:
    mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot_id}}
    more = {"RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [mapping], "Architecture": "x86_64"}
    return aws.primary.register_image(Name=f"of {snapshot_id}", **more)["ImageId"]


# DescribeSnapshots


def test_snapshots_can_be_listed_by_volume(aws: Any) -> None:
    first, second = aws.volume(), aws.volume()
    snapshot_ids = [aws.snapshot(first), aws.snapshot(first)]
    aws.snapshot(second)
    snapshots = aws.listed(aws.primary, Filters=[{"Name": "volume-id", "Values": [first]}])
    assert sorted(ids(snapshots)) == sorted(snapshot_ids)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("tag:color", ["red"], {"a"}),
        ("tag:color", ["red", "blue"], {"a", "b"}),
        ("tag:color", ["*e*"], {"a", "b", "d"}),
        ("tag:color", ["re?"], {"a", "d"}),
        ("tag-key", ["size"], {"c"}),
        ("tag:color", ["RED"], set()),
        ("status", ["completed"], {"a", "b", "c", "d"}),
        ("status", ["error"], set()),
        ("volume-size", ["8"], {"a", "b", "c", "d"}),
        ("encrypted", ["false"], {"a", "b", "c", "d"}),
        ("storage-tier", ["archive"], set()),
    ],
)
def test_filters_match_exact_values_and_wildcards(aws: Any, name: str, values: Any, expected: Any) -> None:
    tags = {"a": {"color": "red"}, "b": {"color": "blue"}, "c": {"size": "big"}, "d": {"color": "rex"}}
    made = {aws.snapshot(aws.volume(), own_tags): key for key, own_tags in tags.items()}
    snapshots = aws.listed(aws.primary, Filters=[{"Name": name, "Values": values}])
    assert {made[snapshot_id] for snapshot_id in ids(snapshots)} == expected


def test_several_filters_must_all_match(aws: Any) -> None:
    volume_id = aws.volume()
    both = aws.snapshot(volume_id, {"a": "1", "b": "2"})
    aws.snapshot(volume_id, {"a": "1"})
    filters = [{"Name": "tag:a", "Values": ["1"]}, {"Name": "tag:b", "Values": ["2"]}]
    assert ids(aws.listed(aws.primary, Filters=filters)) == [both]


def test_an_unknown_filter_is_refused(aws: Any) -> None:
    filters = [{"Name": "colour", "Values": ["red"]}]
    assert code_of(aws.primary.describe_snapshots, Filters=filters) == ("InvalidParameterValue", 400)


def test_an_unknown_snapshot_id_is_an_error(aws: Any) -> None:
    unknown = ["snap-0123456789abcdef0"]
    assert code_of(aws.primary.describe_snapshots, SnapshotIds=unknown) == ("InvalidSnapshot.NotFound", 400)


def test_pages_hold_no_more_than_requested_and_everything_once(aws: Any) -> None:
    made = [aws.snapshot(aws.volume()) for _ in range(12)]
    sizes, snapshot_ids, more = [], [], {}
    while True:
        answer = aws.primary.describe_snapshots(OwnerIds=["self"], MaxResults=5, **more)
        sizes.append(len(answer["Snapshots"]))
        snapshot_ids.extend(ids(answer["Snapshots"]))
        if not answer.get("NextToken"):
            break
        more = {"NextToken": answer["NextToken"]}
    assert sizes == [5, 5, 2]
    assert sorted(snapshot_ids) == sorted(made)


def test_a_page_of_fewer_than_five_is_refused(aws: Any) -> None:
    assert code_of(aws.primary.describe_snapshots, MaxResults=4) == ("InvalidParameterValue", 400)


# DeleteSnapshot


def test_a_deleted_snapshot_cannot_be_deleted_again(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    aws.primary.delete_snapshot(SnapshotId=snapshot_id)
    assert aws.listed(aws.primary) == []
    assert code_of(aws.primary.delete_snapshot, SnapshotId=snapshot_id) == ("InvalidSnapshot.NotFound", 400)


def test_a_snapshot_of_an_ami_cannot_be_deleted_before_deregistration(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    image_id = _image(aws, snapshot_id)
    assert code_of(aws.primary.delete_snapshot, SnapshotId=snapshot_id) == ("InvalidSnapshot.InUse", 400)
    aws.primary.deregister_image(ImageId=image_id)
    aws.primary.delete_snapshot(SnapshotId=snapshot_id)


def test_a_disabled_ami_holds_its_snapshot_and_is_not_listed(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    image_id = _image(aws, snapshot_id)
    aws.primary.disable_image(ImageId=image_id)
    assert code_of(aws.primary.delete_snapshot, SnapshotId=snapshot_id)[0] == "InvalidSnapshot.InUse"
    assert aws.primary.describe_images(Owners=["self"])["Images"] == []
    (image,) = aws.primary.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    assert image["State"] == "disabled"


def test_a_locked_snapshot_cannot_be_deleted_until_it_is_unlocked(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    aws.primary.lock_snapshot(SnapshotId=snapshot_id, LockMode="governance", LockDuration=1)
    code_of(aws.primary.delete_snapshot, SnapshotId=snapshot_id)
    (lock,) = aws.primary.describe_locked_snapshots()["Snapshots"]
    assert (lock["SnapshotId"], lock["LockState"]) == (snapshot_id, "governance")
    aws.primary.unlock_snapshot(SnapshotId=snapshot_id)
    aws.primary.delete_snapshot(SnapshotId=snapshot_id)


# Tags


def test_creating_a_tag_that_exists_overwrites_it(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume(), {"a": "1"})
    aws.primary.create_tags(Resources=[snapshot_id], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    tags = {tag["Key"]: tag["Value"] for tag in aws.described(aws.primary, snapshot_id)["Tags"]}
    assert tags == {"a": "2", "b": ""}


def test_deleting_a_tag_with_a_value_needs_the_same_value(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume(), {"a": "1", "b": "2"})
    aws.primary.delete_tags(Resources=[snapshot_id], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    assert aws.described(aws.primary, snapshot_id)["Tags"] == [{"Key": "a", "Value": "1"}]


def test_the_51st_tag_is_refused(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    aws.primary.create_tags(Resources=[snapshot_id], Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
    code, _ = code_of(aws.primary.create_tags, Resources=[snapshot_id], Tags=[{"Key": "one more", "Value": ""}])
    assert code == "TagLimitExceeded"


def test_a_tag_that_begins_with_aws_is_refused(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    code, _ = code_of(aws.primary.create_tags, Resources=[snapshot_id], Tags=[{"Key": "aws:x", "Value": ""}])
    assert code == "InvalidParameterValue"


def test_tags_of_an_unknown_snapshot_are_refused(aws: Any) -> None:
    tags = [{"Key": "a", "Value": "1"}]
    assert code_of(aws.primary.create_tags, Resources=["snap-0123456789abcdef0"], Tags=tags)[0] == "InvalidSnapshot.NotFound"


# Sharing and volumes


def test_a_share_is_listed_and_can_be_taken_back(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    change = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission", "UserIds": ["210987654321"]}
    aws.primary.modify_snapshot_attribute(OperationType="add", **change)
    request = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission"}
    shown = aws.primary.describe_snapshot_attribute(**request)["CreateVolumePermissions"]
    assert shown == [{"UserId": "210987654321"}]
    aws.primary.modify_snapshot_attribute(OperationType="remove", **change)
    assert aws.primary.describe_snapshot_attribute(**request)["CreateVolumePermissions"] == []


def test_a_volume_from_a_snapshot_is_at_least_as_large(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume(size_gib=10))
    made = aws.primary.create_volume(AvailabilityZone="us-east-1a", SnapshotId=snapshot_id)
    assert made["Size"] == 10
    code, _ = code_of(aws.primary.create_volume, AvailabilityZone="us-east-1a", SnapshotId=snapshot_id, Size=9)
    assert code == "InvalidParameterValue"


def test_an_unknown_volume_id_is_an_error(aws: Any) -> None:
    unknown = ["vol-0123456789abcdef0"]
    assert code_of(aws.primary.describe_volumes, VolumeIds=unknown) == ("InvalidVolume.NotFound", 400)


def test_an_attached_volume_cannot_be_deleted(aws: Any) -> None:
    instance = _instance(aws)
    filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
    volumes = aws.primary.describe_volumes(Filters=filters)["Volumes"]
    assert len(volumes) == 2
    assert code_of(aws.primary.delete_volume, VolumeId=volumes[0]["VolumeId"])[0] == "VolumeInUse"
