"""The keys of a policy document: parser, writer and JSON Schema derive from this definition."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.model import VolumeRole
from snapkeep.domain.policy.completion import COMPLETION_AUTO, COMPLETION_LONGEST_MINUTES, COMPLETION_STEP_MINUTES
from snapkeep.domain.policy.drill_fields import DRILL
from snapkeep.domain.policy.frequency import ONLY_KEPT
from snapkeep.domain.policy.group_fields import GROUP
from snapkeep.domain.policy.lock_fields import LOCK
from snapkeep.domain.policy.model import (
    CONSISTENT_INSTANCE,
    CONSISTENT_VOLUME,
    WHEN_RPO,
    CarryTags,
    CopyRule,
    GoneRetention,
    LeaveAlone,
    Limits,
    Policy,
    PolicySet,
    RecordContent,
    Selector,
    SnapshotRule,
    VerifyRule,
)
from snapkeep.domain.policy.retention_fields import RETENTION
from snapkeep.domain.policy.scripts import SCRIPT
from snapkeep.domain.policy.shapes import (
    INSTANCE_PATTERN,
    KEY_PATTERN,
    NAME_PATTERN,
    VOLUME_PATTERN,
    ZONE_PATTERN,
    Shape,
    budget_field,
    count_field,
    duration_field,
    flag_field,
    long_duration,
    minutes_field,
    name_field,
    object_field,
    objects_field,
    region_field,
    tags_field,
    text_field,
    texts_field,
    timezone_field,
)
from snapkeep.domain.policy.vault_fields import VAULT

VERSION = 1
"""The version of the document's form."""

VOLUME_TYPES = ("standard", "io1", "io2", "gp2", "gp3", "sc1", "st1")
"""`VolumeType` in the EC2 service model (ec2 2016-11-15)."""

GONE = Shape(
    GoneRetention,
    "The newest snapshot, and the newest copy in each region, always stay.",
    tuple(
        replace(word, about="Keep what is less than this old now.") if word.name == "keep_within" else word
        for word in RETENTION.fields
    ),
)

SELECT = Shape(
    Selector,
    "Every part that is given must take the volume; `{}` takes every volume.",
    (
        tags_field("tags", "Tag keys with the value or the values that a volume must have. `*` and `?` match."),
        tags_field("exclude_tags", "Tag keys with values that a volume must not have."),
        texts_field("volume_ids", "Only these volumes.", pattern=VOLUME_PATTERN, example="vol-0123456789abcdef0"),
        texts_field("exclude_volume_ids", "Not these volumes.", pattern=VOLUME_PATTERN, example="vol-0123456789abcdef0"),
        texts_field(
            "instance_ids",
            "Only volumes attached to one of these instances.",
            pattern=INSTANCE_PATTERN,
            example="i-0123456789abcdef0",
        ),
        tags_field(
            "instance_tags", "Tag keys with the value or the values that an instance must have to which the volume is attached."
        ),
        texts_field("availability_zones", "Only volumes in one of these zones.", pattern=ZONE_PATTERN, example="us-east-1a"),
        texts_field("volume_types", "Only volumes of one of these types.", choices=VOLUME_TYPES),
        texts_field("roles", "Only root, data or unattached volumes.", choices=tuple(VolumeRole)),
        count_field("min_size_gib", "Only volumes of at least this size.", maximum=65536),
        count_field("max_size_gib", "Only volumes of at most this size.", maximum=65536),
        tags_field(
            "snapshot_tags",
            "Tag keys with the value or the values that a snapshot of these volumes must have to count; others are left alone.",
        ),
    ),
)

VERIFY = Shape(
    VerifyRule,
    "How each copy is compared with its source once it has arrived.",
    (
        text_field(
            "structure",
            "`always` compares the lists of blocks; `never` compares nothing, whatever the other keys say.",
            choices=("always", "never"),
        ),
        count_field(
            "sample",
            "How many blocks are compared: 300 find 1 % of wrong blocks with 95 %, 3000 find 0.1 %; 0 compares none.",
            minimum=0,
            maximum=10_000,
        ),
        text_field(
            "subset",
            "Each day another part of all blocks in place of the sample: with `1/30`, all of them in 30 days.",
            pattern=r"^[1-9][0-9]{0,2}/[1-9][0-9]{0,2}$",
            example="1/30",
        ),
        long_duration(
            "full",
            "The period in which all blocks of a copy of each volume are compared.",
            example="90d",
            units="days or weeks: 90d or 12w",
            most_days=3660,
            least_hours=24,
            attribute="full_every",
        ),
        budget_field("budget", "The most that a month's comparisons cost.", 5),
    ),
)

COPY = Shape(
    CopyRule,
    "One copy of every snapshot, or of one in each period, in one other region.",
    (
        region_field("region", "Where the copy goes.", "the region that the copy goes to"),
        text_field(
            "kms_key",
            "Key id, ARN or alias of a KMS key in that region; left out, the region's default for EBS.",
            pattern=KEY_PATTERN,
            example="alias/dr",
        ),
        duration_field(
            "copy_within",
            "The deadline of a copy, from its snapshot's start; left out, the policy's `rpo` less the time between copies.",
            maximum=365 * 24 * 60,
            example="4h",
            inherited=True,
        ),
        object_field(
            "retention",
            "Which copies are kept.",
            shape=RETENTION,
            missing="write which copies are kept, such as {keep_last: 3}; {} keeps every copy",
        ),
        long_duration(
            "every",
            "Copy one snapshot of each period of this length, the first; left out, every snapshot.",
            example="1d",
            units="hours, days or weeks: 4h, 1d or 1w",
            most_days=366,
        ),
        text_field(
            "only", "`kept` copies one snapshot of each of the finest periods that `retention` keeps.", choices=(ONLY_KEPT,)
        ),
        flag_field("carry_tags", "Whether the volume's own tags go onto the copy too."),
        minutes_field(
            "completion_duration",
            "Ask EC2 to complete each copy within this time, at a price per GiB; left out, a standard copy.",
            attribute="completion_minutes",
            minimum=COMPLETION_STEP_MINUTES,
            maximum=COMPLETION_LONGEST_MINUTES,
            example="4h",
        ),
        text_field("completion", "`auto`: each copy the cheapest way in time.", choices=(COMPLETION_AUTO,)),
        budget_field(
            "copy_budget",
            "The most that time-based copies cost in a month, beyond their transfer; further copies are ordinary.",
            50,
        ),
        object_field("verify", "How each copy is compared with its source.", shape=VERIFY),
        object_field("lock", "How each copy is locked, while it is pending.", shape=LOCK),
    ),
)

LEAVE_ALONE = Shape(
    LeaveAlone,
    "They are copied and counted, and another tool deletes them.",
    (
        tags_field(
            "tags",
            "Tag keys with the value, or the list of values, of which a snapshot must have one. `*` and `?` match.",
            missing='write tag keys with values, such as {OwnedBy: "*"}',
        ),
    ),
)

CARRY_TAGS = Shape(
    CarryTags,
    "Tags by which known tools claim or expire what they find are never carried.",
    (
        texts_field(
            "except",
            "Keys of tags that are not carried either. `*` and `?` match.",
            attribute="excluded",
            example="team:*",
            missing='write a list of tag keys, such as ["team:*"]',
        ),
    ),
)

RECORD = Shape(
    RecordContent,
    "Contents of recovery records besides the settings of volumes and instances.",
    (flag_field("user_data", "Whether they hold the instance's user data, which often has secrets."),),
)

SNAPSHOTS = Shape(
    SnapshotRule,
    "When a snapshot is made, unless anybody made one: by `when`, `every` or `cron`.",
    (
        text_field(
            "when", "`rpo` makes one in time for the `rpo`, by how long snapshots and copies took before.", choices=(WHEN_RPO,)
        ),
        long_duration(
            "every", "One in each period of this length.", example="4h", units="hours, days or weeks: 4h, 1d or 1w", most_days=366
        ),
        text_field("cron", "One at each moment of a cron expression as EventBridge has it.", example="0 */4 * * ? *"),
        timezone_field("IANA name of the time zone of `every` and `cron`."),
    ),
)

POLICY = Shape(
    Policy,
    "One policy. The first one that takes a volume governs it.",
    (
        name_field("policy", "The policy's name, as it appears in tags and reports.", "gold"),
        object_field(
            "select",
            "Which volumes it governs.",
            attribute="selector",
            shape=SELECT,
            missing="write which volumes it governs, such as {tags: {Backup: gold}}; {} takes every volume",
        ),
        duration_field(
            "rpo",
            "Recovery point objective: how old the newest completed copy's data may be.",
            maximum=365 * 24 * 60,
            example="4h",
        ),
        object_field(
            "retention",
            "Which snapshots are kept in the volume's own region.",
            shape=RETENTION,
            missing="write which snapshots are kept, such as {keep_last: 7}; {} keeps every snapshot",
        ),
        objects_field("copies", "The copies to make of the snapshots.", shape=COPY),
        object_field("lock", "How each snapshot in the volume's own region is locked.", shape=LOCK),
        object_field("leave_alone", "Snapshots that are never deleted.", shape=LEAVE_ALONE),
        tags_field(
            "hold_tags",
            "Tags with values that hold a snapshot and its copies: they stay, and do not count in retention. `*` and `?` match.",
        ),
        object_field("carry_tags", "Which of a volume's tags go onto its snapshots and copies.", shape=CARRY_TAGS),
        object_field(
            "gone",
            "Which snapshots and copies of a deleted volume sweeps keep, in every region; left out, the same as before.",
            shape=GONE,
        ),
        object_field("record", "Contents of the volume's recovery records.", shape=RECORD),
        object_field("snapshots", "When Snapkeep makes snapshots itself; left out, others make them.", shape=SNAPSHOTS),
        text_field(
            "consistent",
            "Whether the snapshots of an instance's due volumes are one multi-volume set (`instance`), or single ones.",
            choices=(CONSISTENT_INSTANCE, CONSISTENT_VOLUME),
        ),
        text_field(
            "vault", "The vault, of `vaults`, that pulls the copies of one DR region.", pattern=NAME_PATTERN, example="bunker"
        ),
        object_field("before", "Runs on an instance before snapshots of its volumes are made.", shape=SCRIPT),
        object_field("after", "Runs on it afterwards, whatever the result of `before`.", shape=SCRIPT),
    ),
)

LIMITS = Shape(
    Limits,
    "A volume's plan beyond a limit is refused whole; it stops no other volume's.",
    (
        count_field(
            "max_deletions",
            "The most deletions of one volume's snapshots in one plan; left out, the stack's `MaxDeletions`.",
            inherited=True,
        ),
        count_field(
            "max_share_percent",
            "The highest share of one volume's snapshots, in percent; left out, the stack's `MaxDeletionSharePercent`.",
            maximum=100,
            inherited=True,
        ),
        count_field("small_lineage", "The share applies to volumes with more snapshots than this.", minimum=0),
    ),
)

DOCUMENT = Shape(
    PolicySet,
    "A Snapkeep policy document.",
    (
        count_field(
            "version", "The version of this form.", minimum=VERSION, maximum=VERSION, missing=f"write version: {VERSION}"
        ),
        object_field("limits", "How much one plan may delete.", shape=LIMITS, inherited=True),
        objects_field(
            "policies", "The policies, in the order in which they are tried.", shape=POLICY, missing="write at least one policy"
        ),
        objects_field("groups", "Instances that are recovered together.", shape=GROUP),
        objects_field("drills", "The drills: recoveries to learn whether and how fast they work.", shape=DRILL),
        objects_field("vaults", "Accounts that pull copies of the DR copies.", shape=VAULT),
    ),
)
