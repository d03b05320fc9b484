"""The endpoints of `drill.yaml` over the model, through which commands reach instances of drills."""

from __future__ import annotations

import json
from typing import Any

from snapkeep.domain.drills.commands import AGENT_ACTIONS, role_of_instances
from snapkeep.domain.tag_names import DRILL_NETWORK

ACCOUNT = "123456789012"


def policy_of(service: str, system: str, region: str, account_id: str = ACCOUNT) -> dict[str, Any]:
    """Return the endpoint policy that `drill.yaml` writes."""
    role = f"arn:aws:iam::{account_id}:role/{role_of_instances(system, region)}"
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": sorted(AGENT_ACTIONS[service]),
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def make_endpoints(ec2: Any, network: dict[str, str], system: str, region: str, account_id: str = ACCOUNT) -> dict[str, str]:
    """Make what `drill.yaml` makes with CommandEndpoints; return the endpoints' ids by service."""
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=network["vpc"], **{name: {"Value": True}})
    group_id = ec2.create_security_group(GroupName="endpoints", Description="endpoints", VpcId=network["vpc"])["GroupId"]
    network["endpoints"] = group_id
    ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[https(network["group"])])
    ec2.authorize_security_group_egress(GroupId=network["group"], IpPermissions=[https(group_id)])
    policies = {service: json.dumps(policy_of(service, system, region, account_id)) for service in AGENT_ACTIONS}
    return {
        service: make_endpoint(ec2, network, service, system, region, PolicyDocument=policy)
        for service, policy in policies.items()
    }


def https(group_id: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": group_id}]}


def make_endpoint(ec2: Any, network: dict[str, str], service: str, system: str, region: str, **other: Any) -> str:
    """Make one of them; `other` are parameters in which it differs."""
    request = {
        "VpcId": network["vpc"],
        "ServiceName": f"com.amazonaws.{region}.{service}",
        "VpcEndpointType": "Interface",
        "SubnetIds": [network["subnet"]],
        "SecurityGroupIds": [network["endpoints"]],
        "PrivateDnsEnabled": True,
        "PolicyDocument": json.dumps(policy_of(service, system, region)),
        "TagSpecifications": [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": DRILL_NETWORK, "Value": system}]}],
        **other,
    }
    return str(ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"])
