"""ministack's interpreter, with the patches that the embedded AWS puts on it, in process, its Lambda replaced by handlers."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import stepfunctions

from snapkeep.lab.embedded_aws.patches import stepfunctions as patches
from support.asl import ACCOUNT_ID, REGION, Handler, LambdaRefusedError, Pause, Run, definition, no_pause
from support.patience import LOOKS, SECONDS_BETWEEN_LOOKS


class FirstEngine:
    """Implements `Engine`."""

    def __init__(self, delays: list[float]) -> None:
        self.retry_delays = delays
        self._machines: dict[str, str] = {}

    def start(self, machine: str, payload: Mapping[str, Any]) -> str:
        if machine not in self._machines:
            made = self._call(
                stepfunctions._create_state_machine,
                name=f"{machine}-{uuid.uuid4()}",
                definition=json.dumps(definition(machine)),
                roleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/any",
            )
            self._machines[machine] = made["stateMachineArn"]
        started = self._call(stepfunctions._start_execution, stateMachineArn=self._machines[machine], input=json.dumps(payload))
        return str(started["executionArn"])

    def wait(self, execution: str) -> Run:
        for _ in range(LOOKS):
            described = self._call(stepfunctions._describe_execution, executionArn=execution)
            if described["status"] != "RUNNING":
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            raise AssertionError(f"{execution} does not end; it entered {self._states(execution)}")
        output = json.loads(described["output"]) if described.get("output") else None
        return Run(described["status"], self._states(execution), described.get("error", ""), described.get("cause", ""), output)

    def running(self, execution: str) -> bool:
        return bool(self._call(stepfunctions._describe_execution, executionArn=execution)["status"] == "RUNNING")

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        return self._answered(stepfunctions._send_task_success, taskToken=token, output=json.dumps(output))

    def fail(self, token: str, error: str, cause: str) -> bool:
        return self._answered(stepfunctions._send_task_failure, taskToken=token, error=error, cause=cause)

    def _states(self, execution: str) -> tuple[str, ...]:
        self._select_region()
        events = stepfunctions._executions[execution]["events"]
        return tuple(event["stateEnteredEventDetails"]["name"] for event in events if event["type"].endswith("StateEntered"))

    def _answered(self, send: Any, **request: str) -> bool:
        self._select_region()
        status, _, _ = send(request)
        return bool(status == 200)

    def _call(self, operation: Any, **request: Any) -> dict[str, Any]:
        self._select_region()
        status, _, body = operation(request)
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    @staticmethod
    def _select_region() -> None:
        set_request_account_id(ACCOUNT_ID)
        set_request_region(REGION)


@contextmanager
def first_engine(handlers: Mapping[str, Handler], pause: Pause = no_pause) -> Iterator[FirstEngine]:
    """Yield the engine; `handlers` maps each function's name (without suffix) to its handler."""

    def call_lambda(function: str, payload: dict[str, Any]) -> Any:
        try:
            return json.loads(json.dumps(handlers[function.rpartition(":")[2]](json.loads(json.dumps(payload)))))
        except LambdaRefusedError as refused:
            raise stepfunctions._ExecutionError(f"Lambda.{refused.code}", refused.code) from refused
        except Exception as error:
            cause = json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})
            raise stepfunctions._ExecutionError(type(error).__name__, cause) from error

    delays: list[float] = []

    def sleep(seconds: float) -> None:
        delays.append(seconds)
        pause(seconds)

    patched = {
        "_call_lambda": call_lambda,
        "_invoke_with_callback": patches.invoke_with_callback,
        "_execute_task": patches._with_timeouts_by_path(stepfunctions._execute_task),
        "_find_matching_retrier": patches._with_delays(stepfunctions._find_matching_retrier),
        "_error_matches": patches.without_terminal_errors(stepfunctions._error_matches),
        "_run_map_items": patches.with_inline_limit(stepfunctions._run_map_items),
        "_scaled_sleep": sleep,
    }
    with mock.patch.multiple(stepfunctions, **patched):
        yield FirstEngine(delays)
