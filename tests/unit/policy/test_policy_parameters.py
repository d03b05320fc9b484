"""The stacks' parameters are a complete policy, and one place in the code makes it."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.model import Volume
from snapkeep.domain.policy.document import parse_document, to_document
from snapkeep.domain.policy.model import Limits, PolicySet, Retention, Selector
from snapkeep.domain.policy.parameters import from_dr_parameters, from_parameters
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from support.lineages import SYSTEM, copy_of, snapshot

LIMITS = Limits()
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


def made(
    *, tag_key_value: str = "none", dr_region: str = "us-east-2", retention: int = 7, dr_retention: int = 1, copy_within: int = 24
) -> PolicySet:
    return from_parameters(tag_key_value, dr_region, retention, dr_retention, "", copy_within, LIMITS, region="us-east-1")


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("none", Selector()),
        ("Backup", Selector(tags={"Backup": ("*",)})),
        ("Backup=gold*", Selector(tags={"Backup": ("gold*",)})),
        ("Backup=a=b", Selector(tags={"Backup": ("a=b",)})),
    ],
)
def test_the_tag_key_selects_the_volumes(text: str, selector: Selector) -> None:
    assert made(tag_key_value=text).policies[0].selector == selector


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"retention": 0}, "Retention: 0"),
        ({"dr_retention": 0}, "DRRetention: 0"),
        ({"copy_within": 0}, "CopyWithinHours: 0"),
        ({"dr_region": "us-east-1"}, "DRRegion: us-east-1 is the primary's own region"),
        ({"dr_region": "Ohio"}, "DRRegion: 'Ohio'"),
        ({"tag_key_value": "=x"}, "tagKeyValue: '=x'"),
        ({"tag_key_value": ""}, "tagKeyValue: ''"),
        ({"tag_key_value": "Backup="}, "tagKeyValue: 'Backup='"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_range(wrong: dict[str, int], parameter: str) -> None:
    with pytest.raises(InvalidConfiguration, match=re.escape(parameter)):
        made(**wrong)


def test_the_dr_stack_knows_its_own_retention() -> None:
    policies = from_dr_parameters("us-east-2", 3, LIMITS)
    rule = policies.policies[0].copy_rule("us-east-2")
    assert rule is not None
    assert rule.retention == Retention(keep_last=3)
    assert policies.policies[0].name == made().policies[0].name
    with pytest.raises(InvalidConfiguration, match=r"^Retention: 0"):
        from_dr_parameters("us-east-2", 0, LIMITS)


@pytest.mark.parametrize(("tag_key_value", "hours"), [("none", 24), ("Backup", 4), ("Backup=gold", 48)])
def test_parameters_alone_decide_as_the_equal_document_does(tag_key_value: str, hours: int) -> None:
    parameters = made(tag_key_value=tag_key_value, retention=3, dr_retention=1, copy_within=hours)
    selects = {"none": {}, "Backup": {"tags": {"Backup": "*"}}, "Backup=gold": {"tags": {"Backup": "gold"}}}
    rule = {"region": "us-east-2", "copy_within": f"{hours}h", "retention": {"keep_last": 1}}
    policy = {"name": "default", "select": selects[tag_key_value], "retention": {"keep_last": 3}, "copies": [rule]}
    equal = parse_document({"version": 1, "policies": [policy | ({"rpo": "48h"} if hours == 48 else {})]})
    sources = [snapshot(NOW - timedelta(days=day), day + 1, policy="default") for day in range(9)]
    copies = [copy_of(source, "us-east-2", number) for number, source in enumerate(sources[2:], start=1)]
    volumes = [
        Volume("vol-0a", "us-east-1", 8, "gp3", tags={"Backup": "gold"}),
        Volume("vol-0b", "us-east-1", 8, "gp3"),
    ]
    primary = RegionFacts("us-east-1", volumes, [*sources, snapshot(NOW, 99, volume="vol-0b")], {"us-east-2": copies})
    for facts in (primary, RegionFacts("us-east-2", [], copies)):
        by_parameters = plan_region(facts, parameters, NOW, system=SYSTEM)
        by_document = plan_region(facts, equal, NOW, system=SYSTEM)
        assert by_parameters.volumes == by_document.volumes
        assert by_parameters.deletions
    assert parse_document(to_document(parameters), source=parameters.source) == parameters


def test_a_primary_stack_does_not_know_how_many_copies_another_region_keeps() -> None:
    policies = made(dr_retention=3)
    assert policies.as_planned_in("us-east-1").policies[0].copies[0].retention == Retention(keep_last=1)
    assert policies.as_planned_in("us-east-2") == policies
    document = parse_document(to_document(policies))
    assert document.as_planned_in("us-east-1") is document
