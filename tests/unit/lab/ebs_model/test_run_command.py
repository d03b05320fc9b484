"""Run Command of Systems Manager: agents, endpoints and commands."""

from __future__ import annotations

from typing import Any

import pytest
from ebs_worlds import PRIMARY, Bench, launch, refused

from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.ebs_model.api.routes import FULL_ACCESS
from support.drill_endpoints import make_endpoints
from support.drilling_instances import make_drill_network

PROFILE = {"IamInstanceProfile": {"Name": "agent"}}


@pytest.fixture
def ssm(bench: Bench) -> Any:
    client = bench.world.client("ssm", PRIMARY)
    client.create_document(Name="check", Content="{}")
    return client


def online(ssm: Any, instance_id: str) -> bool:
    filters = [{"Key": "InstanceIds", "Values": [instance_id]}]
    return bool(ssm.describe_instance_information(Filters=filters)["InstanceInformationList"])


def launched(bench: Bench, **request: Any) -> str:
    instance_id = str(launch(bench, **request)["InstanceId"])
    bench.advance(300)
    return instance_id


def test_an_agent_connects_only_with_a_profile_and_a_way(bench: Bench, ssm: Any) -> None:
    network = make_drill_network(bench.primary, "snapkeep")
    isolated = {"SubnetId": network["subnet"], "SecurityGroupIds": [network["group"]]}
    assert online(ssm, launched(bench, **PROFILE)), "the default VPC leads to the internet"
    assert not online(ssm, launched(bench))
    assert not online(ssm, launched(bench, **PROFILE, **isolated))


def test_an_agent_without_internet_needs_two_endpoints(bench: Bench, ssm: Any) -> None:
    network = make_drill_network(bench.primary, "snapkeep")
    endpoints = make_endpoints(bench.primary, network, "snapkeep", PRIMARY)
    isolated = {"SubnetId": network["subnet"], "SecurityGroupIds": [network["group"]]}
    instance_id = launched(bench, **PROFILE, **isolated)
    assert online(ssm, instance_id)
    bench.primary.modify_vpc_attribute(VpcId=network["vpc"], EnableDnsSupport={"Value": False})
    assert not online(ssm, instance_id), "it does not find them"
    bench.primary.modify_vpc_attribute(VpcId=network["vpc"], EnableDnsSupport={"Value": True})
    bench.primary.delete_vpc_endpoints(VpcEndpointIds=[endpoints["ec2messages"]])
    assert online(ssm, instance_id), "agents before 3.3.40.0 need it"
    bench.primary.delete_vpc_endpoints(VpcEndpointIds=[endpoints["ssmmessages"]])
    assert not online(ssm, instance_id)


def test_private_dns_needs_the_names_of_the_vpc(bench: Bench) -> None:
    vpc_id = bench.primary.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    request = {"VpcId": vpc_id, "ServiceName": "com.amazonaws.us-east-1.ssm", "VpcEndpointType": "Interface"}
    assert refused(bench.primary.create_vpc_endpoint, **request, PrivateDnsEnabled=True)[0] == "InvalidParameter"
    bench.primary.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    assert bench.primary.create_vpc_endpoint(**request, PrivateDnsEnabled=True)["VpcEndpoint"]["PrivateDnsEnabled"]
    both = {name: {"Value": True} for name in ("EnableDnsSupport", "EnableDnsHostnames")}
    assert refused(bench.primary.modify_vpc_attribute, VpcId=vpc_id, **both)[0] == "InvalidParameterCombination"


def test_an_endpoint_without_a_policy_admits_everything(bench: Bench) -> None:
    vpc_id = bench.primary.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = bench.primary.create_vpc_endpoint(VpcId=vpc_id, ServiceName="com.amazonaws.us-east-1.s3")["VpcEndpoint"]
    assert (made["PolicyDocument"], made["VpcEndpointType"]) == (FULL_ACCESS, "Gateway")
    unsuccessful = bench.primary.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"], "vpce-0"])["Unsuccessful"]
    assert [item["ResourceId"] for item in unsuccessful] == ["vpce-0"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_command_ends_with_exit_code_and_output(bench: Bench, ssm: Any, fails: bool) -> None:
    instance_id = launched(bench, **PROFILE)
    if fails:
        bench.world.add_fault(FaultRule("command_fails", source_id="check", message="no database"))
    ssm.send_command(InstanceIds=[instance_id], DocumentName="check", Comment="drill")
    assert [one["Status"] for one in ssm.list_command_invocations()["CommandInvocations"]] == ["InProgress"]
    bench.advance(60)
    (ended,) = ssm.list_command_invocations(InstanceId=instance_id, Details=True)["CommandInvocations"]
    (step,) = ended["CommandPlugins"]
    expected = ("Failed", 1, "no database") if fails else ("Success", 0, f"check on {instance_id}\n")
    assert (ended["Status"], step["ResponseCode"], step["Output"]) == expected


def test_a_command_without_a_reachable_instance_is_refused(bench: Bench, ssm: Any) -> None:
    without = launched(bench)
    for ids, document, code in (
        ([], "check", "InvalidInstanceId"),
        ([without], "check", "InvalidInstanceId"),
        (["i-0123456789abcdef0"], "check", "InvalidInstanceId"),
        ([without], "nothing", "InvalidDocument"),
    ):
        assert refused(ssm.send_command, InstanceIds=ids, DocumentName=document)[0] == code
    assert refused(ssm.create_document, Name="check", Content="{}")[0] == "DocumentAlreadyExists"
    assert refused(ssm.create_document, Name="AWS-check", Content="{}")[0] == "ValidationException"


def test_commands_are_listed_since_a_moment_on_pages_the_newest_first(bench: Bench, ssm: Any) -> None:
    instance_id = launched(bench, **PROFILE)
    arn = f"arn:aws:ssm:{PRIMARY}:{bench.world.account_id}:document/check"
    for number in range(60):
        ssm.send_command(InstanceIds=[instance_id], DocumentName=arn if number else "check", Comment=f"drill {number}")
        bench.advance(60)
    first = ssm.list_command_invocations(InstanceId=instance_id)
    second = ssm.list_command_invocations(InstanceId=instance_id, NextToken=first["NextToken"])
    listed = [*first["CommandInvocations"], *second["CommandInvocations"]]
    assert (len(first["CommandInvocations"]), "NextToken" in second) == (50, False)
    assert [one["Comment"] for one in listed] == [f"drill {number}" for number in reversed(range(60))]
    assert {one["DocumentName"] for one in listed} == {"check"}
    since = {"key": "InvokedAfter", "value": f"{listed[1]['RequestedDateTime']:%Y-%m-%dT%H:%M:%SZ}"}
    assert len(ssm.list_command_invocations(Filters=[since])["CommandInvocations"]) == 2


def test_a_slow_command_takes_longer(bench: Bench, ssm: Any) -> None:
    instance_id = launched(bench, **PROFILE)
    bench.world.add_fault(FaultRule("command_slow", source_id="check", delay_seconds=60))
    ssm.send_command(InstanceIds=[instance_id], DocumentName="check")
    for status in ("InProgress", "Success"):
        bench.advance(40)
        assert [one["Status"] for one in ssm.list_command_invocations()["CommandInvocations"]] == [status]
