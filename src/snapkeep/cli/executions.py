"""State machines and their executions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from snapkeep.cli.errors import one_line
from snapkeep.domain.errors import AwsUnavailable, SnapkeepError
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.common import AwsSettings
    from snapkeep.usecases.look.explain import ExecutionSummary

LOOK_SECONDS = 1.0
MACHINES = {StackKind.PRIMARY: ("protect", "sweep"), StackKind.DR: ("receive", "verify", "sweep", "drill")}
"""The state machines of each stack."""
RUNS = 25
"""Executions of one state machine that are listed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a state machine."""

    machine: str
    region: str
    execution: ExecutionSummary

    @property
    def name(self) -> str:
        """The execution's name."""
        return self.execution.arn.rpartition(":")[2]


def latest_runs(
    settings: AwsSettings, regions: Iterable[str], identity: Callable[[str], Mapping[str, str]]
) -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """Return the latest executions in regions, the newest first, and why others are not known.

    `identity` returns the caller's identity as a region's GetCallerIdentity names it.
    """
    from snapkeep.adapters.stepfunctions_run_history import RunHistory  # noqa: PLC0415 - imports botocore

    runs: list[Run] = []
    problems: list[str] = []
    for region in regions:
        client = settings.client("stepfunctions", region)
        try:
            caller = identity(region)
            for machine in MACHINES[settings.kind_of(region)]:
                arn = state_machine_arn(caller, region, settings.system, machine)
                runs += [Run(machine, region, each) for each in RunHistory(client=client, state_machine_arn=arn).latest(RUNS)]
        except SnapkeepError as error:
            problems.append(f"the executions in {region} are not known: {one_line(error)}")
    return tuple(sorted(runs, key=lambda run: run.execution.started_at, reverse=True)), tuple(problems)


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
