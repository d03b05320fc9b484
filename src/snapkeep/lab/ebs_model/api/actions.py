"""The handler and the required parameters of each action (botocore's service models)."""

from __future__ import annotations

from snapkeep.lab.ebs_model.api import (
    account_settings,
    attachments,
    describe_images,
    describe_instances,
    direct_api,
    images,
    instance_attributes,
    instance_states,
    instances,
    keys,
    locks,
    networks,
    recycle_bin,
    root_volumes,
    sharing,
    tagging,
    tiers,
    volume_modifications,
    volume_status,
    volumes,
)  # fmt: skip
from snapkeep.lab.ebs_model.api.copies import copy_snapshot
from snapkeep.lab.ebs_model.api.describe_snapshots import describe_snapshots
from snapkeep.lab.ebs_model.api.snapshots import create_snapshot, create_snapshots, delete_snapshot
from snapkeep.lab.ebs_model.errors import not_modelled
from snapkeep.lab.ebs_model.requests.call import Action

EC2: dict[str, Action] = {
    "CreateSnapshot": Action(create_snapshot, ("VolumeId",)),
    "CreateSnapshots": Action(create_snapshots, ("InstanceSpecification",)),
    "CopySnapshot": Action(copy_snapshot, ("SourceRegion", "SourceSnapshotId")),
    "DeleteSnapshot": Action(delete_snapshot, ("SnapshotId",)),
    "DescribeSnapshots": Action(describe_snapshots),
    "CreateVolume": Action(volumes.create_volume),
    "DeleteVolume": Action(volumes.delete_volume, ("VolumeId",)),
    "DescribeVolumes": Action(volumes.describe_volumes),
    "ModifyVolumeAttribute": Action(volumes.modify_attribute, ("VolumeId",)),
    "DescribeVolumeAttribute": Action(volumes.describe_attribute, ("VolumeId", "Attribute")),
    "ModifyVolume": Action(volume_modifications.modify_volume, ("VolumeId",)),
    "DescribeVolumesModifications": Action(volume_modifications.describe_modifications),
    "DescribeVolumeStatus": Action(volume_status.describe_volume_status),
    "AttachVolume": Action(attachments.attach_volume, ("VolumeId", "InstanceId", "Device")),
    "DetachVolume": Action(attachments.detach_volume, ("VolumeId",)),
    "RunInstances": Action(instances.run_instances, ("MinCount", "MaxCount")),
    "StartInstances": Action(instance_states.start_instances, ("InstanceIds",)),
    "StopInstances": Action(instance_states.stop_instances, ("InstanceIds",)),
    "TerminateInstances": Action(instance_states.terminate_instances, ("InstanceIds",)),
    "DescribeInstances": Action(describe_instances.describe_instances),
    "DescribeInstanceStatus": Action(describe_instances.describe_instance_status),
    "DescribeInstanceAttribute": Action(instance_attributes.describe_attribute, ("InstanceId", "Attribute")),
    "ModifyInstanceAttribute": Action(instance_attributes.modify_attribute, ("InstanceId",)),
    "DescribeInstanceCreditSpecifications": Action(instance_attributes.describe_credit_specifications),
    "GetInstanceUefiData": Action(instance_attributes.get_uefi_data, ("InstanceId",)),
    "CreateReplaceRootVolumeTask": Action(root_volumes.create_task, ("InstanceId",)),
    "DescribeReplaceRootVolumeTasks": Action(root_volumes.describe_tasks),
    "RegisterImage": Action(images.register_image, ("Name",)),
    "CreateImage": Action(images.create_image, ("InstanceId", "Name")),
    "CopyImage": Action(images.copy_image, ("Name", "SourceImageId", "SourceRegion")),
    "DeregisterImage": Action(images.deregister_image, ("ImageId",)),
    "DisableImage": Action(images.disable_image, ("ImageId",)),
    "EnableImage": Action(images.enable_image, ("ImageId",)),
    "DescribeImages": Action(describe_images.describe_images),
    "DescribeImageAttribute": Action(describe_images.describe_attribute, ("ImageId", "Attribute")),
    "ModifyImageAttribute": Action(describe_images.modify_attribute, ("ImageId",)),
    "CreateVpc": Action(networks.create_vpc, ("CidrBlock",)),
    "DeleteVpc": Action(networks.delete_vpc, ("VpcId",)),
    "DescribeVpcs": Action(networks.describe_vpcs),
    "CreateSubnet": Action(networks.create_subnet, ("VpcId", "CidrBlock")),
    "DeleteSubnet": Action(networks.delete_subnet, ("SubnetId",)),
    "DescribeSubnets": Action(networks.describe_subnets),
    "CreateSecurityGroup": Action(networks.create_security_group, ("GroupName", "Description")),
    "DeleteSecurityGroup": Action(networks.delete_security_group, ("GroupId",)),
    "DescribeSecurityGroups": Action(networks.describe_security_groups),
    "AuthorizeSecurityGroupIngress": Action(networks.authorize_ingress, ("GroupId",)),
    "AuthorizeSecurityGroupEgress": Action(networks.authorize_egress, ("GroupId",)),
    "RevokeSecurityGroupIngress": Action(networks.revoke_ingress, ("GroupId",)),
    "RevokeSecurityGroupEgress": Action(networks.revoke_egress, ("GroupId",)),
    "DescribeNetworkInterfaces": Action(networks.describe_interfaces),
    "ImportKeyPair": Action(networks.import_key_pair, ("KeyName", "PublicKeyMaterial")),
    "DescribeKeyPairs": Action(networks.describe_key_pairs),
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
    """Return the handler of an action. Raise InvalidAction, which names it, for one that is not modelled."""
    handler = SERVICES.get(service, {}).get(action)
    if handler is None:
        raise not_modelled(f"the action {service}:{action}")
    return handler
