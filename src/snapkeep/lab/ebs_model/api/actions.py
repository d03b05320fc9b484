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
    instance_types,
    instances,
    keys,
    locks,
    networks,
    recycle_bin,
    root_volumes,
    sharing,
    tag_actions,
    tiers,
    volume_modifications,
    volume_status,
    volumes,
)  # fmt: skip
from snapkeep.lab.ebs_model.api.copies import copy_snapshot
from snapkeep.lab.ebs_model.api.describe_snapshots import describe_snapshots
from snapkeep.lab.ebs_model.api.snapshots import create_snapshot, create_snapshots, delete_snapshot
from snapkeep.lab.ebs_model.errors import not_modelled
from snapkeep.lab.ebs_model.requests.call import ApiAction

EC2: dict[str, ApiAction] = {
    "CreateSnapshot": ApiAction(create_snapshot, ("VolumeId",)),
    "CreateSnapshots": ApiAction(create_snapshots, ("InstanceSpecification",)),
    "CopySnapshot": ApiAction(copy_snapshot, ("SourceRegion", "SourceSnapshotId")),
    "DeleteSnapshot": ApiAction(delete_snapshot, ("SnapshotId",)),
    "DescribeSnapshots": ApiAction(describe_snapshots),
    "CreateVolume": ApiAction(volumes.create_volume),
    "DeleteVolume": ApiAction(volumes.delete_volume, ("VolumeId",)),
    "DescribeVolumes": ApiAction(volumes.describe_volumes),
    "ModifyVolumeAttribute": ApiAction(volumes.modify_attribute, ("VolumeId",)),
    "DescribeVolumeAttribute": ApiAction(volumes.describe_attribute, ("VolumeId", "Attribute")),
    "ModifyVolume": ApiAction(volume_modifications.modify_volume, ("VolumeId",)),
    "DescribeVolumesModifications": ApiAction(volume_modifications.describe_modifications),
    "DescribeVolumeStatus": ApiAction(volume_status.describe_volume_status),
    "AttachVolume": ApiAction(attachments.attach_volume, ("VolumeId", "InstanceId", "Device")),
    "DetachVolume": ApiAction(attachments.detach_volume, ("VolumeId",)),
    "RunInstances": ApiAction(instances.run_instances, ("MinCount", "MaxCount")),
    "StartInstances": ApiAction(instance_states.start_instances, ("InstanceIds",)),
    "StopInstances": ApiAction(instance_states.stop_instances, ("InstanceIds",)),
    "TerminateInstances": ApiAction(instance_states.terminate_instances, ("InstanceIds",)),
    "DescribeInstances": ApiAction(describe_instances.describe_instances),
    "DescribeInstanceStatus": ApiAction(describe_instances.describe_instance_status),
    "DescribeInstanceAttribute": ApiAction(instance_attributes.describe_attribute, ("InstanceId", "Attribute")),
    "ModifyInstanceAttribute": ApiAction(instance_attributes.modify_attribute, ("InstanceId",)),
    "DescribeInstanceCreditSpecifications": ApiAction(instance_attributes.describe_credit_specifications),
    "DescribeInstanceTypes": ApiAction(instance_types.describe_instance_types),
    "DescribeInstanceTypeOfferings": ApiAction(instance_types.describe_instance_type_offerings),
    "GetInstanceUefiData": ApiAction(instance_attributes.get_uefi_data, ("InstanceId",)),
    "CreateReplaceRootVolumeTask": ApiAction(root_volumes.create_task, ("InstanceId",)),
    "DescribeReplaceRootVolumeTasks": ApiAction(root_volumes.describe_tasks),
    "RegisterImage": ApiAction(images.register_image, ("Name",)),
    "CreateImage": ApiAction(images.create_image, ("InstanceId", "Name")),
    "CopyImage": ApiAction(images.copy_image, ("Name", "SourceImageId", "SourceRegion")),
    "DeregisterImage": ApiAction(images.deregister_image, ("ImageId",)),
    "DisableImage": ApiAction(images.disable_image, ("ImageId",)),
    "EnableImage": ApiAction(images.enable_image, ("ImageId",)),
    "DescribeImages": ApiAction(describe_images.describe_images),
    "DescribeImageAttribute": ApiAction(describe_images.describe_attribute, ("ImageId", "Attribute")),
    "ModifyImageAttribute": ApiAction(describe_images.modify_attribute, ("ImageId",)),
    "CreateVpc": ApiAction(networks.create_vpc, ("CidrBlock",)),
    "DeleteVpc": ApiAction(networks.delete_vpc, ("VpcId",)),
    "DescribeVpcs": ApiAction(networks.describe_vpcs),
    "CreateSubnet": ApiAction(networks.create_subnet, ("VpcId", "CidrBlock")),
    "DeleteSubnet": ApiAction(networks.delete_subnet, ("SubnetId",)),
    "DescribeSubnets": ApiAction(networks.describe_subnets),
    "CreateSecurityGroup": ApiAction(networks.create_security_group, ("GroupName", "Description")),
    "DeleteSecurityGroup": ApiAction(networks.delete_security_group, ("GroupId",)),
    "DescribeSecurityGroups": ApiAction(networks.describe_security_groups),
    "AuthorizeSecurityGroupIngress": ApiAction(networks.authorize_ingress, ("GroupId",)),
    "AuthorizeSecurityGroupEgress": ApiAction(networks.authorize_egress, ("GroupId",)),
    "RevokeSecurityGroupIngress": ApiAction(networks.revoke_ingress, ("GroupId",)),
    "RevokeSecurityGroupEgress": ApiAction(networks.revoke_egress, ("GroupId",)),
    "DescribeNetworkInterfaces": ApiAction(networks.describe_interfaces),
    "ImportKeyPair": ApiAction(networks.import_key_pair, ("KeyName", "PublicKeyMaterial")),
    "DescribeKeyPairs": ApiAction(networks.describe_key_pairs),
    "CreateTags": ApiAction(tag_actions.create_tags, ("Resources", "Tags")),
    "DeleteTags": ApiAction(tag_actions.delete_tags, ("Resources",)),
    "DescribeTags": ApiAction(tag_actions.describe_tags),
    "LockSnapshot": ApiAction(locks.lock_snapshot, ("SnapshotId", "LockMode")),
    "UnlockSnapshot": ApiAction(locks.unlock_snapshot, ("SnapshotId",)),
    "DescribeLockedSnapshots": ApiAction(locks.describe_locked_snapshots),
    "ModifySnapshotTier": ApiAction(tiers.modify_snapshot_tier, ("SnapshotId",)),
    "RestoreSnapshotTier": ApiAction(tiers.restore_snapshot_tier, ("SnapshotId",)),
    "DescribeSnapshotTierStatus": ApiAction(tiers.describe_tier_status),
    "ListSnapshotsInRecycleBin": ApiAction(recycle_bin.list_snapshots),
    "RestoreSnapshotFromRecycleBin": ApiAction(recycle_bin.restore, ("SnapshotId",)),
    "ModifySnapshotAttribute": ApiAction(sharing.modify_snapshot_attribute, ("SnapshotId",)),
    "DescribeSnapshotAttribute": ApiAction(sharing.describe_snapshot_attribute, ("SnapshotId", "Attribute")),
    "ResetSnapshotAttribute": ApiAction(sharing.reset_snapshot_attribute, ("SnapshotId", "Attribute")),
    "GetSnapshotBlockPublicAccessState": ApiAction(sharing.get_block_public_access),
    "EnableSnapshotBlockPublicAccess": ApiAction(sharing.enable_block_public_access, ("State",)),
    "DisableSnapshotBlockPublicAccess": ApiAction(sharing.disable_block_public_access),
    "GetEbsEncryptionByDefault": ApiAction(account_settings.get_encryption_by_default),
    "EnableEbsEncryptionByDefault": ApiAction(account_settings.enable_encryption_by_default),
    "DisableEbsEncryptionByDefault": ApiAction(account_settings.disable_encryption_by_default),
    "GetEbsDefaultKmsKeyId": ApiAction(account_settings.get_default_key),
    "ModifyEbsDefaultKmsKeyId": ApiAction(account_settings.modify_default_key, ("KmsKeyId",)),
    "ResetEbsDefaultKmsKeyId": ApiAction(account_settings.reset_default_key),
    "DescribeRegions": ApiAction(account_settings.describe_regions),
    "DescribeAvailabilityZones": ApiAction(account_settings.describe_availability_zones),
}
EBS: dict[str, ApiAction] = {
    "ListSnapshotBlocks": ApiAction(direct_api.list_snapshot_blocks, ("SnapshotId",)),
    "ListChangedBlocks": ApiAction(direct_api.list_changed_blocks, ("SecondSnapshotId",)),
    "GetSnapshotBlock": ApiAction(direct_api.get_snapshot_block, ("SnapshotId", "BlockIndex", "BlockToken")),
}
KMS: dict[str, ApiAction] = {
    "CreateKey": ApiAction(keys.create_key),
    "DescribeKey": ApiAction(keys.describe_key, ("KeyId",)),
    "DisableKey": ApiAction(keys.disable_key, ("KeyId",)),
    "EnableKey": ApiAction(keys.enable_key, ("KeyId",)),
    "ScheduleKeyDeletion": ApiAction(keys.schedule_key_deletion, ("KeyId",)),
    "CancelKeyDeletion": ApiAction(keys.cancel_key_deletion, ("KeyId",)),
    "CreateAlias": ApiAction(keys.create_alias, ("AliasName", "TargetKeyId")),
    "ListAliases": ApiAction(keys.list_aliases),
    "ListKeys": ApiAction(keys.list_keys),
}
SERVICES: dict[str, dict[str, ApiAction]] = {"ec2": EC2, "ebs": EBS, "kms": KMS}


def find(service: str, action: str) -> ApiAction:
    """Return the handler of an action. Raise InvalidAction, which names it, for one that is not modelled."""
    handler = SERVICES.get(service, {}).get(action)
    if handler is None:
        raise not_modelled(f"the action {service}:{action}")
    return handler
