"""Errors that state machines caught, as functions get them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field

from snapkeep.domain.json_codec import OPTIONAL, named
from snapkeep.domain.records import dataclass
from snapkeep.usecases.notify import StepError
from snapkeep.usecases.ports import ProblemKind


@dataclass(frozen=True, slots=True)
class CaughtError:
    """The parts of an error that a Catch keeps."""

    name: str = field(default="", metadata=named("Error") | OPTIONAL)
    cause: str = field(default="", metadata=named("Cause") | OPTIONAL)


def step_error(caught: CaughtError) -> StepError:
    """Return the error that a Catch kept. A function's cause is JSON, of which `errorMessage` is the message."""
    try:
        cause = json.loads(caught.cause)
    except ValueError:
        cause = None
    message = cause.get("errorMessage") if isinstance(cause, Mapping) else None
    # A cause that is not JSON is the service's own text.
    return StepError(caught.name or ProblemKind.STEP_FAILED, str(message or caught.cause or "no cause was given"))
