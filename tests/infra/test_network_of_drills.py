"""The template of the network of drills: nothing leads out of it."""

from __future__ import annotations

from snapkeep.domain.drills.network import NOWHERE
from snapkeep.domain.tag_names import DRILL_NETWORK
from support.templates import template

SYSTEM = {"Fn::Sub": "snapkeep${FunctionNameSuffix}"}


def test_the_network_has_nothing_that_leads_out() -> None:
    """No gateway, route, endpoint, peering or address: only what CloudFormation makes of these three."""
    made = {resource["Type"] for resource in template("drill")["Resources"].values()}
    assert made == {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"}
    resources = template("drill")["Resources"]
    assert resources["Network"]["Properties"]["EnableDnsSupport"] is False
    assert resources["Subnet"]["Properties"]["MapPublicIpOnLaunch"] is False
    [rule] = resources["Group"]["Properties"]["SecurityGroupEgress"]
    assert (rule["CidrIp"], "SecurityGroupIngress" in resources["Group"]["Properties"]) == (NOWHERE, False)


def test_drills_find_the_network_by_its_tag() -> None:
    tagged = {
        name
        for name, resource in template("drill")["Resources"].items()
        if {"Key": DRILL_NETWORK, "Value": SYSTEM} in resource["Properties"]["Tags"]
    }
    assert tagged == {"Subnet", "Group"}


def test_the_network_is_not_found_as_a_stack_of_a_system() -> None:
    """A stack that was deployed under another name is found by its outputs."""
    assert not {"SystemName", "QueueTableName"} & template("drill")["Outputs"].keys()
