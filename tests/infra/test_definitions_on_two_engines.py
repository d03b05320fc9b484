"""Both definitions on two independent engines, with stub functions: every scenario through them ends alike on both."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from support.asl import Engine, Handler, Run, definition
from support.first_engine import first_engine
from support.scenarios import (
    COPIED,
    DELETION,
    EVENT,
    LOST,
    REFUSED_PLAN,
    SCENARIOS,
    USUAL_ANSWERS,
    USUAL_TOKENS,
    Scenario,
    copy,
    deletion,
    managed,
)
from support.second_engine import second_engine

ENGINES: dict[str, Callable[[Mapping[str, Handler]], AbstractContextManager[Engine]]] = {
    "first": first_engine,
    "second": second_engine,
}


class StubFunctions:
    """The functions of one scenario: they answer as it says, and note how they were called."""

    def __init__(self, scenario: Scenario) -> None:
        self._way = scenario
        self._tokens = {**USUAL_TOKENS, **scenario.tokens}
        self._left = {name: list(answer) for name, answer in scenario.answers.items() if isinstance(answer, list)}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.engine: Engine | None = None
        self.handlers: dict[str, Handler] = {name: self._handler(name) for name in USUAL_ANSWERS}

    def _handler(self, name: str) -> Handler:
        def handler(payload: dict[str, Any]) -> Any:
            self.calls.append((name, payload))
            if self._left.get(name):
                raise self._left[name].pop(0)
            if name == "CopySnapshotToDR" and "token" in payload:
                self._answer_later(payload)
            answer = self._way.answers.get(name)
            return USUAL_ANSWERS[name] if answer is None or isinstance(answer, list) else answer

        return handler

    def _answer_later(self, payload: Mapping[str, Any]) -> None:
        """The answer comes from another thread, after the function has returned."""
        answer = self._tokens[payload["copy"]["snapshot_id"]]
        engine = self.engine
        assert engine is not None
        if isinstance(answer, tuple):
            threading.Timer(0.01, engine.fail, (payload["token"], *answer)).start()
        elif answer is not None:
            threading.Timer(0.01, engine.succeed, (payload["token"], answer)).start()

    def called(self) -> list[str]:
        return [name for name, _ in self.calls]

    def payloads(self, name: str) -> list[dict[str, Any]]:
        return [payload for called, payload in self.calls if called == name]


@contextmanager
def running(engine_name: str, scenario: Scenario) -> Iterator[tuple[Engine, StubFunctions]]:
    stubs = StubFunctions(scenario)
    with ENGINES[engine_name](stubs.handlers) as engine:
        stubs.engine = engine
        yield engine, stubs


def outermost(machine: str, run: Run) -> tuple[str, ...]:
    """Return the states that a run entered, without those inside a Map, which not every engine's history lists."""
    return tuple(state for state in run.states if state in definition(machine)["States"])


def run_scenario(engine_name: str, scenario: Scenario) -> tuple[Run, StubFunctions, list[float]]:
    with running(engine_name, scenario) as (engine, stubs):
        run = engine.wait(engine.start(scenario.machine, EVENT))
        return run, stubs, engine.retry_delays


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("engine_name", ENGINES)
def test_each_way_through_ends_as_it_must(engine_name: str, name: str) -> None:
    scenario = SCENARIOS[name]
    run, stubs, delays = run_scenario(engine_name, scenario)
    assert outermost(scenario.machine, run) == scenario.states
    assert (run.status, run.error) == (scenario.status, scenario.error)
    assert scenario.cause_tells in run.cause
    assert len(delays) == scenario.retries
    assert not set(scenario.never_called) & set(stubs.called())


def test_a_way_leads_to_every_state() -> None:
    inside = {"CopySnapshotToDR", "CopyLate", "CopyFailed"}
    for machine in ("protect", "receive"):
        led_to = {state for scenario in SCENARIOS.values() if scenario.machine == machine for state in scenario.states}
        assert led_to == set(definition(machine)["States"])
    assert set(definition("protect")["States"]["CopyToDR"]["ItemProcessor"]["States"]) == inside


@pytest.mark.parametrize("name", ["one copy of two fails", "no answer for the copy", "a copy that failed for good is removed"])
def test_both_engines_end_alike_to_the_letter(name: str) -> None:
    scenario = SCENARIOS[name]
    (first, stubs, _), (second, other, _) = run_scenario("first", scenario), run_scenario("second", scenario)
    assert json.loads(first.cause) == json.loads(second.cause)
    assert sorted(stubs.called()) == sorted(other.called())
    assert stubs.payloads("Notification")[0]["state"] == other.payloads("Notification")[0]["state"]


@pytest.mark.parametrize("engine_name", ENGINES)
def test_every_call_carries_its_execution(engine_name: str) -> None:
    for name in ("one copy of two fails", "a copy that failed for good is removed"):
        scenario = SCENARIOS[name]
        with running(engine_name, scenario) as (engine, stubs):
            execution = engine.start(scenario.machine, EVENT)
            engine.wait(execution)
        assert {payload["execution"] for _, payload in stubs.calls} == {execution}


@pytest.mark.parametrize("engine_name", ENGINES)
def test_retention_is_planned_with_what_became_of_the_copies(engine_name: str) -> None:
    _, stubs, _ = run_scenario(engine_name, SCENARIOS["one copy of two fails"])
    planned = stubs.payloads("DeleteOldSnapshots")[0]
    failed = {"status": "FAILED", "snapshot_id": "snap-2", "region": "us-east-2", "error": LOST[0], "cause": LOST[1]}
    assert planned["volumes"] == ["vol-1"]
    assert planned["copies"] == [COPIED, failed]


@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_failure_is_notified_with_the_whole_state(engine_name: str) -> None:
    _, stubs, _ = run_scenario(engine_name, SCENARIOS["a plan that breaks an invariant"])
    state = stubs.payloads("Notification")[0]["state"]
    assert state["detail"] == EVENT["detail"]
    assert state["tagged"]["volumes"] == ["vol-1"]
    assert state["deletion"]["problems"] == [REFUSED_PLAN]
    assert state["deletion"]["delete"] == [DELETION]


@pytest.mark.parametrize("engine_name", ENGINES)
def test_receive_asks_for_volumes_to_plan_and_failed_copies_to_delete(engine_name: str) -> None:
    for name, retention in (("a copy arrives, and the oldest goes", ["vol-1"]), ("a failed copy that is tried again", [])):
        _, stubs, _ = run_scenario(engine_name, SCENARIOS[name])
        (payload,) = stubs.payloads("DeleteOldSnapshots")
        assert (payload["volumes"], payload["plan"]["delete"]) == (retention, [] if retention else [DELETION])


@pytest.mark.parametrize("engine_name", ENGINES)
def test_retries_back_off_to_a_cap_with_full_jitter(engine_name: str) -> None:
    _, _, delays = run_scenario(engine_name, SCENARIOS["EC2 throttles without end"])
    longest = [min(5 * 2.0**attempt, 300) for attempt in range(10)]
    assert all(0 <= delay <= most for delay, most in zip(delays, longest, strict=True))
    assert sum(delays) < sum(longest)


def test_the_usual_way_enters_at_most_thirteen_states_in_both_regions_together() -> None:
    protect, _, _ = run_scenario("second", SCENARIOS["a snapshot is tagged, copied, and the oldest goes"])
    receive, _, _ = run_scenario("second", SCENARIOS["a copy arrives, and the oldest goes"])
    assert "CopySnapshotToDR" in protect.states
    assert len(protect.states) + len(receive.states) <= 13


@pytest.mark.parametrize("engine_name", ENGINES)
def test_forty_volumes_with_long_answers_stay_far_from_the_payload_limit(engine_name: str) -> None:
    """256 KiB is the limit of a state's input and output (Step Functions developer guide: quotas)."""
    tags = {f"key-{number}": "x" * 40 for number in range(40)}
    copies = [{**copy(f"snap-{number:017}"), "wanted": {"tags": tags}} for number in range(41)]
    deletions = [
        {**DELETION, "snapshot_id": f"snap-{number:017}", "reasons": ["not kept by any rule " * 3]} for number in range(41)
    ]
    answers = {"TagSnapshots": managed(*copies), "DeleteOldSnapshots": deletion(41, delete=tuple(deletions))}
    tokens = {copy["snapshot_id"]: {**COPIED, "snapshot_id": copy["snapshot_id"]} for copy in copies}
    run, stubs, _ = run_scenario(engine_name, Scenario("protect", "SUCCEEDED", (), answers, tokens))
    assert run.status == "SUCCEEDED"
    assert len(stubs.payloads("DeleteOldSnapshots")[0]["copies"]) == 41
    assert len(json.dumps(run.output)) < 192 * 1024
