"""The facts that a region's queue has about copies: which are in progress, which were checked, and which are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from snapkeep.domain.copies.check import as_differing
from snapkeep.domain.copies.completion import CopyWay
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.model import NEVER, Origin, Snapshot, SnapshotInRegion
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.verdict import is_proved
from snapkeep.domain.tag_names import PROOF

CHECKED_WITHIN = timedelta(days=1)
"""Time after its end within which a copy is checked, by its event or by a sweep."""


def completed_lately(copy: Snapshot, now: datetime) -> bool:
    """Whether a copy completed so recently that perhaps no run has checked it."""
    return _completed_since(copy, now - CHECKED_WITHIN)


def _completed_since(copy: Snapshot, since: datetime) -> bool:
    return copy.completed and (copy.completed_at or copy.start_time) >= since


@dataclass(frozen=True, slots=True)
class KnownCopies:
    """The facts of a queue's entries that a plan needs."""

    waiting: frozenset[SnapshotInRegion] = frozenset()
    """The snapshots whose copies are open."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """The origins of the copies that runs checked, by id."""
    wrong: frozenset[str] = frozenset()
    """Ids of the copies that need a person's decision."""
    differing: frozenset[str] = frozenset()
    """Ids of the copies whose blocks differ: EC2 may show their marks late."""
    checked_until: datetime = NEVER
    """Copies that completed before have been checked, or are left to a sweep."""
    proofs: Mapping[str, str] = field(default_factory=dict)
    """The proofs of proved copies by id, as their tags have them: EC2 may show a tag late."""
    ways: Mapping[SnapshotInRegion, CopyWay] = field(default_factory=dict)
    """The ways of the open copies."""

    @property
    def checked(self) -> frozenset[str]:
        """Ids of the copies that runs checked, as far as the queue remembers."""
        return frozenset(self.origins)

    def counted(self, copies: Iterable[Snapshot]) -> list[Snapshot]:
        """Return the copies that count, with their proofs and marks: no good copy is deleted because of one of the others.

        A copy does not count if it is wrong, if its tags name another origin, or if it completed recently and is not checked
        yet. An older copy that the queue has not settled counts until a sweep settles it.
        """
        return [self._as_known(copy) for copy in copies if self._counts(copy)]

    def _counts(self, copy: Snapshot) -> bool:
        if copy.id in self.wrong or self.origins.get(copy.id, copy.origin) != copy.origin:
            return False
        unchecked = (copy.origin.snapshot_id, copy.region) in self.waiting and _completed_since(copy, self.checked_until)
        return copy.id in self.differing or not unchecked  # the mark of a copy that differs excludes it

    def _as_known(self, copy: Snapshot) -> Snapshot:
        if copy.id in self.differing:
            return as_differing(copy)
        proof = "" if is_proved(copy) else self.proofs.get(copy.id, "")
        return replace(copy, tags={**copy.tags, PROOF: proof}) if proof else copy


def known_copies(entries: Iterable[QueueEntry], now: datetime) -> KnownCopies:
    """Return the facts of a queue's entries."""
    waiting, wrong, differing = set[SnapshotInRegion](), set[str](), set[str]()
    origins, proofs, ways = dict[str, Origin](), dict[str, str](), dict[SnapshotInRegion, CopyWay]()
    for entry in entries:
        differing.update(entry.wrong)
        if entry.is_open:
            waiting.add(entry.request.snapshot_in_region)
            ways[entry.request.snapshot_in_region] = entry.way
        elif entry.state is EntryState.FAILED:
            wrong.add(entry.copy_id)
        else:
            origins[entry.copy_id] = entry.request.origin
            if entry.proof:
                proofs[entry.copy_id] = entry.proof
    settled = origins, frozenset(wrong - {""}), frozenset(differing)
    return KnownCopies(frozenset(waiting), *settled, now - CHECKED_WITHIN, proofs, ways)
