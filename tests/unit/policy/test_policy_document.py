"""The policy document: all problems are reported at once, each with a right value."""

from datetime import timedelta
from typing import Any

import pytest

from snapkeep.domain.durations import format_duration, parse_duration
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.frequency import between_copies
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.prices import completion_price_usd_per_gib
from support.policy_text import load_text


def document(**policy: Any) -> dict[str, Any]:
    return {"version": 1, "policies": [{"name": "gold", "select": {}, "retention": {"keep_last": 7}} | policy]}


def copying(**rule: Any) -> dict[str, Any]:
    return document(rpo="4h", copies=[{"region": "us-east-2", "retention": {"keep_last": 3}} | rule])


def problems(data: object, **more: Any) -> dict[str, tuple[str, str]]:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(data, **more)
    return {problem.path: (problem.right, problem.nearest) for problem in refused.value.problems}


def test_a_document_can_have_everything_in_a_policy() -> None:
    policies = load_text(
        """
        version: 1
        limits: {max_deletions: 50, max_share_percent: 60, small_lineage: 5}
        policies:
          - name: gold
            select:
              tags: {Backup: [gold, "gold-*"]}
              exclude_tags: {Scratch: "*"}
              exclude_volume_ids: [vol-0123]
              instance_ids: [i-0123]
              instance_tags: {App: [shop, ""]}
              availability_zones: [us-east-1a, us-west-2-lax-1a]
              volume_types: [gp3, io2]
              roles: [root, data]
              min_size_gib: 8
              max_size_gib: 500
              snapshot_tags: {Schedule: daily}
            rpo: 4h
            retention: {keep_last: 7, keep_within: 3d, keep_hourly: 24, keep_daily: 14, keep_weekly: 8, keep_monthly: 12,
                        keep_yearly: 5, minimum: 2, timezone: Europe/Berlin}
            copies:
              - {region: us-east-2, kms_key: alias/dr, copy_within: 3h, completion_duration: 90m, copy_budget: 50.5 USD/month,
                 carry_tags: false, retention: {keep_last: 3, keep_monthly: 6}}
        """
    )
    assert policies == PolicySet(
        (
            Policy(
                "gold",
                Selector(
                    tags={"Backup": ("gold", "gold-*")},
                    exclude_tags={"Scratch": ("*",)},
                    exclude_volume_ids=("vol-0123",),
                    instance_ids=("i-0123",),
                    instance_tags={"App": ("shop", "")},
                    availability_zones=("us-east-1a", "us-west-2-lax-1a"),
                    volume_types=("gp3", "io2"),
                    roles=("root", "data"),
                    min_size_gib=8,
                    max_size_gib=500,
                    snapshot_tags={"Schedule": ("daily",)},
                ),
                Retention(
                    keep_last=7,
                    keep_within=timedelta(days=3),
                    keep_hourly=24,
                    keep_daily=14,
                    keep_weekly=8,
                    keep_monthly=12,
                    keep_yearly=5,
                    minimum=2,
                    timezone="Europe/Berlin",
                ),
                (
                    CopyRule(
                        "us-east-2",
                        "alias/dr",
                        timedelta(hours=3),
                        Retention(keep_last=3, keep_monthly=6),
                        carry_tags=False,
                        completion_minutes=90,
                        copy_budget="50.5 USD/month",
                    ),
                ),
                timedelta(hours=4),
            ),
        ),
        Limits(50, 60, 5),
        "document",
    )


def test_every_error_is_reported_at_once() -> None:
    data = {
        "version": 2,
        "polices": [],
        "policies": [
            {"name": "gold", "select": {"volume_types": ["gp33"]}, "rpo": 4, "retention": {"keep_last": 0, "keep_daly": 14}},
            {"name": "gold", "select": {"tags": {}}},
        ],
    }
    assert set(problems(data)) == {
        "version",
        "polices",
        "policies[0].select.volume_types[0]",
        "policies[0].rpo",
        "policies[0].retention.keep_last",
        "policies[0].retention.keep_daly",
        "policies[1].select.tags",
        "policies[1].retention",
        "policies[1].name",
    }


@pytest.mark.parametrize("snapshots", [{"when": "rto"}, {"evry": "4h"}, {"cron": "0 3 * * *"}])
def test_an_unreadable_value_is_not_reported_as_missing_too(snapshots: dict[str, Any]) -> None:
    assert set(problems(document(snapshots=snapshots))) == {f"policies[0].snapshots.{next(iter(snapshots))}"}


@pytest.mark.parametrize(
    ("rule", "between", "copy_within"),
    [
        ({"every": "1h"}, "1h", "3h"),
        ({"every": "2h", "copy_within": "2h"}, "2h", "2h"),
        ({"only": "kept", "retention": {"keep_hourly": 24, "keep_daily": 7}}, "1h", "3h"),
        ({}, "0m", "4h"),
    ],
)
def test_the_deadline_leaves_room_for_the_time_between_copies(rule: dict[str, Any], between: str, copy_within: str) -> None:
    (parsed,) = parse_document(copying(**rule)).policies[0].copies
    assert (format_duration(between_copies(parsed)), format_duration(parsed.copy_within)) == (between, copy_within)


@pytest.mark.parametrize(
    ("rule", "key", "right"),
    [
        ({"every": "4h"}, "every", "a shorter time between copies, or a longer rpo, which is 4h"),
        (
            {"every": "3h", "copy_within": "2h"},
            "copy_within",
            "write at most 1h: the policy's rpo less the 3h between two copies",
        ),
        ({"every": "5h"}, "every", "hours that divide a day"),
        ({"every": "36h"}, "every", "or whole days"),
        ({"every": "90m"}, "every", "hours, days or weeks"),
        ({"only": "kept"}, "only", "keep_hourly to keep_yearly alone"),
        ({"only": "kept", "retention": {"keep_daily": 7}}, "only", "a longer rpo"),
        ({"only": "kept", "every": "2h", "retention": {"keep_hourly": 7}}, "only", "leave it out beside every"),
        ({"only": "daily"}, "only", "write one of kept"),
    ],
)
def test_a_time_between_copies_that_misses_the_rpo_is_refused(rule: dict[str, Any], key: str, right: str) -> None:
    assert right in problems(copying(**rule))[f"policies[0].copies[0].{key}"][0]


@pytest.mark.parametrize(
    ("policy", "key", "right"),
    [
        ({"snapshots": {}}, "snapshots", "write one of when: rpo, every or cron"),
        ({"snapshots": {"every": "1h", "cron": "0 * * * ? *"}}, "snapshots", "write one of when: rpo, every or cron"),
        ({"snapshots": {"when": "rpo", "timezone": "UTC"}}, "snapshots.timezone", "leave it out with when: rpo"),
        ({"snapshots": {"when": "rpo"}, "rpo": "59m"}, "snapshots.when", "an rpo of at least 1h; it is 59m"),
        ({"snapshots": {"when": "always"}}, "snapshots.when", "write one of rpo"),
        ({"snapshots": {"every": "5h"}}, "snapshots.every", "hours that divide a day"),
        ({"snapshots": {"every": "4h"}}, "snapshots.every", "a shorter time, or a longer rpo, which is 4h"),
        ({"snapshots": {"cron": "0 */4 * * ? *"}}, "snapshots.cron", "closer to each other, or a longer rpo, which is 4h"),
        ({"snapshots": {"cron": "0 3 ? * SUN *"}, "rpo": "1w"}, "snapshots.cron", "a longer rpo, which is 7d"),
        ({"snapshots": {"cron": "0 3 * * *"}}, "snapshots.cron", "write six fields"),
        ({"consistent": "volume"}, "consistent", "leave it out without snapshots"),
        ({"after": {"ssm_document": "thaw"}}, "after", "leave it out without snapshots"),
    ],
)
def test_snapshots_that_contradict_the_rpo_or_themselves_are_refused(policy: dict[str, Any], key: str, right: str) -> None:
    assert right in problems(document(**{"rpo": "4h"} | policy))[f"policies[0].{key}"][0]


@pytest.mark.parametrize(
    "policy",
    [
        {"snapshots": {"when": "rpo"}, "rpo": "1h"},
        {"snapshots": {"every": "3h"}},
        {"snapshots": {"cron": "0 */3 * * ? *"}},
        {"snapshots": {"cron": "0 3 ? * SUN *"}, "rpo": "8d"},
    ],
)
def test_snapshots_that_keep_the_rpo_are_read(policy: dict[str, Any]) -> None:
    assert parse_document(document(**{"rpo": "4h"} | policy)).policies[0].snapshots


@pytest.mark.parametrize(
    ("data", "path", "nearest"),
    [
        ({"version": 1, "policys": []}, "policys", "policies"),
        (document(retention={"keep_dayly": 3}), "policies[0].retention.keep_dayly", "keep_daily"),
        (document(retention={"Keep_Last": 3}), "policies[0].retention.Keep_Last", "keep_last"),
        (document(select={"tag": {"a": "b"}}), "policies[0].select.tag", "tags"),
        (document(select={"volume_types": ["gp4"]}), "policies[0].select.volume_types[0]", "gp3"),
        (document(select={"roles": ["rot"]}), "policies[0].select.roles[0]", "root"),
        (document(retention={"timezone": "Europe/Berln"}), "policies[0].retention.timezone", "Europe/Berlin"),
        (copying(kmskey="x"), "policies[0].copies[0].kmskey", "kms_key"),
    ],
)
def test_a_typing_error_gets_the_nearest_valid_word(data: object, path: str, nearest: str) -> None:
    assert problems(data)[path][1] == nearest


@pytest.mark.parametrize(
    ("data", "path", "right"),
    [
        (None, "document", "write an object with the keys version, limits, policies"),
        ([], "document", "write an object"),
        ({"version": 1, "policies": []}, "policies", "write at least one policy"),
        ({"version": 1}, "policies", "write at least one policy"),
        ({"version": True, "policies": []}, "version", "write 1"),
        (document() | {"version": "1"}, "version", "write 1"),
        (document() | {"limits": {"max_deletions": "9"}}, "limits.max_deletions", "a whole number from 1 to 100000"),
        (document(retention={"keep_last": 0}), "policies[0].retention.keep_last", "a count of 0 would keep nothing"),
        (document(retention={"minimum": 0}), "policies[0].retention.minimum", "write 1 or more"),
        (document(retention={"keep_last": -1}), "policies[0].retention.keep_last", "a number from 1 to 100000"),
        (document(retention={"keep_within": "0d"}), "policies[0].retention.keep_within", "a duration from 1h"),
        (document(retention={"keep_within": "3 days"}), "policies[0].retention.keep_within", "hours, days or weeks"),
        (document(retention=[]), "policies[0].retention", "write an object"),
        (document(name=""), "policies[0].name", "something like gold"),
        (document(select={"tags": {"Backup": True}}), "policies[0].select.tags.Backup", "in quotes if it looks like"),
        (document(select={"volume_ids": ["i-0123"]}), "policies[0].select.volume_ids[0]", "something like vol-"),
        (document(copies={}), "policies[0].copies", "write a list"),
        (copying(region="ohio"), "policies[0].copies[0].region", "something like us-east-2"),
        (copying(kms_key="dr"), "policies[0].copies[0].kms_key", "something like alias/dr"),
        (copying(completion_duration="20m"), "policies[0].copies[0].completion_duration", "a multiple of 15m"),
        (copying(completion="auto", copy_budget="5 EUR/month"), "policies[0].copies[0].copy_budget", "50 USD/month"),
        (copying(completion_duration="49h"), "policies[0].copies[0].completion_duration", "from 15m to 2d"),
        (copying(carry_tags="yes"), "policies[0].copies[0].carry_tags", "true or false"),
        (document(select={"tags": {"": "x"}}), "policies[0].select.tags", "a key before each value"),
        (document(before={"ssm_document": "thaw", "timeout": "5m"}), "policies[0].before.timeout", "60s, from 10s to 120s"),
    ],
)
def test_a_wrong_value_is_reported_with_valid_ones(data: object, path: str, right: str) -> None:
    assert right in problems(data)[path][0]


ARN = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (copying(copy_within="5h"), "policies[0].copies[0].copy_within"),
        (copying(copy_within="1h", completion_duration="2h"), "policies[0].copies[0].completion_duration"),
        (copying(completion="auto", completion_duration="1h"), "policies[0].copies[0].completion"),
        (copying(copy_budget="5 USD/month"), "policies[0].copies[0].copy_budget"),
        (copying(kms_key=ARN), "policies[0].copies[0].kms_key"),
        (copying(region="us-east-1"), "policies[0].copies[0].region"),
        (document(copies=[{"region": "us-east-2", "retention": {}}] * 2), "policies[0].copies[1].region"),
        (document(select={"min_size_gib": 9, "max_size_gib": 8}), "policies[0].select.min_size_gib"),
        (document(select={"volume_ids": ["vol-0a"], "exclude_volume_ids": ["vol-0a"]}), "policies[0].select.exclude_volume_ids"),
        (document(select={"instance_tags": {"A": "x"}, "roles": ["unattached"]}), "policies[0].select.roles"),
        (document(select={"availability_zones": ["us-east-1a", "us-west-2a"]}), "policies[0].select.availability_zones[1]"),
        (document(select={"tags": {"A": "x"}, "exclude_tags": {"A": "*"}}), "policies[0].select.exclude_tags.A"),
    ],
)
def test_contradictions_are_refused(data: object, path: str) -> None:
    assert set(problems(data, region="us-east-1")) == {path}


def test_the_deadline_of_a_copy_rule_derives_from_the_rpo() -> None:
    assert parse_document(copying()).policies[0].copies[0].copy_within == timedelta(hours=4)


def test_an_empty_retention_keeps_everything_and_must_be_written() -> None:
    assert parse_document(document(retention={})).policies[0].retention == Retention()
    assert (
        "{} keeps every snapshot"
        in problems({"version": 1, "policies": [{"name": "a", "select": {}}]})["policies[0].retention"][0]
    )


def test_limits_that_the_document_leaves_out_are_the_stacks() -> None:
    stack = Limits(7, 8, 9)
    assert parse_document(document(), limits=stack).limits == stack
    assert parse_document(document() | {"limits": {"max_deletions": 100}}, limits=stack).limits == Limits(100, 8, 9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\nversion: 1\n", "line 2, column 1"),
        ("policies: [\n", "not readable at line"),
        ("a: &x 1\nb: *x\n", "aliases"),
        ("\x00", "not readable"),
    ],
)
def test_invalid_yaml_is_reported_with_its_position(text: str, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        load_text(text)


def test_a_written_document_has_no_values_at_their_defaults() -> None:
    limits = {"limits": {"max_deletions": 100, "max_share_percent": 75}}
    assert to_document(parse_document(document())) == document() | limits


@pytest.mark.parametrize("limits", [Limits(), Limits(7, 8, 9)])
def test_a_written_document_is_the_same_under_any_limits_of_the_stack(limits: Limits) -> None:
    """A document that `show` printed and a person pushes again does not get the stack's wider limits."""
    written = to_document(parse_document(document(), limits=limits))
    assert parse_document(written, limits=Limits(500, 90)).limits == limits


def test_durations_read_and_write_the_same() -> None:
    for text in ("90m", "4h", "3d", "36h"):
        assert format_duration(parse_duration(text)) == text
    assert parse_duration("1w") == timedelta(days=7)
    assert format_duration(timedelta(0)) == "0m"
    with pytest.raises(ValueError, match="36500d"):
        parse_duration("9999999999999d")
    with pytest.raises(ValueError, match="whole number"):
        parse_duration("\uff14h")


def test_the_price_of_a_completion_duration_is_the_documented_one() -> None:
    shown = {minutes: completion_price_usd_per_gib(minutes) for minutes in (0, 15, 30, 45, 60, 105, 120, 240, 480, 960, 2880)}
    assert shown == {
        0: 0.0,
        15: 0.020,
        30: 0.018,
        45: 0.018,
        60: 0.016,
        105: 0.016,
        120: 0.014,
        240: 0.012,
        480: 0.010,
        960: 0.005,
        2880: 0.005,
    }
