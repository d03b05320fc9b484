"""VPCs, subnets, security groups and network interfaces, and the tags of everything."""

from __future__ import annotations

import pytest
from ebs_worlds import DR, PRIMARY, Bench, launch, refused

from snapkeep.lab.ebs_model import PUBLIC_LINUX


def test_every_region_has_a_default_vpc_with_three_subnets(bench: Bench) -> None:
    (vpc,) = bench.dr.describe_vpcs()["Vpcs"]
    subnets = bench.dr.describe_subnets()["Subnets"]
    assert (vpc["CidrBlock"], vpc["IsDefault"]) == ("172.31.0.0/16", True)
    assert [subnet["AvailabilityZone"] for subnet in subnets] == [DR + letter for letter in "abc"]
    assert {subnet["AvailableIpAddressCount"] for subnet in subnets} == {4091}
    assert [group["GroupName"] for group in bench.dr.describe_security_groups()["SecurityGroups"]] == ["default"]


def test_an_isolated_network_is_made_used_and_removed(bench: Bench) -> None:
    vpc_id = bench.primary.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = bench.primary.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]
    group_id = bench.primary.create_security_group(GroupName="drill", Description="isolated", VpcId=vpc_id)["GroupId"]
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    bench.primary.revoke_security_group_egress(GroupId=group_id, IpPermissions=everything)
    (group,) = bench.primary.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])
    made = launch(bench, SubnetId=subnet["SubnetId"], SecurityGroupIds=[group_id])
    assert (made["VpcId"], made["PrivateIpAddress"]) == (vpc_id, "10.0.1.4")
    (interface,) = bench.primary.describe_network_interfaces()["NetworkInterfaces"]
    assert interface["Attachment"]["InstanceId"] == made["InstanceId"]
    for action, name, value in (
        (bench.primary.delete_security_group, "GroupId", group_id),
        (bench.primary.delete_subnet, "SubnetId", subnet["SubnetId"]),
        (bench.primary.delete_vpc, "VpcId", vpc_id),
    ):
        assert refused(action, **{name: value})[0] == "DependencyViolation"
    bench.primary.terminate_instances(InstanceIds=[made["InstanceId"]])
    bench.primary.delete_security_group(GroupId=group_id)
    bench.primary.delete_subnet(SubnetId=subnet["SubnetId"])
    bench.primary.delete_vpc(VpcId=vpc_id)
    assert len(bench.primary.describe_vpcs()["Vpcs"]) == 1


def test_everything_of_a_launch_is_tagged_and_found_by_tag(bench: Bench) -> None:
    kinds = ("instance", "volume", "network-interface")
    made = launch(bench, TagSpecifications=[{"ResourceType": kind, "Tags": [{"Key": "drill", "Value": "7"}]} for kind in kinds])
    tags = bench.primary.describe_tags(Filters=[{"Name": "key", "Values": ["drill"]}])["Tags"]
    assert sorted(entry["ResourceType"] for entry in tags) == sorted(kinds)
    interface_id = next(entry["ResourceId"] for entry in tags if entry["ResourceType"] == "network-interface")
    assert bench.world.resource_tags(PRIMARY, bench.world.account_id, interface_id) == {"drill": "7"}
    bench.primary.create_tags(Resources=[made["VpcId"]], Tags=[{"Key": "drill", "Value": "7"}])
    assert bench.primary.describe_vpcs(Filters=[{"Name": "tag:drill", "Values": ["7"]}])["Vpcs"]
    bench.primary.delete_tags(Resources=[made["VpcId"]], Tags=[{"Key": "drill"}])
    assert bench.world.resource_tags(PRIMARY, bench.world.account_id, made["VpcId"]) == {}


@pytest.mark.parametrize(
    ("cidr", "code"),
    [("10.1.0.0/24", "InvalidSubnet.Range"), ("10.0.1.0/25", "InvalidSubnet.Conflict"), ("nonsense", "InvalidParameterValue")],
)
def test_a_subnet_is_within_its_vpc_and_does_not_overlap_others(bench: Bench, cidr: str, code: str) -> None:
    vpc_id = bench.primary.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    bench.primary.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")
    assert refused(bench.primary.create_subnet, VpcId=vpc_id, CidrBlock=cidr)[0] == code


def test_an_address_is_used_once(bench: Bench) -> None:
    launch(bench, PrivateIpAddress="172.31.0.9")
    params = {"ImageId": PUBLIC_LINUX, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "PrivateIpAddress": "172.31.0.9"}
    assert refused(bench.primary.run_instances, **params)[0] == "InvalidIPAddress.InUse"
