"""Which snapshots of one lineage are kept and which go, with every reason.

The words are restic's, and mean what they mean there: a snapshot is kept when any rule keeps it; a calendar rule keeps the
newest snapshot of each of the last so many periods *that have one*, and the oldest snapshot of all while it has not used up
its count; `keep_within` counts back from the newest snapshot, not from now, so that it keeps what there is when snapshots
stop coming.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType

from snapkeep.domain import tagnames
from snapkeep.domain.calendar_periods import PERIODS, local_times
from snapkeep.domain.durations import format_duration
from snapkeep.domain.holds import source_holds
from snapkeep.domain.model import Action, Reason, Snapshot, SnapshotState, Verdict
from snapkeep.domain.policy import Retention

__all__ = ["RETENTION_WORDS", "decide", "source_holds"]

NEWEST = Reason("newest", "newest")
NOT_MANAGED = Reason("not-managed", "not managed: it does not carry our tag")
NO_RULE = Reason("no-rule", "no rule is set: everything is kept")
CLOCK_SKEW = timedelta(minutes=15)
"""How far ahead of our clock a start time may be. What lies further in the future does not count, and is kept."""

RETENTION_WORDS = frozenset({"keep_last", "keep_within", *(f"keep_{word}" for word in PERIODS)})
"""The rules of a retention. Only one of these ever deletes (INV-07)."""

Holds = Mapping[str, tuple[Reason, ...]]
"""Snapshot id -> why it is kept whatever the rules say."""

NO_HOLDS: Holds = MappingProxyType({})
_ORIGIN_ORDER = attrgetter("origin.start_time", "id")
_UNCOUNTED = {
    SnapshotState.PENDING: Reason("pending", "pending: does not count"),
    SnapshotState.ERROR: Reason("error", "failed: does not count"),
    SnapshotState.RECOVERABLE: Reason("recoverable", "in the Recycle Bin: does not count"),
    SnapshotState.RECOVERING: Reason("recovering", "coming back from the Recycle Bin: does not count"),
}
_REASONS_REMEMBERED = 100_000

Outcome = tuple[Action, tuple[Reason, ...]]


def decide(
    snapshots: Sequence[Snapshot], retention: Retention, now: datetime, *, system: str, holds: Holds = NO_HOLDS
) -> list[Verdict]:
    """Given one lineage's snapshots in one region, return a verdict for each, ordered by the origin's start time.

    Only completed snapshots that `system` manages count (INV-01, INV-03); the others are kept. The newest one that counts is
    always kept (INV-02), and so is one that has a hold. Raise ValueError if the snapshots are not of one lineage.
    """
    ordered = sorted(snapshots, key=_ORIGIN_ORDER)
    if len({snapshot.origin.volume_id for snapshot in ordered}) > 1 or len({snapshot.origin.region for snapshot in ordered}) > 1:
        raise ValueError("decide about one lineage at a time: the snapshots are of several source volumes")
    latest_start = now + CLOCK_SKEW
    counted = [
        snapshot
        for snapshot in ordered
        if snapshot.state is SnapshotState.COMPLETED
        and snapshot.tags.get(tagnames.MANAGED) == system
        and snapshot.origin.start_time <= latest_start
    ]
    outcomes = _outcomes(counted, retention, now)
    verdicts = []
    for snapshot in ordered:
        outcome = outcomes.get(snapshot.id)
        if outcome is None:
            verdicts.append(Verdict(snapshot, Action.KEEP, (_why_uncounted(snapshot, system),)))
            continue
        action, reasons = outcome
        if snapshot.id in holds:
            reasons = holds[snapshot.id] if action is Action.DELETE else reasons + holds[snapshot.id]
            action = Action.KEEP
        verdicts.append(Verdict(snapshot, action, reasons))
    return verdicts


def _why_uncounted(snapshot: Snapshot, system: str) -> Reason:
    if not snapshot.managed_by(system):
        return NOT_MANAGED
    if snapshot.completed:
        start = snapshot.origin.start_time
        return Reason("future", f"its start time {start:%Y-%m-%d %H:%M} lies in the future: does not count until then")
    return _UNCOUNTED[snapshot.state]


def _outcomes(counted: Sequence[Snapshot], retention: Retention, now: datetime) -> dict[str, Outcome]:
    """Given the snapshots that count, oldest first, return the outcome by id. A second copy shares its twin's, uncounted."""
    if len({snapshot.origin.snapshot_id for snapshot in counted}) == len(counted):
        starts = [snapshot.origin.start_time for snapshot in reversed(counted)]
        found = _rules(retention).apply(starts, now)
        return dict(zip((snapshot.id for snapshot in reversed(counted)), found, strict=True))
    twins: dict[str, Snapshot] = {}
    for snapshot in counted:
        twins[snapshot.origin.snapshot_id] = snapshot
    first = sorted(twins.values(), key=_ORIGIN_ORDER)
    outcomes = _outcomes(first, retention, now)
    for snapshot in counted:
        twin = twins[snapshot.origin.snapshot_id]
        if twin is not snapshot:
            action, reasons = outcomes[twin.id]
            text = f"a second copy of {snapshot.origin.snapshot_id}, beside {twin.id}: does not count"
            outcomes[snapshot.id] = (action, (*reasons, Reason("duplicate", text)))
    return outcomes


@lru_cache(maxsize=1024)
def _rules(retention: Retention) -> _Rules:
    return _Rules(retention)


class _CalendarRule:
    """One calendar word with its count, and the reasons it has given, shared between lineages."""

    def __init__(self, word: str, count: int) -> None:
        self.rule = f"keep_{word}"
        self.word = word
        self.count = count
        self.keys, self.label = PERIODS[word]
        self._kept: dict[tuple[int, int, bool], Reason] = {}
        self._superseded: dict[int, Reason] = {}
        self.beyond = Reason(self.rule, f"beyond {word} {count}")

    def kept(self, number: int, key: int, oldest: bool) -> Reason:
        """Return why the `number`th snapshot that this rule keeps is kept."""
        found = self._kept.get((number, key, oldest))
        if found is None:
            if len(self._kept) > _REASONS_REMEMBERED:
                self._kept.clear()
            text = f"{self.word} {number} of {self.count}: {self.label(key)}" + (" (the oldest there is)" if oldest else "")
            found = self._kept[number, key, oldest] = Reason(self.rule, text)
        return found

    def superseded(self, key: int) -> Reason:
        """Return why a snapshot falls out of this rule though its period is among those kept."""
        found = self._superseded.get(key)
        if found is None:
            if len(self._superseded) > _REASONS_REMEMBERED:
                self._superseded.clear()
            found = self._superseded[key] = Reason(self.rule, f"{self.word}: {self.label(key)} has a newer one")
        return found


class _Rules:
    """A retention made ready to be applied to many lineages."""

    def __init__(self, retention: Retention) -> None:
        self.retention = retention
        counts = {word: getattr(retention, f"keep_{word}") for word in PERIODS}
        self.calendar = [_CalendarRule(word, count) for word, count in counts.items() if count > 0]
        self.empty = not (self.calendar or retention.keep_last > 0 or retention.keep_within > timedelta(0))
        last = retention.keep_last
        self.last = [Reason("keep_last", f"last {number} of {last}") for number in range(1, last + 1)]
        self.beyond_last = Reason("keep_last", f"beyond last {last}")
        self.minimum = [
            Reason("minimum", f"minimum {number} of {retention.minimum}") for number in range(2, retention.minimum + 1)
        ]
        within = format_duration(retention.keep_within)
        self.within = Reason("keep_within", f"within {within} of the newest")
        self.beyond_within = Reason("keep_within", f"not within {within} of the newest")

    def apply(self, starts: Sequence[datetime], now: datetime) -> list[Outcome]:
        """Given start times, newest first, return for each what happens to it and why."""
        if not starts:
            return []
        keeping: list[list[Reason]] = [[] for _ in starts]
        keeping[0].append(NEWEST)
        for found, reason in zip(keeping[1:], self.minimum, strict=False):
            found.append(reason)
        if self.empty:
            return [(Action.KEEP, (*found, NO_RULE)) for found in keeping]
        for found, reason in zip(keeping, self.last, strict=False):
            found.append(reason)
        if self.retention.keep_within:
            self._keep_within(starts, now, keeping)
        times = local_times(starts, self.retention.timezone) if self.calendar else starts
        walks = [_walk(rule, rule.keys(times), keeping) for rule in self.calendar]
        return [
            (Action.KEEP, tuple(found)) if found else (Action.DELETE, self._why_not(position, walks))
            for position, found in enumerate(keeping)
        ]

    def _keep_within(self, starts: Sequence[datetime], now: datetime, keeping: list[list[Reason]]) -> None:
        newest = next((start for start in starts if start <= now), starts[-1])
        oldest = newest - self.retention.keep_within
        for start, found in zip(starts, keeping, strict=True):
            if start <= oldest:
                break
            found.append(self.within)

    def _why_not(self, position: int, walks: Iterable[tuple[_CalendarRule, list[int], int]]) -> tuple[Reason, ...]:
        reasons = [self.beyond_last] if self.last else []
        if self.retention.keep_within:
            reasons.append(self.beyond_within)
        for rule, keys, used_up in walks:
            reasons.append(rule.beyond if position >= used_up else rule.superseded(keys[position]))
        return tuple(reasons)


def _walk(rule: _CalendarRule, keys: list[int], keeping: list[list[Reason]]) -> tuple[_CalendarRule, list[int], int]:
    """Given periods, newest first, add the rule's reasons. Return the rule, the periods, and where its count was used up."""
    number, last, end = 0, None, len(keys) - 1
    for position, key in enumerate(keys):
        if key != last or position == end:
            number += 1
            keeping[position].append(rule.kept(number, key, key == last))
            last = key
            if number == rule.count:
                return rule, keys, position + 1
    return rule, keys, len(keys)
