"""The isolated network of instance drills: its ways out, and the settings of an instance that is launched in it.

Sources: [VPC user guide: route tables; VPC endpoints; security group rules], botocore (ec2 2016-11-15: Route, IpPermission).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from snapkeep.domain.drills.commands import AGENT_ACTIONS, OF_OLDER_AGENTS, admits_agents_alone, role_of_instances
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.record import NetworkSettings, RecoveryRecord, SecurityGroup

NOWHERE = "127.0.0.1/32"
"""The only destination of a security group without egress: without a rule, CloudFormation adds one that allows all egress
[CloudFormation user guide: AWS::EC2::SecurityGroup]."""


HTTPS = 443


@dataclass(frozen=True, slots=True)
class DrillNetwork:
    """The network that drills launch instances in."""

    system: str
    region: str
    subnet_id: str
    group_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VpcEndpoint:
    """A VPC endpoint as EC2 describes it."""

    id: str
    service: str
    """Such as `com.amazonaws.us-east-2.ssm`."""
    kind: str
    """`Interface`, `Gateway` or another type."""
    owner_id: str
    policy: str
    group_ids: tuple[str, ...]
    system: str
    """The system to whose network of drills the endpoint belongs, by its tag; empty for none."""


@dataclass(frozen=True, slots=True)
class EgressRule:
    """One destination of a security group's egress."""

    group_id: str
    destination: str
    """An address range, a prefix list or a security group."""
    protocol: str = "-1"
    ports: tuple[int, int] = (-1, -1)
    """The first and the last port."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Everything that can lead out of a network, as EC2 describes it."""

    vpc_id: str
    routes: tuple[tuple[str, str], ...]
    """Destination and target of each route of the VPC's route tables but the local ones, whichever subnet uses them: gateways,
    NAT, peering, transit and gateway endpoints lead out by routes alone."""
    endpoints: tuple[VpcEndpoint, ...]
    egress: tuple[EgressRule, ...]
    """The egress rules of the groups that instances are launched with."""


def ways_out(network: DrillNetwork, facts: NetworkFacts) -> list[str]:
    """Return the ways out of a network, in words: if there is one, a drill launches nothing.

    The endpoints through which the SSM agents of its instances receive commands are not ways out.
    """
    return list(_ways_out(network, facts))


def _ways_out(network: DrillNetwork, facts: NetworkFacts) -> Iterator[str]:
    yield from (f"{facts.vpc_id} has a route to {destination} by {target}" for destination, target in facts.routes)
    admitted: list[VpcEndpoint] = []
    for endpoint in facts.endpoints:
        why = _why_not_admitted(network, endpoint)
        if why is None:
            admitted.append(endpoint)
        else:
            yield f"{facts.vpc_id} has the endpoint {endpoint.id} to {endpoint.service}{why}"
    groups = {group_id for endpoint in admitted for group_id in endpoint.group_ids}
    for rule in facts.egress:
        if rule.destination != NOWHERE and not _leads_to_endpoints(rule, groups):
            yield f"security group {rule.group_id} lets traffic out to {rule.destination}"


def missing_for_commands(network: DrillNetwork, facts: NetworkFacts) -> list[str]:
    """Return the services whose endpoints a network lacks: without them, no command reaches an instance."""
    endpoints = {endpoint.service for endpoint in facts.endpoints}
    needed = {name for name, service in _services(network).items() if service not in OF_OLDER_AGENTS}
    return sorted(needed - endpoints)


def _services(network: DrillNetwork) -> dict[str, str]:
    """Return the agents' services by the names of their endpoints.

    They are the same in China, where services such as EC2 have names with the prefix `cn.` (EC2: DescribeVpcEndpointServices).
    """
    return {f"com.amazonaws.{network.region}.{service}": service for service in AGENT_ACTIONS}


def _why_not_admitted(network: DrillNetwork, endpoint: VpcEndpoint) -> str | None:
    """Return why an endpoint is a way out, in words; empty if its service is reason enough, None if it is no way out."""
    service, role = _services(network).get(endpoint.service), role_of_instances(network.system, network.region)
    if service is None or endpoint.kind != "Interface":
        return ""
    if endpoint.system != network.system:
        return ", which is not of the network of drills"
    if not admits_agents_alone(endpoint.policy, service, endpoint.owner_id, role):
        return f", whose policy admits more than the SSM agents of the role {role}"
    return None


def _leads_to_endpoints(rule: EgressRule, group_ids: Collection[str]) -> bool:
    return rule.destination in group_ids and (rule.protocol, rule.ports) == ("tcp", (HTTPS, HTTPS))


def isolated(record: RecoveryRecord, network: DrillNetwork) -> RecoveryRecord:
    """Return the record of an instance as a drill launches it.

    It is in the drill's network, with metadata v2, without key pair, instance profile and user data. Its volumes are deleted
    with it.
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
