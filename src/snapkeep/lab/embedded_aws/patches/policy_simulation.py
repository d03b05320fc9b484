"""IAM's SimulatePrincipalPolicy: it refuses requests for which the emulator's simulation would return a wrong answer.

ministack denies everything to a principal that does not exist, uses only the first resource, and ignores context entries and
additional policies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_UNDERSTOOD = re.compile(r"Action|Version|PolicySourceArn|ActionNames\.member\.\d+|ResourceArns\.member\.1|MaxItems")
Simulate = Callable[[Mapping[str, Any]], Any]


def apply() -> None:
    """Add the refusals before ministack's simulation."""
    from ministack.services import iam

    handlers: dict[str, Simulate] = iam._IAM_HANDLERS
    handlers["SimulatePrincipalPolicy"] = _refusing(handlers["SimulatePrincipalPolicy"])


def _refusing(simulate: Simulate) -> Simulate:
    from ministack.services import iam

    def simulate_principal_policy(parameters: Mapping[str, Any]) -> Any:
        kind, _, path = str(iam._p(parameters, "PolicySourceArn")).rpartition(":")[2].partition("/")
        principals = {"user": iam._users, "role": iam._roles}.get(kind, {})
        name = path.rpartition("/")[2]
        if name not in principals:
            return iam._error(404, "NoSuchEntity", f"The {kind} with name {name} cannot be found.")
        unknown = [name for name in parameters if not _UNDERSTOOD.fullmatch(name)]
        if unknown:
            return iam._error(400, "ValidationError", f"The embedded AWS does not simulate {', '.join(sorted(unknown))}")
        return simulate(parameters)

    return simulate_principal_policy
