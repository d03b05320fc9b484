"""Checks at the end of the demonstration. Pure: they map facts to one line for each check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.tag_names import MANAGED, PROOF, SOURCE_REGION, SOURCE_SNAPSHOT, SOURCE_START, SOURCE_VOLUME
from snapkeep.domain.tags import format_time
from snapkeep.lab.demo.executions import PROTECT, RECEIVE
from snapkeep.lab.demo.facts import DemoFacts, Fate
from snapkeep.lab.demo.recovery import BLOCKS
from snapkeep.lab.demo.story import (
    CAST,
    DR_RETENTION,
    LEDGER,
    MAIL,
    ORDERS_SET,
    PRIMARY_REGION,
    RETENTION,
    SCRATCH,
    VAULT,
    WEB,
    WEB_SNAPSHOTS,
)


@dataclass(frozen=True, slots=True)
class DemoCheck:
    """One requirement, and the facts that contradict it."""

    text: str
    holds: bool
    found: str = ""


def check_all(facts: DemoFacts) -> list[DemoCheck]:
    """Return every check of the facts."""
    return [DemoCheck(text, *_judged(rule, facts)) for text, rule in _RULES]


def _judged(rule: Callable[[DemoFacts], str], facts: DemoFacts) -> tuple[bool, str]:
    """Apply a rule, which returns an error in words; an empty text if it is met."""
    wrong = rule(facts)
    return not wrong, wrong


def _expect(subject: str, actual: object, expected: object) -> str:
    return "" if actual == expected else f"{subject}: {actual}, and {expected} was to be expected"


def _web_kept(facts: DemoFacts) -> str:
    labels = [f"{WEB.name} {number}" for number in range(1, WEB_SNAPSHOTS + 1)]
    return _expect("kept", facts.volume(WEB).kept(), labels[-RETENTION:])


def _web_copies_kept(facts: DemoFacts) -> str:
    labels = [f"{WEB.name} {number}" for number in range(1, WEB_SNAPSHOTS + 1)]
    return _expect("kept", facts.volume(WEB).kept(copies=True), labels[-DR_RETENTION:])


def _reasons(facts: DemoFacts) -> str:
    endings = [ending for volume in facts.volumes for shot in volume.shots for ending in (shot.source, shot.copy)]
    silent = [ending.snapshot_id for ending in endings if ending.fate is Fate.DELETED and not ending.reasons]
    return _expect("deleted without a reason", silent, [])


def _not_included(facts: DemoFacts) -> str:
    (shot,) = facts.volume(SCRATCH).shots
    tags = dict(shot.source.snapshot.tags) if shot.source.snapshot else {"": "deleted"}
    runs = [run for run in facts.runs_of(PROTECT) if shot.source.snapshot_id in run.snapshot_ids]
    outcomes = [(run.status, run.outcome()) for run in runs]
    return (
        _expect("tags", tags, {})
        or _expect("copy", shot.copy.fate.value, Fate.ABSENT.value)
        or _expect("runs", outcomes, [("SUCCEEDED", "VOLUME_NOT_TAGGED")])
    )


def _set(facts: DemoFacts) -> str:
    ids = tuple(facts.volume(member).shots[0].source.snapshot_id for member in ORDERS_SET)
    runs = [run for run in facts.runs_of(PROTECT) if set(run.snapshot_ids) == set(ids)]
    fates = [facts.volume(member).shots[0].copy.fate.value for member in ORDERS_SET]
    return _expect("runs", [run.status for run in runs], ["SUCCEEDED"]) or _expect("copies", fates, ["kept"] * len(ORDERS_SET))


def _failed_snapshot(facts: DemoFacts) -> str:
    good, failed = facts.volume(MAIL).shots
    runs = [run.status for run in facts.runs_of(PROTECT) if failed.source.snapshot_id in run.snapshot_ids]
    return (
        _expect("the good one", (good.source.fate.value, good.copy.fate.value), ("kept", "kept"))
        or _expect("the failed one's copy", failed.copy.fate.value, Fate.ABSENT.value)
        or _expect("its runs", runs, ["FAILED"])
    )


def _failed_copy(facts: DemoFacts) -> str:
    (shot,) = facts.volume(VAULT).shots
    runs = [(run.status, run.error) for run in facts.runs_of(PROTECT) if shot.source.snapshot_id in run.snapshot_ids]
    return _expect("runs", runs, [("FAILED", "CopyFailed")]) or _expect("the snapshot", shot.source.fate.value, Fate.KEPT.value)


def _no_bad_copy_left(facts: DemoFacts) -> str:
    (shot,) = facts.volume(VAULT).shots
    return _expect("copy in the DR region", shot.copy.snapshot is not None, expected=False)


def _wrong_copy(facts: DemoFacts) -> str:
    (shot,) = facts.volume(LEDGER).shots
    differing = [(copy.origin.snapshot_id, copy.tags.get(PROOF, "").partition(" ")[0]) for copy in facts.wrong_copies]
    proved = shot.copy.snapshot is not None and is_proved(shot.copy.snapshot)
    return _expect("copies that differ", differing, [(shot.source.snapshot_id, "DIFFERS")]) or _expect(
        "another copy is proved", proved, expected=True
    )


def _origins(facts: DemoFacts) -> str:
    wrong = []
    for volume in facts.volumes:
        for shot in volume.shots:
            copy = shot.copy.snapshot
            if copy is None:
                continue
            tags = copy.tags
            origin = (tags.get(SOURCE_REGION), tags.get(SOURCE_VOLUME), tags.get(SOURCE_SNAPSHOT))
            if origin != (PRIMARY_REGION, volume.volume_id, shot.source.snapshot_id):
                wrong.append(f"{shot.label}: {origin}")
            source = shot.source.snapshot
            if source is not None and tags.get(SOURCE_START) != format_time(source.start_time):
                wrong.append(f"{shot.label}: {tags.get(SOURCE_START)}")
    return _expect("copies with a wrong origin", wrong, [])


def _managed(facts: DemoFacts) -> str:
    kept = [e for v in facts.volumes for s in v.shots for e in (s.source, s.copy) if e.fate is Fate.KEPT]
    wrong = [e.snapshot_id for e in kept if e.snapshot is None or e.snapshot.tags.get(MANAGED) != facts.system]
    return _expect("kept without our tag", wrong, [])


def _notified(facts: DemoFacts) -> str:
    failed_snapshot = facts.volume(MAIL).shots[1].source.snapshot_id
    failed = [failed_snapshot, *(facts.volume(member).shots[0].source.snapshot_id for member in (VAULT, LEDGER))]
    bodies = [str(message["body"]) for message in facts.messages]
    missing = [snapshot for snapshot in failed if not any(snapshot in body for body in bodies)]
    return _expect("failures without a notice", missing, [])


def _nothing_else_notified(facts: DemoFacts) -> str:
    good = [
        shot.source.snapshot_id
        for member in CAST
        for shot in facts.volume(member).shots
        if member not in (VAULT, LEDGER) and shot.source.fate is not Fate.FAILED
    ]
    named = [snapshot for snapshot in good if any(snapshot in str(message["body"]) for message in facts.messages)]
    return _expect("notices about snapshots without a failure", named, [])


def _queue(facts: DemoFacts) -> str:
    unfinished = [f"{entry['pk']} {entry['state']}" for entry in facts.queue if entry["state"] not in ("DONE", "FAILED")]
    failed = [entry["pk"].split("#")[1] for entry in facts.queue if entry["state"] == "FAILED"]
    vault = facts.volume(VAULT).shots[0].source.snapshot_id
    return _expect("unfinished entries", unfinished, []) or _expect("failed entries", failed, [vault])


def _runs(facts: DemoFacts) -> str:
    expected = {facts.volume(MAIL).shots[1].source.snapshot_id, facts.volume(VAULT).shots[0].source.snapshot_id}
    wrong = []
    for run in facts.runs:
        should_fail = run.machine == PROTECT and bool(expected & set(run.snapshot_ids))
        may_fail = run.machine == RECEIVE and bool(expected & set(run.snapshot_ids))
        if run.status != ("FAILED" if should_fail else "SUCCEEDED") and not (may_fail and run.status == "FAILED"):
            wrong.append(f"{run.arn.rpartition(':')[2]} {run.status} {run.error}")
    return _expect("runs that ended otherwise", wrong, [])


def _iam(facts: DemoFacts) -> str:
    return _expect("AWS's answer", facts.stranger_was_refused, "UnauthorizedOperation")


def _strangers(facts: DemoFacts) -> str:
    return _expect("copies of nothing in the story", list(facts.foreign_copies), [])


def _recovered(facts: DemoFacts) -> str:
    recovery = facts.recovery
    return _expect("attached, equal", (recovery.attached, recovery.equal) if recovery else None, (3, 3))


def _drilled(facts: DemoFacts) -> str:
    drill = facts.drill
    if drill is None:
        return "there was no drill"
    return (
        _expect("verdict", (drill.verdict, set(drill.checks.values())), ("PASSED", {"passed"}))
        or _expect("blocks compared", drill.compared, BLOCKS)
        or _expect("left behind", list(drill.left), [])
    )


_RULES: tuple[tuple[str, Callable[[DemoFacts], str]], ...] = (
    ("IAM is enforced: a user without permissions is refused", _iam),
    ("every run ended as it should: FAILED where something failed, SUCCEEDED elsewhere", _runs),
    (f"web: the newest {RETENTION} of {WEB_SNAPSHOTS} snapshots are kept, the older ones are deleted", _web_kept),
    (f"web: the newest {DR_RETENTION} copies are kept in the DR region", _web_copies_kept),
    ("everything that was deleted has its reason in a run", _reasons),
    ("scratch: not included, so neither tagged nor copied, and its run succeeded", _not_included),
    ("orders: the multi-volume set was protected by one run, all copies arrived", _set),
    ("mail: the failed snapshot pushed no good one out, and its run FAILED", _failed_snapshot),
    ("vault: the run waited for the copy, learned that it failed, and FAILED; the snapshot is kept", _failed_copy),
    ("vault: no failed copy is left in the DR region", _no_bad_copy_left),
    (
        "ledger: a copy with a planted wrong block is found, counts as none, and another one is made and proved",
        _wrong_copy,
    ),
    ("every copy carries its origin: region, volume, snapshot and start", _origins),
    ("every snapshot and copy that is kept carries our tag", _managed),
    ("SNS: every failure was notified", _notified),
    ("SNS: nothing else was notified", _nothing_else_notified),
    ("the queue of copies is at rest, and only vault's entry has failed", _queue),
    ("no copy was made without a request", _strangers),
    ("ledger: a drill restored it from the copy, compared every block, removed what it made and kept the evidence", _drilled),
    ("the primary region unreachable: orders' set is recovered in the DR region, its content equal to the source's", _recovered),
)
