"""Named cases: each file in `golden/` tells a story, gives snapshots, and says for each what becomes of it and every reason.

A line is `start | marks | action | reasons`. Marks: `pending`, `error`, `unmanaged`, `twin` (a second copy of the snapshot
before it), `held: …`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from snapkeep.domain.model import Reason, Snapshot, SnapshotState
from snapkeep.domain.policy.document import parse_document
from snapkeep.domain.retention.verdicts import decide
from support.lineages import SYSTEM, at, snapshot

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.txt"))


class Row(NamedTuple):
    start: str
    marks: str
    action: str
    reasons: str


class Case(NamedTuple):
    settings: dict[str, str]
    rows: list[Row]


def read(path: Path) -> Case:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    settings = dict(line.split(": ", 1) for line in lines if "|" not in line)
    return Case(settings, [Row(*(part.strip() for part in line.split("|"))) for line in lines if "|" in line])


def snapshots_of(case: Case) -> Iterator[Snapshot]:
    before = None
    for number, row in zip(range(len(case.rows), 0, -1), case.rows, strict=True):
        state = SnapshotState(row.marks) if row.marks in ("pending", "error") else SnapshotState.COMPLETED
        made = snapshot(row.start, number, state=state, managed=row.marks != "unmanaged")
        if row.marks == "twin" and before:
            made = replace(made, origin=before.origin)
        before = made
        yield made


def outcome(case: Case) -> list[Row]:
    snapshots = list(snapshots_of(case))
    retention = parse_document(
        {"version": 1, "policies": [{"name": "p", "select": {}, "retention": json.loads(case.settings["retention"])}]}
    )
    holds = {
        made.id: (Reason("held", row.marks.removeprefix("held: ")),)
        for made, row in zip(snapshots, case.rows, strict=True)
        if row.marks.startswith("held: ")
    }
    verdicts = decide(snapshots, retention.policies[0].retention, at(case.settings["now"]), system=SYSTEM, holds=holds)
    rows = {made.id: row for made, row in zip(snapshots, case.rows, strict=True)}
    return [
        rows[verdict.snapshot.id]._replace(action=verdict.action.value, reasons="; ".join(r.text for r in verdict.reasons))
        for verdict in reversed(verdicts)
    ]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_each_golden_snapshot_gets_its_verdict_and_reasons(path: Path) -> None:
    case = read(path)
    assert outcome(case) == case.rows


def test_there_are_golden_cases() -> None:
    assert len(GOLDEN) >= 15
