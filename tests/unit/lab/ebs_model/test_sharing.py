"""Snapshots that are shared with another account: who may, who sees what, and what becomes of copies and volumes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ebs_worlds import DR, PRIMARY, Bench, refused

OWNER, OTHER = "123456789012", "210987654321"
ATTRIBUTE = "createVolumePermission"


@pytest.fixture
def snapshot_id(bench: Bench) -> str:
    return bench.snapshot(bench.volume(size_gib=1), TagSpecifications=[{"ResourceType": "snapshot", "Tags": [TAG]}])


TAG = {"Key": "team", "Value": "shop"}


def share(bench: Bench, snapshot_id: str, operation: str = "add", **grantees: Any) -> None:
    grantees = grantees or {"UserIds": [OTHER]}
    bench.primary.modify_snapshot_attribute(SnapshotId=snapshot_id, Attribute=ATTRIBUTE, OperationType=operation, **grantees)


def other(bench: Bench, region: str = PRIMARY, service: str = "ec2") -> Any:
    return bench.world.client(service, region, OTHER)


def policy(*actions: str, account_id: str = OTHER) -> str:
    own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"}, "Action": "kms:*", "Resource": "*"}
    principal = {"AWS": f"arn:aws:iam::{account_id}:root"}
    use = {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"}
    grant = {**use, "Action": "kms:CreateGrant", "Condition": {"Bool": {"kms:GrantIsForAWSResource": True}}}
    return json.dumps({"Version": "2012-10-17", "Statement": [own, use, grant]})


USE = ("kms:DescribeKey", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*")


def encrypted(bench: Bench, key_policy: str = "") -> tuple[str, str]:
    """Return a shared snapshot and its key, which has this policy or the default one."""
    kms = bench.world.client("kms", PRIMARY)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    if key_policy:
        kms.put_key_policy(KeyId=key, Policy=key_policy)
    made = bench.snapshot(bench.volume(Encrypted=True, KmsKeyId=key))
    share(bench, made)
    return made, key


# Permissions to share


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"GroupNames": ["everybody"]}, "InvalidParameterValue"),
        ({"UserIds": ["somebody"]}, "InvalidUserID.Malformed"),
        ({"UserIds": ["12345678901"]}, "InvalidUserID.Malformed"),
    ],
)
def test_a_share_without_accounts_is_refused(bench: Bench, snapshot_id: str, settings: Any, code: str) -> None:
    params = {"SnapshotId": snapshot_id, "Attribute": "createVolumePermission", "OperationType": "add", **settings}
    assert refused(bench.primary.modify_snapshot_attribute, **params)[0] == code


def test_a_snapshot_under_the_aws_managed_key_or_archived_is_not_shared(bench: Bench, snapshot_id: str) -> None:
    encrypted = bench.snapshot(bench.volume(Encrypted=True))
    bench.primary.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    bench.settle()
    for name, code in ((encrypted, "OperationNotPermitted"), (snapshot_id, "IncorrectState")):
        params = {"SnapshotId": name, "OperationType": "add", "UserIds": ["999999999999"]}
        assert refused(bench.primary.modify_snapshot_attribute, **params)[0] == code


def test_block_public_access_refuses_public_shares(bench: Bench, snapshot_id: str) -> None:
    assert bench.primary.get_snapshot_block_public_access_state()["State"] == "unblocked"
    bench.primary.enable_snapshot_block_public_access(State="block-new-sharing")
    change = {"SnapshotId": snapshot_id, "OperationType": "add", "Attribute": "createVolumePermission"}
    refused(bench.primary.modify_snapshot_attribute, GroupNames=["all"], **change)
    bench.primary.disable_snapshot_block_public_access()
    bench.primary.modify_snapshot_attribute(GroupNames=["all"], **change)
    other = bench.world.client("ec2", PRIMARY, "210987654321")
    assert len(other.describe_snapshots(RestorableByUserIds=["all"])["Snapshots"]) == 1
    assert bench.world.client("ec2", DR, "210987654321").describe_snapshots()["Snapshots"] == []


def test_a_request_adds_or_removes_and_not_both(bench: Bench, snapshot_id: str) -> None:
    both = {"Add": [{"UserId": OTHER}], "Remove": [{"UserId": "999999999999"}]}
    code, _ = refused(bench.primary.modify_snapshot_attribute, SnapshotId=snapshot_id, CreateVolumePermission=both)
    assert code == "InvalidParameterCombination"
    many = [f"{number:012d}" for number in range(1, 502)]
    change = {"SnapshotId": snapshot_id, "OperationType": "add"}
    assert refused(bench.primary.modify_snapshot_attribute, UserIds=many, **change)[0] == "InvalidParameterValue"
    share(bench, snapshot_id, UserIds=many[:500])


def test_a_locked_snapshot_is_shared(bench: Bench, snapshot_id: str) -> None:
    bench.primary.lock_snapshot(SnapshotId=snapshot_id, LockMode="compliance", LockDuration=1)
    share(bench, snapshot_id)
    assert other(bench).describe_snapshots(OwnerIds=[OWNER])["Snapshots"]


def test_a_share_ends_by_reset_archiving_and_deletion(bench: Bench, snapshot_id: str) -> None:
    def reset() -> None:
        bench.primary.reset_snapshot_attribute(SnapshotId=snapshot_id, Attribute=ATTRIBUTE)

    def archive() -> None:
        bench.primary.modify_snapshot_tier(SnapshotId=snapshot_id)
        bench.settle()
        bench.primary.restore_snapshot_tier(SnapshotId=snapshot_id, PermanentRestore=True)
        bench.settle()

    for end in (reset, archive, lambda: bench.primary.delete_snapshot(SnapshotId=snapshot_id)):
        share(bench, snapshot_id)
        assert other(bench).describe_snapshots()["Snapshots"]
        end()
        assert other(bench).describe_snapshots()["Snapshots"] == []


# The other account's view


def test_another_account_sees_a_share_without_its_tags(bench: Bench, snapshot_id: str) -> None:
    share(bench, snapshot_id)
    (seen,) = other(bench).describe_snapshots(OwnerIds=[OWNER], RestorableByUserIds=["self"])["Snapshots"]
    assert (seen["SnapshotId"], seen["OwnerId"]) == (snapshot_id, OWNER)
    assert "Tags" not in seen
    filters = [{"Name": "tag:team", "Values": ["shop"]}]
    assert other(bench).describe_snapshots(Filters=filters)["Snapshots"] == []
    assert bench.primary.describe_snapshots(Filters=filters)["Snapshots"][0]["Tags"] == [TAG]


def test_another_account_changes_nothing_of_a_share(bench: Bench, snapshot_id: str) -> None:
    share(bench, snapshot_id)
    stranger = other(bench)
    for call, more in (
        (stranger.delete_snapshot, {"SnapshotId": snapshot_id}),
        (stranger.unlock_snapshot, {"SnapshotId": snapshot_id}),
        (stranger.lock_snapshot, {"SnapshotId": snapshot_id, "LockMode": "governance", "LockDuration": 1}),
        (stranger.describe_snapshot_attribute, {"SnapshotId": snapshot_id, "Attribute": ATTRIBUTE}),
        (stranger.create_tags, {"Resources": [snapshot_id], "Tags": [TAG]}),
    ):
        assert refused(call, **more)[0] == "InvalidSnapshot.NotFound"


# Copies and volumes of it


def test_a_copy_of_a_share_needs_the_owner_s_key_policy(bench: Bench) -> None:
    for key_policy, state in (("", "error"), (policy(*USE), "completed"), (policy("kms:Decrypt"), "error")):
        shared, _ = encrypted(bench, key_policy)
        made = other(bench, DR).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=shared)["SnapshotId"]
        bench.settle()
        assert bench.described(other(bench, DR), made)["State"] == state


def test_a_copy_of_a_share_is_under_the_copier_s_own_key(bench: Bench) -> None:
    shared, key = encrypted(bench, policy(*USE))
    made = other(bench).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=shared, Description="mine")["SnapshotId"]
    bench.settle()
    copy = bench.described(other(bench), made)
    assert copy["KmsKeyId"] != key
    assert copy["KmsKeyId"].split(":")[4] == copy["OwnerId"] == OTHER
    # The owner takes its key away: the copy needs it no more.
    bench.world.client("kms", PRIMARY).disable_key(KeyId=key)
    volume = other(bench).create_volume(AvailabilityZone=PRIMARY + "a", SnapshotId=made)["VolumeId"]
    bench.settle()
    assert other(bench).describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"


def test_a_volume_of_a_share_is_under_the_other_account_s_key(bench: Bench) -> None:
    for key_policy, available in ((policy(*USE), 1), ("", 0)):
        shared, key = encrypted(bench, key_policy)
        volume = other(bench).create_volume(AvailabilityZone=PRIMARY + "a", SnapshotId=shared)
        bench.settle()
        assert volume["KmsKeyId"] != key
        listed = other(bench).describe_volumes(Filters=[{"Name": "snapshot-id", "Values": [shared]}])["Volumes"]
        assert len(listed) == available


def test_the_first_copy_to_an_account_is_full_and_then_incremental(bench: Bench) -> None:
    volume_id = bench.volume()
    bench.write(volume_id, 0, 100)
    for _ in range(2):
        made = bench.snapshot(volume_id)
        share(bench, made)
        other(bench).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=made)
        bench.settle()
    own = [event["detail"]["incremental"] for event in bench.named("copySnapshot") if event["account"] == OTHER]
    assert own == ["false", "true"]


def test_a_share_that_ends_while_it_is_copied_fails_the_copy(bench: Bench, snapshot_id: str) -> None:
    share(bench, snapshot_id)
    made = other(bench).copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=snapshot_id)["SnapshotId"]
    share(bench, snapshot_id, "remove")
    bench.settle()
    assert bench.described(other(bench), made)["State"] == "error"


# The key


def test_another_account_describes_a_key_only_by_its_policy(bench: Bench) -> None:
    _, key = encrypted(bench, policy(*USE))
    _, closed = encrypted(bench)
    kms = other(bench, service="kms")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert refused(kms.describe_key, KeyId=closed)[0] == "AccessDeniedException"
    for change in (kms.disable_key, kms.schedule_key_deletion):
        assert refused(change, KeyId=key)[0] == "AccessDeniedException"


def test_blocks_of_a_shared_snapshot_need_only_decrypt_of_its_key(bench: Bench) -> None:
    shared, key = encrypted(bench, policy("kms:Decrypt"))
    listed = other(bench, service="ebs").list_snapshot_blocks
    assert listed(SnapshotId=shared)["Blocks"] == []
    without = policy(*(action for action in USE if action != "kms:Decrypt"))
    bench.world.client("kms", PRIMARY).put_key_policy(KeyId=key, Policy=without)
    assert refused(listed, SnapshotId=shared)[0] == "AccessDeniedException"


def test_a_key_policy_that_the_model_cannot_judge_is_refused(bench: Bench) -> None:
    kms = bench.world.client("kms", PRIMARY)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert f"arn:aws:iam::{OWNER}:root" in kms.get_key_policy(KeyId=key)["Policy"]
    unknown = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    assert refused(kms.put_key_policy, KeyId=key, Policy=json.dumps({"Statement": [unknown]}))[0] == "InvalidAction"
    assert refused(kms.put_key_policy, KeyId=key, Policy="{}")[0] == "MalformedPolicyDocumentException"


def test_a_key_policy_that_leaves_its_own_account_out_fails_its_copies(bench: Bench) -> None:
    shared, key = encrypted(bench)
    stranger = {"Effect": "Allow", "Principal": {"AWS": "999999999999"}, "Action": "kms:*", "Resource": "*"}
    bench.world.client("kms", PRIMARY).put_key_policy(KeyId=key, Policy=json.dumps({"Statement": [stranger]}))
    made = bench.settled_copy(shared)
    assert bench.described(bench.dr, made)["StateMessage"] == "Given key ID is not accessible"
