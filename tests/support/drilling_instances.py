"""Drills of instances over the model: an isolated network in the DR region, and instances whose volumes are copied there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from snapkeep.domain.drills.network import NOWHERE
from snapkeep.domain.policy.drill_rules import DrillLevel
from snapkeep.domain.policy.model import RecoveryGroup
from snapkeep.domain.tag_names import DRILL, DRILL_NETWORK
from support.drilling import RULE, DrillLab
from support.flows import DR
from support.recovering_instances import InstanceLab

INSTANCE_RULE = replace(RULE, level=DrillLevel.INSTANCE)


def make_drill_network(ec2: Any, system: str) -> dict[str, str]:
    """Make what `drill.yaml` makes; return its ids."""
    tags = [{"Key": DRILL_NETWORK, "Value": system}]
    vpc_id = ec2.create_vpc(CidrBlock="10.255.255.0/24")["Vpc"]["VpcId"]
    of_subnet = [{"ResourceType": "subnet", "Tags": tags}]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.255.255.0/24", TagSpecifications=of_subnet)["Subnet"]
    of_group = [{"ResourceType": "security-group", "Tags": tags}]
    group = ec2.create_security_group(GroupName="drill", Description="drill", VpcId=vpc_id, TagSpecifications=of_group)
    (made,) = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=made["IpPermissionsEgress"])
    nowhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": NOWHERE}]}
    ec2.authorize_security_group_egress(GroupId=group["GroupId"], IpPermissions=[nowhere])
    return {"vpc": vpc_id, "subnet": subnet["SubnetId"], "group": group["GroupId"]}


@dataclass
class InstanceDrillLab(DrillLab):
    """A DR region with a network for drills; instances are launched and protected by `machines`."""

    rule: Any = INSTANCE_RULE
    volumes: int = 0
    groups: tuple[RecoveryGroup, ...] = ()
    isolated: bool = True
    network: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lab.policies = replace(self.lab.policies, groups=self.groups)
        self.machines = InstanceLab(self.lab)
        if self.isolated:
            self.network = make_drill_network(self.lab.ec2(DR), "snapkeep")

    def instances(self) -> list[dict[str, Any]]:
        """Return the instances of drills in the DR region, with the terminated ones."""
        tagged = [{"Name": "tag-key", "Values": [DRILL]}]
        found = self.lab.ec2(DR).describe_instances(Filters=tagged)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    def standing(self) -> list[str]:
        """Return the ids of the resources of drills that still exist in the DR region."""
        running = [one["InstanceId"] for one in self.instances() if one["State"]["Name"] != "terminated"]
        return [*running, *self.machines.images(), *self.made()]
