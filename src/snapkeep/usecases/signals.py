"""Signals: leave a notice of each call by which another principal can weaken the protection of recovery points.

Calls of one kind by one principal become one notice with their number, so that a storm is a few messages in the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import field
from functools import cached_property
from hashlib import sha256
from typing import Protocol

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.json_codec import to_text
from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.signals import OF_SINGLE_POINTS, Concern, Signal, SignalRecord, record_of, signal_for_hold
from snapkeep.domain.sweep.memory import SweepMemory
from snapkeep.domain.tag_names import MANAGED
from snapkeep.usecases.placed_holds import HoldStore
from snapkeep.usecases.ports import Clock, Notice, Notices, PageStore, ProblemKind
from snapkeep.usecases.sweep.memory import Memories
from snapkeep.usecases.sweep.report_names import JSON, SIGNALS

CAUSE = "Calls that are not Snapkeep's can delete, expose or unprotect recovery points, or silence Snapkeep."


class PointReader(Protocol):
    """Reads snapshots of one region."""

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        """Return the snapshots that exist, by id."""

    def managed_snapshots(self, system: str) -> Iterable[Snapshot]:
        """Return every snapshot with the system's tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySignals:
    """Leaves notices of signals that concern managed snapshots, their keys, or the system itself."""

    system: str
    region: str
    reader: PointReader
    last_sweep: Memories
    notices: Notices
    history: PageStore
    clock: Clock
    hold_store: Callable[[], HoldStore] | None = None
    """Returns the store of the hold that covers everything; None where signals put nothing on hold."""

    def run(self, signals: Sequence[Signal]) -> int:
        """Leave the notices; return how many calls they are about. Calls whose points cannot be read are notified too."""
        points = _Points(self.system, self.reader, self.last_sweep, signals)
        groups: dict[tuple[str, str, str, str], list[tuple[Signal, int | None]]] = {}
        for signal in signals:
            touched = points.touched_by(signal)
            # An unknown number is not zero: the call is notified too.
            if touched != 0 or signal.concern not in OF_SINGLE_POINTS:
                key = (signal.call, signal.principal, signal.address, signal.error)
                groups.setdefault(key, []).append((signal, touched))
        for group in groups.values():
            record = record_of(self.region, group)
            about, now = (record.subject, record.detail), self.clock.now()
            self.notices.add(Notice(ProblemKind.SIGNAL, CAUSE, *about, self.region, now, count=len(group)))
            self._keep(record)
        self._hold([signal for group in groups.values() for signal, _ in group])
        return sum(map(len, groups.values()))

    def _hold(self, signals: Sequence[Signal]) -> None:
        """Put the system on hold, once a day, if a signal is grave enough."""
        signal = signal_for_hold(signals)
        if self.hold_store is None or signal is None:
            return
        now = self.clock.now()
        reason = f"a signal: {signal.call} by {signal.principal} from {signal.address}"
        try:
            self.hold_store().place(PlacedHold(f"signals-{now:%Y-%m-%d}", "Snapkeep, by HoldOnSignals", now, reason))
        except SnapkeepError as error:
            cause = f"the hold could not be placed: {error}"
            self.notices.add(Notice(type(error).__name__, cause, "hold on signals", reason, self.region, now))

    def _keep(self, record: SignalRecord) -> None:
        """Keep a record, to be listed later. Its notice is on its way: without the record, only the list lacks it."""
        with suppress(SnapkeepError):
            self.history.put(record_name(record), to_text(record), JSON)


def record_name(record: SignalRecord) -> str:
    """Return the name of a record, which begins with its time: the same for a batch that is delivered again."""
    parts = (record.principal, record.address, record.error, *record.objects, str(record.calls))
    unique = sha256("\0".join(parts).encode()).hexdigest()[:12]
    return f"{SIGNALS}{record.first_at:%Y/%m/%d/%H%M%SZ}-{record.call}-{unique}.json"


@dataclass()
class _Points:
    """The managed snapshots of the region, as far as some signals need them; each listing is read once."""

    system: str
    reader: PointReader
    last_sweep: Memories
    signals: Sequence[Signal] = field(repr=False)

    def touched_by(self, signal: Signal) -> int | None:
        """Return the number of managed snapshots that a signal affects; None if it is not known."""
        try:
            match signal.concern:
                case Concern.SNAPSHOT:
                    return self._of_snapshots(signal.objects)
                case Concern.TAGS:
                    return self._of_tagged(signal.objects, of_management=signal.of_management)
                case Concern.KEY:
                    return self._of_keys(signal.objects)
                case _:
                    return len(self._managed)
        except SnapkeepError:
            return None

    def _of_snapshots(self, snapshot_ids: Sequence[str], *, of_management: bool = False) -> int | None:
        ours = {snapshot_id for snapshot_id in snapshot_ids if self._is_ours(snapshot_id)}
        unknown = [
            snapshot_id
            for snapshot_id in snapshot_ids
            if snapshot_id not in ours and not self._is_of_others(snapshot_id, of_management=of_management)
        ]
        return None if unknown or not snapshot_ids else len(ours)

    def _of_tagged(self, resource_ids: Sequence[str], *, of_management: bool) -> int | None:
        snapshot_ids = [resource_id for resource_id in resource_ids if resource_id.startswith("snap-")]
        volume_ids = {resource_id for resource_id in resource_ids if resource_id.startswith("vol-")}
        of_snapshots = self._of_snapshots(snapshot_ids, of_management=of_management) if snapshot_ids else 0
        if not resource_ids or of_snapshots is None:
            return None
        return of_snapshots + sum(snapshot.origin.volume_id in volume_ids for snapshot in (self._managed if volume_ids else ()))

    def _of_keys(self, keys: Sequence[str]) -> int | None:
        ids = {key.rpartition("/")[2] for key in keys}
        return sum(snapshot.kms_key_id.rpartition("/")[2] in ids for snapshot in self._managed) if keys else None

    def _is_ours(self, snapshot_id: str) -> bool:
        existing = self._existing.get(snapshot_id)
        return snapshot_id in self._remembered or (existing is not None and existing.tags.get(MANAGED) == self.system)

    def _is_of_others(self, snapshot_id: str, *, of_management: bool) -> bool:
        """Whether a snapshot that is not ours never was. One without the tag may have lost it by the call itself."""
        existing = self._existing.get(snapshot_id)
        says_so = existing is not None and (not of_management or MANAGED in existing.tags)
        return says_so or snapshot_id in self._others

    @cached_property
    def _existing(self) -> dict[str, Snapshot]:
        concerned = (signal for signal in self.signals if signal.concern in (Concern.SNAPSHOT, Concern.TAGS))
        return self.reader.snapshots({name for signal in concerned for name in signal.objects if name.startswith("snap-")})

    @cached_property
    def _managed(self) -> list[Snapshot]:
        return list(self.reader.managed_snapshots(self.system))

    @cached_property
    def _memory(self) -> SweepMemory | None:
        return self.last_sweep.load()

    @cached_property
    def _remembered(self) -> frozenset[str]:
        return frozenset(kept.id for kept in self._memory.snapshots) if self._memory else frozenset()

    @cached_property
    def _others(self) -> frozenset[str]:
        return frozenset(self._memory.unmanaged) if self._memory else frozenset()
