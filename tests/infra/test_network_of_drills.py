"""The template of the network of drills: nothing leads out of it, but commands of drills into it where they are requested."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.drills.commands import AGENT_ACTIONS
from snapkeep.domain.drills.network import NOWHERE, DrillNetwork, NetworkFacts, VpcEndpoint, missing_for_commands
from snapkeep.domain.tag_names import DRILL_NETWORK
from snapkeep.lab.embedded_aws.patches.stack_firewalls import FirewallError, check_domains, check_rules
from support.templates import template

SYSTEM = {"Fn::Sub": "snapkeep${FunctionNameSuffix}"}
BY_REQUEST = "RunCommands"
OLDER_AGENTS = "RunInOlderAgents"


def made(*, commands: bool, older_agents: bool = True) -> dict[str, Any]:
    """Return the resources with or without CommandEndpoints and OlderAgents."""
    hold = {None, *([BY_REQUEST] if commands else []), *([OLDER_AGENTS] if commands and older_agents else [])}
    return {name: one for name, one in template("drill")["Resources"].items() if one.get("Condition") in hold}


def test_the_network_has_nothing_that_leads_out() -> None:
    """No gateway, route, endpoint, peering or address: only what CloudFormation makes of these three."""
    resources = made(commands=False)
    assert {one["Type"] for one in resources.values()} == {"AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup"}
    assert template("drill")["Parameters"]["CommandEndpoints"]["Default"] == "no"
    assert resources["Network"]["Properties"]["EnableDnsSupport"] == {"Fn::If": [BY_REQUEST, True, False]}
    assert resources["Subnet"]["Properties"]["MapPublicIpOnLaunch"] is False
    [rule] = resources["Group"]["Properties"]["SecurityGroupEgress"]
    assert (rule["CidrIp"], "SecurityGroupIngress" in resources["Group"]["Properties"]) == (NOWHERE, False)


def test_for_commands_only_https_to_the_three_endpoints_is_added() -> None:
    added = {name: one for name, one in made(commands=True).items() if name not in made(commands=False)}
    kinds = sorted(one["Type"].rpartition("::")[2] for one in added.values())
    firewall = [*["FirewallDomainList"] * 2, "FirewallRuleGroup", "FirewallRuleGroupAssociation"]
    assert kinds == [*firewall, "InstanceProfile", "Role", "SecurityGroup", "SecurityGroupEgress", *["VPCEndpoint"] * 3]
    egress, group = added["EgressToEndpoints"]["Properties"], added["EndpointGroup"]["Properties"]
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    assert {
        **https,
        "GroupId": {"Ref": "Group"},
        "DestinationSecurityGroupId": {"Ref": "EndpointGroup"},
    }.items() <= egress.items()
    [ingress] = group["SecurityGroupIngress"]
    assert {**https, "SourceSecurityGroupId": {"Ref": "Group"}}.items() <= ingress.items()
    assert [rule["CidrIp"] for rule in group["SecurityGroupEgress"]] == [NOWHERE]


def test_the_resolver_answers_the_names_of_endpoints_alone() -> None:
    """A name that is looked up would carry data out: `<data>.attacker.example`."""
    added = {name: one["Properties"] for name, one in made(commands=True).items()}
    allowed, blocked = added["NameRules"]["FirewallRules"]
    assert (allowed["Action"], blocked["Action"], blocked["BlockResponse"]) == ("ALLOW", "BLOCK", "NXDOMAIN")
    assert allowed["Priority"] < blocked["Priority"], "the first rule that matches decides"
    lists = [added[rule["FirewallDomainListId"]["Fn::GetAtt"][0]]["Domains"] for rule in (allowed, blocked)]
    names = [{"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"} for service in AGENT_ACTIONS]
    assert lists == [names, ["*"]]
    association = added["NameFirewall"]
    assert (association["VpcId"], association["FirewallRuleGroupId"]) == ({"Ref": "Network"}, {"Fn::GetAtt": ["NameRules", "Id"]})
    assert 100 < association["Priority"] < 9000, "Route 53 Resolver API reference: AssociateFirewallRuleGroup"


@pytest.mark.parametrize(
    ("check", "properties"),
    [
        (check_domains, {"Domains": []}),
        (check_domains, {"Domains": ["ssm.*.amazonaws.com"]}),
        (check_rules, {"FirewallRules": [{"Priority": 1, "Action": "DENY", "FirewallDomainListId": "rslvr-fdl-1"}]}),
        (check_rules, {"FirewallRules": [{"Priority": 1, "Action": "BLOCK", "FirewallDomainListId": "rslvr-fdl-1"}]}),
        (check_rules, {"FirewallRules": [{"Priority": 1, "Action": "ALLOW", "FirewallDomainListId": "AllNames"}]}),
        (check_rules, {"FirewallRules": [{"Priority": 1, "Action": "ALLOW", "FirewallDomainListId": "rslvr-fdl-1"}] * 2}),
    ],
)
def test_the_embedded_aws_refuses_a_firewall_that_aws_refuses(check: Any, properties: dict[str, Any]) -> None:
    with pytest.raises(FirewallError):
        check(properties)


def test_without_older_agents_the_endpoint_that_new_regions_lack_is_left_out() -> None:
    """Regions launched in 2024 or later have no ec2messages [Systems Manager user guide: message API operations]."""
    with_it, without_it = made(commands=True).keys(), made(commands=True, older_agents=False).keys()
    assert with_it - without_it == {"Ec2MessagesEndpoint"}
    requested = {"Fn::Equals": [{"Ref": "OlderAgents"}, "yes"]}
    assert template("drill")["Conditions"][OLDER_AGENTS] == {"Fn::And": [{"Condition": BY_REQUEST}, requested]}
    network = DrillNetwork("snapkeep", "mx-central-1", "subnet-0", ("sg-0",))
    services = [f"com.amazonaws.mx-central-1.{name}" for name in AGENT_ACTIONS if name != "ec2messages"]
    endpoints = [VpcEndpoint("vpce-0", service, "Interface", "123456789012", "", ("sg-1",), "snapkeep") for service in services]
    assert missing_for_commands(network, NetworkFacts("vpc-0", (), tuple(endpoints), ())) == []
    assert missing_for_commands(network, NetworkFacts("vpc-0", (), tuple(endpoints[:1]), ())) == services[1:]


@pytest.mark.parametrize("service", AGENT_ACTIONS)
def test_an_endpoint_admits_what_the_check_of_isolation_admits(service: str) -> None:
    endpoints = [one["Properties"] for one in made(commands=True).values() if one["Type"].endswith("::VPCEndpoint")]
    name = {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"}
    [endpoint] = [one for one in endpoints if one["ServiceName"] == name]
    assert (endpoint["VpcEndpointType"], endpoint["PrivateDnsEnabled"]) == ("Interface", True)
    assert (endpoint["SecurityGroupIds"], endpoint["SubnetIds"]) == ([{"Ref": "EndpointGroup"}], [{"Ref": "Subnet"}])
    [statement] = endpoint["PolicyDocument"]["Statement"]
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert set(actions) == AGENT_ACTIONS[service]
    assert statement["Condition"] == {"ArnEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["AgentRole", "Arn"]}}}


def test_the_role_of_agents_can_take_commands_and_nothing_else() -> None:
    role = made(commands=True)["AgentRole"]["Properties"]
    assert role["RoleName"] == {"Fn::Sub": "snapkeep${FunctionNameSuffix}-drill-${AWS::Region}"}
    [policy] = role["Policies"]
    granted = [action for one in policy["PolicyDocument"]["Statement"] for action in as_list(one["Action"])]
    assert sorted(granted) == sorted(action for actions in AGENT_ACTIONS.values() for action in actions)


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_drills_find_the_network_by_its_tag() -> None:
    tagged = {
        name
        for name, resource in template("drill")["Resources"].items()
        if {"Key": DRILL_NETWORK, "Value": SYSTEM} in resource["Properties"].get("Tags", ())
    }
    assert tagged == {"Subnet", "Group", "SsmEndpoint", "SsmMessagesEndpoint", "Ec2MessagesEndpoint"}


def test_the_network_is_not_found_as_a_stack_of_a_system() -> None:
    """A stack that was deployed under another name is found by its outputs."""
    assert not {"SystemName", "QueueTableName"} & template("drill")["Outputs"].keys()
