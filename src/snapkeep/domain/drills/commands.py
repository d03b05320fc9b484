"""Commands that drills run in their instances, through Systems Manager and without access to the internet.

Sources: [Systems Manager user guide: setting up; VPC endpoints; message API operations].
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

AGENT_WITHIN = timedelta(minutes=15)
"""The time that an SSM agent has to connect after the status checks; it normally takes seconds."""
AGENT_ACTIONS: Mapping[str, frozenset[str]] = {
    "ssm": frozenset({"ssm:UpdateInstanceInformation"}),
    "ssmmessages": frozenset(
        f"ssmmessages:{action}"
        for action in ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel")
    ),
    "ec2messages": frozenset(
        f"ec2messages:{action}"
        for action in ("AcknowledgeMessage", "DeleteMessage", "FailMessage", "GetEndpoint", "GetMessages", "SendReply")
    ),
}
"""The services that SSM agents need, with the actions by which an agent registers and receives commands. Those of State
Manager, inventory and patches are left out: nothing but the drill's command runs."""
OF_OLDER_AGENTS = frozenset({"ec2messages"})
"""Services that agents from version 3.3.40.0 on do not need, and that Regions launched in 2024 or later do not have."""


def role_of_instances(system: str, region: str) -> str:
    """Return the name of the role, and of the instance profile, of instances that run a command. `drill.yaml` makes both."""
    return f"{system}-drill-{region}"


def admits_agents_alone(policy: str, service: str, account_id: str, role: str) -> bool:
    """Whether the policy of a VPC endpoint allows only the calls of agents with the role of the drills' instances.

    Through an endpoint with another policy, a process with credentials of another account could send data there
    [VPC user guide: endpoint policies].
    """
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return False
    listed = statements if isinstance(statements, list) else [statements]
    allowing = [statement for statement in listed if not (isinstance(statement, dict) and statement.get("Effect") == "Deny")]
    return bool(allowing) and all(_is_of_agents(statement, AGENT_ACTIONS[service], account_id, role) for statement in allowing)


def _is_of_agents(statement: Any, actions: Iterable[str], account_id: str, role: str) -> bool:
    """Whether a statement allows only these actions, and only to the role."""
    if not isinstance(statement, dict) or "NotAction" in statement:
        return False
    condition = statement.get("Condition")
    equals = condition.get("ArnEquals") if isinstance(condition, dict) else None
    principals = _texts(equals.get("aws:PrincipalArn") if isinstance(equals, dict) else None)
    named = _texts(statement.get("Action"))
    of_role = [arn.split(":", 3)[-1] == f":{account_id}:role/{role}" for arn in principals]
    return bool(named) and set(named) <= set(actions) and bool(of_role) and all(of_role)


def _texts(value: Any) -> list[str]:
    return [str(text) for text in (value if isinstance(value, list) else [value] if value else [])]
