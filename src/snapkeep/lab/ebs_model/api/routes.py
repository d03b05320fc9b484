"""Route tables and VPC endpoints, for the ways out of a VPC. Gateways and connections are only names here.

Source: [EC2 API reference: DescribeRouteTables, CreateRoute, CreateVpcEndpoint], [VPC user guide: route tables]. A VPC has a main
route table with a local route; that of a default VPC leads to an internet gateway too. Tables of subnets are not modelled.
"""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.api import networks
from snapkeep.lab.ebs_model.errors import ApiError, missing
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import flat_tags_of, parsed, tests_for
from snapkeep.lab.ebs_model.requests.response_filters import readers

TABLE_FIELDS = readers("owner-id route-table-id vpc-id")
ENDPOINT_FIELDS = readers("service-name vpc-endpoint-id vpc-id")
FULL_ACCESS = '{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}'
"""The policy of an endpoint without one of its own [VPC user guide: default endpoint policy]."""
TARGETS = (
    "GatewayId", "NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId", "VpcEndpointId",
    "EgressOnlyInternetGatewayId",
)  # fmt: skip


def _tables(call: Call) -> list[dict[str, Any]]:
    """Return the route tables of the account: the main one of each VPC, which is made with it."""
    networks.default_vpc_id(call)
    return [_table(call, vpc) for vpc in call.account.vpcs.values()]


def _table(call: Call, vpc: dict[str, Any]) -> dict[str, Any]:
    table_id = "rtb-" + vpc["VpcId"].removeprefix("vpc-")
    local = {"DestinationCidrBlock": vpc["CidrBlock"], "GatewayId": "local", "State": "active"}
    internet = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-" + vpc["VpcId"].removeprefix("vpc-"), "State": "active"}
    return {
        "RouteTableId": table_id,
        "VpcId": vpc["VpcId"],
        "OwnerId": call.account.account_id,
        "Associations": [{"Main": True, "RouteTableId": table_id}],
        "Routes": [local, *([internet] if vpc["IsDefault"] else []), *call.account.routes.get(table_id, ())],
        "Tags": [],
    }


def describe_route_tables(call: Call) -> Response:
    """DescribeRouteTables, all on one page."""
    tests = tests_for(parsed(call.params.get("Filters")), TABLE_FIELDS, flat_tags_of)
    return {"RouteTables": [table for table in _tables(call) if all(test(table) for test in tests)]}


def create_route(call: Call) -> Response:
    """CreateRoute. Raise InvalidRouteTableID.NotFound, MissingParameter without a target, RouteAlreadyExists."""
    table_id, destination = str(call.params["RouteTableId"]), str(call.params.get("DestinationCidrBlock") or "")
    table = next((table for table in _tables(call) if table["RouteTableId"] == table_id), None)
    if table is None:
        raise ApiError("InvalidRouteTableID.NotFound", f"The routeTable ID '{table_id}' does not exist")
    target = next((name for name in TARGETS if call.params.get(name)), "")
    if not target:
        raise missing("gatewayId")
    if any(route["DestinationCidrBlock"] == destination for route in table["Routes"]):
        raise ApiError("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    route = {"DestinationCidrBlock": destination, target: str(call.params[target]), "State": "active"}
    call.account.routes.setdefault(table_id, []).append(route)
    return {"Return": True}


def leads_to_the_internet(call: Call, vpc_id: str) -> bool:
    """Whether a VPC has a default route through a gateway."""
    tables = [table for table in _tables(call) if table["VpcId"] == vpc_id]
    return any(route["DestinationCidrBlock"] == "0.0.0.0/0" for table in tables for route in table["Routes"])


def create_vpc_endpoint(call: Call) -> Response:
    """CreateVpcEndpoint. Raise InvalidVpcID.NotFound, InvalidGroup.NotFound, InvalidParameter for private DNS without DNS."""
    vpc = networks.find(call, "vpcs", str(call.params["VpcId"]))
    groups = [networks.find(call, "security_groups", str(name)) for name in call.params.get("SecurityGroupIds") or ()]
    private = bool(call.params.get("PrivateDnsEnabled"))
    if private and not all(networks.dns_attributes(call, vpc["VpcId"]).values()):
        message = (
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for "
            f"{vpc['VpcId']}"
        )
        raise ApiError("InvalidParameter", message)
    endpoint = {
        "VpcEndpointId": call.world.ids.resource("vpce"),
        "VpcEndpointType": str(call.params.get("VpcEndpointType") or "Gateway"),
        "VpcId": vpc["VpcId"],
        "ServiceName": str(call.params["ServiceName"]),
        "State": "available",
        "OwnerId": call.account.account_id,
        "PolicyDocument": str(call.params.get("PolicyDocument") or FULL_ACCESS),
        "PrivateDnsEnabled": private,
        "SubnetIds": [str(name) for name in call.params.get("SubnetIds") or ()],
        "Groups": [{"GroupId": group["GroupId"], "GroupName": group["GroupName"]} for group in groups],
        "Tags": networks.tags_in(call, "vpc-endpoint"),
    }
    call.account.endpoints[endpoint["VpcEndpointId"]] = endpoint
    return {"VpcEndpoint": endpoint}


def describe_vpc_endpoints(call: Call) -> Response:
    """DescribeVpcEndpoints, all on one page."""
    tests = tests_for(parsed(call.params.get("Filters")), ENDPOINT_FIELDS, flat_tags_of)
    return {"VpcEndpoints": [endpoint for endpoint in call.account.endpoints.values() if all(test(endpoint) for test in tests)]}


def delete_vpc_endpoints(call: Call) -> Response:
    """DeleteVpcEndpoints. Those that do not exist are named in the answer."""
    unknown = [str(name) for name in call.params["VpcEndpointIds"] if str(name) not in call.account.endpoints]
    for name in call.params["VpcEndpointIds"]:
        call.account.endpoints.pop(str(name), None)
    message = "The vpcEndpoint ID '{}' does not exist"
    errors = [{"Code": "InvalidVpcEndpoint.NotFound", "Message": message.format(name)} for name in unknown]
    return {"Unsuccessful": [{"ResourceId": name, "Error": error} for name, error in zip(unknown, errors, strict=True)]}
