"""The keys of a drill in a policy document."""

from __future__ import annotations

from datetime import timedelta

from snapkeep.domain.policy.drill_rules import (
    LONGEST_DRILL,
    DrillCommand,
    DrillLevel,
    DrillMap,
    DrillPick,
    DrillRule,
    DrillSchedule,
)
from snapkeep.domain.policy.shapes import (
    DRILL_DOCUMENT_PATTERN,
    HOURLY_PRICE_PATTERN,
    INSTANCE_TYPE_PATTERN,
    NAME_PATTERN,
    Shape,
    budget_field,
    count_field,
    duration_field,
    flag_field,
    long_duration,
    name_field,
    names_field,
    object_field,
    region_field,
    text_field,
    texts_field,
    timezone_field,
)

CRON_PATTERN = r"^\S+( \S+){5}$"
"""Six fields; `cron.py` says which schedules there are."""

SCHEDULE = Shape(
    DrillSchedule,
    "The schedule is EventBridge's; drills that could not start are made up within an hour.",
    (
        text_field(
            "cron",
            "Minutes, hours, day of month, month, day of week, year.",
            pattern=CRON_PATTERN,
            example="0 4 ? * SUN *",
            missing='write a schedule of EventBridge, such as "0 4 ? * SUN *"',
        ),
        timezone_field("IANA name of the time zone of the schedule."),
    ),
)

PICK = Shape(
    DrillPick,
    "Write at most one of `latest`, `random` and `oldest_within`; without any of them it is `latest`.",
    (
        count_field(
            "rotate", "The number of volumes of each drill; those whose last drill is the longest ago come first.", maximum=20
        ),
        flag_field("latest", "The newest recovery point of each volume."),
        flag_field("random", "Any recovery point of each volume."),
        long_duration(
            "oldest_within",
            "The oldest recovery point of each volume that is not older than this.",
            example="30d",
            units="hours, days or weeks: 12h, 30d or 2w",
            most_days=36500,
        ),
    ),
)

MAP = Shape(
    DrillMap,
    "With the level `instance`.",
    (
        names_field(
            "instance_types",
            "Instance types, and those that are launched in their places. A type that is not here stays the same.",
            pattern=INSTANCE_TYPE_PATTERN,
            example="t3.large",
        ),
    ),
)

COMMAND = Shape(
    DrillCommand,
    "With the level `instance`: it runs once the status checks are passed, and has to succeed.",
    (
        text_field(
            "document",
            "The name of a document of Systems Manager in the DR region; its parameters have their defaults.",
            pattern=DRILL_DOCUMENT_PATTERN,
            example="snapkeep-drill-check",
            missing="write the name of a document of Systems Manager, such as snapkeep-drill-check",
        ),
        duration_field("timeout", "The time within which it has to end.", maximum=12 * 60, example="10m"),
    ),
)

DRILL = Shape(
    DrillRule,
    "A recovery by schedule, which shows whether and how fast recovery works, and is removed again.",
    (
        name_field("drill", "The drill's name, as it appears in evidence.", "gold-weekly"),
        texts_field(
            "policies",
            "The policies whose volumes are drilled.",
            pattern=NAME_PATTERN,
            example="gold",
            missing="name the policies whose volumes are drilled, such as [gold]",
        ),
        region_field("in", "The DR region in which the volumes are made.", attribute="region"),
        object_field(
            "schedule", "When the drill is due.", shape=SCHEDULE, missing='write when it is due, such as {cron: "0 4 ? * SUN *"}'
        ),
        object_field("pick", "Which volumes and points it restores.", shape=PICK),
        text_field(
            "level", "A volume of a point, or an instance with all its volumes in an isolated network.", choices=tuple(DrillLevel)
        ),
        text_field(
            "group",
            "With the level `instance`: the recovery group whose instances are drilled together, in its order.",
            pattern=NAME_PATTERN,
            example="shop",
        ),
        object_field("command", "A command that runs in each instance.", shape=COMMAND),
        object_field("map", "Replacements with which a drill launches its instances.", shape=MAP),
        text_field(
            "instance_price",
            "With the level `instance`: the price of its dearest instance. Snapkeep has no list of prices of instances.",
            pattern=HOURLY_PRICE_PATTERN,
            example="0.10 USD/hour",
        ),
        duration_field(
            "rto",
            "Recovery time objective: how soon a volume has to be usable.",
            maximum=LONGEST_DRILL // timedelta(minutes=1),
            example="2h",
        ),
        long_duration(
            "covered_within",
            "The time within which a drill of every volume of the policies has to pass; sweeps report volumes without one.",
            example="90d",
            units="days or weeks: 90d or 12w",
            most_days=3660,
            least_hours=24,
        ),
        budget_field("budget", "The most that this drill may cost in 30 days, by its estimates and measurements.", 20),
    ),
)
