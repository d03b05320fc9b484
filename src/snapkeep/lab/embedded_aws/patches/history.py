"""Execution history: the links between events, and the parameters of waiting tasks.

ministack numbers the events and has neither. Source: botocore's model of Step Functions (HistoryEvent.previousEventId,
TaskScheduledEventDetails.parameters), and the developer guide on the callback pattern: TaskScheduled, TaskStarted, TaskSubmitted.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace

SERVICE_PREFIX = "arn:aws:states:::"
_execution: ContextVar[Any] = ContextVar("_execution", default=None)
"""None if only the engine runs, without this patch: then nothing is recorded."""
_previous: ContextVar[int] = ContextVar("_previous", default=0)
"""Each item of a Map has its own context, at first a copy of its parent's, and therefore its own chain of events."""
_map_name: ContextVar[str] = ContextVar("_map_name", default="")
"""The Map whose items run in this context; empty in the branches of a Parallel and outside."""
_adding = threading.Lock()
_place: ContextVar[tuple[str, ...]] = ContextVar("_place", default=())
"""The Map or Parallel, and the iteration or branch, in which this context runs, outermost first."""
_resuming: ContextVar[bool] = ContextVar("_resuming", default=False)
"""Whether a redriven state continues with the earlier progress of its iterations or branches."""


def apply() -> None:
    """Apply the patches."""
    from ministack.services import stepfunctions

    replace(stepfunctions, "_add_event", _linked)
    replace(stepfunctions, "_run_execution", _from_its_beginning)
    replace(stepfunctions, "_run_map_items", _recorded_map)
    replace(stepfunctions, "_run_parallel_branches", _recorded_parallel)
    replace(stepfunctions, "_run_sub_machine", lambda _: run_sub_machine)


def continue_after(execution: Any) -> None:
    """Link the next event of this context to the last event of an execution."""
    _previous.set(len(execution["events"]))


@contextmanager
def resumed() -> Iterator[None]:
    """Continue the iterations and branches of the state inside the block where they stopped."""
    token = _resuming.set(True)
    try:
        yield
    finally:
        _resuming.reset(token)


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


def _recorded_map(run: Any) -> Any:
    """Record the events of an inline Map around its items; a distributed Map has executions of its own."""

    def run_map_items(state: Any, raw_input: Any, execution: Any, context: Any) -> Any:
        from ministack.services import stepfunctions

        processor = state.get("Iterator") or state.get("ItemProcessor") or {}
        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            return run(state, raw_input, execution, context)
        length = len(_items(state, raw_input, context))
        stepfunctions._add_event(execution, "MapStateStarted", {"mapStateStartedEventDetails": {"length": length}})
        return _within(
            str(context["State"]["Name"]), "Map", execution, context, lambda: run(state, raw_input, execution, context)
        )

    return run_map_items


def _items(state: Any, raw_input: Any, context: Any) -> list[Any]:
    from ministack.services import stepfunctions

    if "Items" in state and stepfunctions._state_query_language(state, context) == "JSONata":
        items = stepfunctions._jsonata_state_field(state, "Items", "array", raw_input, context)
    else:
        effective = stepfunctions._apply_input_path(state, raw_input, context)
        items = stepfunctions._resolve_path_or_ctx(state.get("ItemsPath", "$"), effective, context)
    return items if isinstance(items, list) else [items]


def _recorded_parallel(run: Any) -> Any:
    """Record the events of a Parallel around its branches."""

    def run_parallel_branches(state: Any, raw_input: Any, execution: Any, context: Any) -> Any:
        from ministack.services import stepfunctions

        stepfunctions._add_event(execution, "ParallelStateStarted")
        return _within("", "Parallel", execution, context, lambda: run(state, raw_input, execution, context))

    return run_parallel_branches


def _progress(execution: Any) -> dict[str, Any]:
    """Return the progress of each iteration and branch by its position: its state and the input of this state, or its output."""
    progress: dict[str, Any] = execution.setdefault("progress", {})
    return progress


def _forget(execution: Any, place: tuple[str, ...]) -> None:
    begin = "/".join(place) + "/"
    for key in [key for key in _progress(execution) if key.startswith(begin)]:
        del _progress(execution)[key]


def _within(map_name: str, kind: str, execution: Any, context: Any, run: Any) -> Any:
    from ministack.services import stepfunctions

    place = (*_place.get(), str(context["State"]["Name"]))
    if not _resuming.get():
        _forget(execution, place)
    token, place_token = _map_name.set(map_name), _place.set(place)
    try:
        result = run()
    except Exception:
        stepfunctions._add_event(execution, f"{kind}StateFailed")
        raise
    finally:
        _map_name.reset(token)
        _place.reset(place_token)
    stepfunctions._add_event(execution, f"{kind}StateSucceeded")
    return result


def run_sub_machine(states: Any, start_at: str, input_data: Any, execution: Any, context: Any) -> Any:
    """Run the states of a branch or of a Map's item, and record their events; return the output."""
    from ministack.services import stepfunctions

    map_name = _map_name.get()
    iteration = {"name": map_name, "index": context["Map"]["Item"]["Index"]} if map_name else {}

    def record(outcome: str) -> None:
        if iteration:
            details = {f"mapIteration{outcome}EventDetails": iteration}
            stepfunctions._add_event(execution, f"MapIteration{outcome}", details)

    place = (*_place.get(), str(iteration["index"]) if iteration else start_at)
    progress, key = _progress(execution), "/".join(place)
    before = progress.get(key, {}) if _resuming.get() else {}
    if "output" in before:
        return copy.deepcopy(before["output"])
    record("Started")
    name: str | None = before.get("name", start_at)
    data = copy.deepcopy(before.get("input", input_data))
    place_token, resuming_token = _place.set(place), _resuming.set(bool(before))
    try:
        while name:
            progress[key] = {"name": name, "input": copy.deepcopy(data)}
            name, data = run_state(name, states, data, execution, context)
            _resuming.set(False)
        progress[key] = {"output": copy.deepcopy(data)}
    except Exception:
        record("Failed")
        raise
    finally:
        _place.reset(place_token)
        _resuming.reset(resuming_token)
    record("Succeeded")
    return data


def run_state(name: str, states: Any, data: Any, execution: Any, context: Any) -> tuple[str | None, Any]:
    """Run one state, and record its events; return the next state's name, if any, and the output."""
    from ministack.services import stepfunctions

    state = states.get(name)
    if state is None:
        raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found")
    kind = str(state["Type"])
    context["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
    entered = {"stateEnteredEventDetails": {"name": name, "input": json.dumps(data)}}
    stepfunctions._add_event(execution, f"{kind}StateEntered", entered)
    following: str | None = None
    if kind == "Fail":
        raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, data, context))
    if kind == "Succeed":
        data = stepfunctions._apply_output_path(state, stepfunctions._apply_input_path(state, data, context), context)
    else:
        run = getattr(stepfunctions, f"_execute_{kind.lower()}")
        with_execution = (execution,) if kind in {"Task", "Parallel", "Map"} else ()
        data, following = run(state, data, *with_execution, context)
    details = {"stateExitedEventDetails": {"name": name, "output": json.dumps(data)}}
    stepfunctions._add_event(execution, f"{kind}StateExited", details)
    return following, data


def task_started(resource: str, parameters: Any) -> None:
    """Record the parameters of a task that was just scheduled, and TaskStarted."""
    from ministack.services import stepfunctions

    service, _, action = resource.removeprefix(SERVICE_PREFIX).partition(":")
    named = {"resourceType": service, "resource": action}
    execution = _execution.get()
    scheduled = execution["events"][_previous.get() - 1].get("taskScheduledEventDetails") if execution else None
    if scheduled is None or not resource.startswith(SERVICE_PREFIX):
        return
    scheduled.update(named | {"parameters": json.dumps(parameters)})
    stepfunctions._add_event(execution, "TaskStarted", {"taskStartedEventDetails": named})


def task_submitted(resource: str) -> None:
    """Record TaskSubmitted: the call of a ``.waitForTaskToken`` task has returned, and the task waits for its token."""
    from ministack.services import stepfunctions

    service, _, action = resource.removeprefix(SERVICE_PREFIX).partition(":")
    details = {"taskSubmittedEventDetails": {"resourceType": service, "resource": action}}
    if _execution.get() is not None:
        stepfunctions._add_event(_execution.get(), "TaskSubmitted", details)
