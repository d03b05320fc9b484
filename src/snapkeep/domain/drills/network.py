"""The isolated network of instance drills: the ways out of it, and what of an instance is launched in it.

Sources: [VPC user guide: route tables; VPC endpoints; security group rules], botocore (ec2 2016-11-15: Route, IpPermission).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.record import NetworkSettings, RecoveryRecord, SecurityGroup

NOWHERE = "127.0.0.1/32"
"""The only destination of a security group without egress: CloudFormation adds a rule to everywhere where there is none
[CloudFormation user guide: AWS::EC2::SecurityGroup]."""


@dataclass(frozen=True, slots=True)
class DrillNetwork:
    """The network that drills launch instances in."""

    subnet_id: str
    group_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Everything that can lead out of a network, as EC2 describes it."""

    vpc_id: str
    routes: tuple[tuple[str, str], ...]
    """Destination and target of each route of the VPC's route tables but the local ones, whichever subnet uses them: gateways,
    NAT, peering, transit and gateway endpoints lead out by routes alone."""
    endpoints: tuple[tuple[str, str], ...]
    """Id and service of each VPC endpoint."""
    egress: tuple[tuple[str, str], ...]
    """Security group and destination of each of its egress rules."""


def ways_out(facts: NetworkFacts) -> list[str]:
    """Return what leads out of a network: a drill launches nothing where there is any."""
    return list(_ways_out(facts))


def _ways_out(facts: NetworkFacts) -> Iterator[str]:
    yield from (f"{facts.vpc_id} has a route to {destination} by {target}" for destination, target in facts.routes)
    yield from (f"{facts.vpc_id} has the endpoint {endpoint} to {service}" for endpoint, service in facts.endpoints)
    for group, destination in facts.egress:
        if destination != NOWHERE:
            yield f"security group {group} lets traffic out to {destination}"


def isolated(record: RecoveryRecord, network: DrillNetwork) -> RecoveryRecord:
    """Return the record of an instance as a drill launches it.

    In the drill's network, with metadata v2, without key pair, instance profile and user data; its volumes end with it.
    """
    instance = record.instance
    if instance is None:
        return record
    shape = replace(
        instance.shape,
        metadata={"HttpTokens": "required", "HttpEndpoint": "enabled"},
        placement={},
        monitoring=False,
        shutdown_behaviour="terminate",
        termination_protection=False,
    )
    groups = tuple(SecurityGroup(group_id, "") for group_id in network.group_ids)
    return replace(
        record,
        volumes=tuple(replace(volume, delete_on_termination=True) for volume in record.volumes),
        instance=replace(
            instance,
            shape=shape,
            network=NetworkSettings("", network.subnet_id, groups, ()),
            identity=replace(instance.identity, key_pair="", instance_profile=""),
            user_data="",
        ),
    )
