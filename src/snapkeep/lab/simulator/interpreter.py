"""An interpreter of the state machines' definitions, which carries out executions in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from snapkeep.lab.simulator.definitions import MachineState, StateMachine, StateType, matching_retrier
from snapkeep.lab.simulator.executions import Execution, PendingCallback, TaskFailed
from snapkeep.lab.simulator.kernel import AwaitToken, Join, Kernel, Sleep, Steps
from snapkeep.lab.simulator.paths import PathMissing

Invoke = Callable[[Execution, str, Mapping[str, Any]], Any]
"""Maps an execution, a function's name and a payload to the function's answer. It raises TaskFailed."""

RUNTIME_ERROR = "States.Runtime"
"""The error for a path without a value. No Catch matches it on AWS (Step Functions developer guide: error names)."""


class Interpreter:
    """Steps through definitions. Functions are called by name; payloads may be any objects."""

    def __init__(self, kernel: Kernel, invoke: Invoke, *, step_seconds: float, dice: Random) -> None:
        self._kernel = kernel
        self._invoke = invoke
        self._step = Sleep(step_seconds)
        self._dice = dice

    def carry_out(self, execution: Execution, machine: StateMachine) -> Steps:
        """Carry out an execution from its input, `execution.state`, to its output. Raise TaskFailed if it ends FAILED."""
        context = {"Execution": {"Id": execution.id, "Name": execution.id, "Input": execution.state}}
        try:
            execution.state = yield from self._states(execution, machine, execution.state, context, outermost=True)
        except PathMissing as error:
            raise TaskFailed(RUNTIME_ERROR, str(error)) from error

    def _states(
        self, execution: Execution, machine: StateMachine, data: Any, context: Mapping[str, Any], *, outermost: bool = False
    ) -> Steps:
        name = machine.first
        while name:
            state = machine.states[name]
            execution.transitions += 1
            execution.entered.append(name)
            try:
                data, name = yield from self._enter(execution, state, data, context)
            except TaskFailed as failure:
                catcher = next((rule for rule in state.catchers if rule.catches(failure.error)), None)
                if catcher is None:
                    raise
                data, name = _placed(data, catcher.result_path, failure.caught()), catcher.next
            if outermost:
                execution.state = data
        return data

    def _enter(self, execution: Execution, state: MachineState, data: Any, context: Mapping[str, Any]) -> Steps:
        """Return a state's output and the name of the next state."""
        if state.type is StateType.CHOICE:
            for holds, target in state.choices:
                if holds(data, context):
                    return data, target
            return data, state.next
        if state.type is StateType.SUCCEED:
            return data, ""
        if state.type is StateType.FAIL:
            raise TaskFailed(_text(state.error, data, context), _text(state.cause, data, context))
        if state.type is StateType.WAIT:
            yield Sleep(float(state.wait_seconds(data, context)) if state.wait_seconds else 0.0)
            return data, state.next
        if state.type is StateType.PASS:
            result = state.parameters(data, context) if state.parameters else state.result
            return _placed(data, state.result_path, result), state.next
        carry_out = self._map if state.type is StateType.MAP else self._task
        result = yield from carry_out(execution, state, data, context)
        if state.result_selector:
            result = state.result_selector(result, context)
        output = _placed(data, state.result_path, result)
        return (state.output_path(output, context) if state.output_path else output), state.next

    # Task states

    def _task(self, execution: Execution, state: MachineState, data: Any, context: Mapping[str, Any]) -> Steps:
        """Call a function, with the state's retries; every retry is a charged transition."""
        used = [0] * len(state.retriers)
        while True:
            yield self._step
            context = {**context, "State": {"RetryCount": sum(used)}}
            try:
                if state.waits_for_token:
                    return (yield from self._call_and_wait(execution, state, data, context))
                return {"Payload": self._invoke(execution, state.function, _payload(state, data, context))}
            except TaskFailed as failure:
                number = matching_retrier(state.retriers, failure.error)
                if number < 0 or used[number] >= state.retriers[number].attempts:
                    raise
                used[number] += 1
                execution.transitions += 1
                yield Sleep(state.retriers[number].seconds(used[number], self._dice))

    def _call_and_wait(self, execution: Execution, state: MachineState, data: Any, context: Mapping[str, Any]) -> Steps:
        token = self._kernel.issue_token()
        payload = _payload(state, data, {**context, "Task": {"Token": token}})
        seconds = float(state.timeout_seconds(data, context)) if state.timeout_seconds else float("inf")
        try:
            self._invoke(execution, state.function, payload)
        except TaskFailed:
            self._kernel.withdraw_token(token)
            raise
        execution.callbacks[token] = PendingCallback(payload, self._kernel.clock.now())
        answer = yield AwaitToken(token, seconds)
        del execution.callbacks[token]
        if answer.error:
            raise TaskFailed(answer.error, answer.cause)
        return dict(answer.output)

    # Map states

    def _map(self, execution: Execution, state: MachineState, data: Any, context: Mapping[str, Any]) -> Steps:
        """Carry out an iteration for each item, with the concurrency of an inline Map. Return the results in order."""
        assert state.items is not None  # noqa: S101 - definitions.parse
        assert state.processor is not None  # noqa: S101
        items: Sequence[Any] = state.items(data, context)
        results: list[Any] = [None] * len(items)
        failures: list[TaskFailed] = []
        pending = iter(enumerate(items))

        def iterations(pending: Iterator[tuple[int, Any]], processor: StateMachine) -> Steps:
            for number, item in pending:
                inner = {**context, "Map": {"Item": {"Index": number, "Value": item}}}
                iteration_input = state.item_selector(data, inner) if state.item_selector else item
                try:
                    results[number] = yield from self._states(execution, processor, iteration_input, inner)
                except TaskFailed as failure:
                    failures.append(failure)

        workers = min(state.concurrency, len(items))
        yield Join([self._kernel.spawn(iterations(pending, state.processor)) for _ in range(workers)])
        if failures:
            raise failures[0]
        return results


def _payload(state: MachineState, data: Any, context: Mapping[str, Any]) -> Mapping[str, Any]:
    assert state.parameters is not None  # noqa: S101 - definitions.parse: every Task has parameters
    payload: Mapping[str, Any] = state.parameters(data, context)["Payload"]
    return payload


def _placed(data: Any, result_path: str | None, result: Any) -> Any:
    """Return a state's input with its result at ResultPath; the paths in use have one name."""
    if result_path is None:
        return data
    if result_path == "$":
        return result
    return {**data, result_path.removeprefix("$."): result}


def _text(read: Callable[[Any, Mapping[str, Any]], Any] | None, data: Any, context: Mapping[str, Any]) -> str:
    return str(read(data, context)) if read else ""
