"""State machines and their executions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any

from snapkeep.domain.errors import AwsUnavailable

LOOK_SECONDS = 1.0


def state_machine_arn(caller: Mapping[str, str], region: str, system: str, machine: str) -> str:
    """Return the ARN of a system's state machine in the account of a caller, as GetCallerIdentity names it."""
    partition = caller["Arn"].split(":")[1]
    return f"arn:{partition}:states:{region}:{caller['Account']}:stateMachine:{system}-{machine}"


def ended_execution(client: Any, arn: str, *, hours: float, waited: Callable[[float], None] = lambda _: None) -> dict[str, Any]:
    """Return the description of an execution once it has ended. Raise AwsUnavailable where it still runs after so many hours.

    `waited` is called with the seconds so far.
    """
    begun = monotonic()
    while (seconds := monotonic() - begun) < hours * 3600:
        waited(seconds)
        execution: dict[str, Any] = client.describe_execution(executionArn=arn)
        if execution["status"] != "RUNNING":
            return execution
        sleep(LOOK_SECONDS)
    raise AwsUnavailable(f"{arn} is still running after {hours:g} hours; it continues without this command")
