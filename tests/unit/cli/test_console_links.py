"""Ids link to AWS's console where the terminal has hyperlinks, with every value quoted, and nowhere else."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.console_links import ConsoleLinks
from snapkeep.cli.output import literal
from snapkeep.cli.views.explain import print_story
from snapkeep.cli.views.plan import LineLayout, write_csv, write_plan
from snapkeep.cli.views.plan_changes import write_changes
from snapkeep.domain.model import Volume
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.domain.retention.region_plan import RegionFacts, RegionPlan, plan_region
from snapkeep.usecases.look.explain import Story, StoryEvent, StoryEventKind
from support.lineages import REGION, SYSTEM, copy_of, snapshot

LINKS = ConsoleLinks()
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ARN = "arn:aws:states:us-east-1:123456789012:execution:snapkeep-protect:run 1#x"
SOURCE = snapshot(NOW, 1)
HOST = "https://us-east-1.console.aws.amazon.com"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LINKS.snapshot(REGION, "snap-1"), f"{HOST}/ec2/home?region={REGION}#SnapshotDetails:snapshotId=snap-1"),
        (LINKS.volume(REGION, "vol-1"), f"{HOST}/ec2/home?region={REGION}#VolumeDetails:volumeId=vol-1"),
        (
            LINKS.execution(REGION, ARN),
            f"{HOST}/states/home?region={REGION}#/v2/executions/details/{ARN.removesuffix(' 1#x')}%201%23x",
        ),
        (
            LINKS.volume("cn-north-1", "vol-1"),
            "https://cn-north-1.console.amazonaws.cn/ec2/home?region=cn-north-1#VolumeDetails:volumeId=vol-1",
        ),
        (
            LINKS.volume("us-gov-west-1", "vol-1"),
            "https://us-gov-west-1.console.amazonaws-us-gov.com/ec2/home?region=us-gov-west-1#VolumeDetails:volumeId=vol-1",
        ),
        (LINKS.volume("us-iso-east-1", "vol-1"), ""),
        (LINKS.volume("evil.example/", "vol-1"), ""),
        (LINKS.volume(REGION, "\x1b\\x"), f"{HOST}/ec2/home?region={REGION}#VolumeDetails:volumeId=%1B%5Cx"),
    ],
)
def test_a_link_fits_its_partition_and_quotes_its_values(url: str, expected: str) -> None:
    assert url == expected


@pytest.mark.parametrize(("option", "variable"), [("http://127.0.0.1:4566", ""), ("", "http://127.0.0.1:4566")])
def test_another_endpoint_has_no_console(option: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", variable)
    assert AwsSettings(REGION, "", endpoint_url=option).console_links.volume(REGION, "vol-1") == ""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert AwsSettings(REGION, "").console_links.volume(REGION, "vol-1") != ""


@pytest.mark.parametrize(("terminal", "count"), [(True, 1), (False, 0)])
def test_a_link_is_written_only_to_a_terminal(terminal: bool, count: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, color_system="256" if terminal else None, width=300)
    console.print(literal("vol-1", link=LINKS.volume(REGION, "vol-1")))
    assert out.getvalue().count(LINKS.volume(REGION, "vol-1")) == count
    assert "vol-1" in out.getvalue()


def test_a_story_links_its_snapshot_volume_copies_and_executions() -> None:
    copy = copy_of(SOURCE, "us-east-2", 2)
    events = (StoryEvent(NOW, StoryEventKind.EXECUTION, "run snapkeep-protect:run 1#x: SUCCEEDED", ARN),)
    story = Story(SOURCE.id, REGION, SOURCE, SOURCE.origin, None, None, (copy,), (), events)
    out = io.StringIO()
    print_story(Console(file=out, force_terminal=True, color_system="256", width=300), story, LINKS)
    for url in (
        LINKS.snapshot(REGION, SOURCE.id),
        LINKS.volume(REGION, SOURCE.origin.volume_id),
        LINKS.snapshot("us-east-2", copy.id),
        LINKS.execution(REGION, ARN),
    ):
        assert url in out.getvalue()


def plan_of(name: str = "", policies: PolicySet | None = None) -> RegionPlan:
    volume = Volume(SOURCE.origin.volume_id, REGION, 8, "gp3", tags={"Name": name} if name else {})
    gold = Policy("gold", Selector(), Retention(keep_last=1), (CopyRule("us-east-2"),))
    return plan_region(RegionFacts(REGION, [volume], [SOURCE]), policies or PolicySet((gold,)), NOW, system=SYSTEM)


def test_a_plan_has_names_before_ids_and_links() -> None:
    out = io.StringIO()
    write_plan(out, plan_of("the database"), LineLayout())
    assert f"\nthe database  {SOURCE.origin.volume_id}  gold: " in out.getvalue()
    assert f"  of the database  {SOURCE.origin.volume_id}\n" in out.getvalue()
    linked = io.StringIO()
    write_plan(linked, plan_of("the database"), LineLayout(links=LINKS))
    assert linked.getvalue().count(f"\x1b]8;;{LINKS.volume(REGION, SOURCE.origin.volume_id)}\x1b\\") == 1
    assert linked.getvalue().count(f"\x1b]8;;{LINKS.snapshot(REGION, SOURCE.id)}\x1b\\") == 1
    table = io.StringIO()
    write_csv(table, [plan_of("=1+1")])
    assert table.getvalue().splitlines()[1].endswith(",'=1+1")


def test_the_changes_of_a_plan_have_names() -> None:
    out = io.StringIO()
    write_changes(out, plan_of("the database"), plan_of("the database", PolicySet(())), LineLayout())
    assert f"  the database  {SOURCE.origin.volume_id}  from gold to no policy" in out.getvalue()
    assert f"  of the database  {SOURCE.origin.volume_id}\n" in out.getvalue()


def test_a_copy_in_a_dr_region_has_the_name_that_it_carries() -> None:
    copy = replace(copy_of(SOURCE, "us-east-2", 2), tags=dict(SOURCE.tags) | {"Name": "the database"})
    plan = plan_region(RegionFacts("us-east-2", (), [copy]), PolicySet(()), NOW, system=SYSTEM)
    assert plan.names == {SOURCE.origin.lineage: "the database"}
