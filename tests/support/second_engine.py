"""moto's interpreter of the States Language (LocalStack's), in process, its Lambda replaced by handlers.

It stands beside ministack's as a second opinion. Its Docker-free Lambda answers success without running anything, so it is
never asked: every call goes to a handler, and a function without one is an error.
"""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import InvalidToken, TaskDoesNotExist, TaskTimedOut
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from support.asl import ACCOUNT_ID, REGION, Handler, LambdaRefusedError, Pause, Run, definition, no_pause
from support.patience import LOOKS, SECONDS_BETWEEN_LOOKS

_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/any"
_ENTERED = "StateEntered"


class _Functions:
    """Answers `Invoke` as Lambda's client does, by calling handlers."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    def invoke(self, FunctionName: str, Payload: bytes = b"{}", **_: Any) -> dict[str, Any]:  # noqa: N803 - boto3's
        handler = self._handlers[FunctionName.rpartition(":")[2]]
        try:
            answer = handler(json.loads(Payload))
        except LambdaRefusedError as refused:
            details = {"Error": {"Code": refused.code, "Message": refused.code}}
            metadata = {"ResponseMetadata": {"HTTPStatusCode": 429, "RequestId": "1"}}
            raise ClientError({**details, **metadata}, "Invoke") from refused  # type: ignore[typeddict-item]
        except Exception as error:  # noqa: BLE001 - whatever a function raises, Lambda answers
            failure = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(failure).encode())}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


class _Pauses:
    """Stands for the module `time` where retries and Wait states wait: notes how long, and does not wait itself."""

    def __init__(self, pause: Pause) -> None:
        self.seconds: list[float] = []
        self._pause = pause

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._pause(seconds)


class SecondEngine:
    """Implements `Engine`."""

    def __init__(self, pauses: _Pauses) -> None:
        self._backend = StepFunctionsParserBackend(REGION, ACCOUNT_ID)
        self._machines: dict[str, str] = {}
        self._executions: dict[str, Any] = {}
        self._pauses = pauses
        self._lock = threading.Lock()

    @property
    def retry_delays(self) -> list[float]:
        return self._pauses.seconds

    def start(self, machine: str, payload: Mapping[str, Any]) -> str:
        with self._lock:
            if machine not in self._machines:
                made = self._backend.create_state_machine(machine, json.dumps(definition(machine)), _ROLE)
                self._machines[machine] = made.arn
            execution = self._backend.start_execution(self._machines[machine], str(uuid.uuid4()), json.dumps(payload))
        self._executions[execution.exec_arn] = execution
        return str(execution.exec_arn)

    def wait(self, execution: str) -> Run:
        record = self._executions[execution]
        for _ in range(LOOKS):
            if not self.running(execution):
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            raise AssertionError(f"{execution} does not end; it entered {self._states(record)}")
        return Run(
            str(record.exec_status.value),
            self._states(record),
            record.error or "",
            record.cause or "",
            record.output,
        )

    def running(self, execution: str) -> bool:
        return bool(self._executions[execution].exec_status == "RUNNING")

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        return self._answered(self._backend.send_task_success, token, json.dumps(output))

    def fail(self, token: str, error: str, cause: str) -> bool:
        return self._answered(self._backend.send_task_failure, token, error, cause)

    @staticmethod
    def _answered(send: Any, *arguments: str) -> bool:
        try:
            send(*arguments)
        except (InvalidToken, TaskDoesNotExist, TaskTimedOut):
            return False
        return True

    @staticmethod
    def _states(execution: Any) -> tuple[str, ...]:
        events = execution.to_history_output()["events"]
        return tuple(event["stateEnteredEventDetails"]["name"] for event in events if str(event["type"]).endswith(_ENTERED))


@contextmanager
def second_engine(handlers: Mapping[str, Handler], pause: Pause = no_pause) -> Iterator[SecondEngine]:
    """Yield the engine; `handlers` maps each function's name (without suffix) to its handler."""
    pauses, functions = _Pauses(pause), _Functions(handlers)
    with (
        mock.patch.object(lambda_eval_utils, "boto_client_for", return_value=functions),
        mock.patch.object(retrier_decl, "time", pauses),
        mock.patch.object(WaitFunction, "_wait_interval", lambda _, env, wait_seconds: pauses.sleep(wait_seconds)),
    ):
        yield SecondEngine(pauses)
