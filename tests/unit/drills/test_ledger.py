"""The chain of evidence: it cannot fork, and an audit sees every change. A drill passes only if every check passed (INV-19)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from snapkeep.domain.drills.ledger import DrillLedger, evidence_of, hash_of, problems_of_chain, run_of_key
from snapkeep.domain.drills.run import CheckOutcome, DrillProof, DrillRun, DrillVerdict
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.drills.ledger_store import LedgerStore
from snapkeep.usecases.recovery.record_ports import Document
from support.recovering import Killed

AT = datetime(2026, 11, 29, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PROOF = DrillProof("PROVED", "full", 16, 0, "root", 2, 32, 0.01)
WHOLE = DrillRun(
    id="drill-1",
    drill="weekly",
    policy="gold",
    volume_id="vol-1",
    region="us-east-2",
    point="snap-1",
    point_start=AT - 60 * MINUTE,
    size_gib=8,
    asked_at=AT,
    ends_at=AT + 1440 * MINUTE,
    rto=60 * MINUTE,
    estimate_usd=0.5,
    restored_id="vol-2",
    available_at=AT + MINUTE,
    progress_percent=100,
    initialised_at=AT + 10 * MINUTE,
    snapshot_id="snap-2",
    snapshot_at=AT + 12 * MINUTE,
    proof=PROOF,
    removed_at=AT + 20 * MINUTE,
    removal_ended=True,
)


def chain(number: int) -> tuple[DrillLedger, dict[str, str]]:
    ledger, texts = DrillLedger(), {}
    for position in range(number):
        evidence = evidence_of(replace(WHOLE, id=f"drill-{position}"), "1.0", ledger.last_hash)
        ledger = ledger.concluded(evidence)
        texts[evidence.run.id] = evidence.text
    return ledger, texts


def test_a_whole_drill_passes_with_its_times_and_its_price() -> None:
    evidence = evidence_of(WHOLE, "1.0", "")
    assert (evidence.verdict, evidence.cause) == (DrillVerdict.PASSED, "")
    assert (evidence.usable_seconds, evidence.full_speed_seconds) == (60, 600)
    hours = 20 / 60
    assert evidence.dollars == pytest.approx(8 * (hours * 0.08 + 10 / 60 * 0.05) / 730 + 0.01, abs=1e-6)


def test_a_drill_passes_only_if_every_check_ran_and_passed() -> None:
    parts = [
        {"restored_id": "", "available_at": None},
        {"available_at": None},
        {"initialised_at": None},
        {"proof": None},
        {"proof": replace(PROOF, verdict="INCOMPLETE")},
        {"proof": replace(PROOF, verdict="DIFFERS", differing=1)},
        {"proof": replace(PROOF, differing=1)},
        {"removed_at": None, "left": ("vol-2 is attached",)},
        {"removed_at": None, "removal_ended": False},
        {"available_at": AT + 61 * MINUTE},
        {"failure": "anything"},
    ]
    for one, other in product(parts, parts):
        run = replace(WHOLE, **{**one, **other})  # type: ignore[arg-type]
        assert run.verdict is DrillVerdict.FAILED, (one, other)
        assert run.cause
    assert replace(WHOLE, rto=timedelta(0), available_at=AT + 61 * MINUTE).verdict is DrillVerdict.PASSED


def test_a_check_that_did_not_run_is_named_so() -> None:
    checks = replace(WHOLE, restored_id="", available_at=None, initialised_at=None, proof=None).checks
    assert [str(outcome) for outcome in checks.values()] == ["not_run", "not_run", "not_run", "passed", "not_run"]
    assert CheckOutcome.FAILED in replace(WHOLE, initialised_at=None).checks.values()


def test_a_ledger_and_its_evidence_survive_json() -> None:
    ledger = chain(2)[0].begun((replace(WHOLE, id="drill-open"),)).with_seen(["vol-1"], AT)
    assert from_text(DrillLedger, to_text(ledger)) == ledger
    assert list(problems_of_chain(*chain(5))) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda texts: texts.pop("drill-1"), "missing"),
        (lambda texts: texts.update({"drill-1": texts["drill-1"].replace("vol-1", "vol-9")}), "was changed"),
        (lambda texts: texts.update({"drill-9": texts["drill-1"]}), "does not have"),
    ],
)
def test_an_audit_finds_a_changed_entry(changed: object, words: str) -> None:
    ledger, texts = chain(3)
    changed(texts)  # type: ignore[operator]
    [problem] = problems_of_chain(ledger, texts)
    assert words in problem


def test_an_audit_sees_a_forged_verdict_with_a_new_hash() -> None:
    forged = replace(evidence_of(WHOLE.failed("it failed"), "1.0", ""), verdict=DrillVerdict.PASSED)
    problems = list(problems_of_chain(DrillLedger().concluded(forged), {WHOLE.id: forged.text}))
    assert problems == [f"{WHOLE.id}: its verdict does not follow from what it measured"]


def test_an_audit_finds_a_removed_entry() -> None:
    ledger, texts = chain(3)
    del texts["drill-1"]
    [problem] = problems_of_chain(replace(ledger, ended=(ledger.ended[0], ledger.ended[2])), texts)
    assert problem.startswith("drill-2: it follows the evidence")


class BeforeCall:
    """Documents that call a function right before their n-th call."""

    def __init__(self, documents: MemoryDocuments, moment: int, happens: Callable[[], None]) -> None:
        self.documents, self.left, self.happens = documents, moment, happens

    def get(self, key: str) -> Document:
        self._called()
        return self.documents.get(key)

    def put(self, key: str, text: str, version: str = "") -> str:
        self._called()
        return self.documents.put(key, text, version)

    def keys(self, prefix: str) -> list[str]:
        return self.documents.keys(prefix)

    def _called(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.happens()


@pytest.mark.parametrize("killed_at", range(7))
@pytest.mark.parametrize("moment", range(1, 5))
def test_executions_that_end_a_drill_at_once_agree_on_one_chain(moment: int, killed_at: int) -> None:
    """A second execution, which may be interrupted, and another drill end between two calls of the first one."""
    documents = MemoryDocuments()
    store, other, stopped = LedgerStore(documents), replace(WHOLE, id="drill-2"), WHOLE.failed("it was stopped")
    store.change(lambda ledger: ledger.begun((WHOLE, other)))

    def kill() -> None:
        raise Killed

    def meanwhile() -> None:
        with suppress(Killed):
            LedgerStore(BeforeCall(documents, killed_at, kill)).conclude(stopped, "1.0")
        store.conclude(other, "1.0")

    evidence = LedgerStore(BeforeCall(documents, moment, meanwhile)).conclude(WHOLE, "1.0")
    assert store.conclude(stopped, "1.0") == evidence
    ledger = store.read()
    texts = {run: document.text for key, document in documents.documents.items() if (run := run_of_key(key))}
    assert list(problems_of_chain(ledger, texts)) == []
    assert (ledger.open, sorted(texts)) == ((), [WHOLE.id, other.id])
    entry = ledger.entry(WHOLE.id)
    assert entry is not None
    assert entry.sha256 == hash_of(evidence.text)


def test_the_evidence_of_an_open_drill_is_no_finding_of_an_audit() -> None:
    ledger = DrillLedger().begun((WHOLE,))
    assert list(problems_of_chain(ledger, {WHOLE.id: evidence_of(WHOLE, "1.0", "").text})) == []
