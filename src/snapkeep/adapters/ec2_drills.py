"""The resources of drills, made, watched and removed by EC2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snapkeep.adapters.aws_errors import accepted, translated
from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.ec2_reader import having, tagged, tags_from
from snapkeep.adapters.ec2_writers import tag_specifications
from snapkeep.domain.drills.network import DrillNetwork, EgressRule, NetworkFacts, VpcEndpoint
from snapkeep.domain.errors import NotIsolated
from snapkeep.domain.tag_names import DRILL_NETWORK
from snapkeep.usecases.recovery.states import MadeSnapshot, VolumeState

_COMPLETED, _ALL = "completed", 100


class Ec2Drills(Ec2Instances):
    """The ports of drills, and `InstanceReader`, over an EC2 client: a function uses what its role allows."""

    def initialised_percent(self, volume_id: str) -> int | None:
        """Return the initialised share of a volume in percent; None if EC2 does not return it (yet).

        Source: botocore: ec2 2016-11-15, VolumeStatusItem: `initialization-state`, InitializationStatusDetails.
        """
        absent = ("InvalidVolume.NotFound",)
        for item in self._items("describe_volume_status", "VolumeStatuses", nothing=absent, VolumeIds=[volume_id]):
            details = item.get("VolumeStatus", {}).get("Details") or ()
            states = {detail.get("Status") for detail in details if detail.get("Name") == "initialization-state"}
            progress = item.get("InitializationStatusDetails", {}).get("Progress")
            return _ALL if progress is None and _COMPLETED in states else progress
        return None

    def made_snapshot(self, snapshot_id: str) -> MadeSnapshot | None:
        """Return a snapshot; None if EC2 does not show it."""
        return next(iter(self._made_snapshots([having("snapshot-id", [snapshot_id])])), None)

    def tagged_machines(self, key: str) -> dict[str, Mapping[str, str]]:
        """Return the tags of AMIs and of instances that are not terminated and that have a tag with this key, by id."""
        with_key = [having("tag-key", [key])]
        instances = [instance for instance in self._instances(Filters=with_key) if instance.state != "terminated"]
        images = self._items("describe_images", "Images", Owners=["self"], Filters=with_key)
        return {instance.id: instance.tags for instance in instances} | {item["ImageId"]: tags_from(item) for item in images}

    def drill_network(self, system: str) -> DrillNetwork:
        """Return the network of a system's drills. Raise NotIsolated if there is none."""
        of_system = tagged({DRILL_NETWORK: system})
        subnets, groups = self._subnets(of_system), self._groups(of_system)
        if not subnets or not groups:
            raise NotIsolated(
                f"{self.region} has no network for instance drills: `snapkeep deploy --only drill` makes one, a subnet and a "
                f"security group with the tag {DRILL_NETWORK} = {system}"
            )
        inside = tuple(group.id for group in groups if group.vpc_id == subnets[0].vpc_id)
        return DrillNetwork(system, self.region, subnets[0].id, inside)

    def network_facts(self, network: DrillNetwork) -> NetworkFacts:
        """Return the possible ways out of a network: every route of its VPC except local ones, endpoints, and egress rules."""
        (subnet,) = self._subnets([having("subnet-id", [network.subnet_id])])
        of_vpc = [having("vpc-id", [subnet.vpc_id])]
        tables = self._items("describe_route_tables", "RouteTables", Filters=of_vpc)
        routes = [_route(item) for table in tables for item in table["Routes"] if item.get("GatewayId") != "local"]
        endpoints = [_endpoint(item) for item in self._items("describe_vpc_endpoints", "VpcEndpoints", Filters=of_vpc)]
        of_network = [having("group-id", network.group_ids)]
        groups = self._items("describe_security_groups", "SecurityGroups", Filters=of_network)
        rules = [(group["GroupId"], rule) for group in groups for rule in group["IpPermissionsEgress"]]
        egress = [_egress(group_id, rule, peer) for group_id, rule in rules for peer in _peers(rule)]
        return NetworkFacts(subnet.vpc_id, tuple(routes), tuple(endpoints), tuple(egress))

    def end_instance(self, instance_id: str) -> None:
        """Start to terminate an instance; a missing one counts as terminated."""
        doing, gone = f"terminate_instances {instance_id}", ("InvalidInstanceID.NotFound",)
        accepted(self._client.terminate_instances, doing, gone, InstanceIds=[instance_id])

    def tagged_volumes(self, key: str) -> list[VolumeState]:
        """Return the volumes that have a tag with this key."""
        return self._volumes(Filters=[having("tag-key", [key])])

    def create_snapshot(self, volume_id: str, description: str, tags: Mapping[str, str]) -> str:
        """Start a snapshot of a volume; return its id. It has no client token: callers look by tag first."""
        specifications = tag_specifications({"snapshot": tags})
        with translated(f"create_snapshot {volume_id}"):
            made = self._client.create_snapshot(VolumeId=volume_id, Description=description, TagSpecifications=specifications)
        return made["SnapshotId"]


def _route(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the destination and the target of a route (botocore: ec2 2016-11-15, Route)."""
    destinations = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
    target = next((value for name, value in item.items() if name.endswith("Id") and name not in destinations), "")
    return next((item[name] for name in destinations if item.get(name)), "?"), str(target)


def _endpoint(item: Mapping[str, Any]) -> VpcEndpoint:
    """Return a VPC endpoint (botocore: ec2 2016-11-15, VpcEndpoint)."""
    return VpcEndpoint(
        item["VpcEndpointId"],
        item["ServiceName"],
        item.get("VpcEndpointType", ""),
        item.get("OwnerId", ""),
        item.get("PolicyDocument", ""),
        tuple(group["GroupId"] for group in item.get("Groups") or ()),
        tags_from(item).get(DRILL_NETWORK, ""),
    )


def _egress(group_id: str, rule: Mapping[str, Any], peer: str) -> EgressRule:
    """Return one destination of an egress rule. A rule without ports is for all ports."""
    return EgressRule(group_id, peer, rule["IpProtocol"], (rule.get("FromPort", -1), rule.get("ToPort", -1)))


def _peers(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the destinations of an egress rule (botocore: ec2 2016-11-15, IpPermission)."""
    yield from (item["CidrIp"] for item in rule.get("IpRanges") or ())
    yield from (item["CidrIpv6"] for item in rule.get("Ipv6Ranges") or ())
    yield from (item["PrefixListId"] for item in rule.get("PrefixListIds") or ())
    yield from (item.get("GroupId", "?") for item in rule.get("UserIdGroupPairs") or ())
