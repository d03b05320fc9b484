"""Step Functions: task tokens, retries, roles and payload sizes as on AWS.

ministack's engine ignores a failing function of a ``.waitForTaskToken`` task (the execution would continue to wait),
heartbeats, paths of time-outs, ``MaxDelaySeconds`` and ``JitterStrategy``, the permissions of the state machine's role, and the
256 KiB limit. Sources: Step Functions developer guide (service integration patterns, error handling, quotas), Amazon States
Language.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

from snapkeep.lab.embedded_aws.patches.concurrency import SlotWait, slot_wait
from snapkeep.lab.embedded_aws.patches.history import task_started, task_submitted
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.permissions import role_allows, role_in_use, service_may_assume

PAYLOAD_LIMIT_BYTES = 256 * 1024
# Iterations that an inline Map runs at once [Step Functions developer guide: Map state, Inline mode].
INLINE_MAP_CONCURRENCY = 40
RUNTIME, DATA_LIMIT_EXCEEDED = "States.Runtime", "States.DataLimitExceeded"
# A state without a time-out waits for the maximum duration of an execution.
NO_TIMEOUT_SECONDS = 99_999_999.0
SHORTEST_LOOK_SECONDS = 0.05
CLOSED_TOKENS_KEPT = 10_000
STATES = "states.amazonaws.com"

_start_recorded: ContextVar[bool] = ContextVar("_start_recorded", default=False)
"""Whether the history has the start of the task that this context carries out."""
_closed_tokens: deque[str] = deque(maxlen=CLOSED_TOKENS_KEPT)


_ending = threading.Condition()


def apply() -> None:
    """Apply the patches."""
    from ministack.services import stepfunctions

    replace(stepfunctions, "_scaled_sleep", lambda _: wait)
    replace(stepfunctions, "_run_execution", _with_role)
    replace(stepfunctions, "_invoke_resource", _with_permission)
    replace(stepfunctions, "_invoke_resource_with_timeout", lambda _: invoke_with_timeout)
    replace(stepfunctions, "_execute_task", _with_timeouts_by_path)
    replace(stepfunctions, "_invoke_with_callback", lambda _: invoke_with_callback)
    replace(stepfunctions, "_find_matching_retrier", _with_delays)
    replace(stepfunctions, "_start_execution", _with_input_limit)
    replace(stepfunctions, "_error_matches", without_terminal_errors)
    replace(stepfunctions, "_run_map_items", with_inline_limit)
    replace(stepfunctions, "_add_event", _with_state_limit)
    for name in ("_send_task_success", "_send_task_failure", "_send_task_heartbeat"):
        replace(stepfunctions, name, _knowing_closed_tokens)


# Waits


def wait(seconds: float) -> None:
    """Wait for a number of the world's seconds, in a state or before a retry, or until `end_waits`."""
    from ministack.services import stepfunctions

    with _ending:
        _ending.wait(min(seconds * stepfunctions._SFN_WAIT_SCALE, threading.TIMEOUT_MAX))


def end_waits() -> None:
    """End all waits that are in progress."""
    with _ending:
        _ending.notify_all()


# The state machine's role


def _with_role(run: Any) -> Any:
    def run_execution(execution_arn: str) -> Any:
        from ministack.services import stepfunctions

        execution = stepfunctions._executions.get(execution_arn)
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) if execution else None
        if machine is not None:
            role_in_use.set(str(machine["roleArn"]))
        return run(execution_arn)

    return run_execution


def needed_permission(resource: str, parameters: Any) -> tuple[str, str] | None:
    """Return the IAM action and ARN that a task needs; None if this patch knows none."""
    own: Mapping[str, Any] = parameters if isinstance(parameters, Mapping) else {}
    if resource.startswith("arn:aws:lambda:"):
        return "lambda:InvokeFunction", resource
    if "states:::lambda:invoke" in resource:
        return "lambda:InvokeFunction", str(own.get("FunctionName", ""))
    if "states:::sns:publish" in resource:
        return "sns:Publish", str(own.get("TopicArn", ""))
    if "states:::states:startExecution" in resource:
        return "states:StartExecution", str(own.get("StateMachineArn", ""))
    return None


def _with_permission(invoke: Any) -> Any:
    def invoke_resource(resource: str, parameters: Any) -> Any:
        from ministack.core.responses import get_region
        from ministack.services import stepfunctions

        if not _start_recorded.get():
            task_started(resource, parameters)
        role, needed = role_in_use.get(), needed_permission(resource, parameters)
        if role and needed is not None:
            action, arn = needed
            if arn and not arn.startswith("arn:"):
                arn = f"arn:aws:lambda:{get_region()}:{role.split(':')[4]}:function:{arn}"
            if not service_may_assume(role, STATES) or not role_allows(role, action, arn, get_region()):
                error = "Lambda.AWSLambdaException" if action.startswith("lambda:") else "States.Permissions"
                raise stepfunctions._ExecutionError(error, f"{role} is not authorized to perform: {action} on resource: {arn}")
        _check_size(parameters, f"The payload to {resource}")
        answer = invoke(resource, parameters)
        _check_size(answer, f"The answer of {resource}")
        return answer

    return invoke_resource


# Payloads


def _check_size(payload: Any, field_name: str) -> None:
    _check_text_size(json.dumps(payload, ensure_ascii=False), field_name)


def _check_text_size(text: str, field_name: str) -> None:
    from ministack.services import stepfunctions

    if len(text.encode()) > PAYLOAD_LIMIT_BYTES:
        raise stepfunctions._ExecutionError(DATA_LIMIT_EXCEEDED, f"{field_name} is larger than {PAYLOAD_LIMIT_BYTES} bytes.")


def _with_state_limit(add: Any) -> Any:
    """Limit the input and the output of every kind of state too."""

    def add_event(execution: Any, event_type: str, details: Any = None) -> Any:
        if event_type.endswith(("StateEntered", "StateExited")):
            for detail in (details or {}).values():
                _check_text_size(
                    str(detail.get("input") or detail.get("output") or ""), f"The data of the state '{detail.get('name')}'"
                )
        return add(execution, event_type, details)

    return add_event


def _running_execution(data: Mapping[str, Any]) -> Any:
    """Return the first answer again for a running execution with the same name and input; None for any other request.

    Source: Step Functions API reference, StartExecution: it is idempotent for standard workflows.
    """
    from ministack.core.responses import json_response
    from ministack.services import stepfunctions

    machine_arn = stepfunctions._resolve_state_machine_arn(str(data.get("stateMachineArn", "")))
    if machine_arn is None or not data.get("name"):
        return None
    execution = stepfunctions._executions.get(f"{machine_arn.replace(':stateMachine:', ':execution:')}:{data['name']}")
    if execution is None or execution["status"] != "RUNNING" or execution["input"] != data.get("input", "{}"):
        return None
    return json_response({"executionArn": execution["executionArn"], "startDate": execution["startDate"]})


def _with_input_limit(start: Any) -> Any:
    def start_execution(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json

        if len(str(data.get("input", "")).encode()) > PAYLOAD_LIMIT_BYTES:
            return error_response_json("ValidationException", f"'input' must be at most {PAYLOAD_LIMIT_BYTES} bytes", 400)
        return _running_execution(data) or start(data)

    return start_execution


# Waiting for a task token


def _with_timeouts_by_path(execute: Any) -> Any:
    def execute_task(state: dict[str, Any], raw_input: Any, execution: Any, context: Any) -> Any:
        from ministack.services import stepfunctions

        for field in ("TimeoutSeconds", "HeartbeatSeconds"):
            path = state.get(f"{field}Path")
            if path is not None:
                state = {**state, field: stepfunctions._resolve_path_or_ctx(path, raw_input, context)}
        return execute(state, raw_input, execution, context)

    return execute_task


@contextmanager
def _start_is_recorded() -> Iterator[None]:
    token = _start_recorded.set(True)
    try:
        yield
    finally:
        _start_recorded.reset(token)


def invoke_with_timeout(resource: str, parameters: Any, timeout_seconds: float) -> Any:
    """Run a task with a time-out, which does not count the time for which a function waits for a slot on this machine.

    Return its output. Raise ministack's `States.Timeout` after the time-out, and the task's own errors.
    """
    from ministack.services import stepfunctions

    noted = SlotWait()
    slot_wait.set(noted)
    task_started(resource, parameters)
    started = time.monotonic()
    pool = ThreadPoolExecutor(max_workers=1)
    with _start_is_recorded():
        future = pool.submit(copy_context().run, stepfunctions._invoke_resource, resource, parameters)
    pool.shutdown(wait=False)
    while True:
        seconds_left = started + timeout_seconds + noted.seconds() - time.monotonic()
        try:
            return future.result(max(seconds_left, SHORTEST_LOOK_SECONDS))
        except TimeoutError:
            if future.done():
                raise
            if started + timeout_seconds + noted.seconds() <= time.monotonic():
                error = stepfunctions._ExecutionError("States.Timeout", f"Task timed out after {timeout_seconds} seconds")
                raise error from None


def invoke_with_callback(resource: str, parameters: Any, token: str, state: Mapping[str, Any]) -> Any:
    """Call a ``.waitForTaskToken`` task and wait for its token; a call that fails ends the wait at once.

    Return the output of SendTaskSuccess. Raise ministack's error with the name and cause of SendTaskFailure.
    """
    from ministack.services import stepfunctions

    answered = threading.Event()
    stepfunctions._task_tokens[token] = {"event": answered, "result": None, "error": None, "heartbeat": None}
    try:
        task_started(resource, parameters)
        with _start_is_recorded():
            stepfunctions._invoke_resource(resource.replace(".waitForTaskToken", ""), parameters)
        task_submitted(resource)
        _wait(answered, token, state)
        answer = stepfunctions._task_tokens.get(token) or {}
    finally:
        stepfunctions._task_tokens.pop(token, None)
        _closed_tokens.append(token)
    if answer.get("error"):
        raise stepfunctions._ExecutionError(answer["error"].get("Error", ""), answer["error"].get("Cause", ""))
    result = json.loads(answer.get("result") or "{}")
    _check_size(result, "The output of the task")
    return result


def _wait(answered: threading.Event, token: str, state: Mapping[str, Any]) -> None:
    """Wait for the answer. Time-outs are in the world's seconds, like waits and retries."""
    from ministack.services import stepfunctions

    scale = stepfunctions._SFN_WAIT_SCALE
    started = time.monotonic()
    deadline = started + float(state.get("TimeoutSeconds", NO_TIMEOUT_SECONDS)) * scale
    heartbeat_seconds = float(state.get("HeartbeatSeconds", NO_TIMEOUT_SECONDS)) * scale
    last_beat, last_seen = started, None
    while True:
        seconds_left = min(deadline, last_beat + heartbeat_seconds) - time.monotonic()
        if answered.wait(min(max(seconds_left, 0.0), threading.TIMEOUT_MAX)):
            return
        seen = (stepfunctions._task_tokens.get(token) or {}).get("heartbeat")
        if seen != last_seen:
            last_beat, last_seen = time.monotonic(), seen
        elif time.monotonic() >= deadline:
            raise stepfunctions._ExecutionError("States.Timeout", "")
        elif time.monotonic() >= last_beat + heartbeat_seconds:
            raise stepfunctions._ExecutionError("States.HeartbeatTimeout", "")


def _knowing_closed_tokens(send: Any) -> Any:
    def answer_task(data: dict[str, Any]) -> Any:
        from ministack.core.responses import error_response_json

        if data.get("taskToken") in _closed_tokens:
            return error_response_json("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)
        return send(data)

    return answer_task


# Maps


def with_inline_limit(run: Any) -> Any:
    """Limit the concurrency of an inline Map as AWS does; 0 means as many as possible."""

    def run_map_items(state: dict[str, Any], raw_input: Any, execution: Any, context: Any) -> Any:
        limit = state.get("MaxConcurrency", 0)
        if isinstance(limit, int):
            state = {**state, "MaxConcurrency": min(limit or INLINE_MAP_CONCURRENCY, INLINE_MAP_CONCURRENCY)}
        return run(state, raw_input, execution, context)

    return run_map_items


# Retries


def without_terminal_errors(matches: Any) -> Any:
    """Make wildcards match no terminal error [Step Functions developer guide: error names]."""

    def error_matches(error_equals: Any, error: str) -> bool:
        if error == RUNTIME:
            return False
        return error in error_equals if error == DATA_LIMIT_EXCEEDED else bool(matches(error_equals, error))

    return error_matches


def retry_delay(retrier: Mapping[str, Any], attempts: int, dice: random.Random) -> float:
    """Return the seconds before the next retry after a number of attempts [States Language: Retrying after error]."""
    delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** attempts
    delay = min(delay, float(retrier.get("MaxDelaySeconds", delay)))
    return dice.uniform(0.0, delay) if retrier.get("JitterStrategy") == "FULL" else delay


def _with_delays(find: Any) -> Any:
    dice = random.Random()  # noqa: S311 - jitter

    def find_matching_retrier(retriers: Any, error: str, retry_counts: dict[int, int]) -> Any:
        retrier, index = find(retriers, error, retry_counts)
        if retrier is None:
            return retrier, index
        delay = retry_delay(retrier, retry_counts.get(index, 0), dice)
        return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1.0}, index

    return find_matching_retrier
