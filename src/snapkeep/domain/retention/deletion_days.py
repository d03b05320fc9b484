"""The number of managed snapshots that are deleted in a day, and whether it is unusual.

Pure. The limits of INV-08 apply to one volume. A policy that keeps fewer snapshots of many volumes may exceed none of them. The
number counts snapshots that the last sweep's plan kept: deletions by runs and by others, not those that a sweep orders, which
have a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta

from snapkeep.domain.records import dataclass

DAYS = 14
"""The number of days in the comparison."""
FEWEST_DAYS = 7
"""The number of days with sweeps before anything counts as unusual."""
LEAST = 50
"""The number of deletions in a day that is never unusual."""


def after(days: Mapping[str, int], today: date, number: int) -> dict[str, int]:
    """Return the deletions by day with those of one more sweep. The first day is kept even without deletions."""
    first = str(today - timedelta(days=DAYS))
    kept = {day: count for day, count in days.items() if day >= first}
    return kept | {str(today): kept.get(str(today), 0) + number}


def usual(days: Mapping[str, int], today: date) -> int | None:
    """Return the median of the days with deletions before today; None without any, and while sweeps are too new.

    Days without deletions do not count: a fleet whose snapshots only begin to expire, or expire once a week, has many of them.
    """
    from statistics import median  # noqa: PLC0415 - of sweeps alone

    since = min((date.fromisoformat(day) for day in days), default=today)
    before = [days.get(str(since + timedelta(days=number)), 0) for number in range((today - since).days)]
    counts = [count for count in before if count]
    return int(median(counts)) if counts and len(before) >= FEWEST_DAYS else None


def limit(normal: int, times: int) -> int:
    """Return the greatest number of deletions in a day that is not unusual, given the usual number."""
    return max(LEAST, times * normal)


def is_unusual(days: Mapping[str, int], today: date, times: int) -> bool:
    """Whether today's deletions exceed the usual number by more than the factor."""
    normal = usual(days, today)
    return normal is not None and days.get(str(today), 0) > limit(normal, times)


@dataclass(frozen=True, slots=True)
class DayOfDeletions:
    """The deletions that runs announced on a day, as one listing shows them."""

    day: date
    number: int
    """Exact below a thousand, an estimate beyond."""
    usual: int | None = None
    """The usual deletions of a day, as sweeps know them; None if not known yet."""
    notified: bool = False
    """Whether a notice was sent that runs make no more deletions."""
    seen: bool = False
    """Whether a sweep has handled the notified day: its hold is placed once."""

    def most(self, times: int) -> int | None:
        """Return the most deletions that runs make; None if the usual number is not known, so that there is no limit."""
        return None if self.usual is None else limit(self.usual, times)

    def is_unusual(self, times: int) -> bool:
        """Whether the deletions exceed the usual number by more than the factor; False if the usual number is not known."""
        most = self.most(times)
        return most is not None and self.number > most

    @property
    def text(self) -> str:
        """Both numbers, in words."""
        return f"runs planned {self.number} deletions on {self.day}, usual are {self.usual} a day"


@dataclass(frozen=True, slots=True)
class DayAllowance:
    """The deletions that a plan orders, and the number that runs may make on its day."""

    planned: int = 0
    announced: int = 0
    """The deletions that runs have already announced on that day."""
    together: int = 0
    """Both, each snapshot once: the announcements after a run of this plan. An estimate, like `DayOfDeletions.number`."""
    most: int | None = None
    """The most that runs make; None without a limit, or if it is not known."""
    usual: int | None = None
    times_usual: int = 0
    """The parameter `DeletionsTimesUsual`."""
    problem: str = ""
    """The reason why nothing is known about it."""

    @property
    def is_exceeded(self) -> bool:
        """Whether runs would stop before they made all deletions."""
        return self.most is not None and self.planned > 0 and self.together > self.most

    @property
    def warning(self) -> str:
        """The reason why runs would not make all deletions on one day, in words; empty if they may."""
        if self.problem:
            return f"whether runs may make all deletions on one day is not known: {self.problem}"
        if not self.is_exceeded:
            return ""
        announced = f" (they announced {self.announced:,} today)" if self.announced else ""
        twice = self.announced + self.planned - self.together
        known = f", {min(twice, self.planned):,} of which they announced" if twice > 0 else ""
        return (
            f"runs delete at most {self.most:,} snapshots a day (UTC){announced}, and {self.planned:,} are to be deleted{known}: "
            f"DeletionsTimesUsual is {self.times_usual}, usual are {self.usual:,} a day, and {LEAST} are always allowed. "
            "Runs stop before they exceed it, and the next sweep puts the system on hold; once it is released, the rest follows "
            "from the next day on. To have all deleted without this, raise DeletionsTimesUsual first"
        )


AllowanceReader = Callable[[date, Collection[str]], DayAllowance]
"""Returns what runs may make of the planned deletions, by their ids, on a day."""
NOT_READ = DayAllowance()
"""The allowance if nothing is deleted, or if deletions have no limit."""
