"""RedriveExecution, which ministack lacks: a failed or aborted execution continues from the state that did not succeed.

Sources: Step Functions API reference, RedriveExecution (the last 14 days; the same input, definition and ARN; of an inline Map
or a Parallel, only the failed or aborted iterations and branches; completed states do not run again), DescribeExecution
(`redriveStatus`); botocore: stepfunctions (ExecutionRedriven). Assumptions without a source: attempts of retriers begin again,
and the history has a redriven state as entered again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextvars import ContextVar, copy_context
from datetime import datetime, timedelta
from typing import Any

from snapkeep.lab.embedded_aws.patches import history
from snapkeep.lab.embedded_aws.patches.patch_tools import replace
from snapkeep.lab.embedded_aws.patches.permissions import role_in_use

REDRIVABLE_FOR = timedelta(days=14)
MOST_EVENTS = 24_999
"""The most events of an execution that can be redriven (Step Functions developer guide: redriving executions)."""
_attempt: ContextVar[int | None] = ContextVar("_attempt", default=None)
"""The number of redrives before this thread's run; None outside of runs."""


class SupersededError(Exception):
    """The run of a thread was aborted, and its execution redriven: the thread must stop."""


def apply() -> None:
    """Apply the patches."""
    from ministack.services import stepfunctions

    replace(stepfunctions, "handle_request", _with_redrive)
    replace(stepfunctions, "_describe_execution", _with_redrive_status)
    replace(stepfunctions, "_run_execution", _first_attempt)
    replace(stepfunctions, "_add_event", _of_this_attempt)
    replace(stepfunctions, "_fail_execution", _unless_superseded)


def _with_redrive(handle: Any) -> Any:
    async def handle_request(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        from ministack.services import stepfunctions

        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return stepfunctions._finalize_response(redrive_execution(json.loads(body or b"{}")))
        return await handle(method, path, headers, body, query)

    return handle_request


def _first_attempt(run: Any) -> Any:
    def run_execution(execution_arn: str) -> Any:
        from ministack.services import stepfunctions

        execution = stepfunctions._executions.get(execution_arn)
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) if execution else None
        if machine is not None:
            execution["definition"] = machine["definition"]
        _attempt.set(0)
        return run(execution_arn)

    return run_execution


def _is_superseded(execution: Mapping[str, Any]) -> bool:
    return _attempt.get() not in (None, execution.get("redriveCount", 0))


def _of_this_attempt(add: Any) -> Any:
    def add_event(execution: Any, event_type: str, details: Any = None) -> Any:
        if _is_superseded(execution):
            raise SupersededError(execution["executionArn"])
        return add(execution, event_type, details)

    return add_event


def _unless_superseded(fail: Any) -> Any:
    def fail_execution(execution: Any, error: str, cause: str) -> Any:
        return None if _is_superseded(execution) else fail(execution, error, cause)

    return fail_execution


def why_not_redrivable(execution: Mapping[str, Any], now: datetime) -> str:
    """Return why an execution cannot be redriven, in AWS's words if they are known; empty if it can."""
    if execution["status"] not in ("FAILED", "ABORTED", "TIMED_OUT"):
        return f"Execution is {execution['status']} and cannot be redriven"
    if now - datetime.fromisoformat(execution["stopDate"]) > REDRIVABLE_FOR:
        return "Execution has exceeded the redrivable period"
    if len(execution["events"]) > MOST_EVENTS:
        return "Execution history event limit exceeded"
    return "" if _unsuccessful_state(execution) else "Execution has no state to redrive"


def _now() -> datetime:
    from ministack.services import stepfunctions

    return datetime.fromisoformat(stepfunctions.now_iso())


def _with_redrive_status(describe: Any) -> Any:
    def describe_execution(data: Mapping[str, Any]) -> Any:
        from ministack.core.responses import json_response
        from ministack.services import stepfunctions

        answer = describe(data)
        execution = stepfunctions._executions.get(data.get("executionArn"))
        if execution is None:
            return answer
        reason = why_not_redrivable(execution, _now())
        described = json.loads(answer[2]) | {
            "redriveCount": execution.get("redriveCount", 0),
            "redriveStatus": "NOT_REDRIVABLE" if reason else "REDRIVABLE",
        }
        if reason:
            described["redriveStatusReason"] = reason
        if "redriveDate" in execution:
            described["redriveDate"] = execution["redriveDate"]
        return json_response(described)

    return describe_execution


def redrive_execution(data: Mapping[str, Any]) -> Any:
    """Continue an execution from the state that did not succeed; return the response."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import stepfunctions

    arn = data.get("executionArn")
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
    reason, state = why_not_redrivable(execution, _now()), _unsuccessful_state(execution)
    if reason or state is None:
        return error_response_json("ExecutionNotRedrivable", reason, 400)
    name, state_input = state
    count = execution["redriveCount"] = execution.get("redriveCount", 0) + 1
    execution["redriveDate"] = stepfunctions.now_iso()
    execution |= {"status": "RUNNING", "stopDate": None, "output": None, "error": None, "cause": None}
    history.continue_after(execution)
    stepfunctions._add_event(execution, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}})
    stepfunctions._emit_execution_status_event(execution)
    run = copy_context()
    threading.Thread(target=run.run, args=(_run_on, execution, name, state_input, count), daemon=True).start()
    return json_response({"redriveDate": execution["redriveDate"]})


def _unsuccessful_state(execution: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return the last entered outermost state and its input; None if there is none."""
    outermost = json.loads(execution.get("definition") or '{"States": {}}')["States"]
    for event in reversed(execution["events"]):
        entered = event.get("stateEnteredEventDetails")
        if entered and entered["name"] in outermost:
            return entered["name"], json.loads(entered["input"])
    return None


def _run_on(execution: Any, name: str | None, data: Any, attempt: int) -> None:
    from ministack.services import stepfunctions

    _attempt.set(attempt)
    role_in_use.set(str(execution["events"][0]["executionStartedEventDetails"]["roleArn"]))
    definition = json.loads(execution["definition"])
    machine_arn = execution["stateMachineArn"]
    context: dict[str, Any] = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "StartTime": execution["startDate"],
            "RedriveCount": attempt,
        },
        "StateMachine": {"Id": machine_arn, "Name": machine_arn.rpartition(":")[2]},
        "variables": {},
    }
    try:
        with history.resumed():
            name, data = history.run_state(name or "", definition["States"], data, execution, context)
        while name and execution["status"] == "RUNNING":
            name, data = history.run_state(name, definition["States"], data, execution, context)
    except SupersededError:
        return
    except stepfunctions._ExecutionError as error:
        stepfunctions._fail_execution(execution, error.error, error.cause)
        return
    if execution["status"] == "RUNNING" and not _is_superseded(execution):
        output = json.dumps(data)
        execution |= {"status": "SUCCEEDED", "output": output, "stopDate": stepfunctions.now_iso()}
        stepfunctions._add_event(execution, "ExecutionSucceeded", {"executionSucceededEventDetails": {"output": output}})
        stepfunctions._emit_execution_status_event(execution)
