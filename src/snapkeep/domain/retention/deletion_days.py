"""The number of managed snapshots that disappear in a day, and whether it is far beyond the usual. Pure.

The limits of INV-08 hold for one volume. A policy that keeps less of many volumes may break none of them. The number has the
snapshots that the last sweep's plan kept: deletions by runs and by others, not those that a sweep orders, which have a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta

from snapkeep.domain.records import dataclass

DAYS = 14
"""Days that are compared with."""
FEWEST_DAYS = 7
"""Days of sweeps before which nothing is unusual."""
LEAST = 50
"""Deletions of a day that are never unusual."""


def after(days: Mapping[str, int], today: date, number: int) -> dict[str, int]:
    """Return the deletions by day with those of a further sweep. The first day is kept also without deletions."""
    first = str(today - timedelta(days=DAYS))
    kept = {day: count for day, count in days.items() if day >= first}
    return kept | {str(today): kept.get(str(today), 0) + number}


def usual(days: Mapping[str, int], today: date) -> int | None:
    """Return the median of the days with deletions before today; None where there is none, or where sweeps began lately.

    Days without deletions say nothing of the usual: a fleet whose snapshots begin to expire, or do once a week, has many.
    """
    from statistics import median  # noqa: PLC0415 - of sweeps alone

    since = min((date.fromisoformat(day) for day in days), default=today)
    before = [days.get(str(since + timedelta(days=number)), 0) for number in range((today - since).days)]
    counts = [count for count in before if count]
    return int(median(counts)) if counts and len(before) >= FEWEST_DAYS else None


def limit(normal: int, times: int) -> int:
    """Return the most deletions of a day that are not unusual, given the usual number."""
    return max(LEAST, times * normal)


def is_unusual(days: Mapping[str, int], today: date, times: int) -> bool:
    """Whether the deletions of today are more than so many times the usual."""
    normal = usual(days, today)
    return normal is not None and days.get(str(today), 0) > limit(normal, times)


@dataclass(frozen=True, slots=True)
class DayOfDeletions:
    """The deletions that runs announced on a day, as far as one listing shows them."""

    day: date
    number: int
    """Exact below a thousand, an estimate beyond."""
    usual: int | None = None
    """The usual deletions of a day, as sweeps know them; None: not known yet."""
    notified: bool = False
    """Whether a notice says that runs make no more deletions."""
    seen: bool = False
    """Whether a sweep has looked at a day that is notified: its hold is placed once."""

    def most(self, times: int) -> int | None:
        """Return the most deletions that runs make; None where the usual number is not known, and nothing stops them."""
        return None if self.usual is None else limit(self.usual, times)

    def is_unusual(self, times: int) -> bool:
        """Whether there are more than so many times the usual; not where that is not known."""
        most = self.most(times)
        return most is not None and self.number > most

    @property
    def text(self) -> str:
        """Both numbers, in words."""
        return f"runs planned {self.number} deletions on {self.day}, usual are {self.usual} a day"


@dataclass(frozen=True, slots=True)
class DayAllowance:
    """The deletions that a plan orders, and those that runs may make on its day."""

    planned: int = 0
    announced: int = 0
    """The deletions that runs announced on that day already."""
    together: int = 0
    """Both, each snapshot once: the announcements that a run of this plan would see. An estimate as `DayOfDeletions.number`."""
    most: int | None = None
    """The most that they make; None where nothing limits them, or that is not known."""
    usual: int | None = None
    times_usual: int = 0
    """The parameter `DeletionsTimesUsual`."""
    problem: str = ""
    """Why none of it is known."""

    @property
    def is_exceeded(self) -> bool:
        """Whether runs would stop before they made all deletions."""
        return self.most is not None and self.planned > 0 and self.together > self.most

    @property
    def warning(self) -> str:
        """Why runs would not make all deletions on one day, in words; empty where they may."""
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
"""Where nothing is deleted, or nothing limits deletions."""
