"""Decide which snapshots of one lineage are kept and which are deleted, with every reason.

The words have the meanings that restic gives them. A snapshot is kept if any rule keeps it. A calendar rule keeps the newest
snapshot of each of the last n periods *that have one*. While fewer than n periods have one, it also keeps the oldest snapshot
of all. `keep_within` counts back from the newest snapshot, not from now, so that it deletes nothing while no new snapshots are
made. Only the retention of a deleted volume counts it from now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter, eq
from types import MappingProxyType

from snapkeep.domain.durations import format_duration
from snapkeep.domain.model import CLOCK_SKEW, Action, Reason, Snapshot, SnapshotState, Verdict, countable
from snapkeep.domain.policy.model import GoneRetention, Retention
from snapkeep.domain.policy.periods import PERIODS, Calendar, finest_period
from snapkeep.domain.retention.deletion import SECOND_COPY_RULE
from snapkeep.domain.tag_names import MANAGED

NEWEST = Reason("newest", "newest")
NOT_MANAGED = Reason("not-managed", "not managed: it does not carry our tag")
FOUND_WRONG = Reason("found-wrong", "its check found it wrong: does not count, and is never deleted")
UNUSABLE_RULE = "unusable"
FUTURE_RULE = "future"
NO_RULE = Reason("no-rule", "no rule is set: everything is kept")
NO_POLICY = Reason("no-policy", "no policy governs it: everything is kept")

RETENTION_WORDS = frozenset({"keep_last", "keep_within", *(f"keep_{word}" for word in PERIODS)})
"""The rules of a retention. No other rule ever deletes (INV-07)."""

Holds = Mapping[str, tuple[Reason, ...]]
"""Snapshot id -> why it is kept regardless of the rules."""

NO_HOLDS: Holds = MappingProxyType({})
_ORIGIN_START = attrgetter("origin.start_time")
_ORIGIN_ORDER = attrgetter("origin.start_time", "id")
_UNCOUNTED = {
    SnapshotState.PENDING: Reason("pending", "pending: does not count"),
    SnapshotState.ERROR: Reason("error", "failed: does not count"),
    SnapshotState.RECOVERABLE: Reason("recoverable", "in the Recycle Bin: does not count"),
    SnapshotState.RECOVERING: Reason("recovering", "being recovered from the Recycle Bin: does not count"),
}
_REASONS_REMEMBERED = 100_000
_POSITIONS_REMEMBERED = 10_000
KEEP, DELETE = Action.KEEP, Action.DELETE
NO_CALENDAR = Calendar((), "UTC")

Reasons = tuple[Reason, ...]


def decide(
    snapshots: Sequence[Snapshot],
    retention: Retention,
    now: datetime,
    *,
    system: str,
    holds: Holds = NO_HOLDS,
    second_copies: Collection[str] = (),
) -> list[Verdict]:
    """Return a verdict for each of one lineage's snapshots in one region, ordered by the origin's start time.

    A snapshot counts if it is completed, `system` manages it, and it can be restored (INV-01, INV-03, INV-13). The others are
    kept, and so are those that start more than CLOCK_SKEW after now. The newest one that counts is always kept (INV-02), and so
    is one with a hold. If a snapshot has several copies, the last one that is not in `second_copies` counts. Raise ValueError
    if the snapshots are of several volumes.
    """
    if not snapshots:
        return []
    ordered = sorted(snapshots, key=_ORIGIN_START)
    origins = [snapshot.origin for snapshot in ordered]
    # Two lineages in one list would displace each other's snapshots.
    if len({origin.volume_id for origin in origins}) > 1:
        raise ValueError("decide about one lineage at a time: the snapshots are of several source volumes")
    starts = [origin.start_time for origin in origins]
    equal_starts = any(map(eq, starts, starts[1:]))
    if equal_starts:
        ordered.sort(key=_ORIGIN_ORDER)
    counted, latest_start = countable(ordered, system), now + CLOCK_SKEW
    # The usual lineage needs no check of each snapshot: a sweep decides about a million of them.
    plain = len(counted) == len(ordered) and starts[-1] <= latest_start
    if plain and not (holds or equal_starts or ordered[-1].is_copy):
        return list(map(_verdict, zip(ordered, *_rules(retention).apply(starts, now), strict=True)))
    # A start in the future would be the newest until then, and would keep only itself.
    counted = [snapshot for snapshot in counted if snapshot.origin.start_time <= latest_start]
    return _decide_mixed(ordered, counted, retention, now, system, holds, second_copies)


def apply_rules(starts: Sequence[datetime], retention: Retention, now: datetime) -> tuple[Sequence[Action], Sequence[Reasons]]:
    """Return the action and the reasons for the start times of snapshots that count, the oldest first."""
    return _rules(retention).apply(starts, now)


def _decide_mixed(
    ordered: Sequence[Snapshot],
    counted: Sequence[Snapshot],
    retention: Retention,
    now: datetime,
    system: str,
    holds: Holds,
    second_copies: Collection[str],
) -> list[Verdict]:
    """Decide a lineage in which a snapshot does not count, is held, or was copied twice."""
    outcomes = _outcomes(counted, retention, now, second_copies)
    verdicts = []
    for snapshot in ordered:
        outcome = outcomes.get(snapshot.id)
        if outcome is None:
            verdicts.append(Verdict(snapshot, Action.KEEP, (_why_uncounted(snapshot, system),)))
            continue
        action, reasons = outcome
        if snapshot.id in holds:
            # A held snapshot is kept for its hold alone: the rules' reasons to delete it would mislead.
            reasons = holds[snapshot.id] if action is Action.DELETE else reasons + holds[snapshot.id]
            action = Action.KEEP
        verdicts.append(Verdict(snapshot, action, reasons))
    return verdicts


def _why_uncounted(snapshot: Snapshot, system: str) -> Reason:
    if snapshot.found_wrong:
        return FOUND_WRONG
    if not snapshot.managed_by(system):
        manager = snapshot.tags.get(MANAGED, "")
        theirs = Reason(NOT_MANAGED.rule, f"not managed: system '{manager}' manages it, and alone may delete it")
        return theirs if manager else NOT_MANAGED
    if snapshot.completed and snapshot.unusable:
        why = snapshot.key_fault.text if snapshot.key_fault else snapshot.unusable.label
        return Reason(UNUSABLE_RULE, f"{why}: does not count, and is not deleted")
    if snapshot.completed:
        start = snapshot.origin.start_time
        return Reason(FUTURE_RULE, f"its start time {start:%Y-%m-%d %H:%M} lies in the future: does not count until then")
    return _UNCOUNTED[snapshot.state]


def _outcomes(
    counted: Sequence[Snapshot], retention: Retention, now: datetime, second_copies: Collection[str]
) -> dict[str, tuple[Action, Reasons]]:
    """Return the outcome of the snapshots that count, by id. A second copy has the outcome of its twin, and does not count."""
    # Twins count once: two copies of one snapshot must not use up two places of `keep_last`.
    last_wins = sorted(counted, key=lambda snapshot: snapshot.id not in second_copies) if second_copies else counted
    twins = {snapshot.origin.snapshot_id: snapshot for snapshot in last_wins}
    first = [snapshot for snapshot in counted if twins[snapshot.origin.snapshot_id] is snapshot]
    actions, reasons_of = _rules(retention).apply([snapshot.origin.start_time for snapshot in first], now)
    outcomes = {snapshot.id: (action, reasons) for snapshot, action, reasons in zip(first, actions, reasons_of, strict=True)}
    for snapshot in counted:
        twin = twins[snapshot.origin.snapshot_id]
        if twin is not snapshot:
            action, reasons = outcomes[twin.id]
            text = f"a second copy of {snapshot.origin.snapshot_id}, beside {twin.id}: does not count"
            outcomes[snapshot.id] = (action, (*reasons, Reason(SECOND_COPY_RULE, text)))
    return outcomes


@lru_cache(maxsize=1024)
def _rules(retention: Retention) -> _Rules:
    return _Rules(retention)


class _ReasonsByPeriod(dict[int, Reasons]):
    """Period -> the reason of a rule for it, made from a template and the period's name. All lineages share it."""

    __slots__ = ("_label", "_rule", "_template")

    def __init__(self, rule: str, template: str, label: Callable[[int], str]) -> None:
        super().__init__()
        self._rule, self._template, self._label = rule, template, label

    def __missing__(self, key: int) -> Reasons:
        if len(self) > _REASONS_REMEMBERED:
            self.clear()
        reasons = self[key] = (Reason(self._rule, self._template.format(self._label(key))),)
        return reasons


class _CalendarRule:
    """One calendar word with its count, and its reasons so far, which lineages share."""

    def __init__(self, word: str, count: int) -> None:
        self.rule = f"keep_{word}"
        self.word = word
        self.count = count
        self.period = PERIODS[word]
        self._kept: list[_ReasonsByPeriod] = []
        self.superseded = _ReasonsByPeriod(self.rule, word + ": {} has a newer one", self.period.label)
        """Why this rule does not keep a snapshot although it keeps one of the same period."""
        self.beyond = (Reason(self.rule, f"beyond {word} {count}"),)

    def walk(self, keys: list[int], keeping: list[Reasons]) -> int:
        """Add this rule's reasons to `keeping`, the newest first. Return the last period that it keeps, 0 if it keeps all."""
        number, previous, oldest = 0, None, len(keys) - 1
        for position, key in enumerate(keys):
            if key == previous:
                continue
            previous = key
            number += 1
            if number > len(self._kept):
                self._kept.append(_ReasonsByPeriod(self.rule, self._place(number) + ": {}", self.period.label))
            keeping[position] += self._kept[number - 1][key]
            if number == self.count:
                return key
        # As in restic: while the count of periods is not reached, the oldest snapshot stands for future ones.
        if oldest > 0 and keys[oldest] == keys[oldest - 1]:
            text = f"{self._place(number + 1)}: {self.period.label(keys[oldest])} (the oldest there is)"
            keeping[oldest] += (Reason(self.rule, text),)
        return 0

    def _place(self, number: int) -> str:
        return f"{self.word} {number} of {self.count}"


class _Rules:
    """A retention, prepared for many lineages."""

    def __init__(self, retention: Retention) -> None:
        self.timezone = retention.timezone
        counts = {word: getattr(retention, f"keep_{word}") for word in PERIODS}
        self.calendar = [_CalendarRule(word, count) for word, count in counts.items() if count > 0]
        last = retention.keep_last
        self.last = [Reason("keep_last", f"last {number} of {last}") for number in range(1, last + 1)]
        self.within = retention.keep_within
        self.within_from_now = isinstance(retention, GoneRetention)
        within = f"{format_duration(retention.keep_within)} of {'now' if self.within_from_now else 'the newest'}"
        self.kept_within = Reason("keep_within", f"within {within}")
        self.plain_misses = [Reason("keep_last", f"beyond last {last}")] if last else []
        if self.within:
            self.plain_misses.append(Reason("keep_within", f"not within {within}"))
        least = retention.minimum
        self.minimum = [NEWEST, *(Reason("minimum", f"minimum {number} of {least}") for number in range(2, least + 1))]
        self.pattern_of = finest_period([word for word, count in counts.items() if count]).numbers
        self._known: dict[tuple[int, ...], tuple[Sequence[Action], Sequence[Reasons]]] = {}
        self._positions_known = 0
        self._plain: dict[tuple[int, int], list[Reasons]] = {}
        self.empty = not (self.calendar or self.last or self.within)
        self._shared: dict[Reasons, Reasons] = {}
        """One tuple for all snapshots with the same reasons: a million snapshots have few different ones."""

    def apply(self, starts: Sequence[datetime], now: datetime) -> tuple[Sequence[Action], Sequence[Reasons]]:
        """Return the action for each start time, oldest first, and its reasons.

        The result depends only on the periods: volumes whose snapshots have the same finest periods share it.
        """
        # Rules count from the newest, while callers and verdicts begin with the oldest.
        newest_first = starts[::-1]
        calendar = Calendar(newest_first, self.timezone) if self.calendar else NO_CALENDAR
        within = self._count_within(starts, now) if self.within and starts else 0
        pattern = (within, len(starts), *self.pattern_of(calendar))
        known = self._known.get(pattern)
        if known is None:
            self._positions_known += len(starts)
            if self._positions_known > _POSITIONS_REMEMBERED:
                self._known.clear()
                self._positions_known = len(starts)
            known = self._known[pattern] = self._compute(len(starts), within, calendar)
        return known

    def _compute(self, count: int, within: int, calendar: Calendar) -> tuple[Sequence[Action], Sequence[Reasons]]:
        keeping = self._without_calendar(count, within)
        misses: list[tuple[_CalendarRule, list[int], int]] = []
        for rule in self.calendar:
            keys = rule.period.numbers(calendar)
            misses.append((rule, keys, rule.walk(keys, keeping)))
        share = self._shared.setdefault
        if len(self._shared) > _REASONS_REMEMBERED:
            self._shared.clear()
        all_reasons = [reasons or self._why_not(position, misses) for position, reasons in enumerate(keeping)]
        actions = [KEEP if reasons else DELETE for reasons in reversed(keeping)]
        return actions, [share(reasons, reasons) for reasons in reversed(all_reasons)]

    def _without_calendar(self, count: int, within: int) -> list[Reasons]:
        """Return the reasons of the other rules, newest first, for `count` snapshots of which `keep_within` keeps `within`."""
        known = self._plain.get((count, within))
        if known is None:
            if len(self._plain) > _REASONS_REMEMBERED // 100:
                self._plain.clear()
            known = self._plain[count, within] = [()] * count
            for reasons in (self.minimum, [NO_RULE] * (count if self.empty else 0), self.last, [self.kept_within] * within):
                for position, reason in enumerate(reasons[:count]):
                    known[position] += (reason,)
        return known.copy()

    def _count_within(self, starts: Sequence[datetime], now: datetime) -> int:
        """Return the number of start times, oldest first, that `keep_within` keeps.

        It counts from the newest start that is not after now; for a deleted volume, from now.
        """
        newest = now if self.within_from_now else starts[max(bisect_right(starts, now) - 1, 0)]
        return len(starts) - bisect_right(starts, newest - self.within)

    def _why_not(self, position: int, misses: Iterable[tuple[_CalendarRule, list[int], int]]) -> Reasons:
        of_calendar = (rule.beyond if keys[position] < last else rule.superseded[keys[position]] for rule, keys, last in misses)
        return (*self.plain_misses, *chain.from_iterable(of_calendar))


_verdict: Callable[[tuple[Snapshot, Action, Reasons]], Verdict] = partial(tuple.__new__, Verdict)
"""Makes a Verdict from a tuple: the class's own constructor takes twice as long, and is called a million times."""
