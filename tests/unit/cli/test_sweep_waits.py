"""`snapkeep sweep` shows what it waits for, and Ctrl-C ends the wait and not the sweep."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console

from snapkeep.cli import executions
from snapkeep.cli.commands import sweep as command
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.usecases.sweep.shared import SweepInput, SweepOptions
from support.installed_stacks import Settings

PRIMARY, DR, ARN = "eu-central-1", "eu-west-1", "arn:aws:states:eu-west-1:123456789012:execution:snapkeep-sweep:one"
OUTPUTS = {"SweepStateMachineArn": "arn:machine"}


@dataclass
class StepFunctions:
    """Step Functions with one execution: what DescribeExecution answers, one after the other. It has no other call."""

    answers: list[str | BaseException]
    looked: Iterator[str | BaseException] = field(init=False)

    def __post_init__(self) -> None:
        self.looked = iter(self.answers)

    def start_execution(self, **_: Any) -> dict[str, str]:
        return {"executionArn": ARN}

    def describe_execution(self, **_: Any) -> dict[str, str]:
        answer = next(self.looked)
        if isinstance(answer, BaseException):
            raise answer
        return {"status": answer, "error": "Broken", "cause": "no report"}


@dataclass
class Installed:
    """An installed system with this Step Functions."""

    step_functions: StepFunctions

    @property
    def settings(self) -> Any:
        settings = Settings(PRIMARY, DR)
        object.__setattr__(settings, "client", lambda *_: self.step_functions)
        return settings


def sweep(monkeypatch: pytest.MonkeyPatch, *answers: str | BaseException) -> str:
    shown = io.StringIO()
    seconds = iter(range(0, 10_000, 61))
    monkeypatch.setattr(command, "make_console", lambda **_: Console(file=shown, force_terminal=True, width=80))
    monkeypatch.setattr(executions, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(executions, "sleep", lambda _: None)
    installed: Any = Installed(StepFunctions(list(answers)))
    with pytest.raises(AwsUnavailable, match="ended without a report: Broken: no report"):
        command.swept(installed.settings, DR, OUTPUTS, SweepInput(SweepOptions()), quiet=False)
    return shown.getvalue()


def test_a_sweep_shows_its_region_and_how_long_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = sweep(monkeypatch, "RUNNING", "RUNNING", "FAILED")
    assert f"Sweeping {DR}" in shown
    assert f"Sweeping {DR}, 183 s" in shown


def test_ctrl_c_ends_the_wait_and_names_the_sweep_that_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt, match=f"^the sweep of {DR} continues in AWS: {ARN}$"):
        sweep(monkeypatch, "RUNNING", KeyboardInterrupt())
