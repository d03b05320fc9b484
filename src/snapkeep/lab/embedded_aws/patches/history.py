"""Execution history: the links between events, and the parameters of waiting tasks.

ministack numbers the events and has neither. Source: botocore's model of Step Functions (HistoryEvent.previousEventId,
TaskScheduledEventDetails.parameters), and the developer guide on the callback pattern: TaskScheduled, TaskStarted, TaskSubmitted.
"""

from __future__ import annotations

import json
import threading
from contextvars import ContextVar
from typing import Any

from snapkeep.lab.embedded_aws.patches.patching import replace

SERVICE_PREFIX = "arn:aws:states:::"
_execution: ContextVar[Any] = ContextVar("_execution", default=None)
"""None where only the engine runs, without this patch: then nothing is recorded."""
_previous: ContextVar[int] = ContextVar("_previous", default=0)
"""Each item of a Map has its own context, a copy of its parent's at the start, and so its own chain of events."""
_adding = threading.Lock()


def apply() -> None:
    """Apply the patches."""
    from ministack.services import stepfunctions

    replace(stepfunctions, "_add_event", _linked)
    replace(stepfunctions, "_run_execution", _from_its_beginning)


def _from_its_beginning(run: Any) -> Any:
    def run_execution(execution_arn: str) -> Any:
        _previous.set(0)
        return run(execution_arn)

    return run_execution


def _linked(add: Any) -> Any:
    def add_event(execution: Any, event_type: str, details: Any = None) -> Any:
        with _adding:
            event = add(execution, event_type, details)
            event["previousEventId"] = _previous.get()
        _execution.set(execution)
        _previous.set(event["id"])
        return event

    return add_event


def task_started(resource: str, parameters: Any) -> None:
    """Record the parameters of a ``.waitForTaskToken`` task that was just scheduled, and TaskStarted."""
    from ministack.services import stepfunctions

    service, _, action = resource.removeprefix(SERVICE_PREFIX).partition(":")
    named = {"resourceType": service, "resource": action}
    execution = _execution.get()
    if execution is None:
        return
    scheduled = execution["events"][_previous.get() - 1]["taskScheduledEventDetails"]
    scheduled.update(named | {"parameters": json.dumps(parameters)})
    stepfunctions._add_event(execution, "TaskStarted", {"taskStartedEventDetails": named})


def task_submitted(resource: str) -> None:
    """Record TaskSubmitted: the call of a ``.waitForTaskToken`` task was answered, and the task waits for its token."""
    from ministack.services import stepfunctions

    service, _, action = resource.removeprefix(SERVICE_PREFIX).partition(":")
    details = {"taskSubmittedEventDetails": {"resourceType": service, "resource": action}}
    if _execution.get() is not None:
        stepfunctions._add_event(_execution.get(), "TaskSubmitted", details)
