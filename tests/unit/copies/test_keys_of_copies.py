"""KMS keys of copies: each way in which one cannot be used is named as such, before or after the copy."""

from __future__ import annotations

from datetime import timedelta

from snapkeep.lab.ebs_model.api import keys
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, PRIMARY, CallCounter, Laboratory, policy_set, retry_policy


def make_key(lab: Laboratory, region: str = DR) -> str:
    return str(lab.world.client("kms", region).create_key()["KeyMetadata"]["Arn"])


def cause_of(lab: Laboratory) -> str:
    (run,) = lab.runs("protect")
    assert run.status == "FAILED"
    return str(run.state["copies"]["results"][0]["cause"])


def protect_with(lab: Laboratory, key: str) -> None:
    lab.policies = policy_set(kms_key=key)
    lab.protect(lab.make_volume(Encrypted=True))


def test_a_disabled_key_is_named_before_any_copy_is_started() -> None:
    counter = CallCounter()
    lab = Laboratory(hook=counter)
    key = make_key(lab)
    lab.world.client("kms", DR).disable_key(KeyId=key)
    protect_with(lab, key)
    assert f"key {key} in {DR} is Disabled; enable it, or name another one" in cause_of(lab)
    assert counter.count("copier.start_copy") == 0


def test_a_key_pending_deletion_is_named() -> None:
    lab = Laboratory()
    key = make_key(lab)
    lab.world.client("kms", DR).schedule_key_deletion(KeyId=key)
    protect_with(lab, key)
    assert "is PendingDeletion" in cause_of(lab)


def test_a_key_of_another_region_is_named() -> None:
    lab = Laboratory()
    key = make_key(lab, PRIMARY)
    protect_with(lab, key)
    assert f"is in {PRIMARY}; a copy to {DR} needs a key of {DR}" in cause_of(lab)


def test_a_missing_key_is_named() -> None:
    lab = Laboratory()
    protect_with(lab, "alias/no-such")
    assert f"key alias/no-such is not in {DR}" in cause_of(lab)


def test_a_key_without_permission_fails_the_copy_late_with_its_cause() -> None:
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=2)))
    key = make_key(lab)
    lab.world.deny_key(key)
    protect_with(lab, key)
    cause = cause_of(lab)
    assert "Given key ID is not accessible; Dispatch's role must be able to use the source's key" in cause
    assert cause.endswith(f"the copy's key, {key}")
    assert lab.ids(DR) == []


def test_a_cause_names_the_aws_managed_key_where_no_key_is_configured() -> None:
    lab = Laboratory(layout=SystemLayout(retry_policy=retry_policy(limit=1)))
    source_key = make_key(lab, PRIMARY)
    lab.world.deny_key(lab.world.client("kms", DR).describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["Arn"])
    lab.protect(lab.make_volume(Encrypted=True, KmsKeyId=source_key))
    expected = f"the source's key {source_key} and the copy's key, {DR}'s default for EBS: the AWS managed key aws/ebs"
    assert expected in cause_of(lab)
    assert any(expected in f"{notice.cause} {notice.detail}" for notice in lab.runner.composition.notices.added)


def test_an_aws_managed_key_of_another_service_is_refused() -> None:
    counter = CallCounter()
    lab = Laboratory(hook=counter)
    key = keys.make(lab.world.state, lab.world.region_account(DR), "Default key that protects my S3 objects", "AWS").arn
    protect_with(lab, key)
    assert f"key {key} in {DR} is an AWS managed key of another service than EBS" in cause_of(lab)
    assert any("is an AWS managed key" in notice.cause for notice in lab.runner.composition.notices.added)
    assert counter.count("copier.start_copy") == 0


def test_the_aws_managed_key_for_ebs_may_be_given_by_its_arn() -> None:
    lab = Laboratory()
    key = lab.world.client("kms", DR).describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["Arn"]
    protect_with(lab, key)
    assert [copy.key_arn for copy in lab.snapshots(DR)] == [key]


def test_an_alias_is_a_key() -> None:
    lab = Laboratory()
    key = make_key(lab)
    lab.world.client("kms", DR).create_alias(AliasName="alias/dr", TargetKeyId=key)
    protect_with(lab, "alias/dr")
    assert [copy.key_arn for copy in lab.snapshots(DR)] == [key]


def test_a_key_id_is_a_valid_key() -> None:
    lab = Laboratory()
    key = make_key(lab)
    protect_with(lab, key.rpartition("/")[2])
    assert [run.status for run in lab.ended] == ["SUCCEEDED", "SUCCEEDED"]
    assert [copy.key_arn for copy in lab.snapshots(DR)] == [key]


def test_the_aws_managed_key_is_a_key_of_only_the_account() -> None:
    lab = Laboratory()
    protect_with(lab, "alias/aws/ebs")
    assert [run.status for run in lab.runs("protect")] == ["SUCCEEDED"]
    assert all(copy.key_arn for copy in lab.snapshots(DR))


def test_a_key_for_an_unencrypted_volume_encrypts_its_copy() -> None:
    lab = Laboratory()
    key = make_key(lab)
    lab.policies = policy_set(kms_key=key)
    lab.protect(lab.make_volume())
    assert [(copy.encrypted, copy.key_arn) for copy in lab.snapshots(DR)] == [(True, key)]


def test_copies_with_a_bad_key_delay_no_other_copy() -> None:
    lab = Laboratory(layout=SystemLayout(copy_quota=2))
    key = make_key(lab)
    lab.world.client("kms", DR).disable_key(KeyId=key)
    volumes = [lab.make_volume(Encrypted=True) for _ in range(12)]
    lab.policies = policy_set(kms_key=key, copy_within=timedelta(hours=1))
    for volume in volumes:
        lab.start_snapshot(volume)
    lab.runner.advance(30.9)
    lab.policies = policy_set()
    started = lab.world.now()
    good = lab.protect(lab.make_volume())
    assert len(lab.runs("protect", "FAILED")) == 12
    copy = next(snapshot for snapshot in lab.snapshots(DR) if snapshot.source_id == good)
    assert copy.start - started < 60
