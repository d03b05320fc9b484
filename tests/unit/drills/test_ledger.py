"""The chain of evidence: it cannot fork, and an audit sees every change. A drill passes only if every check passed (INV-19)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from snapkeep.domain.drills.ledger import DrillLedger, evidence_of, problems_of_chain
from snapkeep.domain.drills.run import CheckOutcome, DrillProof, DrillRun, DrillVerdict
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.drills.ledger_store import LedgerStore

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
def test_an_audit_sees_what_was_changed(changed: object, words: str) -> None:
    ledger, texts = chain(3)
    changed(texts)  # type: ignore[operator]
    [problem] = problems_of_chain(ledger, texts)
    assert words in problem


def test_an_audit_sees_a_forged_verdict_with_a_new_hash() -> None:
    forged = replace(evidence_of(WHOLE.failed("it failed"), "1.0", ""), verdict=DrillVerdict.PASSED)
    problems = list(problems_of_chain(DrillLedger().concluded(forged), {WHOLE.id: forged.text}))
    assert problems == [f"{WHOLE.id}: its verdict does not follow from what it measured"]


def test_an_audit_sees_an_entry_that_was_taken_out() -> None:
    ledger, texts = chain(3)
    del texts["drill-1"]
    [problem] = problems_of_chain(replace(ledger, ended=(ledger.ended[0], ledger.ended[2])), texts)
    assert problem.startswith("drill-2: it follows the evidence")


def test_two_drills_that_end_at_once_make_one_chain() -> None:
    documents = MemoryDocuments()
    store = LedgerStore(documents)
    other = evidence_of(replace(WHOLE, id="drill-other"), "1.0", "")
    first = True

    def decide(ledger: DrillLedger) -> DrillLedger:
        nonlocal first
        if first:
            first = False
            LedgerStore(documents).change(lambda known: known.concluded(other))
        return ledger.concluded(evidence_of(WHOLE, "1.0", ledger.last_hash))

    ledger = store.change(decide)
    assert [ended.run for ended in ledger.ended] == ["drill-other", WHOLE.id]
    texts = {"drill-other": other.text, WHOLE.id: evidence_of(WHOLE, "1.0", ledger.previous_of(WHOLE.id)).text}
    assert list(problems_of_chain(ledger, texts)) == []
