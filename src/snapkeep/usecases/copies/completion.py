"""Choose the way of a copy: with `completion: auto` the cheapest one in time, and never beyond the month's budget.

The choice is made right before the copy starts, when the time until its deadline and the available throughput are known. The
cost of a copy is added to the month of its start before the call, so that no copy exceeds the budget. If the function is
interrupted in between, the month has the cost of one copy too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from snapkeep.domain.copies.check import has_key
from snapkeep.domain.copies.completion import (
    ALL_COPIES_MIB_PER_SECOND,
    MIB_OF_GIB,
    CompletionFacts,
    PastCopy,
    choose_minutes,
    month_of,
    pace,
)
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.blocks import BLOCKS_PER_GIB, PAGE_BLOCKS
from snapkeep.usecases.copies.settle import describe
from snapkeep.usecases.ports import Clock, CopyQueue, Notice, Notices, ProblemKind, SnapshotReader

if TYPE_CHECKING:
    from snapkeep.domain.model import Snapshot
    from snapkeep.usecases.recovery.ports import BlockPage

LOOKED_AT = 500
"""The number of completed copies, those with the latest start first; those between the same regions are the history."""
LISTING_TIME = timedelta(seconds=5)
"""The limit of a listing: after it, the whole volume counts as changed. About 250 GiB are listed in 5 seconds."""
LOOKED_FOR_WITHIN = timedelta(minutes=5)
"""A time longer than that from the count of a start, or from a call without an answer, to the search for the copy."""


class ChangedBlocks(Protocol):
    """Lists the blocks that changed between two snapshots of a region. Its role cannot read them."""

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        """Return a page of the blocks that changed since another snapshot; None if AWS does not compare the two."""


@dataclass(slots=True, kw_only=True)
class ChooseCompletion:
    """The choices of one dispatch."""

    reader: SnapshotReader
    queue: CopyQueue
    changes_of: Callable[[str], ChangedBlocks]
    """Returns the lister of the changed blocks in a source region."""
    notices: Notices
    clock: Clock
    _paces: dict[str, float] = field(default_factory=dict)
    """The throughput of each time-based copy in progress in MiB per second, by its id."""
    _history: list[QueueEntry] | None = None
    _month: str = ""
    """The month to which the cost of the last chosen copy was added, and from which it may be subtracted."""

    def in_flight(self, copies: Iterable[Snapshot]) -> None:
        """Record the throughput of all time-based copies in progress, including those of other callers."""
        self._paces |= {
            copy.id: pace(copy.size_gib * MIB_OF_GIB, copy.completion_minutes) for copy in copies if copy.completion_minutes
        }

    def started(self, entry: QueueEntry) -> None:
        """Record the throughput of a started copy: EC2 may not list it yet."""
        if entry.request.completion_minutes:
            self._paces[entry.copy_id] = pace(entry.request.size_gib * MIB_OF_GIB, entry.request.completion_minutes)

    def chosen(self, entry: QueueEntry) -> QueueEntry:
        """Return an entry with the completion duration of its copy, and with the changed MiB if they could be listed.

        Its cost is added to the month's. `taken_back` subtracts it if the copy was not started.
        """
        request = entry.request
        if not (request.chooses_completion or (request.budget_usd and request.completion_minutes)):
            return entry
        changed_mib = self._changed_mib(entry)
        # Without a known size, the duration would show a wrong speed.
        sized = replace(entry, moved_mib=changed_mib or 0)
        if request.chooses_completion:
            sized = replace(sized, request=replace(request, completion_minutes=self._cheapest(entry, changed_mib)))
        return self._within_budget(entry, sized) if request.budget_usd else sized

    def taken_back(self, entry: QueueEntry) -> None:
        """Subtract a copy's cost from its month: EC2 did not start it in its chosen way."""
        if entry.request.budget_usd and entry.completion_usd:
            self.queue.spend(entry.request.policy, self._month, -entry.completion_usd)

    def _within_budget(self, before: QueueEntry, entry: QueueEntry) -> QueueEntry:
        """Return the entry with an ordinary copy if the budget does not cover its way; otherwise add its cost to the month's."""
        request, self._month = entry.request, month_of(self.clock.now())
        # An interrupted start has been counted, whether its copy was made or not, and in its own month.
        interrupted = before.state is EntryState.STARTING and month_of(before.not_before - LOOKED_FOR_WITHIN) == self._month
        counted = before.completion_usd if interrupted else 0.0
        if entry.completion_usd:
            spent = self.queue.spending(request.policy, self._month).usd - counted
            if spent + entry.completion_usd > request.budget_usd:
                self._exhausted(entry, spent)
                entry = replace(entry, request=replace(request, completion_minutes=0))
        if entry.completion_usd != counted:
            self.queue.spend(request.policy, self._month, entry.completion_usd - counted)
        return entry

    def _exhausted(self, entry: QueueEntry, spent: float) -> None:
        """Notify of the first copy that the budget does not cover, once a month."""
        request, region = entry.request, self.queue.region
        if not self.queue.mark_exhausted(request.policy, self._month):
            return
        cause = (
            f"the budget of policy {request.policy} for time-based copies to {region} is spent: until {self._month} ends, "
            "copies that it does not cover are ordinary ones"
        )
        detail = (
            f"{describe(request)}: {entry.completion_usd:.2f} USD for {request.completion_minutes} minutes, "
            f"{spent:.2f} of {request.budget_usd:.2f} USD are spent"
        )
        notice = Notice(ProblemKind.COPY_BUDGET_SPENT, cause, request.origin.snapshot_id, detail, region, self.clock.now())
        self.notices.add(notice)

    def _cheapest(self, entry: QueueEntry, changed_mib: int | None) -> int:
        request, full_mib = entry.request, entry.request.size_gib * MIB_OF_GIB
        facts = CompletionFacts(
            changed_mib=full_mib if changed_mib is None else min(changed_mib, full_mib),
            full_mib=full_mib,
            left=request.deadline - self.clock.now(),
            free_mib_per_second=ALL_COPIES_MIB_PER_SECOND - sum(self._paces.values()),
        )
        return choose_minutes(facts, self._past(request.origin.region))

    def _changed_mib(self, entry: QueueEntry) -> int | None:
        """Return the MiB that changed since the source of the newest copy here; None if they are not known."""
        request = entry.request
        try:
            copies = [
                copy
                for copy in self.reader.copies_of_volumes([request.origin.volume_id])
                if copy.completed and copy.origin.lineage == request.origin.lineage
            ]
            # A copy is incremental to the most recent one if all copies have one key (EBS user guide: copy a snapshot).
            newest = max(copies, key=lambda copy: copy.start_time, default=None)
            if newest is None or not all(has_key(copy, request.kms_key) for copy in copies):
                return None
            return self._listed_mib(request.origin.region, newest.origin.snapshot_id, request.origin.snapshot_id)
        except SnapkeepError:  # the copy must not depend on an estimate
            return None

    def _listed_mib(self, region: str, base_id: str, snapshot_id: str) -> int | None:
        changes, until, blocks, token = self.changes_of(region), self.clock.now() + LISTING_TIME, 0, ""
        while self.clock.now() <= until:
            page = changes.page_of_changes(base_id, snapshot_id, 0, PAGE_BLOCKS, token)
            if page is None:
                return None
            blocks, token = blocks + len(page.indexes), page.more
            if not token:
                return max(1, -(-blocks * MIB_OF_GIB // BLOCKS_PER_GIB))
        return None

    def _past(self, source_region: str) -> list[PastCopy]:
        if self._history is None:
            self._history = self.queue.recently_done(LOOKED_AT)
        return [
            PastCopy(entry.moved_mib, entry.seconds)
            for entry in self._history
            if entry.request.origin.region == source_region
            and entry.moved_mib
            and entry.seconds
            and not (entry.request.completion_minutes or entry.full)
        ]
