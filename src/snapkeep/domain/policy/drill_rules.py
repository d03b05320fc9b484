"""Drills that policies require: the volumes and points, the schedule, and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum

from snapkeep.domain.prices import usd_of
from snapkeep.domain.records import dataclass

LONGEST_DRILL = timedelta(hours=24)
"""The time after which a drill is ended."""


class DrillLevel(StrEnum):
    """The resources that a drill makes of recovery points: a volume, or an instance with all its volumes."""

    VOLUME = "volume"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class DrillSchedule:
    """The schedule of a drill: a schedule of EventBridge with six fields, which `cron.py` reads."""

    cron: str
    timezone: str = "UTC"
    """IANA name of the time zone of the schedule."""


@dataclass(frozen=True, slots=True)
class DrillPick:
    """The volumes and the points that a drill restores: by default the newest point of each volume; with `random` any point."""

    rotate: int = 1
    """The number of volumes of each drill; those whose last drill is the longest ago come first."""
    latest: bool = False
    """The newest point of each volume; this is the default."""
    random: bool = False
    oldest_within: timedelta = timedelta(0)
    """The oldest point of each volume that is not older than this; 0 for none."""


@dataclass(frozen=True, slots=True)
class DrillMap:
    """The replacements of what an instance was launched with, in drills alone."""

    instance_types: Mapping[str, str] = field(default_factory=dict)
    """A type without an entry stays the same."""


@dataclass(frozen=True, slots=True)
class DrillCommand:
    """A command that has to succeed in each instance of a drill."""

    document: str
    """The name of a Systems Manager document of the account in the DR region. Its parameters have their defaults."""
    timeout: timedelta = timedelta(minutes=10)
    """The time within which the command has to end."""


@dataclass(frozen=True, slots=True)
class DrillRule:
    """A recovery by schedule, which shows whether and how fast recovery works, and is removed again."""

    name: str
    policies: tuple[str, ...]
    region: str
    schedule: DrillSchedule
    pick: DrillPick = field(default_factory=DrillPick)
    level: DrillLevel = DrillLevel.VOLUME
    rto: timedelta = timedelta(0)
    """Recovery time objective: how soon a volume has to be usable; 0 for none."""
    covered_within: timedelta = timedelta(0)
    """The time within which a drill of each volume has to pass; 0 for no limit."""
    budget: str = ""
    """The most that its drills may cost in 30 days, as `20 USD/month`; empty for no limit."""
    group: str = ""
    """The recovery group that is drilled as a whole; empty for one instance at a time."""
    map: DrillMap = field(default_factory=DrillMap)
    instance_price: str = ""
    """The price of its most expensive instance, as `0.10 USD/hour`; empty if it is not known."""
    command: DrillCommand | None = None
    """The command; None if status checks are enough."""

    @property
    def budget_usd(self) -> float:
        """The budget in US dollars; 0 for no limit."""
        return usd_of(self.budget)

    @property
    def instance_usd_per_hour(self) -> float:
        """The price of an instance in US dollars an hour; 0 if it is not known."""
        return usd_of(self.instance_price)
