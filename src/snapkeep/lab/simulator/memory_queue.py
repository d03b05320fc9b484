"""The queue in memory, with the table's locking and lease, for virtual time, in which a year of copies passes in minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush, nlargest

from snapkeep.adapters.dynamodb_queue import SETTLED_KEPT
from snapkeep.domain.copies.completion import CopySpending
from snapkeep.domain.copies.entry import SETTLED, EntryState, QueueEntry
from snapkeep.domain.errors import EntryChanged, EntryNotFound
from snapkeep.domain.records import replace
from snapkeep.usecases.ports import CopyQueue

_ORDERED_FROM = 1024
"""The length up to which a heap with stale positions is not rebuilt."""

Position = tuple[datetime, str, int]
"""The due time of an entry, its key, and its version."""


class _Order:
    """The entries of one state by due time: a heap in which stale positions are passed over."""

    def __init__(self) -> None:
        self.heap: list[Position] = []
        self.keys: dict[str, Position] = {}

    def put(self, position: Position) -> None:
        self.keys[position[1]] = position
        heappush(self.heap, position)

    def drop(self, key: str) -> None:
        del self.keys[key]
        if len(self.heap) > _ORDERED_FROM and len(self.heap) > 2 * len(self.keys):
            self.heap = list(self.keys.values())
            heapify(self.heap)

    def first(self, count: int, until: datetime | None = None) -> list[str]:
        """Return the keys of up to `count` entries, earliest first: O(count log n)."""
        taken: list[Position] = []
        while self.heap and len(taken) < count:
            position = self.heap[0]
            if self.keys.get(position[1]) != position:
                heappop(self.heap)
                continue
            if until is not None and position[0] > until:
                break
            taken.append(heappop(self.heap))
        for position in taken:
            heappush(self.heap, position)
        return [key for _, key, _ in taken]

    def last(self, count: int) -> list[str]:
        return [key for _, key, _ in nlargest(count, self.keys.values())]

    def all(self) -> list[str]:
        return [key for _, key, _ in sorted(self.keys.values())]


class MemoryQueue(CopyQueue):
    """`CopyQueue` in memory. Every operation costs O(log n), or O(log n) for each entry that it returns."""

    def __init__(self, *, region: str) -> None:
        self._region = region
        self._entries: dict[str, QueueEntry] = {}
        self._orders = {state: _Order() for state in EntryState}
        self._by_volume: dict[str, dict[str, datetime]] = {}
        """Volume -> the keys of its open entries, with their due times."""
        self._expiring: list[tuple[datetime, str]] = []
        self._holder = ""
        self._lease_expires: datetime | None = None
        self._again = False
        self._spending: dict[tuple[str, str], CopySpending] = {}
        self._first_taken_at: datetime | None = None

    def __len__(self) -> int:
        """Return the number of entries, including settled ones."""
        return len(self._entries)

    @property
    def region(self) -> str:
        """The destination region."""
        return self._region

    def count(self, state: EntryState) -> int:
        """Return the number of entries in a state."""
        return len(self._orders[state].keys)

    def insert(self, entry: QueueEntry) -> QueueEntry:
        """Insert a new entry. Return it with its version. Raise EntryChanged if one with its key exists."""
        if entry.key in self._entries:
            raise EntryChanged(entry.key)
        return self._put(replace(entry, version=1))

    def get(self, key: str) -> QueueEntry:
        """Return the entry. Raise EntryNotFound if there is none."""
        try:
            return self._entries[key]
        except KeyError:
            raise EntryNotFound(key) from None

    def write(self, entry: QueueEntry) -> QueueEntry:
        """Write an entry. Return it with its new version. Raise EntryChanged if it was written since it was read."""
        present = self._entries.get(entry.key)
        if present is None or present.version != entry.version:
            raise EntryChanged(entry.key)
        self._forget(present)
        return self._put(replace(entry, version=entry.version + 1))

    def most_urgent(self, count: int) -> list[QueueEntry]:
        """Return up to `count` waiting entries, earliest latest start first."""
        return [self._entries[key] for key in self._orders[EntryState.WAITING].first(count)]

    def due(self, now: datetime, count: int) -> list[QueueEntry]:
        """Return up to `count` delayed entries whose `not_before` has passed, the earliest first."""
        return [self._entries[key] for key in self._orders[EntryState.DELAYED].first(count, until=now)]

    def in_state(self, state: EntryState) -> Iterator[QueueEntry]:
        """Return all current entries in a state, the most urgent first."""
        return iter([self._entries[key] for key in self._orders[state].all()])

    def recently_done(self, count: int) -> list[QueueEntry]:
        """Return up to `count` entries whose copies are done, those with the latest start (`due`) first."""
        return [self._entries[key] for key in self._orders[EntryState.DONE].last(count)]

    def open_entries(self, volume_id: str) -> list[QueueEntry]:
        """Return the entries of a source volume whose copies wait or run, earliest due first."""
        due = self._by_volume.get(volume_id, {})
        return [self._entries[key] for key in sorted(due, key=due.__getitem__)]

    def spending(self, policy: str, month: str) -> CopySpending:
        """Return the cost of a policy's time-based copies in a month."""
        return self._spending.get((policy, month), CopySpending())

    def spend(self, policy: str, month: str, usd: float) -> None:
        """Add the cost of a time-based copy to a policy's month."""
        spending = self.spending(policy, month)
        self._spending[policy, month] = replace(spending, usd=spending.usd + usd)

    def mark_exhausted(self, policy: str, month: str) -> bool:
        """Record that a policy's budget did not cover a copy of a month; return whether it is the first one."""
        spending = self.spending(policy, month)
        self._spending[policy, month] = replace(spending, exhausted=True)
        return not spending.exhausted

    def take_lease(self, holder: str, now: datetime, seconds: int) -> datetime | None:
        """Take the lease if it is free or has expired; return the time when it was first taken.

        Otherwise ask its holder to continue.
        """
        if self._lease_expires is not None and self._lease_expires >= now:
            self._again = True
            return None
        self._holder, self._lease_expires, self._again = holder, now + timedelta(seconds=seconds), False
        self._first_taken_at = self._first_taken_at or now
        return self._first_taken_at

    def release_lease(self, holder: str) -> bool:
        """Release the lease. If another dispatcher asked its holder to continue, keep it and return False."""
        if self._lease_expires is None or self._holder != holder:
            return True
        if self._again:
            self._again = False
            return False
        self._lease_expires = None
        return True

    def expire(self, now: datetime) -> int:
        """Delete expired settled entries, as the table does by itself. Return their number."""
        expired = 0
        while self._expiring and self._expiring[0][0] <= now:
            _, key = heappop(self._expiring)
            entry = self._entries.get(key)
            if entry is not None and entry.state in SETTLED and expires_at(entry) <= now:
                self._remove(entry)
                expired += 1
        return expired

    def lose_everything(self) -> None:
        """Clear the table, as after its deletion."""
        for entry in list(self._entries.values()):
            self._remove(entry)
        self._spending.clear()
        self._lease_expires = self._first_taken_at = None

    def _put(self, entry: QueueEntry) -> QueueEntry:
        key, due = entry.key, entry.due
        self._entries[key] = entry
        self._orders[entry.state].put((due, key, entry.version))
        if entry.state in SETTLED:
            heappush(self._expiring, (expires_at(entry), key))
        else:
            self._by_volume.setdefault(entry.request.origin.volume_id, {})[key] = due
        return entry

    def _remove(self, entry: QueueEntry) -> None:
        del self._entries[entry.key]
        self._forget(entry)

    def _forget(self, entry: QueueEntry) -> None:
        """Remove an entry from the indexes."""
        self._orders[entry.state].drop(entry.key)
        if entry.state not in SETTLED:
            keys = self._by_volume[entry.request.origin.volume_id]
            del keys[entry.key]
            if not keys:
                del self._by_volume[entry.request.origin.volume_id]


def expires_at(entry: QueueEntry) -> datetime:
    """Return the time at which the table deletes a settled entry."""
    return max(entry.not_before, entry.enqueued_at) + SETTLED_KEPT
