"""Signal: notify of calls by other principals that can weaken the protection of recovery points."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.signals import OwnNames, Signal, signal_of
from snapkeep.domain.system import FUNCTIONS, function_name
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.signals import NotifySignals
from snapkeep.usecases.sweep.memory import StoredMemory


def build(parts: Composition) -> NotifySignals:
    """Make the use case of the composition."""
    environment = parts.environment
    return NotifySignals(
        system=environment.system,
        region=environment.region,
        reader=parts.reader,
        last_sweep=StoredMemory(parts.reports),
        notices=parts.notices,
        history=parts.reports,
        clock=parts.clock,
        hold_store=partial(parts.hold_store_of, environment.region) if environment.hold_on_signals else None,
    )


def own_names(parts: Composition) -> OwnNames:
    """Return the names of the stack that the function belongs to."""
    environment = parts.environment
    functions = frozenset(function_name(function, environment.system) for function in FUNCTIONS)
    return OwnNames(environment.stack_name, functions, f"/{environment.system}")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Leave notices of the events in a batch of messages. One that cannot be read fails alone, and becomes a dead letter."""
    log = started(event, context)
    parts = composition()
    own = own_names(parts)
    signals: list[Signal] = []
    failed: list[str] = []
    for record in event["Records"]:
        try:
            signal = signal_of(_event(record["body"]), own)
        except InvalidEvent as error:
            log.warning("an event cannot be read", extra={"cause": str(error), "message_id": record["messageId"]})
            failed.append(record["messageId"])
            continue
        if signal is not None:
            signals.append(signal)
    notified = build(parts).run(signals) if signals else 0
    log.info("signals", extra={"events": len(event["Records"]), "notified": notified})
    return {"notified": notified, "batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _event(body: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(f"the message is not JSON: {error}") from error
    if not isinstance(event, dict):
        raise InvalidEvent(f"the message is {type(event).__name__}; an event is an object")
    return event
