"""The log of calls to AWS, for `--verbose` and `--log-file`.

It has what support asks for: region, operation, the names of parameters, status, attempts, time, request id and the error's code.
Values of parameters, headers and texts of errors are left out: they may contain secrets.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from snapkeep.cli.errors import WrongUse
from snapkeep.cli.output import printable

LOGGER = logging.getLogger("snapkeep.calls")
_STARTED, _PARAMETERS = "snapkeep_started", "snapkeep_parameters"


def start_log(*, verbose: bool, file: Path | None) -> None:
    """Log to stderr, to a file, to both or to none. Raise WrongUse where the file cannot be written."""
    LOGGER.handlers.clear()
    LOGGER.propagate = False  # the root logger's handlers would print each call once more
    LOGGER.setLevel(logging.DEBUG if verbose or file else logging.CRITICAL)
    if verbose:
        LOGGER.addHandler(logging.StreamHandler(sys.stderr))
    if file:
        try:
            LOGGER.addHandler(logging.FileHandler(file, encoding="utf-8"))
        except OSError as error:
            raise WrongUse(f"--log-file {file}: {error.strerror}") from error
    for handler in LOGGER.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))


def log_calls(client: Any) -> None:
    """Log the calls of a boto3 client, if a log was started."""
    if LOGGER.isEnabledFor(logging.DEBUG):
        client.meta.events.register("before-parameter-build", _note_parameters)
        client.meta.events.register("before-call", _note_start)
        client.meta.events.register("after-call", _log_answer)
        client.meta.events.register("after-call-error", _log_failure)


def _note_parameters(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
    context[_PARAMETERS] = ", ".join(sorted(params))


def _note_start(context: dict[str, Any], **_: Any) -> None:
    context[_STARTED] = monotonic()


def _log_answer(http_response: Any, parsed: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    metadata, error = parsed.get("ResponseMetadata", {}), parsed.get("Error", {})
    headers = metadata.get("HTTPHeaders", {})
    request_id = metadata.get("RequestId") or headers.get("x-amzn-requestid", "not given")
    attempts = metadata.get("RetryAttempts", 0) + 1
    failed = f", {error.get('Code')}" if error else ""  # its text quotes values of parameters
    _log(model, context, f"{http_response.status_code}, attempt {attempts}, request id {request_id}{failed}")


def _log_failure(exception: Exception, context: dict[str, Any], **event: Any) -> None:
    operation = str(event.get("event_name", "")).rpartition(".")[2]
    _log(operation, context, f"no answer, {type(exception).__name__}")  # its text may name a proxy with its password


def _log(operation: Any, context: Mapping[str, Any], text: str) -> None:
    name = operation if isinstance(operation, str) else f"{operation.service_model.service_name} {operation.name}"
    region = context.get("client_region", "")
    took = f"{(monotonic() - context[_STARTED]) * 1000:.0f} ms" if _STARTED in context else "not sent"
    LOGGER.debug("%s", printable(f"{region} {name}({context.get(_PARAMETERS, '')}): {text}, {took}"))
