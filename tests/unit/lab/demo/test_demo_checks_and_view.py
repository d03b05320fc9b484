"""The demonstration's checks notice what is wrong, and its tables fit into a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from snapkeep.lab.commands.demo import facts_as_json
from snapkeep.lab.demo.checks import check_all
from snapkeep.lab.demo.executions import PROTECT, StepStatus, read_history
from snapkeep.lab.demo.facts import DemoFacts, Ending, Fate
from snapkeep.lab.demo.recovery import DemoRecovery
from snapkeep.lab.demo.stage import DemoResult
from snapkeep.lab.demo.story import LEDGER, MAIL, ORDERS, SCRATCH, VAULT, WEB, DemoHistory, Shot
from snapkeep.lab.demo.view import show_ended, steps_table
from support.demo_facts import DRILL, FATES, copy, good_facts, run, snapshot_id, source, with_ending


def failing(facts: DemoFacts) -> list[str]:
    return [check.text for check in check_all(facts) if not check.holds]


def test_everything_holds_when_all_went_well() -> None:
    assert failing(good_facts()) == []


def without_tags(facts: DemoFacts) -> DemoFacts:
    kept = facts.volume(WEB).shots[4].source
    assert kept.snapshot is not None
    return with_ending(facts, WEB, 5, source=replace(kept, snapshot=replace(kept.snapshot, tags={})))


def wrong_origin(facts: DemoFacts) -> DemoFacts:
    kept = facts.volume(ORDERS).shots[0].copy
    assert kept.snapshot is not None
    tags = {**kept.snapshot.tags, "snapkeep:source-snapshot": "snap-of-somebody-else"}
    return with_ending(facts, ORDERS, 1, copy=replace(kept, snapshot=replace(kept.snapshot, tags=tags)))


BROKEN: list[tuple[str, Callable[[DemoFacts], DemoFacts]]] = [
    ("web: the newest 3", lambda facts: with_ending(facts, WEB, 1, source=source(WEB, 1, "kept"))),
    ("web: the newest 3", lambda facts: with_ending(facts, WEB, 5, source=source(WEB, 5, "deleted"))),
    ("web: the newest 2 copies", lambda facts: with_ending(facts, WEB, 4, copy=copy(WEB, 4, "deleted"))),
    ("everything that was deleted", lambda facts: with_ending(facts, WEB, 1, source=Ending(Fate.DELETED, "snap-1"))),
    ("scratch: not included", lambda facts: with_ending(facts, SCRATCH, 1, source=source(SCRATCH, 1, "kept"))),
    ("scratch: not included", lambda facts: with_ending(facts, SCRATCH, 1, copy=copy(SCRATCH, 1, "kept and copied"))),
    ("orders: the multi-volume set", lambda facts: with_ending(facts, ORDERS, 1, copy=Ending(Fate.ABSENT))),
    ("mail: the failed snapshot", lambda facts: with_ending(facts, MAIL, 1, source=source(MAIL, 1, "deleted"))),
    ("vault: the run waited", lambda facts: replace(facts, runs=(*facts.runs, run(PROTECT, [(VAULT, 1)])))),
    ("vault: no failed copy", lambda facts: with_ending(facts, VAULT, 1, copy=copy(VAULT, 1, "kept and copied"))),
    ("every copy carries its origin", wrong_origin),
    ("every snapshot and copy that is kept", without_tags),
    ("SNS: every failure", lambda facts: replace(facts, messages=facts.messages[:1])),
    ("SNS: nothing else", lambda facts: replace(facts, messages=(*facts.messages, {"body": snapshot_id(WEB, 5)}))),
    ("ledger: a copy", lambda facts: replace(facts, wrong_copies=())),
    ("ledger: a copy", lambda facts: with_ending(facts, LEDGER, 1, copy=Ending(Fate.ABSENT))),
    ("the queue of copies", lambda facts: replace(facts, queue=({"pk": "a#b#c", "state": "WAITING", "cause": ""},))),
    ("ledger: a drill", lambda facts: replace(facts, drill=replace(DRILL, verdict="FAILED"))),
    ("ledger: a drill", lambda facts: replace(facts, drill=replace(DRILL, checks={"removed": "failed"}))),
    ("ledger: a drill", lambda facts: replace(facts, drill=replace(DRILL, compared=0))),
    ("ledger: a drill", lambda facts: replace(facts, drill=replace(DRILL, left=("vol-1",)))),
    ("ledger: a drill", lambda facts: replace(facts, drill=None)),
    ("the primary region unreachable", lambda facts: replace(facts, recovery=DemoRecovery(4.0, 3, 2))),
    ("IAM is enforced", lambda facts: replace(facts, stranger_was_refused="")),
    ("every run ended", lambda facts: replace(facts, runs=(*facts.runs, run(PROTECT, [(WEB, 1)], "FAILED")))),
    ("no copy was made", lambda facts: replace(facts, foreign_copies=("snap-unknown",))),
]


@pytest.mark.parametrize(("check", "broken"), BROKEN, ids=[f"{number}: {check}" for number, (check, _) in enumerate(BROKEN, 1)])
def test_each_check_notices_its_failure(check: str, broken: Callable[[DemoFacts], DemoFacts]) -> None:
    assert any(text.startswith(check) for text in failing(broken(good_facts())))


def ended(facts: DemoFacts) -> DemoResult:
    return DemoResult(facts, tuple(check_all(facts)), 42.0)


@pytest.mark.parametrize("width", [80, 120])
def test_the_ending_fits_into_the_terminal_and_shows_every_fate(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, record=True)
    show_ended(console, ended(good_facts()))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    for words in (
        "web 1",
        "beyond last 3",
        "untouched",
        "snapkeep: CopyFailed in us-east-1",
        "Everything holds: 19 of 19 checks",
    ):
        assert words in text


def test_a_failed_check_is_shown_with_its_facts() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    show_ended(console, ended(replace(good_facts(), stranger_was_refused="")))
    text = console.export_text()
    assert "✗ IAM is enforced" in text
    assert "'UnauthorizedOperation' was to be expected" in text or "UnauthorizedOperation was to be expected" in text
    assert "Not everything holds: 18 of 19 checks" in text


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_of_steps_fits_and_names_every_step(width: int) -> None:
    story = DemoHistory()
    for member, fates in FATES.items():
        story.shots += [Shot(member, number, snapshot_id(member, number), "completed") for number in range(1, len(fates) + 1)]
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(steps_table(story, good_facts().runs, "⠋", wide=width >= 100))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].replace("snapshot", "").split() == ["volume", "made", "tag", "copy", "expire", "│", "check", "expire"]
    assert not any("…" in line.replace(" …", " ") for line in lines), "no heading and no outcome is cut"


def test_json_holds_every_fact() -> None:
    ending = facts_as_json(ended(good_facts()))
    assert ending["all_hold"] is True
    assert len(ending["volumes"]) == 8
    assert ending["volumes"][0]["snapshots"][0]["source"]["reasons"] == ["beyond last 3"]


def test_steps_are_read_from_a_history_and_failures_mark_them() -> None:
    def entered(name: str) -> dict[str, object]:
        return {"stateEnteredEventDetails": {"name": name}}

    def exited(name: str, output: str) -> dict[str, object]:
        return {"stateExitedEventDetails": {"name": name, "output": output}}

    first = '{"detail-type": "x", "tagged": {"outcome": "MANAGED"}}'
    copied = '{"detail-type": "x", "tagged": {"outcome": "MANAGED"}, "copies": {"any_failed": true}}'
    history = [entered("TagSnapshots"), exited("TagSnapshots", first), entered("CopyToDR")]
    assert read_history(history)[0]["CopyToDR"] is StepStatus.RUNNING
    steps, state = read_history([*history, exited("CopyToDR", copied), entered("DeleteOldSnapshots")])
    assert (steps["TagSnapshots"], steps["CopyToDR"], steps["DeleteOldSnapshots"]) == (
        StepStatus.DONE,
        StepStatus.FAILED,
        StepStatus.RUNNING,
    )
    assert state["tagged"]["outcome"] == "MANAGED"
    output = '{"detail-type": "x", "tagged": {"outcome": "MANAGED", "problems": [{"kind": "SnapshotFailed"}]}}'
    steps, _ = read_history([entered("TagSnapshots"), exited("TagSnapshots", output), entered("NotifyUser")])
    assert steps["TagSnapshots"] is StepStatus.FAILED
