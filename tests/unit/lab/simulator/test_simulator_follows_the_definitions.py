"""The simulator goes through the state machines as their definitions say, and refuses a definition that it does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import pytest

from snapkeep.lab.ebs_model import VirtualClock, World
from snapkeep.lab.simulator.definitions import parse, state_machine
from snapkeep.lab.simulator.executions import DRILL, PROTECT, RECEIVE, SWEEP, VERIFY, Execution, TaskFailed
from snapkeep.lab.simulator.interpreter import Interpreter
from snapkeep.lab.simulator.kernel import Kernel, Steps, TokenAnswer
from snapkeep.lab.simulator.paths import UnknownDefinition
from snapkeep.lab.simulator.sweeps import Sweeper
from support.asl import LambdaRefusedError, definition_names, definition_text
from support.flows import Laboratory
from support.scenarios import EVENT, SCENARIOS, USUAL_ANSWERS, USUAL_TOKENS, Scenario

DAY = 86_400.0


def definition(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(definition_text(name))
    return parsed


class ScenarioInVirtualTime:
    """One scenario through a definition, its functions replaced by the scenario's answers."""

    def __init__(self, scenario: Scenario, written: Mapping[str, Any] | None = None) -> None:
        self.scenario = scenario
        self.kernel = Kernel(World(clock=VirtualClock()))
        self.calls: list[str] = []
        self.called_at: list[float] = []
        self.error = self.cause = ""
        self.remaining = {name: list(answer) for name, answer in scenario.answers.items() if isinstance(answer, list)}
        self.interpreter = Interpreter(self.kernel, self.invoke, step_seconds=0.1, dice=Random(0))
        self.execution = Execution("run-1", scenario.machine, "us-east-1", EVENT, 0.0, dict(EVENT))
        machine = parse(written) if written else state_machine(scenario.machine)
        process = self.kernel.spawn(self.carry_out(machine))
        self.kernel.run_until(self.kernel.clock.now() + 7 * DAY)
        assert process.ended

    def carry_out(self, machine: Any) -> Steps:
        try:
            yield from self.interpreter.carry_out(self.execution, machine)
        except TaskFailed as failure:
            self.error, self.cause = failure.error, failure.cause

    def invoke(self, _execution: Execution, function: str, payload: Mapping[str, Any]) -> Any:
        self.calls.append(function)
        self.called_at.append(self.kernel.clock.now())
        if self.remaining.get(function):
            error = self.remaining[function].pop(0)
            name = f"Lambda.{error.code}" if isinstance(error, LambdaRefusedError) else type(error).__name__
            raise TaskFailed(name, str(error))
        if function == "CopySnapshotToDR" and "token" in payload:
            answer = {**USUAL_TOKENS, **self.scenario.tokens}[payload["copy"]["snapshot_id"]]
            if answer is not None:
                reply = TokenAnswer("", *answer) if isinstance(answer, tuple) else TokenAnswer(answer)
                self.kernel.after(0.5, partial(self.kernel.answer, payload["token"], reply))
        answer = self.scenario.answers.get(function)
        return USUAL_ANSWERS[function] if answer is None or isinstance(answer, list) else answer

    @property
    def outermost(self) -> tuple[str, ...]:
        return tuple(name for name in self.execution.entered if name in state_machine(self.scenario.machine).states)


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_way_enters_the_states_of_the_definition(name: str) -> None:
    scenario = SCENARIOS[name]
    run = ScenarioInVirtualTime(scenario)
    assert run.outermost == scenario.states
    assert run.error == scenario.error
    assert scenario.cause_tells in run.cause
    assert run.execution.transitions == len(run.execution.entered) + scenario.retries
    assert not set(scenario.never_called) & set(run.calls)


def test_a_state_added_to_a_definition_is_entered_and_counted() -> None:
    scenario = SCENARIOS["a snapshot is tagged, copied, and the oldest goes"]
    longer = definition("protect")
    longer["States"]["CopyToDR"]["Next"] = "Mark"
    longer["States"]["Mark"] = {"Type": "Pass", "Result": True, "ResultPath": "$.marked", "Next": "DeleteOldSnapshots"}
    before, after = ScenarioInVirtualTime(scenario), ScenarioInVirtualTime(scenario, longer)
    assert "Mark" in after.execution.entered
    assert after.execution.state["marked"] is True
    assert after.execution.transitions == before.execution.transitions + 1


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("Done", {"Type": "Parallel", "Branches": []}),
        ("DeleteOldSnapshots", {"HeartbeatSeconds": 60}),
        ("DeleteOldSnapshots", {"Resource": "arn:${Partition}:states:::sqs:sendMessage"}),
        ("DeleteOldSnapshots", {"ResultPath": "$.deletion.deep"}),
        ("NoCopies", {"Parameters": {"results.$": "States.Array($)"}}),
        ("NoCopies", {"Parameters": {"results.$": "$.copies[1:2]"}}),
        ("Outcome", {"Choices": [{"Variable": "$.count", "NumericGreaterThan": 3, "Next": "Done"}]}),
    ],
)
def test_an_unknown_feature_of_a_definition_is_refused(state: str, fields: Mapping[str, Any]) -> None:
    changed = definition("protect")
    changed["States"][state].update(fields)
    with pytest.raises(UnknownDefinition):
        parse(changed)


def test_every_function_that_a_definition_calls_is_simulated_and_no_other() -> None:
    runner = Laboratory().runner
    Sweeper(runner)
    assert sorted(definition_names()) == sorted((PROTECT, RECEIVE, SWEEP, VERIFY, DRILL))
    called = {state.function for name in definition_names() for state in state_machine(name).all_states() if state.function}
    assert set(runner.functions) == called


def test_an_inline_map_carries_out_forty_iterations_at_once() -> None:
    copies = [{"snapshot_id": f"snap-{number}", "region": "us-east-2", "timeout_seconds": 3600} for number in range(50)]
    answers = {"TagSnapshots": {"outcome": "MANAGED", "volumes": ["vol-1"], "copies": copies, "problems": []}}
    silence = {copy["snapshot_id"]: None for copy in copies}
    run = ScenarioInVirtualTime(Scenario(PROTECT, "FAILED", (), answers, silence))
    _, *starts = [at for at, name in zip(run.called_at, run.calls, strict=True) if name == "CopySnapshotToDR"]
    assert [at - starts[0] < 3600 for at in starts] == [True] * 40 + [False] * 10
    assert [result["snapshot_id"] for result in run.execution.state["copies"]["results"]] == list(silence)
