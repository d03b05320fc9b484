"""Policies of other tools, as public repositories have them, become documents that keep no less.

Of each file only its facts are here: what is selected, when snapshots are made, and how long they and their copies stay. Minutes are
left out. Policies of Data Lifecycle Manager go through `policy from-dlm`; those of AWS Backup and Cloud Custodian are written as
docs/operating/from-aws-backup.md says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from snapkeep.cli.commands.policy import app
from snapkeep.domain.creation.due_times import next_due
from snapkeep.domain.model import Action, Snapshot, Volume, VolumeRole
from snapkeep.domain.policy.model import Policy, PolicySet, Retention
from snapkeep.domain.policy.selection import select
from snapkeep.domain.retention.verdicts import decide
from snapkeep.policyfile.from_dlm import translate
from support.lineages import SYSTEM, VOLUME, snapshot
from support.policy_text import load_text
from support.retention_oracle import PERIOD_OF

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SUNDAY = 6


def at(*hours: int, weekdays: Collection[int] = (), day: int = 0, month: int = 0) -> Callable[[datetime], bool]:
    """Return what says whether a schedule makes a snapshot in an hour."""

    def makes(now: datetime) -> bool:
        chosen = not weekdays or now.weekday() in weekdays
        return now.hour in hours and chosen and day in (0, now.day) and month in (0, now.month)

    return makes


@dataclass(frozen=True)
class Schedule:
    """When another tool makes snapshots, and how long it keeps its own and their copies."""

    makes: Callable[[datetime], bool]
    period: str = ""
    """A snapshot of the same period is as good; empty where each snapshot itself must stay."""
    count: int = 0
    days: int = 0
    copied_days: int = 0

    def kept(self, made: Sequence[datetime], now: datetime) -> list[datetime]:
        """Return which of its snapshots the other tool keeps."""
        return list(made)[-self.count :] if self.count else [start for start in made if now - start < timedelta(self.days)]

    @property
    def of_copies(self) -> Schedule:
        return replace(self, count=0, days=self.copied_days)


@dataclass(frozen=True)
class Original:
    """A policy of another tool: its facts, a volume that it takes, one that it leaves, and its document or DLM's fields."""

    source: str
    schedules: Sequence[Schedule]
    taken: Mapping[str, Any]
    left: Mapping[str, Any] | None
    document: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    days: int = 60


def tagged(**tags: str) -> dict[str, Any]:
    return {"tags": tags}


def dlm(targets: Mapping[str, str], *schedules: Mapping[str, Any], kind: str = "VOLUME") -> dict[str, Any]:
    """Return PolicyDetails as GetLifecyclePolicy answers them."""
    listed = [{"Key": key, "Value": value} for key, value in targets.items()]
    policy = {"PolicyType": "EBS_SNAPSHOT_MANAGEMENT", "ResourceTypes": [kind], "TargetTags": listed}
    return policy | {"Schedules": [{"Name": "s", "CopyTags": True, **schedule} for schedule in schedules]}


def daily(hour: int, count: int, **more: Any) -> dict[str, Any]:
    create = {"Interval": 24, "IntervalUnit": "HOURS", "Times": [f"{hour:02}:00"]}
    return {"CreateRule": create, "RetainRule": {"Count": count}, **more}


def by_cron(cron: str, count: int) -> dict[str, Any]:
    return {"CreateRule": {"CronExpression": f"cron({cron})"}, "RetainRule": {"Count": count}}


def copied(region: str, interval: int, unit: str = "DAYS", **more: Any) -> dict[str, Any]:
    rule = {"TargetRegion": region, "CopyTags": True, "RetainRule": {"Interval": interval, "IntervalUnit": unit}, **more}
    return {"CrossRegionCopyRules": [rule]}


OF_DLM = (
    Original(
        "Terraform, github.com/wbat/wbat-terraform: three times a week of an instance",
        [Schedule(at(8, weekdays=(0, 2, 4)), count=12)],
        {"instance_ids": ("i-01",), "instance_tags": ({"Name": "WBAT Secondary Server"},)},
        tagged(Name="WBAT Secondary Server"),
        details=dlm({"Name": "WBAT Secondary Server"}, by_cron("00 08 ? * MON,WED,FRI *", 12), kind="INSTANCE"),
    ),
    Original(
        "Terraform of a database: three schedules, the daily one copied, either of two tags. Its weekly expression lacks a field",
        [
            Schedule(at(18), "daily", count=14, copied_days=14),
            Schedule(at(19, weekdays=(SUNDAY,)), "weekly", count=12),
            Schedule(at(20, day=1), "monthly", count=12),
        ],
        tagged(Environment="prod"),
        tagged(Environment="test"),
        details=dlm(
            {"Snapshot": "true", "Environment": "prod"},
            daily(18, 14, **copied("ap-southeast-1", 14, Encrypted=True)),
            by_cron("0 19 ? * SUN *", 12),
            by_cron("0 20 1 * ? *", 12),
        ),
        days=420,
    ),
    Original(
        "Terraform, github.com/hashicorp/terraform-provider-aws, acceptance test: twice a day, copies of 15 months",
        [Schedule(at(0, 12), count=10, copied_days=456)],
        tagged(Name="test"),
        tagged(Name="Test"),
        details=dlm(
            {"Name": "test"},
            {
                "CreateRule": {"Interval": 12},
                "RetainRule": {"Count": 10},
                **copied("us-west-2", 15, "MONTHS", Encrypted=False),
            },
        ),
        days=20,
    ),
    Original(
        "CloudFormation: the volume of one stack, by its system tag",
        [Schedule(at(5), count=5)],
        tagged(**{"aws:cloudformation:stack-id": "arn:aws:cloudformation:us-east-1:123456789012:stack/data/1"}),
        tagged(),
        details=dlm({"aws:cloudformation:stack-id": "arn:aws:cloudformation:us-east-1:123456789012:stack/data/1"}, daily(5, 5)),
    ),
    Original(
        "Terraform of a cluster: every volume that the EBS CSI driver makes",
        [Schedule(at(4), count=7)],
        tagged(backup="daily", CSIVolumeName="pvc-1"),
        tagged(CSIVolumeName="pvc-1"),
        details=dlm({"backup": "daily"}, daily(4, 7, TagsToAdd=[{"Key": "SnapshotCreator", "Value": "dlm"}])),
    ),
)


def kept_seven_days(every: str, rpo: str) -> str:
    return f"""
        version: 1
        policies:
          - name: backup
            select: {{tags: {{Backup: "true"}}}}
            snapshots: {{every: {every}}}
            rpo: {rpo}
            retention: {{keep_within: 7d}}
        """


OF_AWS_BACKUP = (
    Original(
        "Terraform, github.com/vierhein/learn-devops: every hour, seven days",
        [Schedule(at(*range(24)), days=7)],
        tagged(Backup="true"),
        tagged(Backup="false"),
        document=kept_seven_days(every="1h", rpo="2h"),
        days=8,
    ),
    Original(
        "Terraform, github.com/madhukummari/myProjects: every six hours, seven days",
        [Schedule(at(0, 6, 12, 18), days=7)],
        tagged(Backup="true"),
        tagged(),
        document=kept_seven_days(every="6h", rpo="8h"),
        days=10,
    ),
    Original(
        "Terraform, locked vaults in two regions: days, months and years of books",
        [
            Schedule(at(21), "daily", days=35, copied_days=35),
            Schedule(at(21, day=1), "monthly", days=400, copied_days=400),
            Schedule(at(21, day=1, month=4), "yearly", days=2922, copied_days=2922),
        ],
        tagged(Backup="books"),
        tagged(Backup="other"),
        document="""
            version: 1
            policies:
              - name: books
                select: {tags: {Backup: books}}
                snapshots: {cron: "0 21 * * ? *"}
                retention: {keep_within: 35d, keep_monthly: 15, keep_yearly: 10}
                copies:
                  - {region: us-east-2, retention: {keep_within: 35d, keep_monthly: 15, keep_yearly: 10}}
            """,
        days=500,
    ),
    Original(
        "CloudFormation: 30 days, 90 days of weeks, a year of months",
        [
            Schedule(at(2), "daily", days=30),
            Schedule(at(3, weekdays=(SUNDAY,)), "weekly", days=90),
            Schedule(at(4, day=1), "monthly", days=365),
        ],
        tagged(),
        None,
        document="""
            version: 1
            policies:
              - name: database
                select: {}
                snapshots: {cron: "0 2 * * ? *"}
                retention: {keep_within: 30d, keep_weekly: 14, keep_monthly: 14}
            """,
        days=420,
    ),
    Original(
        "Terraform, github.com/compiler-explorer: two weeks of one instance, by its ARN",
        [Schedule(at(5), days=14)],
        {"instance_ids": ("i-0123456789abcdef0",)},
        {"instance_ids": ("i-0fedcba9876543210",)},
        document="""
            version: 1
            policies:
              - name: server
                select: {instance_ids: [i-0123456789abcdef0]}
                snapshots: {cron: "0 5 * * ? *"}
                retention: {keep_within: 2w}
            """,
    ),
)

OF_CUSTODIAN = (
    Original(
        "github.com/cloud-custodian/cloud-custodian, docs/source/usecases/ebssnapshots.rst: volumes of instances, deleted from 7 days on",
        [Schedule(at(6), days=7)],
        {"instance_ids": ("i-01",), "role": VolumeRole.DATA},
        {"role": VolumeRole.UNATTACHED},
        document="""
            version: 1
            policies:
              - name: instances
                select: {roles: [root, data]}
                snapshots: {cron: "0 6 * * ? *"}
                retention: {keep_within: 7d}
            """,
    ),
    Original(
        "Governance of snapshots: deleted beyond a year, unless an AMI uses them or a tag preserves them",
        [Schedule(at(1, day=1), days=366)],
        tagged(),
        None,
        document="""
            version: 1
            policies:
              - name: default
                select: {}
                retention: {keep_within: 366d}
                gone: {keep_within: 366d}
                hold_tags: {Preserve: "*"}
            """,
        days=380,
    ),
    Original(
        "Clean-up of costs: deleted beyond 90 days, unless a tag forbids it",
        [Schedule(at(3, weekdays=(SUNDAY,)), days=91)],
        tagged(),
        None,
        document="""
            version: 1
            policies:
              - name: default
                select: {}
                retention: {keep_within: 91d}
                gone: {keep_within: 91d}
                hold_tags: {DoNotDelete: "*"}
            """,
        days=120,
    ),
)
ORIGINALS = (*OF_DLM, *OF_AWS_BACKUP, *OF_CUSTODIAN)
each = pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.source.partition(":")[0])


def text_of(original: Original) -> str:
    return original.document or json.dumps(translate(original.details).document)


def policies_of(original: Original) -> PolicySet:
    return load_text(text_of(original), region="us-east-1")


def volume(**facts: Any) -> Volume:
    return Volume(VOLUME, "us-east-1", 8, "gp3", **facts)


def governing(original: Original) -> Policy:
    policy = select(volume(**original.taken), policies_of(original)).policy
    assert policy
    return policy


def lost(original: Original, policy: Policy, retention: Retention, schedules: Sequence[Schedule]) -> Iterator[str]:
    """Yield what the other tool keeps at the moment of a snapshot and the retention does not."""
    numbers, ours = count(1), list[Snapshot]()
    theirs: list[list[datetime]] = [[] for _ in schedules]
    due = BEGAN if policy.snapshots else None
    for hours in range(original.days * 24):
        now = BEGAN + timedelta(hours=hours)
        making = [schedule.makes(now) for schedule in original.schedules]
        for index, (made, schedule) in enumerate(zip(making, schedules, strict=True)):
            theirs[index] = schedule.kept([*theirs[index], now] if made else theirs[index], now)
        if due and now >= due:
            ours.append(snapshot(now, next(numbers)))
            due = next_due(volume(**original.taken), policy, ours, {}, now)
        elif not due:
            # The other tool continues to make them.
            ours += [snapshot(now, next(numbers)) for made in making if made]
        elif not any(making):
            continue
        ours = [verdict.snapshot for verdict in decide(ours, retention, now, system=SYSTEM) if verdict.action is Action.KEEP]
        for schedule, starts in zip(schedules, theirs, strict=True):
            period_of = PERIOD_OF[schedule.period] if schedule.period else str
            have = {period_of(one.start_time) for one in ours}
            yield from (f"at {now}: {schedule.period} {start}" for start in starts if period_of(start) not in have)


def test_several_hours_and_weekdays_lose_nothing_with_another_schedule() -> None:
    schedules = [
        Schedule(at(6, 7, 20), "hourly", count=7),
        Schedule(at(3, weekdays=(0, 2, 4)), "daily", count=5),
        Schedule(at(*range(24)), "hourly", count=2),
    ]
    details = dlm(
        {"Backup": "yes"},
        by_cron("0 6,7,20 * * ? *", 7),
        by_cron("0 3 ? * MON,WED,FRI *", 5),
        {"CreateRule": {"Interval": 1, "IntervalUnit": "HOURS"}, "RetainRule": {"Count": 2}},
    )
    original = Original("made up", schedules, tagged(Backup="yes"), None, details=details, days=20)
    policy = governing(original)
    assert list(lost(original, policy, policy.retention, schedules)) == []


def test_the_documents_are_valid_and_contradict_nothing(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.yaml" for number, _ in enumerate(ORIGINALS)]
    for file, original in zip(files, ORIGINALS, strict=True):
        file.write_text(text_of(original))
    checked = CliRunner().invoke(app, ["check", *map(str, files)])
    assert checked.exit_code == 0, checked.output


@each
def test_each_selects_the_volumes_of_its_original(original: Original) -> None:
    assert governing(original)
    if original.left is not None:
        assert select(volume(**original.left), policies_of(original)).policy is None


@each
def test_each_translation_keeps_what_its_original_keeps(original: Original) -> None:
    policy = governing(original)
    assert list(lost(original, policy, policy.retention, original.schedules)) == []


@pytest.mark.parametrize(
    "original", [one for one in ORIGINALS if governing(one).copies], ids=lambda original: original.source.partition(":")[0]
)
def test_each_keeps_the_copies_that_its_original_keeps(original: Original) -> None:
    policy = governing(original)
    schedules = [schedule.of_copies for schedule in original.schedules]
    assert list(lost(original, policy, policy.copies[0].retention, schedules)) == []


@each
def test_a_document_that_keeps_less_is_noticed(original: Original) -> None:
    policy = governing(original)
    less = replace(policy.retention, keep_last=policy.retention.keep_last // 2, keep_within=policy.retention.keep_within / 2)
    less = replace(less, keep_daily=less.keep_daily // 2)
    assert next(lost(original, policy, less, original.schedules), "")
