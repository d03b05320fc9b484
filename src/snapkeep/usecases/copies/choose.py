"""Choose, in a run, the copy rules that copy a snapshot: a rule may copy only one snapshot of each period."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import field
from datetime import datetime

from snapkeep.domain.errors import AwsRefused, AwsUnavailable
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.frequency import copies_all, rpo_end, to_copy
from snapkeep.domain.policy.model import CopyRule, Policy
from snapkeep.domain.policy.selection import why_left_out
from snapkeep.domain.records import dataclass
from snapkeep.usecases.ports import CopyQueue, SnapshotReader


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseCopies:
    """Reads the facts for the choice, from each region once for all volumes of a run; nothing if rules copy every snapshot."""

    system: str
    reader: SnapshotReader
    reader_of: Callable[[str], SnapshotReader]
    queue_of: Callable[[str], CopyQueue]
    volume_ids: Collection[str]
    """The volumes of the run."""
    _sources: list[Snapshot] = field(default_factory=list)
    _copies: dict[str, list[Snapshot]] = field(default_factory=dict)
    _open: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def copies(self, snapshot: Snapshot, policy: Policy, rule: CopyRule) -> bool:
        """Whether a rule of its policy copies a completed snapshot.

        If the DR region is unreachable, the snapshots of this region decide: a superfluous copy is better than none.
        """
        if copies_all(rule):
            return True
        volume_id, region = snapshot.origin.volume_id, rule.region
        # The queue is read before the listing, so that a copy that completes in between is in one of them.
        waiting, copies = self._waiting(volume_id, region), self._listed(region)
        completed = [
            copy
            for copy in copies
            if copy.origin.lineage == snapshot.origin.lineage and copy.completed and copy.managed_by(self.system)
        ]
        copied = {copy.origin.snapshot_id for copy in completed}
        # A repeated event requests the same copy again: its run is answered at once.
        if snapshot.id in waiting or snapshot.id in copied:
            return True
        candidates = [snapshot, *(item for item in self._siblings(snapshot, policy) if item.id not in copied)]
        chosen = to_copy(candidates, rule, [copy.origin.start_time for copy in completed], waiting)
        return any(item.id == snapshot.id for item in chosen)

    def rpo_end(self, snapshot: Snapshot, policy: Policy, rule: CopyRule) -> datetime | None:
        """Return the time when the data copied before a snapshot exceeds the RPO, if its policy makes snapshots just in time."""
        return rpo_end(snapshot, policy, rule, self._siblings(snapshot, policy)) if policy.makes_in_time else None

    def _siblings(self, snapshot: Snapshot, policy: Policy) -> list[Snapshot]:
        if not self._sources:
            self._sources.extend(self.reader.snapshots_of_volumes(self.volume_ids))
        return [
            sibling
            for sibling in self._sources
            if sibling.origin.volume_id == snapshot.origin.volume_id
            and sibling.id != snapshot.id
            and sibling.counts_for(self.system)
            and not (sibling.is_copy or sibling.not_copyable or why_left_out(sibling, policy))
        ]

    def _listed(self, region: str) -> list[Snapshot]:
        if region not in self._copies:
            try:
                self._copies[region] = self.reader_of(region).copies_of_volumes(self.volume_ids)
            except (AwsUnavailable, AwsRefused):
                self._copies[region] = []
        return self._copies[region]

    def _waiting(self, volume_id: str, region: str) -> set[str]:
        key = volume_id, region
        if key not in self._open:
            try:
                entries = self.queue_of(region).open_entries(volume_id)
            except (AwsUnavailable, AwsRefused):
                # One attempt is enough: each takes as long as the client's time-out.
                self._open.update({(other, region): set() for other in self.volume_ids})
                self._copies.setdefault(region, [])
            else:
                self._open[key] = {entry.request.origin.snapshot_id for entry in entries}
        return self._open[key]
