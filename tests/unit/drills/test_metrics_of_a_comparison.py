"""A drill's comparison does not count as one of a copy: CopyDiffersAlarm says that another copy is made."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from snapkeep.domain.json_codec import to_object
from snapkeep.domain.recovery.methods import FULL
from snapkeep.domain.recovery.proof import Pair, Proof, ProofProgress
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.functions import verify

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
