"""Drills as policies demand them: what is restored, when, and what it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from enum import StrEnum

from snapkeep.domain.prices import usd_of
from snapkeep.domain.records import dataclass

LONGEST_DRILL = timedelta(hours=24)
"""A drill that takes longer is ended."""


class DrillLevel(StrEnum):
    """The resources that a drill makes of recovery points: a volume, or an instance with all its volumes."""

    VOLUME = "volume"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class DrillSchedule:
    """When a drill is due: a schedule of EventBridge, of six fields, which `cron.py` reads."""

    cron: str
    timezone: str = "UTC"
    """IANA name of the time zone of the schedule."""


@dataclass(frozen=True, slots=True)
class DrillPick:
    """The volumes and the recovery points that a drill restores: by default the newest point of each; any, if `random`."""

    rotate: int = 1
    """So many volumes each time, those first that were not drilled for the longest time."""
    latest: bool = False
    """The newest point of each volume, as without any of these words."""
    random: bool = False
    oldest_within: timedelta = timedelta(0)
    """The oldest point of each volume that is not older; 0 for not at all."""


@dataclass(frozen=True, slots=True)
class DrillMap:
    """The replacements of what an instance was launched with, in drills alone."""

    instance_types: Mapping[str, str] = field(default_factory=dict)
    """A type that is not here stays the same."""


@dataclass(frozen=True, slots=True)
class DrillCommand:
    """A command in each instance of a drill, which has to succeed."""

    document: str
    """The name of a document of Systems Manager, of the account in the DR region. Its parameters have their defaults."""
    timeout: timedelta = timedelta(minutes=10)
    """How soon after it was sent it has to end."""


@dataclass(frozen=True, slots=True)
class DrillRule:
    """A recovery that is made at times, to learn whether and how fast it works, and removed again."""

    name: str
    policies: tuple[str, ...]
    region: str
    schedule: DrillSchedule
    pick: DrillPick = field(default_factory=DrillPick)
    level: DrillLevel = DrillLevel.VOLUME
    rto: timedelta = timedelta(0)
    """Recovery time objective: how soon a volume has to be usable; 0 for none."""
    covered_within: timedelta = timedelta(0)
    """So often, a drill of each volume has to pass; 0 for no such demand."""
    budget: str = ""
    """The most that its drills of 30 days may cost, as `20 USD/month`; empty for no limit."""
    group: str = ""
    """The recovery group that is drilled as a whole; empty for one instance at a time."""
    map: DrillMap = field(default_factory=DrillMap)
    instance_price: str = ""
    """The price of the dearest of its instances, as `0.10 USD/hour`; empty where it is not known."""
    command: DrillCommand | None = None
    """None: status checks are enough."""

    @property
    def budget_usd(self) -> float:
        """The budget in US dollars; 0 for no limit."""
        return usd_of(self.budget)

    @property
    def instance_usd_per_hour(self) -> float:
        """The price of an instance in US dollars an hour; 0 where it is not known."""
        return usd_of(self.instance_price)
