"""Find the snapshots that another principal deleted since the last sweep, and its name; keep this listing for the next sweep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from snapkeep.domain.errors import InvalidConfiguration, ReportNotFound, SnapkeepError
from snapkeep.domain.json_codec import from_json, to_text
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.domain.sweep.deleted_by_others import KeptSnapshot, SweepMemory, deleted_by_others, findings_of
from snapkeep.domain.sweep.findings import Finding, FindingKind
from snapkeep.usecases.sweep.ports import DeletionTrail, ReportStore

MEMORY = "memory/snapshots.json"
LOOKS = 20
"""Deletions that one sweep looks up: CloudTrail answers two lookups a second (CloudTrail API reference: LookupEvents)."""


class Memories(Protocol):
    """Keeps what a sweep remembers for the next one."""

    def load(self) -> SweepMemory | None:
        """Return the last sweep's memory; None before the first sweep."""
        ...

    def save(self, memory: SweepMemory) -> None:
        """Replace the memory."""
        ...


@dataclass(frozen=True, slots=True)
class StoredMemory(Memories):
    """A memory beside the reports, as JSON."""

    store: ReportStore

    def load(self) -> SweepMemory | None:
        """Return the last sweep's memory; None before the first sweep. Raise InvalidConfiguration if it cannot be read."""
        try:
            return from_json(SweepMemory, json.loads(self.store.get(MEMORY)))
        except ReportNotFound:
            return None
        except ValueError as error:
            raise InvalidConfiguration(f"{MEMORY} in the reports' bucket cannot be read: {error}") from error

    def save(self, memory: SweepMemory) -> None:
        """Replace the memory."""
        self.store.put(MEMORY, to_text(memory), "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionWatch:
    """Compares a region's listing with what the last sweep's plan kept."""

    memories: Memories
    trail: DeletionTrail

    def run(self, facts: RegionFacts, policies: PolicySet, now: datetime, system: str) -> list[Finding]:
        """Return the managed snapshots that another principal deleted. If the memory cannot be read, that is the finding."""
        try:
            memory = self.memories.load()
        except SnapkeepError as error:
            return [Finding(FindingKind.OUT_OF_REACH, "snapshots of the last sweep", "", str(error))]
        if memory is None:
            return []
        deleted = deleted_by_others(memory.snapshots, facts, policies, now, system=system)
        return findings_of(deleted, self._deleters(deleted, memory.at), memory.at, system)

    def _deleters(self, deleted: list[KeptSnapshot], since: datetime) -> dict[str, str]:
        by: dict[str, str] = {}
        try:
            for snapshot in deleted[:LOOKS]:
                by[snapshot.id] = self.trail.deleted_by(snapshot.id, since)
        except SnapkeepError:  # AWS does not say, or not now: who deleted the others stays unknown
            return by
        return by

    def remember(self, at: datetime, kept: tuple[KeptSnapshot, ...]) -> None:
        """Keep what a plan keeps. It comes after the report is kept: a sweep that stops in between is repeated."""
        self.memories.save(SweepMemory(at, kept))
