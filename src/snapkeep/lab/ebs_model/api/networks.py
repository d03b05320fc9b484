"""VPCs, subnets, security groups, network interfaces and key pairs, as far as instances need them.

Source: [EC2 API reference], [VPC user guide: default VPCs]. An account has a default VPC in each region, with a subnet in
each zone. Routes, gateways, addresses and the like are not modelled.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, invalid_value
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import flat_tags_of, parsed, tests_for
from snapkeep.lab.ebs_model.requests.response_filters import ValueReader, readers
from snapkeep.lab.ebs_model.store.tags import from_specifications

DEFAULT_CIDR = "172.31.0.0/16"
NO_PEERS: dict[str, Any] = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
ANYWHERE = {**NO_PEERS, "IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
VPC_FIELDS = readers("cidr dhcp-options-id is-default owner-id state vpc-id", {"cidr": "CidrBlock"})
SUBNET_FIELDS = readers(
    "availability-zone availability-zone-id cidr-block default-for-az map-public-ip-on-launch owner-id state subnet-id vpc-id",
    {"cidr": "CidrBlock", "cidrBlock": "CidrBlock", "availabilityZone": "AvailabilityZone", "defaultForAz": "DefaultForAz"},
)
GROUP_FIELDS = readers("description group-id group-name owner-id vpc-id")
INTERFACE_FIELDS = readers(
    "availability-zone description network-interface-id owner-id private-ip-address status subnet-id vpc-id",
    {
        "attachment.instance-id": "Attachment.InstanceId",
        "attachment.status": "Attachment.Status",
        "group-id": "Groups.GroupId",
        "group-name": "Groups.GroupName",
        "mac-address": "MacAddress",
        "source-dest-check": "SourceDestCheck",
        "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
    },
)
KEY_PAIR_FIELDS = readers("key-name key-pair-id", {"fingerprint": "KeyFingerprint"})


def default_vpc_id(call: Call) -> str:
    """Return the account's default VPC in the region, which is made on first use. AWS makes it with the account."""
    account = call.account
    vpc = next((vpc for vpc in account.vpcs.values() if vpc["IsDefault"]), None)
    if vpc is None:
        vpc = _make_vpc(call, DEFAULT_CIDR, [], default=True)
        for number, letter in enumerate("abc"):
            cidr = str(list(ipaddress.ip_network(DEFAULT_CIDR).subnets(new_prefix=20))[number])
            _make_subnet(call, vpc["VpcId"], cidr, account.region + letter, [], default=True)
    return str(vpc["VpcId"])


def _make_vpc(call: Call, cidr: str, tags: list[dict[str, str]], *, default: bool) -> dict[str, Any]:
    vpc: dict[str, Any] = {
        "VpcId": call.world.ids.resource("vpc"),
        "CidrBlock": cidr,
        "DhcpOptionsId": "default",
        "InstanceTenancy": "default",
        "IsDefault": default,
        "OwnerId": call.account.account_id,
        "State": "available",
        "Tags": tags,
    }
    call.account.vpcs[vpc["VpcId"]] = vpc
    group = _make_group(call, vpc["VpcId"], "default", "default VPC security group", [])
    itself = {**ANYWHERE, "IpRanges": [], "UserIdGroupPairs": [{"GroupId": group["GroupId"], "UserId": group["OwnerId"]}]}
    group["IpPermissions"] = [itself]
    return vpc


def _make_subnet(call: Call, vpc_id: str, cidr: str, zone: str, tags: list[dict[str, str]], *, default: bool) -> dict[str, Any]:
    subnet: dict[str, Any] = {
        "SubnetId": call.world.ids.resource("subnet"),
        "VpcId": vpc_id,
        "CidrBlock": cidr,
        "AvailabilityZone": zone,
        "AvailabilityZoneId": f"{zone[:-1].replace('-', '')}-az{ord(zone[-1]) - ord('a') + 1}",
        "DefaultForAz": default,
        "MapPublicIpOnLaunch": default,
        "OwnerId": call.account.account_id,
        "State": "available",
        "Tags": tags,
    }
    call.account.subnets[subnet["SubnetId"]] = subnet
    return subnet


def _make_group(call: Call, vpc_id: str, name: str, description: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    group: dict[str, Any] = {
        "GroupId": call.world.ids.resource("sg"),
        "GroupName": name,
        "Description": description,
        "OwnerId": call.account.account_id,
        "VpcId": vpc_id,
        "IpPermissions": [],
        "IpPermissionsEgress": [ANYWHERE],
        "Tags": tags,
    }
    call.account.security_groups[group["GroupId"]] = group
    return group


def tags_in(call: Call, kind: str) -> list[dict[str, str]]:
    """Return the tags in a request for one kind of resource."""
    tags = from_specifications(call.params, kind, call.account.quotas.tags_per_resource)
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _network(cidr: str, parameter: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise invalid_value(cidr, parameter, "This is not a valid CIDR block.") from error


def create_vpc(call: Call) -> Response:
    """CreateVpc: of /16 to /28. Raise InvalidVpc.Range."""
    cidr = str(call.params["CidrBlock"])
    if not 16 <= _network(cidr, "cidrBlock").prefixlen <= 28:  # noqa: PLR2004 - the documented bounds, once
        raise ApiError("InvalidVpc.Range", f"The CIDR '{cidr}' is invalid.")
    default_vpc_id(call)
    return {"Vpc": _make_vpc(call, cidr, tags_in(call, "vpc"), default=False)}


DNS_ATTRIBUTES = ("EnableDnsSupport", "EnableDnsHostnames")


def dns_attributes(call: Call, vpc_id: str) -> dict[str, bool]:
    """Return whether a VPC has a resolver and host names; by default only a resolver [VPC user guide: DNS attributes]."""
    default = find(call, "vpcs", vpc_id)["IsDefault"]
    return {"EnableDnsSupport": True, "EnableDnsHostnames": default, **call.account.vpc_dns.get(vpc_id, {})}


def modify_vpc_attribute(call: Call) -> Response:
    """ModifyVpcAttribute: one of the attributes of DNS in a call. Raise InvalidVpcID.NotFound, InvalidParameterCombination."""
    vpc_id = str(find(call, "vpcs", str(call.params["VpcId"]))["VpcId"])
    changed = {name: bool(call.params[name]["Value"]) for name in DNS_ATTRIBUTES if call.params.get(name)}
    if len(changed) != 1:
        raise ApiError("InvalidParameterCombination", "Fields for multiple attribute types specified")
    call.account.vpc_dns.setdefault(vpc_id, {}).update(changed)
    return {}


def create_subnet(call: Call) -> Response:
    """CreateSubnet. Raise InvalidVpcID.NotFound, InvalidSubnet.Range outside the VPC, InvalidSubnet.Conflict on an overlap."""
    vpc = find(call, "vpcs", str(call.params["VpcId"]))
    cidr = str(call.params["CidrBlock"])
    network = _network(cidr, "cidrBlock")
    if not network.subnet_of(_network(vpc["CidrBlock"], "cidrBlock")):
        raise ApiError("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid.")
    siblings = [subnet for subnet in call.account.subnets.values() if subnet["VpcId"] == vpc["VpcId"]]
    if any(network.overlaps(_network(subnet["CidrBlock"], "cidrBlock")) for subnet in siblings):
        raise ApiError("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet")
    zone = str(call.params.get("AvailabilityZone") or call.account.region + "a")
    if zone[:-1] != call.account.region:
        raise invalid_value(zone, "availabilityZone")
    return {"Subnet": _counted(call, _make_subnet(call, vpc["VpcId"], cidr, zone, tags_in(call, "subnet"), default=False))}


def _counted(call: Call, subnet: dict[str, Any]) -> dict[str, Any]:
    """Return a subnet with its free addresses: AWS keeps five of each [VPC user guide: subnet CIDR blocks]."""
    used = sum(interface["SubnetId"] == subnet["SubnetId"] for interface in call.account.interfaces.values())
    free = _network(subnet["CidrBlock"], "cidrBlock").num_addresses - 5 - used
    return {**subnet, "AvailableIpAddressCount": free}


def create_security_group(call: Call) -> Response:
    """CreateSecurityGroup: all egress is allowed, and no ingress. Raise InvalidGroup.Duplicate."""
    vpc_id = str(call.params.get("VpcId") or default_vpc_id(call))
    find(call, "vpcs", vpc_id)
    name = str(call.params["GroupName"])
    if any(group["GroupName"] == name and group["VpcId"] == vpc_id for group in call.account.security_groups.values()):
        raise ApiError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'")
    group = _make_group(call, vpc_id, name, str(call.params["Description"]), tags_in(call, "security-group"))
    return {"GroupId": group["GroupId"], "Tags": group["Tags"]}


NOT_FOUND = {
    "vpcs": ("InvalidVpcID.NotFound", "vpc ID"),
    "subnets": ("InvalidSubnetID.NotFound", "subnet ID"),
    "security_groups": ("InvalidGroup.NotFound", "security group"),
    "interfaces": ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
    "key_pairs": ("InvalidKeyPair.NotFound", "key pair"),
}


def find(call: Call, store: str, name: str) -> dict[str, Any]:
    """Return a record of a store. Raise the NotFound error of the store."""
    record: dict[str, Any] | None = getattr(call.account, store).get(name)
    if record is None:
        code, kind = NOT_FOUND[store]
        raise ApiError(code, f"The {kind} '{name}' does not exist")
    return record


def _rules(call: Call, side: str, *, add: bool) -> Response:
    group = find(call, "security_groups", str(call.params["GroupId"]))
    for rule in call.params.get("IpPermissions") or ():
        entry = {**NO_PEERS, **rule}
        if add and entry in group[side]:
            raise ApiError("InvalidPermission.Duplicate", "The specified rule already exists")
        if not add and entry not in group[side]:
            raise ApiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
        if add:
            group[side].append(entry)
        else:
            group[side] = [kept for kept in group[side] if kept != entry]
    return {"Return": True}


def authorize_ingress(call: Call) -> Response:
    """AuthorizeSecurityGroupIngress. Raise InvalidPermission.Duplicate."""
    return _rules(call, "IpPermissions", add=True)


def authorize_egress(call: Call) -> Response:
    """AuthorizeSecurityGroupEgress. Raise InvalidPermission.Duplicate."""
    return _rules(call, "IpPermissionsEgress", add=True)


def revoke_ingress(call: Call) -> Response:
    """RevokeSecurityGroupIngress. Raise InvalidPermission.NotFound."""
    return _rules(call, "IpPermissions", add=False)


def revoke_egress(call: Call) -> Response:
    """RevokeSecurityGroupEgress. Raise InvalidPermission.NotFound."""
    return _rules(call, "IpPermissionsEgress", add=False)


def delete_vpc(call: Call) -> Response:
    """DeleteVpc. Raise DependencyViolation while it has subnets or security groups of its own."""
    vpc_id = str(find(call, "vpcs", str(call.params["VpcId"]))["VpcId"])
    groups = [group for group in call.account.security_groups.values() if group["VpcId"] == vpc_id]
    subnets = [subnet for subnet in call.account.subnets.values() if subnet["VpcId"] == vpc_id]
    if subnets or any(group["GroupName"] != "default" for group in groups):
        raise ApiError("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    del call.account.vpcs[vpc_id]
    for group in groups:
        del call.account.security_groups[group["GroupId"]]
    return {}


def delete_subnet(call: Call) -> Response:
    """DeleteSubnet. Raise DependencyViolation while a network interface is in it."""
    subnet_id = str(find(call, "subnets", str(call.params["SubnetId"]))["SubnetId"])
    if any(interface["SubnetId"] == subnet_id for interface in call.account.interfaces.values()):
        raise ApiError("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    del call.account.subnets[subnet_id]
    return {}


def delete_security_group(call: Call) -> Response:
    """DeleteSecurityGroup. Raise CannotDelete for a default one, DependencyViolation while an interface uses it."""
    group = find(call, "security_groups", str(call.params["GroupId"]))
    if group["GroupName"] == "default":
        raise ApiError("CannotDelete", 'the specified group: "default" name: "default" cannot be deleted by a user')
    users = [entry["GroupId"] for interface in call.account.interfaces.values() for entry in interface["Groups"]]
    if group["GroupId"] in users:
        raise ApiError("DependencyViolation", f"resource {group['GroupId']} has a dependent object")
    del call.account.security_groups[group["GroupId"]]
    return {"Return": True, "GroupId": group["GroupId"]}


def import_key_pair(call: Call) -> Response:
    """ImportKeyPair: a public key of the caller's. Raise InvalidKeyPair.Duplicate."""
    name = str(call.params["KeyName"])
    if name in call.account.key_pairs:
        raise ApiError("InvalidKeyPair.Duplicate", f"The keypair already exists: {name}")
    record = {"KeyName": name, "KeyPairId": call.world.ids.resource("key"), "Tags": tags_in(call, "key-pair")}
    call.account.key_pairs[name] = record
    return dict(record)


def _listed(call: Call, result: str, records: Iterable[dict[str, Any]], fields: dict[str, ValueReader]) -> Response:
    tests = tests_for(parsed(call.params.get("Filters")), fields, flat_tags_of)
    return {result: [record for record in records if all(test(record) for test in tests)]}


def _chosen(call: Call, store: str, parameter: str) -> list[dict[str, Any]]:
    default_vpc_id(call)
    ids = [str(name) for name in call.params.get(parameter) or ()]
    return [find(call, store, name) for name in ids] if ids else list(getattr(call.account, store).values())


def describe_vpcs(call: Call) -> Response:
    """DescribeVpcs, all on one page."""
    return _listed(call, "Vpcs", _chosen(call, "vpcs", "VpcIds"), VPC_FIELDS)


def describe_subnets(call: Call) -> Response:
    """DescribeSubnets, all on one page."""
    subnets = [_counted(call, subnet) for subnet in _chosen(call, "subnets", "SubnetIds")]
    return _listed(call, "Subnets", subnets, SUBNET_FIELDS)


def describe_security_groups(call: Call) -> Response:
    """DescribeSecurityGroups, all on one page."""
    groups = _chosen(call, "security_groups", "GroupIds")
    names = call.params.get("GroupNames")
    groups = [group for group in groups if not names or group["GroupName"] in names]
    return _listed(call, "SecurityGroups", groups, GROUP_FIELDS)


def describe_interfaces(call: Call) -> Response:
    """DescribeNetworkInterfaces, all on one page."""
    interfaces = _chosen(call, "interfaces", "NetworkInterfaceIds")
    shown = [{**{k: v for k, v in i.items() if k != "Tags"}, "TagSet": i["Tags"], "Tags": i["Tags"]} for i in interfaces]
    answer = _listed(call, "NetworkInterfaces", shown, INTERFACE_FIELDS)
    return {"NetworkInterfaces": [{k: v for k, v in i.items() if k != "Tags"} for i in answer["NetworkInterfaces"]]}


def describe_key_pairs(call: Call) -> Response:
    """DescribeKeyPairs."""
    return _listed(call, "KeyPairs", _chosen(call, "key_pairs", "KeyNames"), KEY_PAIR_FIELDS)


def add_interface(call: Call, instance_id: str, subnet_id: str, group_ids: list[str], private_address: str) -> dict[str, Any]:
    """Make the network interface of a launched instance. Raise an error on an impossible subnet, group or address."""
    subnet = find(call, "subnets", subnet_id)
    groups = [find(call, "security_groups", group_id) for group_id in group_ids] or [_default_group(call, subnet["VpcId"])]
    for group in groups:
        if group["VpcId"] != subnet["VpcId"]:
            message = f"Security group {group['GroupId']} and subnet {subnet_id} belong to different networks."
            raise ApiError("InvalidParameter", message)
    interface: dict[str, Any] = {
        "NetworkInterfaceId": call.world.ids.resource("eni"),
        "SubnetId": subnet_id,
        "VpcId": subnet["VpcId"],
        "AvailabilityZone": subnet["AvailabilityZone"],
        "Description": "",
        "OwnerId": call.account.account_id,
        "Status": "in-use",
        "SourceDestCheck": True,
        "PrivateIpAddress": _address(call, subnet, private_address),
        "Groups": [{"GroupId": group["GroupId"], "GroupName": group["GroupName"]} for group in groups],
        "Attachment": {"InstanceId": instance_id, "DeviceIndex": 0, "Status": "attached", "DeleteOnTermination": True},
        "Tags": [],
    }
    interface["PrivateIpAddresses"] = [{"Primary": True, "PrivateIpAddress": interface["PrivateIpAddress"]}]
    call.account.interfaces[interface["NetworkInterfaceId"]] = interface
    return interface


def _default_group(call: Call, vpc_id: str) -> dict[str, Any]:
    groups = call.account.security_groups.values()
    return next(group for group in groups if group["VpcId"] == vpc_id and group["GroupName"] == "default")


def _address(call: Call, subnet: dict[str, Any], wish: str) -> str:
    """Return the address of a new interface: the requested one, or the first free one after the four that AWS keeps."""
    network = _network(subnet["CidrBlock"], "cidrBlock")
    interfaces = call.account.interfaces.values()
    used = {interface["PrivateIpAddress"] for interface in interfaces if interface["SubnetId"] == subnet["SubnetId"]}
    if wish:
        if ipaddress.ip_address(wish) not in network:
            raise invalid_value(wish, "privateIpAddress", f"It is not in the subnet {subnet['SubnetId']}.")
        if wish in used:
            raise ApiError("InvalidIPAddress.InUse", f"Address {wish} is in use.")
        return wish
    for offset in range(4, network.num_addresses - 1):
        address = str(network[offset])
        if address not in used:
            return address
    raise ApiError("InsufficientFreeAddressesInSubnet", f"Not enough free addresses in subnet {subnet['SubnetId']}.")


def subnet_in_zone(call: Call, zone: str) -> dict[str, Any]:
    """Return the default subnet of a zone. Raise InvalidParameterValue for a zone that has none."""
    default_vpc_id(call)
    for subnet in call.account.subnets.values():
        if subnet["DefaultForAz"] and subnet["AvailabilityZone"] == zone:
            return subnet
    raise invalid_value(zone, "availabilityZone")
