"""Networks of stacks in the model, like those of calls, with the caller's permissions. ministack's CloudFormation has its own.

Source: CloudFormation template reference: AWS::EC2::VPC, Subnet, SecurityGroup, SecurityGroupEgress, VPCEndpoint. Updates are
refused here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from snapkeep.lab.embedded_aws.aws.authorization import CallContext, checks
from snapkeep.lab.embedded_aws.patches.patch_tools import PatchBrokenError
from snapkeep.lab.embedded_aws.patches.stack_callers import check_caller
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

_DELETIONS: Mapping[str, tuple[str, str]] = {
    "VPC": ("DeleteVpc", "VpcId"),
    "Subnet": ("DeleteSubnet", "SubnetId"),
    "SecurityGroup": ("DeleteSecurityGroup", "GroupId"),
    "VPCEndpoint": ("DeleteVpcEndpoints", "VpcEndpointIds"),
}
"""The action that deletes a resource of each kind, and its parameter."""
Properties = Mapping[str, Any]
Made = tuple[str, dict[str, Any]]
"""Physical id, and the attributes of GetAtt."""


def apply(locked_world: LockedWorld) -> None:
    """Apply the patches."""
    from ministack.services.cloudformation import provisioners

    stacks = _StackNetworks(locked_world)
    creations = {"VPC": stacks.vpc, "Subnet": stacks.subnet, "SecurityGroup": stacks.group, "VPCEndpoint": stacks.endpoint}
    egress = {"create": stacks.egress, "update": stacks.update, "delete": stacks.delete_egress}
    provisioners._RESOURCE_HANDLERS["AWS::EC2::SecurityGroupEgress"] = egress
    for kind, create in creations.items():
        handlers = provisioners._RESOURCE_HANDLERS.get(f"AWS::EC2::{kind}", {})
        if not {"create", "update", "delete"} <= set(handlers):
            raise PatchBrokenError(f"CloudFormation's provisioners no longer create, update and delete AWS::EC2::{kind}")
        handlers.update(create=create, update=stacks.update, delete=stacks.deleting(*_DELETIONS[kind]))


class _StackNetworks:
    """Calls of the model by CloudFormation, if the caller of the stack's operation has the permissions."""

    def __init__(self, locked_world: LockedWorld) -> None:
        self._world = locked_world

    def _call(self, action: str, **parameters: Any) -> dict[str, Any]:
        from ministack.core.responses import get_account_id, get_region

        account_id, region = get_account_id(), get_region()
        for check in checks("ec2", action, parameters, CallContext(region, account_id, self._world.tags_of)):
            check_caller(check.action, check.resource_arn, check.context)
        caller = f"arn:aws:iam::{account_id}:root"
        return self._world.call("ec2", action, parameters, region=region, account_id=account_id, caller=caller)

    def vpc(self, _logical_id: str, properties: Properties, _stack_name: str) -> Made:
        """Make a VPC."""
        made = self._call("CreateVpc", CidrBlock=properties["CidrBlock"], TagSpecifications=_tags("vpc", properties))["Vpc"]
        for name in ("EnableDnsSupport", "EnableDnsHostnames"):
            if name in properties:
                self._call("ModifyVpcAttribute", VpcId=made["VpcId"], **{name: {"Value": _is_true(properties[name])}})
        return made["VpcId"], {"VpcId": made["VpcId"], "CidrBlock": made["CidrBlock"]}

    def subnet(self, _logical_id: str, properties: Properties, _stack_name: str) -> Made:
        """Make a subnet."""
        request = {name: properties[name] for name in ("VpcId", "CidrBlock", "AvailabilityZone") if name in properties}
        made = self._call("CreateSubnet", **request, TagSpecifications=_tags("subnet", properties))["Subnet"]
        return made["SubnetId"], {"SubnetId": made["SubnetId"], "AvailabilityZone": made["AvailabilityZone"]}

    def group(self, logical_id: str, properties: Properties, stack_name: str) -> Made:
        """Make a security group. With egress rules in the template, it has only those."""
        name = str(properties.get("GroupName") or f"{stack_name}-{logical_id}")
        request = {"GroupName": name, "Description": properties["GroupDescription"], "VpcId": properties.get("VpcId")}
        group_id = self._call("CreateSecurityGroup", **request, TagSpecifications=_tags("security-group", properties))["GroupId"]
        if egress := [_permission(rule) for rule in properties.get("SecurityGroupEgress") or ()]:
            (made,) = self._call("DescribeSecurityGroups", GroupIds=[group_id])["SecurityGroups"]
            self._call("RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=made["IpPermissionsEgress"])
            self._call("AuthorizeSecurityGroupEgress", GroupId=group_id, IpPermissions=egress)
        if ingress := [_permission(rule) for rule in properties.get("SecurityGroupIngress") or ()]:
            self._call("AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=ingress)
        return group_id, {"GroupId": group_id, "VpcId": str(properties.get("VpcId", ""))}

    def egress(self, logical_id: str, properties: Properties, _stack_name: str) -> Made:
        """Add one egress rule to a security group."""
        group_id, rule = str(properties["GroupId"]), _permission(properties)
        self._call("AuthorizeSecurityGroupEgress", GroupId=group_id, IpPermissions=[rule])
        return f"{group_id}|{logical_id}", {"Id": f"{group_id}|{logical_id}"}

    def delete_egress(self, physical_id: str, properties: Properties, *_: Any) -> None:
        """Remove an egress rule; a missing one counts as removed."""
        from snapkeep.lab.ebs_model.errors import ApiError

        group_id = physical_id.partition("|")[0]
        try:
            self._call("RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=[_permission(properties)])
        except ApiError as error:
            if not error.code.endswith("NotFound"):
                raise

    def endpoint(self, _logical_id: str, properties: Properties, _stack_name: str) -> Made:
        """Make a VPC endpoint."""
        names = ("VpcId", "ServiceName", "VpcEndpointType", "SubnetIds", "SecurityGroupIds")
        request = {name: properties[name] for name in names if name in properties}
        if policy := properties.get("PolicyDocument"):
            request["PolicyDocument"] = policy if isinstance(policy, str) else json.dumps(policy)
        private = _is_true(properties.get("PrivateDnsEnabled"))
        specifications = _tags("vpc-endpoint", properties)
        made = self._call("CreateVpcEndpoint", **request, PrivateDnsEnabled=private, TagSpecifications=specifications)
        return made["VpcEndpoint"]["VpcEndpointId"], {"Id": made["VpcEndpoint"]["VpcEndpointId"]}

    def update(self, physical_id: str, *_: Any, **__: Any) -> Any:
        """Refuse a change."""
        raise ValueError(f"{physical_id}: the embedded AWS changes no network of a stack")

    def deleting(self, action: str, parameter: str) -> Any:
        """Return the function that deletes one kind of resource; a missing one counts as deleted."""
        from snapkeep.lab.ebs_model.errors import ApiError

        def delete(physical_id: str, *_: Any) -> None:
            try:
                self._call(action, **{parameter: [physical_id] if parameter.endswith("Ids") else physical_id})
            except ApiError as error:
                if not error.code.endswith("NotFound"):
                    raise

        return delete


def _tags(kind: str, properties: Properties) -> list[dict[str, Any]]:
    # CloudFormation's own tags are left out, because only AWS may write them.
    tags = [tag for tag in properties.get("Tags") or [] if not tag["Key"].startswith("aws:")]
    return [{"ResourceType": kind, "Tags": [dict(tag) for tag in tags]}] if tags else []


def _permission(rule: Properties) -> dict[str, Any]:
    ports = {name: int(rule[name]) for name in ("FromPort", "ToPort") if name in rule}
    group_id = rule.get("DestinationSecurityGroupId") or rule.get("SourceSecurityGroupId")
    peers = {"UserIdGroupPairs": [{"GroupId": group_id}]} if group_id else {"IpRanges": [{"CidrIp": rule["CidrIp"]}]}
    return {"IpProtocol": str(rule["IpProtocol"]), **ports, **peers}


def _is_true(value: Any) -> bool:
    """Return a property that CloudFormation accepts as a boolean or as text."""
    return str(value).lower() == "true"
