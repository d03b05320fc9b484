"""The keys of a retention in a policy document."""

from __future__ import annotations

from snapkeep.domain.policy.model import Retention
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.policy.shapes import Shape, count_field, long_duration, timezone_field

RETENTION = Shape(
    Retention,
    "A snapshot is kept when any rule keeps it; `{}` keeps everything.",
    (
        count_field("keep_last", "Keep the N newest snapshots."),
        long_duration(
            "keep_within",
            "Keep what is less than this much older than the newest snapshot.",
            example="3d",
            units="hours, days or weeks: 12h, 3d or 2w (for a month 31d, for a year 366d)",
            most_days=36500,
        ),
        *(
            count_field(f"keep_{word}", f"Keep the newest snapshot of each of the last N {period.plural} that have one.")
            for word, period in PERIODS.items()
        ),
        count_field("minimum", "Keep the N newest completed snapshots regardless of the rules; it is no rule itself."),
        timezone_field("IANA name of the time zone in which these periods begin."),
    ),
)
