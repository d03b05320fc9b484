"""Another key makes the next copies full: the question of a push, a diff and a plan's difference say so, with size and price."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from snapkeep.cli.commands.policy import app
from snapkeep.cli.views.policy_fields import field_changes, field_lines
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.usecases.policies import stored_text
from support.lineages import REGION
from support.volume_plans import DOCUMENT, DR, World

OLD, NEW = (f"arn:aws:kms:{DR}:123456789012:key/{letter * 8}" for letter in "ab")
SAID = "at most 8 GiB, 0.08 USD for the transfer and 0.40 USD a month for the storage"


def with_key(key: str) -> str:
    document: dict[str, Any] = yaml.safe_load(DOCUMENT)
    for policy in document["policies"]:
        for rule in policy.get("copies", ()):
            rule["kms_key"] = key
    return str(yaml.safe_dump(document))


@pytest.fixture
def rekeyed(world: World, tmp_path: Path) -> Path:
    """Copies under one key, in force by a document; and a document with another key."""
    world.listings[DR] = [replace(copy, encrypted=True, kms_key_id=OLD) for copy in world.listings[DR]]
    for region in (REGION, DR):
        world.documents[region] = [stored_text(yaml.safe_load(with_key(OLD)))]
    path = tmp_path / "rekeyed.yaml"
    path.write_text(with_key(NEW), encoding="utf-8")
    return path


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--region", REGION])


def test_a_push_shows_the_number_and_the_cost_of_full_copies(rekeyed: Path) -> None:
    shown = command("push", str(rekeyed)).output
    assert f"{DR}: the next copy of 1 volume is full under {NEW}: {SAID}" in shown
    assert "until the last of 3 copies under other keys has expired" in shown


def test_a_diff_of_a_file_shows_the_same_and_writes_nothing(rekeyed: Path, world: World) -> None:
    shown = command("diff", str(rekeyed))
    assert shown.exit_code == 0
    assert SAID in shown.output
    assert f"kms_key: {OLD} -> {NEW} (the next copy of each volume" in shown.output
    assert [len(world.documents[region]) for region in (REGION, DR)] == [1, 1]


def test_a_diff_of_a_version_shows_the_effects_of_a_rollback(rekeyed: Path, world: World) -> None:
    for region in (REGION, DR):
        world.documents[region].append(stored_text(yaml.safe_load(with_key(NEW))))
    for arguments in (("diff",), ("diff", "1")):
        shown = command(*arguments)
        assert shown.exit_code == 0, shown.output
        assert f"kms_key: {NEW} -> {OLD}" in shown.output
    [full] = json.loads(command("diff", "1", "--json").output)["full_copies"] or [None]
    assert full is None  # the copies are under the former key


def test_a_plan_has_the_full_copies_of_its_difference(rekeyed: Path, plan: Callable[..., Result]) -> None:
    assert SAID in plan("--policy", str(rekeyed), "--diff").output.replace("\n    ", " ")
    [full] = json.loads(plan("--policy", str(rekeyed), "--diff", "--json").output)["full_copies"]
    assert (full["region"], full["kms_key"], full["size_gib"], full["copies"]) == (DR, NEW, 8, 3)
    assert (full["transfer_usd"], full["storage_usd"]) == pytest.approx((0.08, 0.4))


def test_the_same_key_by_another_name_makes_no_full_copy(rekeyed: Path) -> None:
    rekeyed.write_text(with_key(OLD.rpartition("/")[2]), encoding="utf-8")
    assert "is full" not in command("diff", str(rekeyed)).output


def test_a_time_based_copy_is_shown_with_its_price() -> None:
    rule = CopyRule(DR, retention=Retention(keep_last=1))
    before, after = (
        PolicySet((Policy("gold", Selector(), Retention(keep_last=7), (replace(rule, completion_minutes=minutes),)),))
        for minutes in (0, 60)
    )
    text = "\n".join(field_lines(field_changes(before, after)))
    assert "completion_duration: none -> " in text
    assert "AWS charges 0.016 USD for each GiB copied in addition, now 0.000" in text
