"""Metrics of drills. Their comparisons do not count as those of copies: CopyDiffersAlarm says that another copy is made."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from snapkeep.domain.drills.instances import DrilledInstance
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.policy.drill_rules import DrillLevel
from snapkeep.domain.recovery.launch_facts import Billing
from snapkeep.domain.recovery.methods import FULL
from snapkeep.domain.recovery.proof import Pair, Proof, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.functions import verify
from snapkeep.functions.drill_metrics import drill_lines

AT = datetime(2026, 11, 29, 4, tzinfo=UTC)
PROOF = Proof(
    ProofVerdict.DIFFERS, AT, ProofProgress(Pair("vol-2", "us-east-2", "snap-1", "us-east-2", "snap-2"), FULL, AT, 1, 1, reads=7)
)


@pytest.mark.parametrize(("point", "differing"), [("", 1.0), ("snap-1", None)])
def test_a_drill_that_differs_is_no_copy_that_differs(
    monkeypatch: pytest.MonkeyPatch, point: str, differing: float | None
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(verify, "started", lambda *_: logging.getLogger("test"))
    monkeypatch.setattr(verify, "composition", lambda: SimpleNamespace(environment=SimpleNamespace(system="snapkeep")))
    monkeypatch.setattr(verify, "_use_case", lambda: None)
    monkeypatch.setattr(verify, "compare", lambda *_: PROOF)
    monkeypatch.setattr(verify.metrics, "emit", lines.extend)
    verify.handler({"asked": {"copy": "snap-2", "method": to_object(FULL), "point": point}}, None)
    (line,) = map(json.loads, lines)
    assert (line.get("CopiesDiffering"), line["BlockRequests"]) == (differing, 7)


def test_the_times_of_volumes_and_of_instances_are_two_metrics() -> None:
    span = timedelta(minutes=1)
    volume = DrillRun("run", "weekly", "gold", "vol-1", "us-east-2", "snap-1", AT, 8, AT, AT, timedelta(0), 0.1)
    volume = replace(volume, available_at=AT + span, initialised_at=AT + 2 * span)
    one = DrilledInstance("i-1", 0, ("vol-1",), ("snap-1",), Billing("Linux/UNIX", "RunInstances"), checked_at=AT + 5 * span)
    instance = replace(volume, level=DrillLevel.INSTANCE, instances=(replace(one, initialised_at=AT + 9 * span),))
    measured = [json.loads(drill_lines(run, "snapkeep", 0)[1]) for run in (volume, instance)]
    assert [(line["Level"], line["RecoveryTime"], line["FullSpeedTime"]) for line in measured] == [
        ("volume", 60, 120),
        ("instance", 300, 540),
    ]
