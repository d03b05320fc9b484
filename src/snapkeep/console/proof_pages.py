"""The pages of drills and proofs: volumes and weeks as a heat map, times against objectives, and the evidence of a drill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any

from snapkeep.console.page import Context, NotThere, Query, rows_of
from snapkeep.console.reading import Reading
from snapkeep.domain.drills.coverage import DrillCoverage
from snapkeep.domain.drills.ledger import DrillEvidence, EndedDrill
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.drill_rules import DrillRule
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.protection import VolumeProtection
from snapkeep.domain.recovery.recoverability import not_proved
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.tag_names import PROOF
from snapkeep.domain.tags import parse_time
from snapkeep.usecases.drills.ledger_store import LedgerStore

WEEKS = 12
"""Weeks of the heat map."""
_NO_POLICIES = PolicySet(())
_STRENGTH = (ProofVerdict.DIFFERS, ProofVerdict.PROVED, ProofVerdict.INCOMPLETE, ProofVerdict.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Week:
    """The proofs of a volume's copies and its drills of one week: the strongest proof, and the newest drill."""

    monday: date
    verdict: ProofVerdict | None
    drill: EndedDrill | None
    text: str = ""

    @property
    def tone(self) -> str:
        """The colour of its cell, beside its signs: the worst of both counts."""
        if self.verdict is ProofVerdict.DIFFERS or (self.drill is not None and not self.drill.passed):
            return "bad"
        if self.verdict is ProofVerdict.PROVED or (self.drill is not None and self.verdict is None):
            return "good"
        return "wait" if self.verdict else "none"


@dataclass(frozen=True, slots=True)
class Row:
    """A volume with its weeks, its newest drill, and the objective of its rule."""

    volume: VolumeProtection
    weeks: Sequence[Week]
    region: str
    """The region of the drill."""
    drill: EndedDrill | None
    rto: timedelta
    """0: no rule has an objective for it."""

    @property
    def within_rto(self) -> bool:
        """Whether the newest drill was usable in time; also where there is no objective."""
        used = self.drill.usable_after if self.drill else None
        return not self.rto or (used is not None and used <= self.rto)


def copies_by_region(reading: Reading) -> dict[str, Iterable[Snapshot]]:
    """Return the listings of the regions that were read."""
    return {region: chain.from_iterable(lineages.by_volume.values()) for region, lineages in reading.lineages.items()}


def unproved(reading: Reading, volumes: Iterable[VolumeProtection]) -> list[VolumeProtection]:
    """Return the volumes with copies of which, in a region that was read, none is proved."""
    return not_proved(volumes, copies_by_region(reading))


def coverage_of_drills(reading: Reading) -> DrillCoverage:
    """Return what drills covered, under the policies in force."""
    policies = next(iter(reading.policies.values()), None)
    return DrillCoverage(reading.ledgers if policies else {}, policies or _NO_POLICIES)


def unread_ledgers(reading: Reading) -> list[str]:
    """Return the DR regions whose ledger of drills could not be read."""
    return [region for region in reading.lineages if region not in (reading.status.region, *reading.ledgers)]


def drills_known(reading: Reading) -> bool:
    """Whether every region, and every ledger of drills, was read."""
    return not reading.unread and not unread_ledgers(reading)


def proofs_context(reading: Reading, query: Query) -> Context:
    """Return the heat map of drills and proofs; `show` in a query chooses what lacks a proof or a drill."""
    governed = [volume for volume in reading.status.volumes if volume.copies]
    read = set(reading.lineages)
    unread = [volume for volume in governed if not read.intersection(copy.region for copy in volume.copies)]
    missing = {"unproved": unproved(reading, governed), "undrilled": coverage_of_drills(reading).missing(governed, reading.at)}
    show = query.get("show", "") if query.get("show") in missing else ""
    rows = rows_of(missing.get(show, governed), query)
    first = (reading.at - timedelta(weeks=WEEKS - 1)).date()
    mondays = [first - timedelta(days=first.weekday()) + timedelta(weeks=week) for week in range(WEEKS)]
    drills = _drills_by_volume(reading)
    return {
        "pages": rows,
        "rows": [_row(reading, volume, mondays, drills) for volume in rows],
        "show": show,
        "total": len(governed),
        "missing": {name: len(volumes) for name, volumes in missing.items()},
        "known": {"unproved": not reading.unread, "undrilled": drills_known(reading)},
        "unread": len(unread),
        "unread_ledgers": unread_ledgers(reading),
        "open": [run for ledger in reading.ledgers.values() for run in ledger.open],
        "mondays": mondays,
        "differing": [copy for copies in copies_by_region(reading).values() for copy in copies if copy.found_wrong],
    }


def _drills_by_volume(reading: Reading) -> dict[str, list[tuple[str, EndedDrill]]]:
    drills: dict[str, list[tuple[str, EndedDrill]]] = defaultdict(list)
    for region, ledger in reading.ledgers.items():
        for ended in ledger.ended:
            for volume_id in ended.subjects:
                drills[volume_id].append((region, ended))
    return drills


def _row(
    reading: Reading,
    volume: VolumeProtection,
    mondays: Sequence[date],
    drills: Mapping[str, Sequence[tuple[str, EndedDrill]]],
) -> Row:
    ended = sorted(drills.get(volume.volume.id, ()), key=lambda drill: drill[1].asked_at)
    region, newest = ended[-1] if ended else ("", None)
    rules = [rule for policies in reading.policies.values() for rule in policies.drills if volume.policy in rule.policies]
    weeks = list(_weeks(reading, volume, mondays, [drill for _, drill in ended]))
    return Row(volume, weeks, region, newest, _rto_of(rules, newest))


def _rto_of(rules: Iterable[DrillRule], newest: EndedDrill | None) -> timedelta:
    """Return the objective of the rule that drilled last, or else of any rule of the policy."""
    objectives = {rule.name: rule.rto for rule in rules if rule.rto}
    named = objectives.get(newest.drill) if newest else None
    return named or next(iter(objectives.values()), timedelta(0))


def _weeks(reading: Reading, volume: VolumeProtection, mondays: Iterable[date], drills: Iterable[EndedDrill]) -> Iterator[Week]:
    proofs: dict[date, list[tuple[ProofVerdict, str]]] = defaultdict(list)
    for snapshots in reading.snapshots_of(volume.volume.id).values():
        for copy in snapshots:
            if parsed := _parsed(copy.tags.get(PROOF, "")):
                verdict, when, method = parsed
                proofs[_monday(when)].append((verdict, f"{copy.id}: {method}, {verdict.label}"))
    drilled = {_monday(drill.asked_at): drill for drill in drills}
    for monday in mondays:
        ordered = sorted(proofs.get(monday, ()), key=lambda proof: _STRENGTH.index(proof[0]))
        drill = drilled.get(monday)
        texts = [text for _, text in ordered[:5]] + ([f"{drill.run}: {drill.verdict.label}"] if drill else [])
        yield Week(monday, ordered[0][0] if ordered else None, drill, "; ".join(texts))


def _monday(moment: datetime) -> date:
    return moment.date() - timedelta(days=moment.weekday())


def _parsed(proof: str) -> tuple[ProofVerdict, datetime, str] | None:
    """Return verdict, time and method of a proof's tag; None for a value that Verify did not write."""
    parts = proof.split(" ")
    try:
        verdict, method, when = parts
        return ProofVerdict(verdict), parse_time(when), method
    except ValueError:
        return None


def proof_text(proof: str) -> str:
    """Return a proof's tag in words; the tag itself where Verify did not write it."""
    if (parsed := _parsed(proof)) is None:
        return proof
    verdict, when, method = parsed
    return f"{verdict.label}, by {method}, {when:%Y-%m-%d %H:%M} UTC"


def drill_context(reading: Reading, query: Query) -> Context:
    """Return the evidence of a drill. Raise NotThere, DocumentNotFound and errors of AWS."""
    return {"evidence": _evidence(reading, query)}


def _evidence(reading: Reading, query: Query) -> DrillEvidence:
    region, run_id = query.get("in", ""), query.get("id", "")
    if region not in reading.documents or not run_id.replace("-", "").isalnum():
        raise NotThere(f"{run_id or 'a drill without a name'}: no such drill in {region or 'a region without a name'}")
    return LedgerStore(reading.documents[region]).evidence(run_id)


def evidence_data(reading: Reading, query: Query) -> Any:
    """Return the evidence of a drill as the bucket has it."""
    return to_object(_evidence(reading, query))
