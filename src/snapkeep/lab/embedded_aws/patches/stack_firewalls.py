"""DNS Firewall in stacks, which ministack does not have: AWS's refusals apply, and the resources have no effect.

Names are not modelled, and no call of Route 53 Resolver returns the resources of a stack. Source: CloudFormation template
reference: AWS::Route53Resolver::FirewallDomainList, FirewallRuleGroup, FirewallRuleGroupAssociation; botocore (route53resolver
2018-04-01); Route 53 developer guide: managing your own domain lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld

Properties = Mapping[str, Any]
Made = tuple[str, dict[str, Any]]
"""Physical id, and the attributes of GetAtt."""
PREFIXES = {
    "FirewallDomainList": "rslvr-fdl",
    "FirewallRuleGroup": "rslvr-frg",
    "FirewallRuleGroupAssociation": "rslvr-frgassoc",
}
_DOMAIN = re.compile(r"^\*?[A-Za-z0-9.-]{0,254}$")
_NAME = re.compile(r"^(?!\d+$)[A-Za-z0-9_' -]{1,64}$")
FIRST_PRIORITY, LAST_PRIORITY = 101, 8_999
"""The priorities of associations (botocore: route53resolver, AssociateFirewallRuleGroup)."""


class FirewallError(Exception):
    """AWS's refusal to create the resource; the stack's event shows the message."""


def apply(locked_world: LockedWorld) -> None:
    """Make CloudFormation support these types."""
    from ministack.services.cloudformation import provisioners

    def checked_association(properties: Properties) -> None:
        _check_association(properties, locked_world)

    checks = (check_domains, check_rules, checked_association)
    for (kind, prefix), check in zip(PREFIXES.items(), checks, strict=True):
        handlers = {"create": _creating(prefix, check), "update": _updating(check), "delete": _delete}
        provisioners._RESOURCE_HANDLERS[f"AWS::Route53Resolver::{kind}"] = handlers


def _creating(prefix: str, check: Callable[[Properties], None]) -> Any:
    def create(_logical_id: str, properties: Properties, _stack_name: str) -> Made:
        _check(properties, check)
        made = f"{prefix}-{uuid4().hex[:17]}"
        return made, {"Id": made}

    return create


def _delete(*_: Any) -> None:
    """Delete nothing, as nothing is kept."""


def _updating(check: Callable[[Properties], None]) -> Any:
    def update(physical_id: str, _former: Properties, properties: Properties, _stack_name: str) -> Made:
        _check(properties, check)
        return physical_id, {"Id": physical_id}

    return update


def _check(properties: Properties, check: Callable[[Properties], None]) -> None:
    if not _NAME.match(str(properties.get("Name", ""))):
        raise FirewallError(f"Name {properties.get('Name')!r} is not 1 to 64 letters, digits, spaces, - _ and '")
    check(properties)


def check_domains(properties: Properties) -> None:
    """Raise FirewallError if AWS refuses a domain list."""
    domains = [str(domain) for domain in properties.get("Domains") or ()]
    wrong = [domain for domain in domains if not domain or not _DOMAIN.match(domain)]
    if wrong or not domains:
        raise FirewallError(f"Domains {domains} has invalid ones, or none: {wrong}")


def check_rules(properties: Properties) -> None:
    """Raise FirewallError if AWS refuses a rule group."""
    rules = properties.get("FirewallRules") or ()
    priorities = [int(rule["Priority"]) for rule in rules]
    if len(set(priorities)) < len(priorities):
        raise FirewallError(f"the priorities {priorities} are not unique in the rule group")
    for rule in rules:
        if rule["Action"] not in ("ALLOW", "ALERT", "BLOCK"):
            raise FirewallError(f"Action {rule['Action']!r} is not ALLOW, ALERT or BLOCK")
        if (rule["Action"] == "BLOCK") != bool(rule.get("BlockResponse")):
            raise FirewallError("a rule has a BlockResponse if its Action is BLOCK, and only then")
        _check_id(rule["FirewallDomainListId"], "FirewallDomainList")


def _check_association(properties: Properties, locked_world: LockedWorld) -> None:
    from ministack.core.responses import get_account_id, get_region

    _check_id(properties["FirewallRuleGroupId"], "FirewallRuleGroup")
    if not FIRST_PRIORITY <= int(properties["Priority"]) <= LAST_PRIORITY:
        raise FirewallError(f"Priority {properties['Priority']} is not from {FIRST_PRIORITY} to {LAST_PRIORITY}")
    account_id, vpc = get_account_id(), {"VpcIds": [properties["VpcId"]]}
    caller = f"arn:aws:iam::{account_id}:root"
    locked_world.call("ec2", "DescribeVpcs", vpc, region=get_region(), account_id=account_id, caller=caller)


def _check_id(value: Any, kind: str) -> None:
    if not str(value).startswith(f"{PREFIXES[kind]}-"):
        raise FirewallError(f"{value} is not the id of a {kind}")
