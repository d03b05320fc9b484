"""The definitions in the form of engines, and the report of a run by any engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import snapkeep.infra

INFRA = Path(next(iter(snapkeep.infra.__path__)))
DEFINITIONS = INFRA / "statemachines"
REGION, ACCOUNT_ID = "us-east-1", "123456789012"

Handler = Callable[[dict[str, Any]], Any]
"""A function for its state machine: from payload to answer. The state machine gets an exception by its class's name."""

Pause = Callable[[float], None]
"""The action while a retry waits, called with the seconds."""


def no_pause(seconds: float) -> None:
    """Do not wait."""


class LambdaRefusedError(Exception):
    """Lambda itself does not carry out the call; the state machine gets `Lambda.<code>`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def definition_names() -> list[str]:
    """Return the names of all definitions, without their endings."""
    return sorted(path.name.removesuffix(".asl.json") for path in DEFINITIONS.glob("*.asl.json"))


def definition_text(name: str) -> str:
    """Return the text of a definition's file."""
    return (DEFINITIONS / f"{name}.asl.json").read_text(encoding="utf-8")


def definition(name: str) -> dict[str, Any]:
    """Return a definition with its `${…}` filled in: a function's ARN ends in its name."""
    filled = re.sub(
        r"\$\{(\w+)Arn\}",
        rf"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:\1",
        definition_text(name).replace("${Partition}", "aws"),
    )
    parsed: dict[str, Any] = json.loads(filled)
    return parsed


@dataclass(frozen=True)
class Run:
    """The result of an execution. `states` are the entered states, in order, including those inside a Map."""

    status: str
    states: tuple[str, ...]
    error: str = ""
    cause: str = ""
    output: Any = None


class Engine(Protocol):
    """An interpreter of definitions, with its Lambda replaced by handlers."""

    def start(self, machine: str, payload: Mapping[str, Any]) -> str:
        """Start an execution of a definition with an input and return its ARN."""
        ...

    def running(self, execution: str) -> bool:
        """Return whether an execution has not ended yet."""
        ...

    def wait(self, execution: str) -> Run:
        """Wait until an execution ends and return its result."""
        ...

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Answer a task token. Return False if no execution waits for it any more."""
        ...

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Answer a task token. Return False if no execution waits for it any more."""
        ...

    @property
    def retry_delays(self) -> list[float]:
        """The seconds that retries would have waited, as the engine computed them."""
        ...
