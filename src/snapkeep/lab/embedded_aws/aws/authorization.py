"""The authorization checks of EC2 and the EBS direct API for each call: actions, resources and condition keys.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2" and "… for Amazon Elastic Block
Store". Snapshot and image ARNs carry no account there; volume and instance ARNs do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Maps region, account and resource id to the resource's tags; empty if there is no such resource.
TagsOf = Callable[[str, str, str], Mapping[str, str]]

_TYPES_WITHOUT_ACCOUNT = frozenset({"snapshot", "image"})
_TYPE_OF_PREFIX = {
    "snap": "snapshot",
    "vol": "volume",
    "i": "instance",
    "ami": "image",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
    "subnet": "subnet",
    "sg": "security-group",
    "eni": "network-interface",
    "igw": "internet-gateway",
    "rtb": "route-table",
}
_NEW = "*"


@dataclass(frozen=True)
class AccessCheck:
    """One check by IAM: whether the caller may carry out an action on a resource, under these condition keys."""

    action: str
    resource_arn: str
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CallContext:
    """The region and account of a call, and the tags of the resources in it."""

    region: str
    account_id: str
    tags_of: TagsOf


@dataclass(frozen=True)
class CallResource:
    """A resource that a call names: its type, and the parameters with its id or ids and, if it may differ, its region."""

    resource_type: str
    parameter: str
    region_parameter: str = ""


def _new(resource_type: str) -> CallResource:
    """Return the target of a resource that the call creates."""
    return CallResource(resource_type, _NEW)


_GROUP, _IMAGE, _INSTANCE = (
    CallResource("security-group", "GroupId"),
    CallResource("image", "ImageId"),
    CallResource("instance", "InstanceId"),
)
_INSTANCES, _SNAPSHOT, _VOLUME = (
    CallResource("instance", "InstanceIds"),
    CallResource("snapshot", "SnapshotId"),
    CallResource("volume", "VolumeId"),
)

TARGETS: dict[str, tuple[CallResource, ...]] = {
    "AttachVolume": (_INSTANCE, _VOLUME),
    "AuthorizeSecurityGroupEgress": (_GROUP,),
    "AuthorizeSecurityGroupIngress": (_GROUP,),
    "CopyImage": (_new("image"), _new("snapshot"), CallResource("image", "SourceImageId", "SourceRegion")),
    # The source is checked too: a policy without it fails on AWS.
    "CopySnapshot": (_new("snapshot"), CallResource("snapshot", "SourceSnapshotId", "SourceRegion")),
    "CreateImage": (_new("image"), _INSTANCE, _new("snapshot")),
    "CreateReplaceRootVolumeTask": (_INSTANCE, _new("replace-root-volume-task"), _new("volume"), _IMAGE, _SNAPSHOT),
    "CreateSecurityGroup": (_new("security-group"), CallResource("vpc", "VpcId")),
    "CreateSnapshot": (_new("snapshot"), _VOLUME),
    "CreateRoute": (CallResource("route-table", "RouteTableId"),),
    # The volumes are those of the instance, because the call does not name them.
    "CreateSnapshots": (_new("snapshot"), CallResource("instance", "InstanceSpecification.InstanceId"), _new("volume")),
    "CreateSubnet": (_new("subnet"), CallResource("vpc", "VpcId")),
    "CreateVolume": (_new("volume"), _SNAPSHOT),
    "CreateVpc": (_new("vpc"),),
    "CreateVpcEndpoint": (
        _new("vpc-endpoint"),
        CallResource("vpc", "VpcId"),
        CallResource("subnet", "SubnetIds"),
        CallResource("security-group", "SecurityGroupIds"),
    ),
    "DeleteSecurityGroup": (_GROUP,),
    "DeleteSnapshot": (_SNAPSHOT,),
    "DeleteSubnet": (CallResource("subnet", "SubnetId"),),
    "DeleteVolume": (_VOLUME,),
    "DeleteVpc": (CallResource("vpc", "VpcId"),),
    "DeleteVpcEndpoints": (CallResource("vpc-endpoint", "VpcEndpointIds"),),
    "DeregisterImage": (_IMAGE,),
    "DescribeImageAttribute": (_IMAGE,),
    "DescribeInstanceAttribute": (_INSTANCE,),
    "DescribeSnapshotAttribute": (_SNAPSHOT,),
    "DescribeVolumeAttribute": (_VOLUME,),
    "DetachVolume": (_INSTANCE, _VOLUME),
    "DisableFastSnapshotRestores": (CallResource("snapshot", "SourceSnapshotIds"),),
    "DisableImage": (_IMAGE,),
    "EnableFastSnapshotRestores": (CallResource("snapshot", "SourceSnapshotIds"),),
    "EnableImage": (_IMAGE,),
    "GetInstanceUefiData": (_INSTANCE,),
    "ImportKeyPair": (_new("key-pair"),),
    "LockSnapshot": (_SNAPSHOT,),
    "ModifyImageAttribute": (_IMAGE,),
    "ModifyInstanceAttribute": (_INSTANCE,),
    "ModifySnapshotAttribute": (_SNAPSHOT,),
    "ModifySnapshotTier": (_SNAPSHOT,),
    "ModifyVolume": (_VOLUME,),
    "ModifyVolumeAttribute": (_VOLUME,),
    "ModifyVpcAttribute": (CallResource("vpc", "VpcId"),),
    "RegisterImage": (_new("image"), CallResource("snapshot", "BlockDeviceMappings.Ebs.SnapshotId")),
    "ResetSnapshotAttribute": (_SNAPSHOT,),
    "RestoreSnapshotFromRecycleBin": (_SNAPSHOT,),
    "RestoreSnapshotTier": (_SNAPSHOT,),
    "RevokeSecurityGroupEgress": (_GROUP,),
    "RevokeSecurityGroupIngress": (_GROUP,),
    "RunInstances": (
        _new("instance"),
        _new("volume"),
        _new("network-interface"),
        _IMAGE,
        CallResource("subnet", "SubnetId"),
        CallResource("security-group", "SecurityGroupIds"),
        CallResource("snapshot", "BlockDeviceMappings.Ebs.SnapshotId"),
        CallResource("key-pair", "KeyName"),
    ),
    "StartInstances": (_INSTANCES,),
    "StopInstances": (_INSTANCES,),
    "TerminateInstances": (_INSTANCES,),
    "UnlockSnapshot": (_SNAPSHOT,),
    # The EBS direct API.
    "CompleteSnapshot": (_SNAPSHOT,),
    "GetSnapshotBlock": (_SNAPSHOT,),
    "ListChangedBlocks": (CallResource("snapshot", "FirstSnapshotId"), CallResource("snapshot", "SecondSnapshotId")),
    "ListSnapshotBlocks": (_SNAPSHOT,),
    "PutSnapshotBlock": (_SNAPSHOT,),
    "StartSnapshot": (_new("snapshot"), CallResource("snapshot", "ParentSnapshotId")),
}
_CONDITIONED = frozenset({"ec2:LockSnapshot", "ec2:ModifySnapshotAttribute"})
_TAGGING = frozenset({"CreateTags", "DeleteTags"})


def resource_arn(resource_type: str, resource_id: str, region: str, account_id: str) -> str:
    """Return the ARN of an EC2 resource in the form of IAM policies."""
    owner = "" if resource_type in _TYPES_WITHOUT_ACCOUNT else account_id
    return f"arn:aws:ec2:{region}:{owner}:{resource_type}/{resource_id}"


def type_of(resource_id: str) -> str:
    """Return the type of a resource by the prefix of its id; for an unknown prefix, the prefix itself."""
    prefix = resource_id.rpartition("-")[0]
    return _TYPE_OF_PREFIX.get(prefix, prefix)


def checks(service: str, action: str, parameters: Mapping[str, Any], caller: CallContext) -> tuple[AccessCheck, ...]:
    """Return all checks by IAM before the call. Each must pass."""
    if action in _TAGGING:
        return _tagging_checks(f"{service}:{action}", parameters, caller)
    requested = _requested_tags(parameters)
    checks: list[AccessCheck] = []
    for target in TARGETS.get(action, ()):
        checks.extend(_target_checks(f"{service}:{action}", target, parameters, requested, caller))
    checks.extend(_tags_in_the_call(action, parameters, caller))
    return tuple(checks) or (AccessCheck(f"{service}:{action}", "*", {"ec2:Region": caller.region}),)


def _target_checks(
    action: str,
    target: CallResource,
    parameters: Mapping[str, Any],
    requested: Mapping[str, Mapping[str, str]],
    caller: CallContext,
) -> list[AccessCheck]:
    if target.parameter == _NEW:
        tags = requested.get(target.resource_type, {})
        arn = resource_arn(target.resource_type, "*", caller.region, caller.account_id)
        return [AccessCheck(action, arn, {"ec2:Region": caller.region, **_request_context(tags)})]
    region = str(parameters.get(target.region_parameter) or caller.region)
    requested_here = {key: value for tags in requested.values() for key, value in tags.items()}
    return [
        AccessCheck(
            action,
            resource_arn(target.resource_type, resource_id, region, caller.account_id),
            {
                "ec2:Region": caller.region,
                **_resource_context(caller.tags_of(region, caller.account_id, resource_id)),
                **_request_context(requested_here),
                **(_parameter_context(parameters) if action in _CONDITIONED else {}),
            },
        )
        for resource_id in _ids(parameters, target.parameter.split("."))
    ]


def _parameter_context(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition keys of LockSnapshot and ModifySnapshotAttribute that a request has.

    With several accounts in one request, a key has several values, which only ForAllValues and ForAnyValue compare.
    """
    context: dict[str, Any] = {
        key: str(parameters[name])
        for key, name in (("ec2:SnapshotLockDuration", "LockDuration"), ("ec2:SnapshotCoolOffPeriod", "CoolOffPeriod"))
        if parameters.get(name) is not None
    }
    operation = str(parameters.get("OperationType") or "").capitalize()
    for change in ("Add", "Remove"):
        entries = (parameters.get("CreateVolumePermission") or {}).get(change) or ()
        for key, entry_name, name in (("userId", "UserId", "UserIds"), ("group", "Group", "GroupNames")):
            values = [str(entry[entry_name]) for entry in entries if entry.get(entry_name)]
            values += [str(value) for value in parameters.get(name) or () if operation == change]
            if values:
                context[f"ec2:{change}/{key}"] = values[0] if len(values) == 1 else values
    return context


def _ids(value: Any, path: list[str]) -> list[str]:
    if isinstance(value, list):
        return [resource_id for item in value for resource_id in _ids(item, path)]
    if not path:
        return [str(value)] if value else []
    if isinstance(value, Mapping) and path[0] in value:
        return _ids(value[path[0]], path[1:])
    return []


def _requested_tags(parameters: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    by_type: dict[str, dict[str, str]] = {}
    for specification in parameters.get("TagSpecifications") or ():
        tags = {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in specification.get("Tags") or ()}
        by_type.setdefault(str(specification.get("ResourceType", "")), {}).update(tags)
    return by_type


def _tags_in_the_call(action: str, parameters: Mapping[str, Any], caller: CallContext) -> list[AccessCheck]:
    """Return the checks of a creating call's tags, with ec2:CreateTags, whose condition key ec2:CreateAction names the call."""
    requested = dict(_requested_tags(parameters))
    if action == "CreateSnapshots" and parameters.get("CopyTagsFromSource"):
        requested.setdefault("snapshot", {})
    return [
        AccessCheck(
            "ec2:CreateTags",
            resource_arn(resource_type, "*", caller.region, caller.account_id),
            {"ec2:Region": caller.region, "ec2:CreateAction": action, **_request_context(tags)},
        )
        for resource_type, tags in requested.items()
    ]


def _tagging_checks(action: str, parameters: Mapping[str, Any], caller: CallContext) -> tuple[AccessCheck, ...]:
    tags = {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in parameters.get("Tags") or ()}
    return tuple(
        AccessCheck(
            action,
            resource_arn(type_of(resource_id), resource_id, caller.region, caller.account_id),
            {
                "ec2:Region": caller.region,
                **_resource_context(caller.tags_of(caller.region, caller.account_id, resource_id)),
                **_request_context(tags),
            },
        )
        for resource_id in parameters.get("Resources") or ()
    )


def _request_context(tags: Mapping[str, str]) -> dict[str, Any]:
    if not tags:
        return {}
    return {"aws:TagKeys": list(tags), **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}


def _resource_context(tags: Mapping[str, str]) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for key, value in tags.items():
        context[f"aws:ResourceTag/{key}"] = value
        context[f"ec2:ResourceTag/{key}"] = value
    return context
