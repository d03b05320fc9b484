"""The state machines' definitions, read from the package, whose states an execution in virtual time enters as on AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from snapkeep.lab.simulator.paths import PathReader, Predicate, UnknownDefinition, predicate, reader, template

ALL_ERRORS = "States.ALL"
MAP_ITERATIONS = 40
"""An inline Map runs at most 40 iterations at once (Step Functions developer guide: Map state in inline mode)."""


class StateType(StrEnum):
    """The types of states in the definitions."""

    TASK = "Task"
    CHOICE = "Choice"
    PASS = "Pass"  # noqa: S105 - a type of the language
    MAP = "Map"
    WAIT = "Wait"
    SUCCEED = "Succeed"
    FAIL = "Fail"


_COMMON = {"Type", "Comment", "Next", "End"}
_HANDLING = {"ResultSelector", "ResultPath", "Retry", "Catch"}
_FIELDS = {
    StateType.TASK: _COMMON | _HANDLING | {"Resource", "Parameters", "OutputPath", "TimeoutSeconds", "TimeoutSecondsPath"},
    StateType.CHOICE: {"Type", "Comment", "Choices", "Default"},
    StateType.PASS: _COMMON | {"Result", "Parameters", "ResultPath"},
    StateType.MAP: _COMMON | _HANDLING | {"ItemsPath", "ItemSelector", "MaxConcurrency", "ItemProcessor"},
    StateType.WAIT: {"Type", "Comment", "Next", "Seconds", "SecondsPath"},
    StateType.SUCCEED: {"Type", "Comment"},
    StateType.FAIL: {"Type", "Comment", "Error", "ErrorPath", "Cause", "CausePath"},
}
"""The fields of each type that the interpreter supports. Any other field raises UnknownDefinition."""

_INVOKE = re.compile(r"arn:\$\{Partition\}:states:::lambda:invoke(\.waitForTaskToken)?")
_RESULT_PATH = re.compile(r"\$(\.\w+)?")
_FUNCTION = re.compile(r"\$\{(\w+)Arn\}")


@dataclass(frozen=True, slots=True)
class RetryRule:
    """One retrier of a Task state (Amazon States Language: Retry)."""

    errors: frozenset[str]
    first_seconds: float
    rate: float
    longest_seconds: float
    attempts: int
    full_jitter: bool

    def seconds(self, attempt: int, dice: Random) -> float:
        """Return the wait of the retry with this number, from 1, in seconds."""
        seconds = min(self.first_seconds * self.rate ** (attempt - 1), self.longest_seconds)
        return dice.uniform(0, seconds) if self.full_jitter else seconds


@dataclass(frozen=True, slots=True)
class CatchRule:
    """One catcher of a state: the next state after its errors, and the path for the error."""

    errors: frozenset[str]
    result_path: str | None
    next: str

    def catches(self, error: str) -> bool:
        """Return whether the catcher matches an error of this name."""
        return error in self.errors or ALL_ERRORS in self.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """One state, with readers of its paths and templates."""

    name: str
    type: StateType
    next: str = ""
    """The next state; empty if the execution, or the iteration of a Map, ends."""
    function: str = ""
    waits_for_token: bool = False
    parameters: PathReader | None = None
    result: Any = None
    result_selector: PathReader | None = None
    result_path: str | None = "$"
    """None to discard the result, so that the output is the input (Amazon States Language: ResultPath)."""
    output_path: PathReader | None = None
    timeout_seconds: PathReader | None = None
    retriers: tuple[RetryRule, ...] = ()
    catchers: tuple[CatchRule, ...] = ()
    choices: tuple[tuple[Predicate, str], ...] = ()
    items: PathReader | None = None
    item_selector: PathReader | None = None
    concurrency: int = MAP_ITERATIONS
    wait_seconds: PathReader | None = None
    processor: StateMachine | None = None
    error: PathReader | None = None
    cause: PathReader | None = None


@dataclass(frozen=True, slots=True)
class StateMachine:
    """States by name, and the name of the first one."""

    first: str
    states: Mapping[str, MachineState]

    def all_states(self) -> Iterator[MachineState]:
        """Return every state, including those inside Maps."""
        for state in self.states.values():
            yield state
            if state.processor is not None:
                yield from state.processor.all_states()


@cache
def state_machine(name: str) -> StateMachine:
    """Return the state machine of a definition (`protect`, `receive`, `sweep`). Raise UnknownDefinition."""
    text = files("snapkeep").joinpath("infra", "statemachines", f"{name}.asl.json").read_text(encoding="utf-8")
    return parse(json.loads(text))


def parse(definition: Mapping[str, Any]) -> StateMachine:
    """Return the state machine of a definition. Raise UnknownDefinition for anything that the interpreter would ignore."""
    return StateMachine(definition["StartAt"], {name: _state(name, fields) for name, fields in definition["States"].items()})


def _state(name: str, fields: Mapping[str, Any]) -> MachineState:
    try:
        type_ = StateType(fields["Type"])
    except ValueError as error:
        raise UnknownDefinition(f"the state {name} is of type {fields['Type']}") from error
    unknown = set(fields) - _FIELDS[type_]
    if unknown:
        raise UnknownDefinition(f"the state {name} has {', '.join(sorted(unknown))}")
    if not _RESULT_PATH.fullmatch(fields.get("ResultPath", "$") or "$"):
        raise UnknownDefinition(f"the state {name} has the result path {fields['ResultPath']}")
    function, waits_for_token = _invoked(name, fields) if type_ is StateType.TASK else ("", False)
    processor = fields.get("ItemProcessor")
    return MachineState(
        name=name,
        type=type_,
        next=fields.get("Next", fields.get("Default", "")),
        function=function,
        waits_for_token=waits_for_token,
        parameters=_template(fields, "Parameters"),
        result=fields.get("Result"),
        result_selector=_template(fields, "ResultSelector"),
        result_path=fields.get("ResultPath", "$"),
        output_path=_path(fields, "OutputPath"),
        timeout_seconds=_path(fields, "TimeoutSecondsPath"),
        retriers=tuple(_retrier(retrier) for retrier in fields.get("Retry", [])),
        catchers=tuple(
            CatchRule(frozenset(rule["ErrorEquals"]), rule.get("ResultPath", "$"), rule["Next"])
            for rule in fields.get("Catch", [])
        ),
        choices=tuple((predicate(rule), rule["Next"]) for rule in fields.get("Choices", [])),
        items=_path(fields, "ItemsPath"),
        item_selector=_template(fields, "ItemSelector"),
        concurrency=min(fields.get("MaxConcurrency") or MAP_ITERATIONS, MAP_ITERATIONS),
        wait_seconds=_text(fields, "Seconds"),
        processor=parse(processor) if processor else None,
        error=_text(fields, "Error"),
        cause=_text(fields, "Cause"),
    )


def _invoked(name: str, fields: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the function of a Task, by the name of its resource, and whether the Task waits for a token."""
    resource = _INVOKE.fullmatch(fields["Resource"])
    function = _FUNCTION.fullmatch(fields["Parameters"]["FunctionName"])
    if resource is None or function is None:
        raise UnknownDefinition(f"the state {name} calls {fields['Resource']}")
    return function[1], bool(resource[1])


def _template(fields: Mapping[str, Any], field: str) -> PathReader | None:
    return template(fields[field]) if field in fields else None


def _path(fields: Mapping[str, Any], field: str) -> PathReader | None:
    return reader(fields[field]) if field in fields else None


def _text(fields: Mapping[str, Any], field: str) -> PathReader | None:
    """Return the reader of a value in the definition, or of the path `{field}Path`."""
    if field not in fields:
        return _path(fields, f"{field}Path")
    text = fields[field]
    return lambda _data, _context: text


def _retrier(fields: Mapping[str, Any]) -> RetryRule:
    """Return a retry rule. The defaults are those of the language: 1 second, rate 2, 3 attempts, no jitter."""
    return RetryRule(
        errors=frozenset(fields["ErrorEquals"]),
        first_seconds=fields.get("IntervalSeconds", 1),
        rate=fields.get("BackoffRate", 2),
        longest_seconds=fields.get("MaxDelaySeconds", float("inf")),
        attempts=fields.get("MaxAttempts", 3),
        full_jitter=fields.get("JitterStrategy") == "FULL",
    )


def matching_retrier(retriers: Sequence[RetryRule], error: str) -> int:
    """Return the position of the first retrier that names an error, or -1."""
    return next((number for number, rule in enumerate(retriers) if error in rule.errors), -1)
