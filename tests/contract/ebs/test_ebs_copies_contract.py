"""EC2's documented behaviour of copies of snapshots. Every test runs against every backend (see conftest)."""

from __future__ import annotations

from typing import Any

from support.refusals import code_of


def test_a_copy_has_an_arbitrary_volume_id_and_no_source_tags(aws: Any) -> None:
    volume_id = aws.volume()
    copy_id = aws.copy(aws.snapshot(volume_id, {"a": "1"}), Description="dr")
    aws.settle()
    copy = aws.described(aws.dr, copy_id)
    assert copy["VolumeId"].startswith("vol-ffff")
    assert (copy["State"], copy["VolumeSize"], copy["Description"]) == ("completed", 8, "dr")
    assert copy.get("Tags", []) == []


def test_tags_in_the_copy_call_are_on_the_copy(aws: Any) -> None:
    specification = [{"ResourceType": "snapshot", "Tags": [{"Key": "origin", "Value": "x"}]}]
    copy_id = aws.copy(aws.snapshot(aws.volume()), TagSpecifications=specification)
    aws.settle()
    assert aws.described(aws.dr, copy_id)["Tags"] == [{"Key": "origin", "Value": "x"}]


def test_a_copy_outlives_its_source(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    copy_id = aws.copy(snapshot_id)
    aws.settle()
    aws.primary.delete_snapshot(SnapshotId=snapshot_id)
    assert aws.described(aws.dr, copy_id)["State"] == "completed"


def test_a_copy_of_an_unknown_snapshot_is_refused(aws: Any) -> None:
    params = {"SourceRegion": "us-east-1", "SourceSnapshotId": "snap-0123456789abcdef0"}
    assert code_of(aws.dr.copy_snapshot, **params) == ("InvalidSnapshot.NotFound", 400)


def test_a_copy_of_a_pending_snapshot_is_refused(aws: Any) -> None:
    pending = aws.primary.create_snapshot(VolumeId=aws.volume())["SnapshotId"]
    code, _ = code_of(aws.dr.copy_snapshot, SourceRegion="us-east-1", SourceSnapshotId=pending)
    assert code == "IncorrectState"


def test_the_21st_copy_at_once_is_refused_until_one_has_ended(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume())
    for _ in range(20):
        aws.copy(snapshot_id)
    params = {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot_id}
    assert code_of(aws.dr.copy_snapshot, **params) == ("ResourceLimitExceeded", 400)
    aws.settle()
    assert aws.copy(snapshot_id)


def test_a_copy_with_a_disabled_key_is_accepted_and_fails_later(aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.kms.disable_key(KeyId=key)
    copy_id = aws.copy(aws.snapshot(aws.volume()), Encrypted=True, KmsKeyId=key)
    assert aws.described(aws.dr, copy_id)["State"] == "pending"
    aws.settle()
    copy = aws.described(aws.dr, copy_id)
    assert (copy["State"], copy["StateMessage"]) == ("error", "Given key ID is not accessible")


def test_a_key_without_encryption_is_refused(aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    params = {"SourceRegion": "us-east-1", "SourceSnapshotId": aws.snapshot(aws.volume()), "KmsKeyId": key}
    assert code_of(aws.dr.copy_snapshot, **params)[0] == "InvalidParameterDependency"


def test_a_copy_with_a_key_is_encrypted_with_it(aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    copy_id = aws.copy(aws.snapshot(aws.volume()), Encrypted=True, KmsKeyId=key)
    aws.settle()
    copy = aws.described(aws.dr, copy_id)
    assert (copy["Encrypted"], copy["KmsKeyId"]) == (True, key)


def test_a_completion_duration_must_be_a_multiple_of_15_minutes(aws: Any) -> None:
    params = {"SourceRegion": "us-east-1", "SourceSnapshotId": aws.snapshot(aws.volume())}
    code, _ = code_of(aws.dr.copy_snapshot, CompletionDurationMinutes=20, **params)
    assert code == "InvalidParameterValue"


def test_encryption_by_default_encrypts_copies(aws: Any) -> None:
    aws.dr.enable_ebs_encryption_by_default()
    assert aws.dr.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is True
    copy_id = aws.copy(aws.snapshot(aws.volume()))
    aws.settle()
    assert aws.described(aws.dr, copy_id)["Encrypted"] is True


def test_a_shared_snapshot_is_copied_by_another_account(aws: Any) -> None:
    snapshot_id = aws.snapshot(aws.volume(size_gib=1))
    owner = aws.described(aws.primary, snapshot_id)["OwnerId"]
    other = aws.backend.client("ec2", "us-east-2", "210987654321")
    request = {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot_id}
    assert code_of(other.copy_snapshot, **request)[0] == "InvalidSnapshot.NotFound"
    change = {"Attribute": "createVolumePermission", "OperationType": "add", "UserIds": ["210987654321"]}
    aws.primary.modify_snapshot_attribute(SnapshotId=snapshot_id, **change)
    # A share is regional.
    assert other.describe_snapshots(OwnerIds=[owner])["Snapshots"] == []
    copy_id = other.copy_snapshot(**request, Description="theirs")["SnapshotId"]
    aws.settle()
    copy = aws.described(other, copy_id)
    assert (copy["State"], copy["OwnerId"], copy["Description"]) == ("completed", "210987654321", "theirs")
    assert aws.listed(aws.dr) == []
