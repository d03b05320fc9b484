"""Find the snapshots that another principal deleted since the last sweep, and its name; keep this listing for the next sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import date, datetime

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion_days import after, is_unusual, usual
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHolds
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.sweep.deletions_by_others import deleted_by_others, findings_of
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.domain.sweep.memory import KeptSnapshot, SweepMemory
from snapkeep.usecases.sweep.memory import Memories
from snapkeep.usecases.sweep.ports import DeletionTrail

LOOKUPS = 20
"""The most deletions that one sweep looks up; the principals of the others are not known.

CloudTrail answers two lookups a second (CloudTrail API reference: LookupEvents).
"""


@dataclass(frozen=True, slots=True)
class WatchResult:
    """The snapshots that the last sweep's plan kept and that the region's listing lacks."""

    findings: list[Finding]
    deletions: Mapping[str, int]
    """The number of managed snapshots that disappeared, by day."""
    notified: frozenset[str] = frozenset()
    """Ids of the volumes of which an earlier sweep said that EC2 copies their snapshots to no other region."""
    since: datetime | None = None
    """The time of the last sweep."""
    locks: Mapping[str, datetime] = field(default_factory=dict)
    """The missing locks that it requested: since when, by snapshot id."""

    def new(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings without those that are reported only once, and were."""
        return [item for item in findings if item.kind is not FindingKind.NOT_COPYABLE or item.subject not in self.notified]

    def unusual(self, today: date, times: int) -> list[Finding]:
        """Return a finding where today's deletions are more than so many times the usual; none where `times` is 0."""
        if not times or not is_unusual(self.deletions, today, times):
            return []
        number, normal = self.deletions[str(today)], usual(self.deletions, today)
        text = f"{number} managed snapshots were deleted on {today}, usual are {normal} a day"
        return [Finding(FindingKind.DELETIONS_UNUSUAL, "", "", text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionWatch:
    """Compares a region's listing with what the last sweep's plan kept."""

    memories: Memories
    trail: DeletionTrail

    def run(
        self, facts: RegionFacts, policies: PolicySet, now: datetime, system: str, placed: PlacedHolds = NOTHING_HELD
    ) -> WatchResult:
        """Return the managed snapshots that another principal deleted. If the memory cannot be read, that is the finding."""
        try:
            memory = self.memories.load()
        except SnapkeepError as error:
            finding = Finding(FindingKind.OUT_OF_REACH, "snapshots of the last sweep", "", str(error))
            return WatchResult([finding], after({}, now.date(), 0))
        if memory is None:
            return WatchResult([], after({}, now.date(), 0))
        present = {snapshot.id for snapshot in facts.snapshots}
        absent = sum(snapshot.id not in present for snapshot in memory.snapshots)
        # Snapkeep itself may have deleted snapshots before a younger hold covered them.
        held = PlacedHolds(tuple(hold for hold in placed.holds if hold.since <= memory.at))
        deleted = deleted_by_others(memory.snapshots, facts, policies, now, system=system, placed=held)
        findings = findings_of(deleted, self._deleters(deleted, memory.at), memory.at, system)
        deletions = after(memory.deletions, now.date(), absent)
        locks = {lock.snapshot_id: lock.since for lock in memory.locks}
        return WatchResult(findings, deletions, frozenset(memory.notified), memory.at, locks)

    def _deleters(self, deleted: list[KeptSnapshot], since: datetime) -> dict[str, str]:
        by: dict[str, str] = {}
        try:
            for snapshot in deleted[:LOOKUPS]:
                by[snapshot.id] = self.trail.deleted_by(snapshot.id, since)
        except SnapkeepError:  # AWS does not respond, or not now: the principals of the others stay unknown
            return by
        return by

    def prepare(self, sweep_id: str, memory: SweepMemory) -> None:
        """Store the memory of a sweep, apart from that of the last one."""
        self.memories.prepare(sweep_id, memory)

    def remember(self, sweep_id: str) -> None:
        """Make this memory the one of the next sweep. Call it after the report is published, or its findings would be lost."""
        self.memories.replace_by(sweep_id)
