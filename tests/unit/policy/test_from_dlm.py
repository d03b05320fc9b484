"""A policy of Data Lifecycle Manager becomes a document that keeps no less, and every other field is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape
from typer.testing import CliRunner

from snapkeep.cli.commands.policy import app
from snapkeep.domain.policy.document import STANDARD_LIMITS, parse_document
from snapkeep.domain.policy.source import PolicySource, SourceKind
from snapkeep.policyfile.from_dlm import NotTranslatable, translate

GOLD = {"Key": "Backup", "Value": "gold"}
DAILY = {"Interval": 24, "IntervalUnit": "HOURS", "Times": ["03:00"]}
SNAPSHOTS = {"PolicyType": "EBS_SNAPSHOT_MANAGEMENT", "ResourceTypes": ["VOLUME"], "TargetTags": [GOLD]}


def schedule(retain: dict[str, Any], create: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"Name": "s", "CopyTags": True, "CreateRule": create or DAILY, "RetainRule": retain, **more}


def translated(details: dict[str, Any]) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the policies, which are valid, and the names of the fields without a counterpart."""
    translation = translate(details)
    parse_document(translation.document, region="", source=PolicySource(SourceKind.FILE), limits=STANDARD_LIMITS)
    assert all(field.text for field in translation.untranslated)
    return translation.document["policies"], {field.field for field in translation.untranslated}


def test_tags_of_instances_become_instance_tags() -> None:
    details = SNAPSHOTS | {"ResourceTypes": ["INSTANCE"], "Parameters": {"ExcludeBootVolume": True}}
    policies, left = translated(details | {"Schedules": [schedule({"Count": 14})]})
    assert policies[0]["select"] == {"instance_tags": {"Backup": ["gold"]}, "roles": ["data", "unattached"]}
    assert left == {"Schedules[0].CreateRule"}


def test_the_documented_example_is_translated() -> None:
    copy = {
        "TargetRegion": "us-east-2",
        "Encrypted": True,
        "CmkArn": "arn:aws:kms:us-east-2:123456789012:key/k",
        "CopyTags": True,
        "RetainRule": {"Interval": 30, "IntervalUnit": "DAYS"},
    }
    monthly = {"CronExpression": "cron(0 4 1 * ? *)"}
    schedules = [
        schedule({"Count": 14}, CrossRegionCopyRules=[copy]),
        schedule({"Count": 12}, monthly, CrossRegionCopyRules=[copy]),
    ]
    policies, left = translated(SNAPSHOTS | {"Schedules": schedules})
    assert policies == [
        {
            "name": "backup",
            "select": {"tags": {"Backup": ["gold"]}},
            "retention": {"keep_daily": 15, "keep_monthly": 13},
            "copies": [
                {"region": "us-east-2", "kms_key": copy["CmkArn"], "retention": {"keep_within": "30d"}},
            ],
        }
    ]
    assert left == {"Schedules[0].CreateRule", "Schedules[1].CreateRule"}


@pytest.mark.parametrize(
    ("create", "retention"),
    [
        ({"Interval": 1}, {"keep_hourly": 6}),
        ({"Interval": 6}, {"keep_hourly": 31}),
        ({"CronExpression": "cron(0 */8 * * ? *)"}, {"keep_hourly": 49}),
        ({"CronExpression": "cron(0 3 * * ? *)"}, {"keep_daily": 6}),
        ({"CronExpression": "cron(0 3 ? * MON,WED,FRI *)"}, {"keep_daily": 15}),
        ({"CronExpression": "cron(0 3 ? * SUN *)"}, {"keep_weekly": 6}),
        ({"CronExpression": "cron(0 3 L * ? *)"}, {"keep_monthly": 6}),
        ({"CronExpression": "cron(0 3 1 1 ? *)"}, {"keep_yearly": 6}),
    ],
)
def test_several_schedules_keep_by_their_periods(create: dict[str, Any], retention: dict[str, Any]) -> None:
    age = schedule({"Interval": 2, "IntervalUnit": "MONTHS"}, {"CronExpression": "cron(0 3 1,15 * ? *)"})
    (policy,), left = translated(SNAPSHOTS | {"Schedules": [schedule({"Count": 5}, create), age]})
    assert policy["retention"] == retention | {"keep_within": "62d"}
    assert "Schedules[0].RetainRule" not in left


@pytest.mark.parametrize(
    ("create", "keep", "retention"),
    [
        ({"CronExpression": "cron(0 4 1 * ? *)"}, (1, "YEARS"), {"keep_daily": 15, "keep_monthly": 13}),
        ({"CronExpression": "cron(0 4 ? * SUN *)"}, (8, "WEEKS"), {"keep_daily": 15, "keep_weekly": 9}),
        ({"Interval": 6}, (2, "DAYS"), {"keep_daily": 15, "keep_hourly": 49}),
        ({"Interval": 24}, (1, "WEEKS"), {"keep_daily": 15 + 8}),
    ],
)
def test_an_age_with_another_schedule_becomes_periods(
    create: dict[str, Any], keep: tuple[int, str], retention: dict[str, int]
) -> None:
    """A monthly schedule that keeps a year became `keep_within: 366d`, which keeps a year of the daily ones too."""
    age = schedule({"Interval": keep[0], "IntervalUnit": keep[1]}, create)
    (policy,), _ = translated(SNAPSHOTS | {"Schedules": [schedule({"Count": 14}), age]})
    assert policy["retention"] == retention


def test_a_single_count_is_keep_last() -> None:
    (policy,), _ = translated(SNAPSHOTS | {"Schedules": [schedule({"Count": 9})]})
    assert policy["retention"] == {"keep_last": 9}


@pytest.mark.parametrize(
    "cron", ["cron(0 3 ? * 6L *)", "cron(0 3 ? * MON#1 *)", "cron(0 3 1,15 * ? *)", "cron(0 3 31 * ? *)", "cron(0 3 * ? *)"]
)
def test_an_unknown_period_keeps_by_number_and_is_named(cron: str) -> None:
    odd = {"CronExpression": cron}
    (policy,), left = translated(SNAPSHOTS | {"Schedules": [schedule({"Count": 3}, odd), schedule({"Count": 2})]})
    assert policy["retention"] == {"keep_last": 3, "keep_daily": 3}
    assert "Schedules[0].RetainRule" in left


def test_any_of_several_tags_makes_a_policy_for_each_key() -> None:
    tags = [GOLD, {"Key": "Backup", "Value": "silver"}, {"Key": "Team", "Value": "db"}]
    policies, _ = translated(SNAPSHOTS | {"TargetTags": tags, "Schedules": [schedule({"Count": 1})]})
    assert [(policy["name"], policy["select"]) for policy in policies] == [
        ("backup", {"tags": {"Backup": ["gold", "silver"]}}),
        ("team", {"tags": {"Team": ["db"]}}),
    ]


def test_copies_of_one_region_keep_the_longest() -> None:
    def copy(days: int, **more: Any) -> list[dict[str, Any]]:
        return [{"TargetRegion": "eu-west-1", "RetainRule": {"Interval": days, "IntervalUnit": "DAYS"}, **more}]

    schedules = [
        schedule({"Count": 1}, CrossRegionCopyRules=copy(3, CopyTags=False)),
        schedule({"Count": 1}, CrossRegionCopyRules=copy(9, CopyTags=False)),
        schedule({"Count": 1}),
    ]
    (policy,), left = translated(SNAPSHOTS | {"Schedules": schedules})
    assert policy["copies"] == [{"region": "eu-west-1", "carry_tags": False, "retention": {"keep_within": "9d"}}]
    assert "Schedules[2]" in left, "its snapshots are copied too"


def test_a_default_policy_is_translated() -> None:
    details = {
        "PolicyLanguage": "SIMPLIFIED",
        "ResourceType": "VOLUME",
        "CreateInterval": 1,
        "RetainInterval": 14,
        "CopyTags": False,
        "ExtendDeletion": False,
        "CrossRegionCopyTargets": [{"TargetRegion": "us-east-2"}],
        "Exclusions": {
            "ExcludeBootVolumes": True,
            "ExcludeVolumeTypes": ["sc1", "st1", "standard"],
            "ExcludeTags": [{"Key": "Scratch", "Value": "yes"}],
        },
    }
    (policy,), left = translated({"PolicyDetails": details})
    assert policy["retention"] == policy["copies"][0]["retention"] == {"keep_within": "14d"}
    assert policy["select"] == {
        "exclude_tags": {"Scratch": ["yes"]},
        "roles": ["data", "unattached"],
        "volume_types": ["io1", "io2", "gp2", "gp3"],
    }
    assert left == {"CreateInterval", "CopyTags", "ExtendDeletion"}


@pytest.mark.parametrize(
    "data",
    [[], "text", {}, {"Policy": {"PolicyId": "p"}}, {"PolicyType": "IMAGE_MANAGEMENT"}, {"PolicyType": "EVENT_BASED_POLICY"}],
)
def test_other_documents_than_snapshot_policies_are_refused(data: Any) -> None:
    with pytest.raises(NotTranslatable):
        translate(data)


def filled(shape: Shape) -> Any:
    """Return a value of a shape with every member in it."""
    if isinstance(shape, StructureShape):
        return {name: filled(member) for name, member in shape.members.items()}
    if isinstance(shape, ListShape):
        return [filled(shape.member)]
    return {"integer": 3, "boolean": True}.get(shape.type_name, "DAYS" if "Unit" in shape.name else "text")


def details_shape() -> StructureShape:
    shape = botocore.session.get_session().get_service_model("dlm").operation_model("GetLifecyclePolicy").output_shape
    details = shape.members["Policy"].members["PolicyDetails"]
    assert isinstance(details, StructureShape)
    return details


def unknown_fields() -> Iterator[str]:
    everything = filled(details_shape()) | {"PolicyType": "EBS_SNAPSHOT_MANAGEMENT"}
    for language in ("STANDARD", "SIMPLIFIED"):
        translation = translate(everything | {"PolicyLanguage": language})
        yield from (field.field for field in translation.untranslated if field.text == "not known to this version")


def test_every_field_of_botocores_model_is_known() -> None:
    assert set(unknown_fields()) == set()


def test_fields_of_another_kind_of_policy_are_named() -> None:
    _, left = translated(SNAPSHOTS | {"Schedules": [schedule({"Count": 1})], "RetainInterval": 7, "Actions": [{"Name": "a"}]})
    assert {"RetainInterval", "Actions"} <= left


def test_a_field_that_botocore_does_not_have_is_named() -> None:
    _, left = translated(SNAPSHOTS | {"NewField": 1, "Schedules": [schedule({"Count": 1}, NewRule={})]})
    assert {"NewField", "Schedules[0].NewRule"} <= left


def test_the_command_prints_a_document_and_names_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "dlm.json"
    details = SNAPSHOTS | {"Schedules": [schedule({"Count": 2}, ShareRules=[{"TargetAccounts": ["123456789012"]}])]}
    file.write_text(json.dumps({"Policy": {"State": "DISABLED", "PolicyDetails": details}}))
    ran = CliRunner().invoke(app, ["from-dlm", str(file)], catch_exceptions=False)
    assert ran.exit_code == 0
    assert "limits" not in ran.stdout, "those of the stacks stay in force"
    policy = tmp_path / "policy.yaml"
    policy.write_text(ran.stdout)
    assert CliRunner().invoke(app, ["check", str(policy)]).exit_code == 0
    named = {line.split(": ")[1] for line in ran.stderr.splitlines()}
    assert named == {"State", "Schedules[0].CreateRule", "Schedules[0].ShareRules"}
    as_json = json.loads(CliRunner().invoke(app, ["from-dlm", str(file), "--json"]).stdout)
    assert {field["field"] for field in as_json["untranslated"]} == named
