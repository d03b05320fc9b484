"""Values that anybody can write into tags are printed as they are, and steer nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from snapkeep.cli.output import csv_cell, literal, printable, prometheus_label, titled, write_lines
from snapkeep.cli.views.explain import print_story
from snapkeep.cli.views.plan import LineLayout, write_csv, write_plan
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.retention.region_plan import RegionFacts, plan_region
from snapkeep.usecases.look.explain import Story
from support.lineages import SYSTEM, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MARKUP = ["[/foo]", "[red]x", "[link=https://example.com]x"]


def forged(region: str) -> Snapshot:
    """Return a copy whose tags name a source region that is none."""
    source = snapshot(NOW, 1)
    return replace(source, region="us-east-2", origin=replace(source.origin, region=region))


def story_of(copy: Snapshot) -> str:
    story = Story(copy.id, copy.region, copy, copy.origin, None, None, (), (), ())
    out = io.StringIO()
    print_story(Console(file=out, width=120, force_terminal=True, color_system=None), story)
    return out.getvalue()


def plan_of(copy: Snapshot, write: Callable[..., None], *arguments: object) -> str:
    out = io.StringIO()
    plan = plan_region(RegionFacts(copy.region, (), [copy]), PolicySet(()), NOW, system=SYSTEM)
    assert plan.volumes
    write(out, *(arguments or ([plan],)) if write is write_csv else (plan, *arguments))
    return out.getvalue()


@pytest.mark.parametrize("region", MARKUP)
def test_explain_prints_a_forged_region_literally(region: str) -> None:
    assert f"vol-0a in {region} as of" in story_of(forged(region))


def test_explain_escapes_control_characters() -> None:
    shown = story_of(forged("us\u009b31m\u202e\x1b]8;;https://example.com\x07east"))
    assert r"us\x9b31m\u202e\x1b]8;;https://example.com\x07east" in shown
    assert not {"\u009b", "\u202e", "\x07"} & set(shown)


def test_a_plan_escapes_control_characters() -> None:
    shown = plan_of(forged("us\u009b31m\x1b[2Jeast"), write_plan, LineLayout())
    assert r"(of us\x9b31m\x1b[2Jeast)" in shown
    assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize("region", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_csv_is_a_formula(region: str) -> None:
    (_, row) = csv.reader(io.StringIO(plan_of(forged(region), write_csv)))
    assert row[1] == f"'{printable(region)}"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a name", "a name"),
        ("Größe 数", "Größe 数"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x7f\x80\x9f", r"\x7f\x80\x9f"),
        ("\u2028\u200f\U000e0041", "\\u2028\\u200f\\U000e0041"),
    ],
)
def test_printable_escapes_control_characters(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_literal_is_neither_markup_nor_a_new_line() -> None:
    """A volume's name with a line break made a line of its own in `status`."""
    assert literal("[red]x").plain == "[red]x"
    assert literal("web\n✗ all is lost").plain == r"web\n✗ all is lost"


def test_lines_for_people_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(["held: because\n✗ all is lost", "", "next"])
    assert capsys.readouterr().out == "held: because\\n✗ all is lost\nnext\n"


def test_an_ordinary_cell_is_unchanged() -> None:
    assert csv_cell("us-east-1") == "us-east-1"


def test_a_label_of_prometheus_ends_where_it_should() -> None:
    assert prometheus_label('a"} 1\n\\') == 'a\\"} 1\\n\\\\'


def test_a_name_makes_no_new_line_in_a_plan() -> None:
    named = replace(snapshot(NOW, 1), tags={"Name": "database\n  2026-11-01 00:00  snap-0f  keep   newest"})
    shown = plan_of(replace(named, is_copy=True, region="us-east-2"), write_plan, LineLayout(columns=140))
    assert r"database\n  2026-11-01" in shown
    assert titled("a\nb", "vol-1") == r"a\nb  vol-1"
