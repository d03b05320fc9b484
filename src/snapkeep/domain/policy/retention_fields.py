"""The keys of a retention in a policy document."""

from __future__ import annotations

from snapkeep.domain.policy.model import Retention
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.policy.shapes import Field, Shape, ValueType, long_duration, timezone_field

RETENTION = Shape(
    Retention,
    "A snapshot is kept when any rule keeps it; `{}` keeps everything.",
    (
        Field("keep_last", ValueType.COUNT, "Keep the newest so many snapshots."),
        long_duration(
            "keep_within",
            "Keep what is less than this much older than the newest snapshot.",
            example="3d",
            units="hours, days or weeks: 12h, 3d or 2w (for a month 31d, for a year 366d)",
            most_days=36500,
        ),
        *(
            Field(
                f"keep_{word}",
                ValueType.COUNT,
                f"Keep the newest snapshot of each of the last so many {period.plural} that have one.",
            )
            for word, period in PERIODS.items()
        ),
        Field("minimum", ValueType.COUNT, "Keep the newest so many completed snapshots whatever the rules say; no rule itself."),
        timezone_field("IANA name of the time zone in which these periods begin."),
    ),
)
