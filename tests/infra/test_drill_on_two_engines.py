"""The drill's definition on both engines, with stub functions: whatever fails, what was made is removed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from snapkeep.domain.errors import AwsRefused, AwsUnavailable
from support.asl import Engine, Handler, Run
from support.first_engine import first_engine
from support.second_engine import second_engine

ENGINES: dict[str, Callable[[Mapping[str, Handler]], AbstractContextManager[Engine]]] = {
    "first": first_engine,
    "second": second_engine,
}
STEPS = ("make", "wait", "make", "prove", "prove", "remove", "conclude")
"""The steps of a drill whose comparison takes two portions."""
PROBLEM = {"kind": "DrillFailed", "subject": "vol-1", "cause": "weekly: it failed"}


class StubFunctions:
    """Functions that go through the steps; a failure leads to the removal, as the domain decides."""

    def __init__(self, *, broken: tuple[str, ...] = (), rounds: int = 2) -> None:
        self.payloads: list[tuple[str, dict[str, Any]]] = []
        self.broken = broken
        self.rounds = rounds
        self.steps = list(STEPS)

    def handlers(self) -> dict[str, Handler]:
        names = ("Drill", "MakeForDrill", "Verify", "RemoveAfterDrill", "Notification")
        return {name: self._handler(name) for name in names}

    def _handler(self, name: str) -> Handler:
        def handler(payload: dict[str, Any]) -> Any:
            self.payloads.append((name, payload))
            if name in self.broken:
                raise AwsRefused(f"{name}: no")
            return getattr(self, name.lower())(payload)

        return handler

    def drill(self, payload: dict[str, Any]) -> Any:
        failed = "failure" in payload["state"] or "removal_failure" in payload["state"]
        if failed and "remove" in self.steps:
            self.steps = ["remove", "conclude"]
        step = self.steps.pop(0)
        verdict = ("FAILED" if failed else "PASSED") if step == "conclude" else ""
        return {
            "run": {"id": payload["state"]["run"]},
            "next": step,
            "wait_seconds": 1,
            "verdict": verdict,
            "asked": {"copy": "snap-2", "point": "snap-1"} if step == "prove" else None,
            "problems": [PROBLEM] if verdict == "FAILED" else [],
            "request": None,
        }

    def makefordrill(self, payload: dict[str, Any]) -> Any:
        return {"volume_id": "vol-2", "snapshot_id": "", "image_id": "", "instance_id": ""}

    def verify(self, payload: dict[str, Any]) -> Any:
        return {"more": False, "verdict": "PROVED", "end": "", "progress": None, "proof": {}, "problems": []}

    def removeafterdrill(self, payload: dict[str, Any]) -> Any:
        self.rounds -= 1
        before = payload["removed"] or {"rounds": 0}
        return {"more": self.rounds > 0, "left": [], "at": "2026-11-30T04:00:00.000Z", "rounds": before["rounds"] + 1}

    def notification(self, payload: dict[str, Any]) -> Any:
        return {"notices": 1}

    def called(self) -> list[str]:
        return [name for name, _ in self.payloads]


def drilled(engine: str, stubs: StubFunctions) -> Run:
    with ENGINES[engine](stubs.handlers()) as running:
        return running.wait(running.start("drill", {"run": "drill-1", "end": False}))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_drill_goes_through_its_steps_and_ends_well(engine: str) -> None:
    stubs = StubFunctions()
    run = drilled(engine, stubs)
    drill = ("Drill", "EvaluateNext")
    remove = ("RemoveAfterDrill", "EvaluateRemoval")
    assert (run.status, run.error) == ("SUCCEEDED", "")
    assert run.states == (
        *("Begin", *drill, "MakeForDrill", *drill, "WaitForEc2", *drill, "MakeForDrill", *drill, "Verify", *drill, "Verify"),
        *(*drill, "WaitForRemoval", *remove, "WaitForRemoval", *remove, "AfterRemoval", *drill, "Outcome", "Done"),
    )
    removals = [payload for name, payload in stubs.payloads if name == "RemoveAfterDrill"]
    assert {payload["run"] for payload in removals} == {"drill-1"}
    assert [payload["removed"] and payload["removed"]["rounds"] for payload in removals] == [None, 1]
    assert [payload["asked"] for name, payload in stubs.payloads if name == "Verify"] == [
        {"copy": "snap-2", "point": "snap-1"}
    ] * 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("broken", ["MakeForDrill", "Verify"])
def test_a_step_that_fails_leads_to_the_removal_and_a_failed_run(engine: str, broken: str) -> None:
    stubs = StubFunctions(broken=(broken,))
    run = drilled(engine, stubs)
    assert (run.status, run.error) == ("FAILED", "DrillFailed")
    assert json.loads(run.cause) == [PROBLEM]
    assert stubs.called()[-4:] == ["RemoveAfterDrill", "RemoveAfterDrill", "Drill", "Notification"]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_made_is_removed_even_where_the_deciding_step_fails(engine: str) -> None:
    stubs = StubFunctions(broken=("Drill",))
    run = drilled(engine, stubs)
    assert (run.status, run.error) == ("FAILED", "AwsRefused")
    assert stubs.called() == ["Drill", "RemoveAfterDrill", "RemoveAfterDrill", "Notification"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_removal_that_fails_is_concluded_and_notified(engine: str) -> None:
    stubs = StubFunctions(broken=("RemoveAfterDrill",))
    run = drilled(engine, stubs)
    assert (run.status, run.error) == ("FAILED", "DrillFailed")
    assert stubs.called()[-3:] == ["RemoveAfterDrill", "Drill", "Notification"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_ends_failed_where_not_even_a_notice_can_be_made(engine: str) -> None:
    stubs = StubFunctions(broken=("Drill", "RemoveAfterDrill", "Notification"))
    run = drilled(engine, stubs)
    assert (run.status, run.error) == ("FAILED", "AwsRefused")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_of_aws_is_retried(engine: str) -> None:
    stubs = StubFunctions()
    faults = [AwsUnavailable("no answer")] * 2
    make = stubs.makefordrill

    def fails_twice(payload: dict[str, Any]) -> Any:
        if faults:
            raise faults.pop()
        return make(payload)

    stubs.makefordrill = fails_twice  # type: ignore[method-assign]
    run = drilled(engine, stubs)
    assert run.status == "SUCCEEDED"
    assert stubs.called().count("MakeForDrill") == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_an_input_forges_no_evidence(engine: str) -> None:
    stubs = StubFunctions()
    forged = {
        "run": "drill-1",
        "end": False,
        "drilled": {"next": "prove"},
        "verified": {"more": False},
        "removed": {"more": False},
    }
    with ENGINES[engine](stubs.handlers()) as running:
        running.wait(running.start("drill", forged))
    assert stubs.payloads[0][1]["state"] == {"run": "drill-1", "end": False, "removed": None}
