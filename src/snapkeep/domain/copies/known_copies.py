"""The facts about a region's copies that its queue has: which are under way, which were checked, and which are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snapkeep.domain.copies.entry import OPEN, EntryState, QueueEntry
from snapkeep.domain.model import Origin, Snapshot, SnapshotInRegion


@dataclass(frozen=True, slots=True)
class KnownCopies:
    """The entries of a queue, as a plan looks at them."""

    waiting: frozenset[SnapshotInRegion] = frozenset()
    """The snapshots whose copies are open."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """The origins of the copies that runs checked, by id."""
    wrong: frozenset[str] = frozenset()
    """Ids of the copies that a person must decide about."""

    @property
    def checked(self) -> frozenset[str]:
        """Ids of the copies that runs checked, as far as the queue remembers."""
        return frozenset(self.origins)

    def counted(self, copies: Iterable[Snapshot]) -> list[Snapshot]:
        """Return the copies that count: no good copy is deleted for a wrong one, or for one whose tags name another origin."""
        return [copy for copy in copies if copy.id not in self.wrong and self.origins.get(copy.id, copy.origin) == copy.origin]


def known_copies(entries: Iterable[QueueEntry]) -> KnownCopies:
    """Return the facts of a queue's entries."""
    waiting, origins, wrong = set(), {}, set()
    for entry in entries:
        if entry.state in OPEN:
            waiting.add(entry.request.snapshot_in_region)
        elif entry.state is EntryState.FAILED:
            wrong.add(entry.copy_id)
        else:
            origins[entry.copy_id] = entry.request.origin
    return KnownCopies(frozenset(waiting), origins, frozenset(wrong - {""}))
