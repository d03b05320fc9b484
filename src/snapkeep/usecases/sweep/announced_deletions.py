"""Runs announce deletions in their stack's bucket before they make them, and make none on a day with far more than usual."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import date
from hashlib import sha256
from itertools import takewhile

from snapkeep.domain.errors import RETRYABLE, DocumentChanged, SnapkeepError
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.deletion_days import DayAllowance, DayOfDeletions
from snapkeep.usecases.ports import Clock, Notice, Notices, ProblemKind
from snapkeep.usecases.recovery.record_ports import LISTED, Documents

PREFIX = "deletions/"
HASH_DIGITS = 16
# These come before all that runs write in a listing, which is in the order of UTF-8 (S3 API reference: ListObjectsV2): runs
# cannot hide the usual number.
NOTIFIED = "-notified"
SEEN = "-seen"
USUAL = "-usual-"
BY_RUNS = "runs/"
_BY_A_RUN = f"{BY_RUNS}([0-9a-f]{{{HASH_DIGITS}}})-"
"""Other names can only be forged, and do not count."""


@dataclass(frozen=True, slots=True)
class AnnouncedDeletions:
    """One empty object for each snapshot, below its day: announcing one again, or from several runs at once, counts it once.

    Objects are written before they are listed, and S3 lists what was written (S3 user guide: consistency model). Of runs at the
    same time, the last to write sees all, so that together they never exceed the limit.
    """

    documents: Documents

    def announce(self, day: date, snapshot_ids: Iterable[str]) -> None:
        """Write the announcements of a day's deletions. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        for snapshot_id in snapshot_ids:
            self._write(_key(day, snapshot_id))

    def write_usual(self, day: date, number: int) -> None:
        """Write the usual deletions of a day. Of several that sweeps wrote the largest counts."""
        self._write(f"{_prefix(day)}{USUAL}{number}")

    def mark_notified(self, day: date) -> None:
        """Record that a notice was sent."""
        self._write(_prefix(day) + NOTIFIED)

    def mark_seen(self, day: date) -> None:
        """Record that a sweep has handled a day on which runs stopped."""
        self._write(_prefix(day) + SEEN)

    def of(self, day: date) -> DayOfDeletions:
        """Return the deletions of a day, by one listing. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
        return _day_of(day, self.documents.first_keys(_prefix(day)))

    def allowance_of(self, day: date, times: int) -> Callable[[Collection[str]], DayAllowance]:
        """Return what tells, for planned deletions, those that runs may make on a day, by one listing. Raise as `of`.

        `times` is the parameter `DeletionsTimesUsual`.
        """
        keys = self.documents.first_keys(_prefix(day))
        deletions = _day_of(day, keys)

        def allowance(snapshot_ids: Collection[str]) -> DayAllowance:
            # The listing of a run that announced them all: what is announced already is in it once.
            later = _day_of(day, sorted({*keys, *(_key(day, snapshot_id) for snapshot_id in snapshot_ids)})[:LISTED])
            planned, most = len(snapshot_ids), deletions.most(times)
            return DayAllowance(planned, deletions.number, later.number, most, deletions.usual, times)

        return allowance

    def _write(self, key: str) -> None:
        with suppress(DocumentChanged):  # it exists
            self.documents.put(key, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLimit:
    """The check whether a run may make its deletions on this day."""

    announced: AnnouncedDeletions
    times_usual: int
    notices: Notices
    region: str
    clock: Clock

    def __call__(self, snapshot_ids: Sequence[str]) -> str:
        """Announce deletions. Return why they must not be made; nothing if they may. Raise AwsThrottled or AwsUnavailable."""
        now = self.clock.now()
        today = now.date()
        try:
            self.announced.announce(today, snapshot_ids)
            deletions = self.announced.of(today)
            if not deletions.is_unusual(self.times_usual):
                return ""
            if not deletions.notified:
                self.notices.add(Notice(ProblemKind.DELETIONS_UNUSUAL, deletions.text, str(today), _STAYS, self.region, now))
                self.announced.mark_notified(today)
        except RETRYABLE:  # the state machine repeats the step
            raise
        except SnapkeepError as error:
            why = f"whether there are far more deletions today than usual is not known: {error}"
            self.notices.add(Notice(type(error).__name__, why, str(today), _STAYS, self.region, now))
            return why
        return deletions.text


_STAYS = "nothing more is deleted by runs, and the next sweep looks at it"


def _prefix(day: date) -> str:
    return f"{PREFIX}{day}/"


def _key(day: date, snapshot_id: str) -> str:
    """Return the announcement of a snapshot's deletion."""
    return f"{_prefix(day)}{BY_RUNS}{sha256(snapshot_id.encode()).hexdigest()[:HASH_DIGITS]}-{snapshot_id}"


def _day_of(day: date, keys: Sequence[str]) -> DayOfDeletions:
    """Return the deletions of a day, given the first keys of its listing."""
    prefix = _prefix(day)
    marks = [key.removeprefix(prefix) for key in takewhile(lambda key: key.startswith(prefix + "-"), keys)]
    # One search in all keys, with a fixed beginning, is fastest: each run counts a day's thousand.
    hashes = re.findall(f"\n{prefix}{_BY_A_RUN}", "\n".join(("", *keys)))
    usual = [text for mark in marks if mark.startswith(USUAL) and (text := mark.removeprefix(USUAL)).isdecimal()]
    number = _estimate(hashes) if hashes and len(keys) >= LISTED else len(hashes)
    return DayOfDeletions(day, number, max(map(int, usual), default=None), NOTIFIED in marks, SEEN in marks)


def _estimate(hashes: Sequence[str]) -> int:
    """Return how many hashes there are, given the smallest of them: those of k lie k times as close as one alone.

    The estimate by the k-th smallest value has a standard error of 1 / sqrt(k - 2), which is 3 % (Bar-Yossef et al.: Counting
    distinct elements in a data stream). So a run lists once, however many deletions a day has.
    """
    largest = int(hashes[-1], 16) + 1
    return (len(hashes) - 1) * (1 << 4 * HASH_DIGITS) // largest
