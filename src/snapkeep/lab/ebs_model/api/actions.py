"""Which action is carried out by what, and what it cannot do without (botocore's service models)."""

from __future__ import annotations

from snapkeep.lab.ebs_model.api import (
    account_settings,
    direct_api,
    images,
    instances,
    keys,
    locks,
    recycle_bin,
    sharing,
    tagging,
    tiers,
    volumes,
)
from snapkeep.lab.ebs_model.api.copies import copy_snapshot
from snapkeep.lab.ebs_model.api.describe_snapshots import describe_snapshots
from snapkeep.lab.ebs_model.api.snapshots import create_snapshot, create_snapshots, delete_snapshot
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Action

EC2: dict[str, Action] = {
    "CreateSnapshot": Action(create_snapshot, ("VolumeId",)),
    "CreateSnapshots": Action(create_snapshots, ("InstanceSpecification",)),
    "CopySnapshot": Action(copy_snapshot, ("SourceRegion", "SourceSnapshotId")),
    "DeleteSnapshot": Action(delete_snapshot, ("SnapshotId",)),
    "DescribeSnapshots": Action(describe_snapshots),
    "CreateVolume": Action(volumes.create_volume),
    "DeleteVolume": Action(volumes.delete_volume, ("VolumeId",)),
    "ModifyVolume": Action(volumes.modify_volume, ("VolumeId",)),
    "AttachVolume": Action(volumes.attach_volume, ("VolumeId", "InstanceId", "Device")),
    "DetachVolume": Action(volumes.detach_volume, ("VolumeId",)),
    "DescribeVolumes": Action(volumes.describe_volumes),
    "RunInstances": Action(instances.run_instances, ("MinCount", "MaxCount")),
    "TerminateInstances": Action(instances.terminate_instances, ("InstanceIds",)),
    "DescribeInstances": Action(instances.describe_instances),
    "RegisterImage": Action(images.register_image, ("Name",)),
    "CreateImage": Action(images.create_image, ("InstanceId", "Name")),
    "DeregisterImage": Action(images.deregister_image, ("ImageId",)),
    "DisableImage": Action(images.disable_image, ("ImageId",)),
    "EnableImage": Action(images.enable_image, ("ImageId",)),
    "DescribeImages": Action(images.describe_images),
    "CreateTags": Action(tagging.create_tags, ("Resources", "Tags")),
    "DeleteTags": Action(tagging.delete_tags, ("Resources",)),
    "DescribeTags": Action(tagging.describe_tags),
    "LockSnapshot": Action(locks.lock_snapshot, ("SnapshotId", "LockMode")),
    "UnlockSnapshot": Action(locks.unlock_snapshot, ("SnapshotId",)),
    "DescribeLockedSnapshots": Action(locks.describe_locked_snapshots),
    "ModifySnapshotTier": Action(tiers.modify_snapshot_tier, ("SnapshotId",)),
    "RestoreSnapshotTier": Action(tiers.restore_snapshot_tier, ("SnapshotId",)),
    "DescribeSnapshotTierStatus": Action(tiers.describe_tier_status),
    "ListSnapshotsInRecycleBin": Action(recycle_bin.list_snapshots),
    "RestoreSnapshotFromRecycleBin": Action(recycle_bin.restore, ("SnapshotId",)),
    "ModifySnapshotAttribute": Action(sharing.modify_snapshot_attribute, ("SnapshotId",)),
    "DescribeSnapshotAttribute": Action(sharing.describe_snapshot_attribute, ("SnapshotId", "Attribute")),
    "ResetSnapshotAttribute": Action(sharing.reset_snapshot_attribute, ("SnapshotId", "Attribute")),
    "GetSnapshotBlockPublicAccessState": Action(sharing.get_block_public_access),
    "EnableSnapshotBlockPublicAccess": Action(sharing.enable_block_public_access, ("State",)),
    "DisableSnapshotBlockPublicAccess": Action(sharing.disable_block_public_access),
    "GetEbsEncryptionByDefault": Action(account_settings.get_encryption_by_default),
    "EnableEbsEncryptionByDefault": Action(account_settings.enable_encryption_by_default),
    "DisableEbsEncryptionByDefault": Action(account_settings.disable_encryption_by_default),
    "GetEbsDefaultKmsKeyId": Action(account_settings.get_default_key),
    "ModifyEbsDefaultKmsKeyId": Action(account_settings.modify_default_key, ("KmsKeyId",)),
    "ResetEbsDefaultKmsKeyId": Action(account_settings.reset_default_key),
    "DescribeRegions": Action(account_settings.describe_regions),
    "DescribeAvailabilityZones": Action(account_settings.describe_availability_zones),
}
EBS: dict[str, Action] = {
    "ListSnapshotBlocks": Action(direct_api.list_snapshot_blocks, ("SnapshotId",)),
    "ListChangedBlocks": Action(direct_api.list_changed_blocks, ("SecondSnapshotId",)),
    "GetSnapshotBlock": Action(direct_api.get_snapshot_block, ("SnapshotId", "BlockIndex", "BlockToken")),
}
KMS: dict[str, Action] = {
    "CreateKey": Action(keys.create_key),
    "DescribeKey": Action(keys.describe_key, ("KeyId",)),
    "DisableKey": Action(keys.disable_key, ("KeyId",)),
    "EnableKey": Action(keys.enable_key, ("KeyId",)),
    "ScheduleKeyDeletion": Action(keys.schedule_key_deletion, ("KeyId",)),
    "CancelKeyDeletion": Action(keys.cancel_key_deletion, ("KeyId",)),
    "CreateAlias": Action(keys.create_alias, ("AliasName", "TargetKeyId")),
    "ListAliases": Action(keys.list_aliases),
    "ListKeys": Action(keys.list_keys),
}
SERVICES: dict[str, dict[str, Action]] = {"ec2": EC2, "ebs": EBS, "kms": KMS}


def find(service: str, action: str) -> Action:
    """Given a service and an action, return how it is carried out. Raise InvalidAction when this world has none."""
    found = SERVICES.get(service, {}).get(action)
    if found is None:
        raise ApiError("InvalidAction", f"The action {action} is not valid for this web service.")
    return found
