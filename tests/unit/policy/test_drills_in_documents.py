"""Drills in a policy document: what they say, what is refused, and how they are shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from snapkeep.cli.views.policy import summary_lines
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.drill_rules import DrillCommand, DrillLevel, DrillPick, DrillRule, DrillSchedule
from snapkeep.domain.policy.problem import InvalidPolicy

WHOLE: dict[str, Any] = {
    "name": "gold-weekly",
    "policies": ["gold"],
    "in": "us-east-2",
    "schedule": {"cron": "0 4 ? * SUN *", "timezone": "Europe/Berlin"},
    "pick": {"rotate": 3, "oldest_within": "30d"},
    "rto": "2h",
    "covered_within": "90d",
    "budget": "20 USD/month",
}


def document(*drills: dict[str, Any]) -> dict[str, Any]:
    copies = [{"region": "us-east-2", "retention": {"keep_last": 3}}]
    policies = [
        {"name": "gold", "select": {"tags": {"Backup": "gold"}}, "retention": {"keep_last": 7}, "copies": copies},
        {"name": "local", "select": {}, "retention": {"keep_last": 7}},
    ]
    return {"version": 1, "policies": policies, "drills": list(drills)}


def test_a_drill_is_read_and_written_again() -> None:
    policies = parse_document(document(WHOLE))
    assert policies.drills == (
        DrillRule(
            "gold-weekly",
            ("gold",),
            "us-east-2",
            DrillSchedule("0 4 ? * SUN *", "Europe/Berlin"),
            DrillPick(rotate=3, oldest_within=timedelta(days=30)),
            DrillLevel.VOLUME,
            timedelta(hours=2),
            timedelta(days=90),
            "20 USD/month",
        ),
    )
    assert policies.drills[0].budget_usd == 20
    assert to_document(policies)["drills"] == [WHOLE]
    assert policies.drills_in("us-east-2") == list(policies.drills)
    assert policies.drills_in("eu-west-1") == []


def test_the_smallest_drill_restores_the_newest_point_of_one_volume() -> None:
    least = {key: WHOLE[key] for key in ("name", "policies", "in")} | {"schedule": {"cron": "0 4 * * ? *"}}
    [drill] = parse_document(document(least)).drills
    assert (drill.pick, drill.level, drill.rto, drill.budget_usd) == (DrillPick(), "volume", timedelta(0), 0)
    assert to_document(parse_document(document(least)))["drills"] == [least]


@pytest.mark.parametrize(
    ("changes", "path", "right"),
    [
        ({"policies": ["golt"]}, "drills[0].policies[0]", "write the name of a policy: gold, local"),
        ({"policies": ["local"]}, "drills[0].in", "local copies to: there is none"),
        ({"in": "eu-west-1"}, "drills[0].in", "a region that gold copies to: us-east-2"),
        ({"pick": {"latest": True, "random": True}}, "drills[0].pick.random", "latest says which point"),
        ({"pick": {"rotate": 0}}, "drills[0].pick.rotate", "1 or more"),
        ({"schedule": {"cron": "0 4 * * SUN *"}}, "drills[0].schedule.cron", "write ? for either"),
        ({"schedule": {"cron": "0 25 ? * SUN *"}}, "drills[0].schedule.cron", "hours: '25'"),
        ({"schedule": {"cron": "0 4 * * ? *", "timezone": "Berlin"}}, "drills[0].schedule.timezone", "IANA name"),
        ({"level": "disk"}, "drills[0].level", "write one of volume"),
        ({"rto": "2d"}, "drills[0].rto", "write a duration from 1m to 1d"),
        ({"covered_within": "5h"}, "drills[0].covered_within", "write a duration from 1d"),
        ({"budget": "20 USD"}, "drills[0].budget", "20 USD/month"),
        ({"budget": "0 USD/month"}, "drills[0].budget", "20 USD/month"),
        ({"colour": "red"}, "drills[0].colour", "no such key"),
    ],
)
def test_an_error_names_the_field_and_a_valid_value(changes: dict[str, Any], path: str, right: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(document(WHOLE | changes))
    [problem] = refused.value.problems
    assert problem.path == path
    assert right in str(problem)


def test_two_drills_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidPolicy, match=r"drills\[1\].name"):
        parse_document(document(WHOLE, WHOLE))


@pytest.mark.parametrize("missing", ["name", "policies", "in", "schedule"])
def test_the_required_fields_of_a_drill_are_named(missing: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(document({key: value for key, value in WHOLE.items() if key != missing}))
    assert f"drills[0].{missing}" in {problem.path for problem in refused.value.problems}


def test_policies_are_shown_with_their_drills() -> None:
    shown = list(summary_lines(parse_document(document(WHOLE)), ()))
    assert (
        "drill gold-weekly in us-east-2: policy gold; at 0 4 ? * SUN * (Europe/Berlin); 3 volumes each time, the oldest point "
        "within 30d of each; rto 2h; each volume within 90d; at most 20 USD a month"
    ) in shown


SHOP = {"name": "shop", "instances": {"tags": {"App": "shop"}}}
OF_GROUP = {key: WHOLE[key] for key in ("name", "policies", "in", "schedule")} | {"level": "instance", "group": "shop"}


OF_INSTANCES = WHOLE | {
    "level": "instance",
    "map": {"instance_types": {"m5.4xlarge": "t3.large"}},
    "instance_price": "0.0832 USD/hour",
    "command": {"document": "snapkeep-drill-check", "timeout": "5m"},
}


def test_a_drill_of_instances_is_read_written_again_and_shown() -> None:
    policies = parse_document(document(OF_INSTANCES))
    [drill] = policies.drills
    assert (drill.map.instance_types, drill.instance_usd_per_hour) == ({"m5.4xlarge": "t3.large"}, 0.0832)
    assert drill.command == DrillCommand("snapkeep-drill-check", timedelta(minutes=5))
    assert to_document(policies)["drills"] == [OF_INSTANCES]
    assert "command snapkeep-drill-check within 5m" in "\n".join(summary_lines(policies, set()))
    assert "instances at 0.0832 USD an hour; t3.large in place of m5.4xlarge" in "\n".join(summary_lines(policies, set()))


@pytest.mark.parametrize(
    ("changes", "path", "right"),
    [
        ({"budget": None, "instance_price": ""}, "drills[0].instance_price", "0.10 USD/hour"),
        ({"budget": None, "instance_price": "0 USD/hour"}, "drills[0].instance_price", "0.10 USD/hour"),
        ({"budget": None, "instance_price": "60 USD/month"}, "drills[0].instance_price", "0.10 USD/hour"),
        ({"map": {"instance_types": {}}}, "drills[0].map.instance_types", "such as {m5.4xlarge: t3.large}"),
        ({"map": {"instance_types": {"m5": "t3.large"}}}, "drills[0].map.instance_types.m5", "something like t3.large"),
        ({"map": {"instance_types": {"m5.large": 3}}}, "drills[0].map.instance_types.m5.large", "write text"),
        ({"map": {"subnets": {"a": "b"}}}, "drills[0].map.subnets", "there are: instance_types"),
        ({"command": {}}, "drills[0].command.document", "write the name of a document of Systems Manager"),
        ({"command": {"document": "AWS-RunShellScript"}}, "drills[0].command.document", "snapkeep-drill-check"),
        ({"command": {"document": "snapkeep-drill-x", "timeout": "2d"}}, "drills[0].command.timeout", "from 1m to 12h"),
        ({"level": "volume", "map": None, "instance_price": None}, "drills[0].command", "or write level: instance"),
        ({"level": "volume", "map": None, "command": None}, "drills[0].instance_price", "leave it out, or write level: instance"),
        ({"level": "volume", "instance_price": None, "command": None}, "drills[0].map", "leave it out, or write level: instance"),
        ({"instance_price": None}, "drills[0].budget", "write instance_price too"),
    ],
)
def test_errors_about_instances_name_the_field_and_a_valid_value(changes: dict[str, Any], path: str, right: str) -> None:
    drill = {key: value for key, value in (OF_INSTANCES | changes).items() if value is not None}
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(document(drill))
    [problem] = refused.value.problems
    assert problem.path == path
    assert right in str(problem)


def test_a_drill_of_a_group_is_read_written_again_and_shown() -> None:
    policies = parse_document(document(OF_GROUP) | {"groups": [SHOP]})
    [drill] = policies.drills
    assert (drill.level, drill.group) == (DrillLevel.INSTANCE, "shop")
    assert to_document(policies)["drills"] == [OF_GROUP]
    assert "the instances of group shop each time" in "\n".join(summary_lines(policies, set()))


def test_a_drill_of_instances_shows_their_number() -> None:
    policies = parse_document(document(OF_INSTANCES))
    assert "3 instances each time" in "\n".join(summary_lines(policies, set()))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"group": "store"}, "drills[0].group is 'store': write the name of a group: shop"),
        ({"level": "volume"}, "drills[0].level is 'volume': write instance: a group has instances"),
        ({"pick": {"rotate": 2}}, "drills[0].pick.rotate is 2: leave it out: a group is drilled as a whole"),
    ],
)
def test_an_impossible_drill_of_a_group_is_refused(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(document(OF_GROUP | changed) | {"groups": [SHOP]})
    assert problem in "; ".join(map(str, refused.value.problems))
