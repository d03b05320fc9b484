"""What the state machines' definitions say about retries, read from the definitions themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any


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
        """Given the number of the retry (from 1), return how long it waits."""
        seconds = min(self.first_seconds * self.rate ** (attempt - 1), self.longest_seconds)
        return dice.uniform(0, seconds) if self.full_jitter else seconds


@cache
def retries_of(machine: str) -> Mapping[str, Sequence[RetryRule]]:
    """Given `protect`, `receive` or `sweep`, return the retriers of each of its Task states by name, nested ones too."""
    text = files("snapkeep").joinpath("infra", "statemachines", f"{machine}.asl.json").read_text(encoding="utf-8")
    return {name: [_rule(retrier) for retrier in state.get("Retry", [])] for name, state in _tasks(json.loads(text))}


def _tasks(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield name, state
        elif state["Type"] == "Map":
            yield from _tasks(state["ItemProcessor"])


def _rule(retrier: Mapping[str, Any]) -> RetryRule:
    """The defaults are those of the language: 1 second, rate 2, 3 attempts, no jitter."""
    return RetryRule(
        errors=frozenset(retrier["ErrorEquals"]),
        first_seconds=retrier.get("IntervalSeconds", 1),
        rate=retrier.get("BackoffRate", 2),
        longest_seconds=retrier.get("MaxDelaySeconds", float("inf")),
        attempts=retrier.get("MaxAttempts", 3),
        full_jitter=retrier.get("JitterStrategy") == "FULL",
    )
