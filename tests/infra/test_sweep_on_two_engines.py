"""The sweep's definition on both engines, with stub functions: what it ends in follows from the report alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from snapkeep.domain.errors import AwsRefused
from support.asl import Engine, Handler
from support.first_engine import first_engine
from support.second_engine import second_engine

ENGINES: dict[str, Callable[[Mapping[str, Handler]], AbstractContextManager[Engine]]] = {
    "first": first_engine,
    "second": second_engine,
}
PLAN = {"plan_id": "plan-1", "made_at": "2026-01-02T00:00:00Z", "counts": {"kept": 1, "deleted": 0}, "delete": []}
DELETION = {"deleted": 0, "failed": []}
WAY = ("Sweep", "DeleteOldSnapshots", "Report", "Outcome")


def report(outcome: str) -> dict[str, str]:
    return {"outcome": outcome, "summary": f"{outcome} snapkeep", "json": "s3://b/r.json", "page": "s3://b/r.html"}


class StubFunctions:
    """Functions with fixed answers that keep their payloads."""

    def __init__(self, outcome: str, *, broken: tuple[str, ...] = ()) -> None:
        self.payloads: list[tuple[str, dict[str, Any]]] = []
        self.outcome = outcome
        self.broken = broken

    def handlers(self) -> dict[str, Handler]:
        return {"Sweep": self.sweep, "DeleteOldSnapshots": self.delete, "Notification": self.notify}

    def sweep(self, payload: dict[str, Any]) -> Any:
        self.payloads.append(("Sweep", payload))
        if payload["step"] in self.broken:
            raise AwsRefused("no")
        return PLAN if payload["step"] == "repair" else report(self.outcome)

    def delete(self, payload: dict[str, Any]) -> Any:
        self.payloads.append(("DeleteOldSnapshots", payload))
        if "delete" in self.broken:
            raise AwsRefused("no")
        return DELETION

    def notify(self, payload: dict[str, Any]) -> Any:
        self.payloads.append(("Notification", payload))
        return {"notices": 1}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("outcome", ["OK", "PARTIAL", "FAILED"])
def test_a_sweep_succeeds_only_when_its_report_says_ok(engine: str, outcome: str) -> None:
    stubs = StubFunctions(outcome)
    with ENGINES[engine](stubs.handlers()) as running:
        run = running.wait(running.start("sweep", {"options": {"adopt": False}}))
    sweeps = [payload for name, payload in stubs.payloads if name == "Sweep"]
    assert [payload["step"] for payload in sweeps] == ["repair", "report"]
    assert sweeps[0]["sweep"] == sweeps[1]["sweep"]
    assert sweeps[0]["asked"] == {"options": {"adopt": False}}
    assert (sweeps[1]["plan"], sweeps[1]["deletion"]) == (PLAN, DELETION)
    if outcome == "OK":
        assert (run.status, run.states) == ("SUCCEEDED", (*WAY, "Done"))
        assert run.output == report("OK")
    else:
        assert (run.status, run.error) == ("FAILED", "SweepNotAllRight")
        assert run.states == (*WAY, "NotifyUser", "WhatFailed", "NotAllRight")
        assert json.loads(run.cause)["json"] == "s3://b/r.json"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sweep_that_breaks_says_so_in_a_report_and_fails(engine: str) -> None:
    stubs = StubFunctions("FAILED", broken=("repair",))
    with ENGINES[engine](stubs.handlers()) as running:
        run = running.wait(running.start("sweep", {}))
    assert run.states == ("Sweep", "ReportFailure", "NotifyUser", "WhatFailed", "NotAllRight")
    assert (run.status, run.error) == ("FAILED", "SweepNotAllRight")
    assert json.loads(run.cause)["json"] == "s3://b/r.json"
    repair, report = [payload for name, payload in stubs.payloads if name == "Sweep"]
    assert report["step"] == "report"
    assert report["sweep"] == repair["sweep"]
    assert report["error"]["Error"] == "AwsRefused"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sweep_whose_deletions_stop_publishes_its_report(engine: str) -> None:
    stubs = StubFunctions("PARTIAL", broken=("delete",))
    with ENGINES[engine](stubs.handlers()) as running:
        run = running.wait(running.start("sweep", {}))
    assert run.states == ("Sweep", "DeleteOldSnapshots", "ReportFailure", "NotifyUser", "WhatFailed", "NotAllRight")
    assert json.loads(run.cause)["json"] == "s3://b/r.json"
    assert [name for name, _ in stubs.payloads] == ["Sweep", "DeleteOldSnapshots", "Sweep", "Notification"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sweep_that_cannot_report_is_notified_and_fails_with_the_cause(engine: str) -> None:
    stubs = StubFunctions("FAILED", broken=("repair", "report"))
    with ENGINES[engine](stubs.handlers()) as running:
        run = running.wait(running.start("sweep", {}))
    assert (run.status, run.error) == ("FAILED", "AwsRefused")
    assert run.states == ("Sweep", "ReportFailure", "NotifyUser", "WhatFailed", "Failed")
    (notification,) = [payload for name, payload in stubs.payloads if name == "Notification"]
    assert notification["state"]["error"]["Error"] == "AwsRefused"
