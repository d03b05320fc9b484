"""Route tables and VPC endpoints of the model."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from support.flows import DR, Laboratory


def test_a_vpc_leads_nowhere_until_it_has_a_route() -> None:
    ec2 = Laboratory().ec2(DR)
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}]
    (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    assert [route["GatewayId"] for route in table["Routes"]] == ["local"]
    request = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    with pytest.raises(ClientError, match="MissingParameter"):
        ec2.create_route(**request)
    ec2.create_route(**request, NatGatewayId="nat-1")
    with pytest.raises(ClientError, match="RouteAlreadyExists"):
        ec2.create_route(**request, GatewayId="igw-1")
    (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    assert table["Routes"][1]["NatGatewayId"] == "nat-1"


def test_a_default_vpc_leads_to_the_internet() -> None:
    tables = Laboratory().ec2(DR).describe_route_tables()["RouteTables"]
    assert [route["GatewayId"][:4] for route in tables[0]["Routes"]] == ["loca", "igw-"]
