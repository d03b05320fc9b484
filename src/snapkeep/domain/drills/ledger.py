"""The ledger of a region's drills: the open ones, and a chain of evidence of the ended ones.

It is one document, and a write replaces only the version that was read: two drills cannot fork the chain. Each entry has the
hash of a drill's evidence, and each evidence the hash of the one before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from snapkeep.domain.drills.run import DrillRun, DrillVerdict
from snapkeep.domain.json_codec import OPTIONAL, from_text, to_text
from snapkeep.domain.records import dataclass

LEDGER_KEY = "drills/ledger.json"


@dataclass(frozen=True, slots=True)
class DrillEvidence:
    """The evidence of one drill, stored as JSON and never changed."""

    run: DrillRun
    verdict: DrillVerdict
    checks: Mapping[str, str]
    """The result of each check, by identifier."""
    cause: str
    """The cause of a drill that did not pass; empty otherwise."""
    usable_seconds: float | None
    full_speed_seconds: float | None
    dollars: float
    version: str
    """The version of Snapkeep that made it."""
    previous: str
    """The hash of the evidence before it; empty for the first."""

    @property
    def text(self) -> str:
        """The text that is stored and hashed."""
        return to_text(self)


def evidence_of(run: DrillRun, version: str, previous: str) -> DrillEvidence:
    """Return the evidence of a drill that ended. The same run gives the same text."""
    usable, full_speed = run.usable_after, run.full_speed_after
    return DrillEvidence(
        run,
        run.verdict,
        {str(check): str(result) for check, result in run.checks.items()},
        run.cause,
        usable.total_seconds() if usable else None,
        full_speed.total_seconds() if full_speed else None,
        round(run.dollars, 6),
        version,
        previous,
    )


def hash_of(text: str) -> str:
    """Return the SHA-256 of an evidence's text."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class EndedDrill:
    """The facts about an ended drill that later decisions need."""

    run: str
    drill: str
    policy: str
    volume_id: str
    size_gib: int
    asked_at: datetime
    verdict: DrillVerdict
    dollars: float
    sha256: str
    """The hash of its evidence."""
    usable_after: timedelta | None = field(default=None, metadata=OPTIONAL)
    full_speed_after: timedelta | None = field(default=None, metadata=OPTIONAL)
    covered: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    """The volumes whose points a drill of instances restored; `volume_id` names the instance or the group."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The volume that the drill restored; or the instance or the group, and its volumes."""
        return self.volume_id, *self.covered

    def is_of(self, volume_id: str) -> bool:
        """Whether the drill restored the volume, instance or group of this name."""
        return volume_id in self.subjects

    @property
    def passed(self) -> bool:
        """Whether the drill passed."""
        return self.verdict is DrillVerdict.PASSED


def entry_of(evidence: DrillEvidence) -> EndedDrill:
    """Return the entry of an evidence."""
    run = evidence.run
    return EndedDrill(
        run.id,
        run.drill,
        run.policy,
        run.volume_id,
        run.size_gib,
        run.asked_at,
        evidence.verdict,
        evidence.dollars,
        hash_of(evidence.text),
        run.usable_after,
        run.full_speed_after,
        run.covered,
    )


@dataclass(frozen=True, slots=True)
class SeenVolume:
    """A volume with copies in the region, and the time when a sweep first saw it."""

    volume_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class DrillLedger:
    """All drills of a region."""

    open: tuple[DrillRun, ...] = ()
    ended: tuple[EndedDrill, ...] = ()
    """Ended drills, in the order of their evidence."""
    seen: tuple[SeenVolume, ...] = field(default=(), metadata=OPTIONAL)
    """The volumes that drills have to cover, as sweeps find them."""

    def run(self, run_id: str) -> DrillRun | None:
        """Return the open drill of this name in its first state; None if there is none."""
        return next((run for run in self.open if run.id == run_id), None)

    def knows(self, run_id: str) -> bool:
        """Whether a drill was begun, or has ended."""
        return self.run(run_id) is not None or self.entry(run_id) is not None

    def entry(self, run_id: str) -> EndedDrill | None:
        """Return the entry of a drill that ended; None if it has not."""
        return next((ended for ended in self.ended if ended.run == run_id), None)

    def is_passed(self, run_id: str) -> bool:
        """Whether a drill has ended and passed."""
        entry = self.entry(run_id)
        return entry is not None and entry.passed

    @property
    def last_hash(self) -> str:
        """The hash of the newest evidence; empty if there is none."""
        return self.ended[-1].sha256 if self.ended else ""

    def previous_of(self, run_id: str) -> str:
        """Return the hash of the evidence before a drill's; that of the newest evidence if the drill has not ended."""
        before = ""
        for ended in self.ended:
            if ended.run == run_id:
                return before
            before = ended.sha256
        return before

    def begun(self, runs: tuple[DrillRun, ...]) -> DrillLedger:
        """Return the ledger with more open drills."""
        return replace(self, open=(*self.open, *runs))

    def concluded(self, evidence: DrillEvidence) -> DrillLedger:
        """Return the ledger after a drill."""
        remaining = tuple(run for run in self.open if run.id != evidence.run.id)
        return replace(self, open=remaining, ended=(*self.ended, entry_of(evidence)))

    def with_seen(self, volume_ids: Collection[str], now: datetime) -> DrillLedger:
        """Return the ledger with the volumes that a sweep finds; deleted ones are removed."""
        since = self.seen_since
        return replace(self, seen=tuple(SeenVolume(volume_id, since.get(volume_id, now)) for volume_id in sorted(volume_ids)))

    @property
    def seen_since(self) -> dict[str, datetime]:
        """The time when sweeps first saw each volume that drills have to cover."""
        return {seen.volume_id: seen.since for seen in self.seen}

    def asked_of(self, volume_id: str) -> list[datetime]:
        """Return the start times of a volume's drills, whatever their results."""
        ended = [drill.asked_at for drill in self.ended if drill.is_of(volume_id)]
        return ended + [run.asked_at for run in self.open if run.volume_id == volume_id]

    def begun_since(self, rule: str, since: datetime) -> bool:
        """Whether a drill of a rule was begun at a time or later."""
        asked = [run.asked_at for run in self.open if run.drill == rule]
        return any(at >= since for at in asked + [ended.asked_at for ended in self.ended if ended.drill == rule])

    def last_passed(self, volume_id: str, rule: str = "") -> EndedDrill | None:
        """Return the newest passed drill of a volume, of one rule or of any; None if none passed."""
        passed = [ended for ended in self.ended if ended.passed and ended.is_of(volume_id) and rule in ("", ended.drill)]
        return max(passed, key=lambda ended: ended.asked_at, default=None)

    def spent_usd(self, rule: str, since: datetime) -> float:
        """Return the cost of a rule's drills since a time in US dollars; open drills count with their estimates."""
        ended = sum(drill.dollars for drill in self.ended if drill.drill == rule and drill.asked_at >= since)
        return ended + sum(run.estimate_usd for run in self.open if run.drill == rule)


def evidence_key(run_id: str) -> str:
    """Return the name of a drill's evidence in the bucket."""
    return f"drills/{run_id}.json"


def run_of_key(key: str) -> str:
    """Return the drill whose evidence has this name; empty for other documents."""
    name = key.removeprefix("drills/")
    return name.removesuffix(".json") if key != LEDGER_KEY and name.endswith(".json") else ""


def page_key(run_id: str) -> str:
    """Return the name of a drill's page in the bucket."""
    return f"drills/{run_id}.html"


def problems_of_chain(ledger: DrillLedger, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the faults of the chain. `texts` has the text of each evidence in the bucket, by run."""
    previous = ""
    for ended in ledger.ended:
        text = texts.get(ended.run)
        if text is None:
            yield f"{ended.run}: its evidence is missing"
        elif hash_of(text) != ended.sha256:
            yield f"{ended.run}: its evidence was changed: its hash is {hash_of(text)}, and the ledger has {ended.sha256}"
        else:
            yield from _problems_of_evidence(ended, text, previous)
        previous = ended.sha256
    known = {ended.run for ended in ledger.ended} | {run.id for run in ledger.open}  # the evidence is stored before its entry
    yield from (f"{run}: the ledger does not have this evidence" for run in sorted(set(texts) - known))


def _problems_of_evidence(ended: EndedDrill, text: str, previous: str) -> Iterator[str]:
    try:
        evidence = from_text(DrillEvidence, text)
    except ValueError as error:
        yield f"{ended.run}: its evidence cannot be read: {error}"
        return
    if evidence.previous != previous:
        yield f"{ended.run}: it follows the evidence {evidence.previous or 'none'}, and the ledger has {previous or 'none'}"
    if entry_of(evidence) != ended:
        yield f"{ended.run}: the ledger's entry says something else than its evidence"
    derived = evidence_of(evidence.run, evidence.version, evidence.previous)
    if derived != evidence:
        yield f"{ended.run}: its verdict does not follow from what it measured"
