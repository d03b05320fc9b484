"""Errors of functions that fit into the state of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias

from snapkeep.functions.log import logger

LambdaHandler: TypeAlias = Callable[[dict[str, Any], Any], dict[str, Any]]

CAUSE_CHARACTERS = 240
"""Characters of an error's message: all copies of a set may fail, and share 256 KiB (Step Functions developer guide: quotas)."""


def with_short_cause(handler: LambdaHandler) -> LambdaHandler:
    """Return the handler with short errors: Lambda hands the message and the stack trace on. The log has both whole."""

    @wraps(handler)
    def run(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return handler(event, context)
        except Exception as error:  # noqa: BLE001 - it is raised again
            # The log before the cut: afterwards the whole cause is nowhere.
            logger().exception("failed")
            error.args = (str(error)[:CAUSE_CHARACTERS],)
            raise error.with_traceback(None) from None

    return run
