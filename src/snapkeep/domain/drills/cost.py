"""The cost of drills: the most it can be, before a drill, and what the resources cost, after it."""

from __future__ import annotations

from datetime import timedelta

from snapkeep.domain.policy.drill_rules import LONGEST_DRILL
from snapkeep.domain.prices import SNAPSHOT_STORAGE, VOLUME_STORAGE
from snapkeep.domain.recovery.methods import FULL, estimate

HOUR = timedelta(hours=1)
HOURS_PER_MONTH = 730


def storage_dollars(size_gib: int, volume: timedelta, snapshot: timedelta) -> float:
    """Return the price of a volume and of a full snapshot of it for a time, in US dollars."""
    return size_gib * (volume / HOUR * VOLUME_STORAGE.dollars + snapshot / HOUR * SNAPSHOT_STORAGE.dollars) / HOURS_PER_MONTH


def estimate_of(size_gib: int) -> float:
    """Return the highest cost of a drill in US dollars: volume and snapshot until its end, and every block read on both sides."""
    return storage_dollars(size_gib, LONGEST_DRILL, LONGEST_DRILL) + estimate(FULL, size_gib).dollars


def estimate_of_instances(size_gib: int, instances: int, usd_per_hour: float) -> float:
    """Return the highest cost of a drill of instances, in US dollars: everything until its end."""
    return storage_dollars(size_gib, LONGEST_DRILL, timedelta(0)) + instances * LONGEST_DRILL / HOUR * usd_per_hour
