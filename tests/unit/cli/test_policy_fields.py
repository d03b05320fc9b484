"""The fields of policies that a push changes stand before its question."""

from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from typer.testing import CliRunner

from snapkeep.cli.commands.policy import app
from snapkeep.cli.views.policy_fields import field_changes, field_lines
from snapkeep.domain.policy.model import (
    CopyRule,
    GoneRetention,
    Limits,
    LockMode,
    LockRule,
    Policy,
    PolicySet,
    Retention,
    Selector,
)
from snapkeep.usecases.policies import stored_text
from support.lineages import REGION
from support.volume_plans import DOCUMENT, World

RULE = CopyRule("us-east-2", copy_within=timedelta(hours=4), retention=Retention(keep_last=1))
GOLD = Policy("gold", Selector(), Retention(keep_last=7), (RULE,), rpo=timedelta(hours=8))
BEFORE = PolicySet((GOLD,))
GOVERNANCE = LockRule(LockMode.GOVERNANCE, timedelta(days=14))
COMPLIANCE = LockRule(LockMode.COMPLIANCE, timedelta(days=14), timedelta(days=1))


def test_a_push_names_every_changed_field_with_its_meaning() -> None:
    """A longer RPO, another key, a later deadline and a time-based copy were pushed with every figure zero."""
    rule = replace(RULE, kms_key="alias/other", copy_within=timedelta(days=80), completion_minutes=60)
    changes = field_changes(BEFORE, PolicySet((replace(GOLD, copies=(rule,), rpo=timedelta(days=90)),)))
    assert {change[:3] for change in changes} >= {
        ("gold.rpo", "8h", "90d"),
        ("gold.copies.us-east-2.copy_within", "4h", "80d"),
        ("gold.copies.us-east-2.kms_key", None, "alias/other"),
    }
    assert "gold.copies.us-east-2.completion_duration" in {change.field for change in changes}
    assert len(changes) == 4
    text = "\n".join(field_lines(changes))
    assert "full copy" in text
    assert "gold.rpo: 8h -> 90d (" in text


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            None,
            COMPLIANCE,
            [
                "mode: none -> compliance (existing ones are locked too; after the cool-off period no principal",
                "for: none -> 14d",
            ],
        ),
        (None, GOVERNANCE, ["mode: none -> governance (existing ones are locked too)", "for: none -> 14d"]),
        (COMPLIANCE, GOVERNANCE, ["mode: compliance -> governance (locks in compliance mode stay)"]),
        (GOVERNANCE, None, ["mode: governance -> none (existing locks stay)"]),
        (
            GOVERNANCE,
            replace(GOVERNANCE, duration=timedelta(days=15)),
            ["for: 14d -> 15d (locks in governance mode are extended, those in compliance mode are not: sweeps report them)"],
        ),
        (GOVERNANCE, replace(GOVERNANCE, duration=timedelta(days=7)), ["for: 14d -> 7d (no existing lock is shortened)"]),
    ],
)
def test_a_push_shows_the_effect_of_a_lock_on_existing_snapshots(
    before: LockRule | None, after: LockRule | None, said: list[str]
) -> None:
    """A permanent lock was put in force with every figure zero, without a list of the snapshots that are locked at once."""
    policies = [PolicySet((replace(GOLD, copies=(replace(RULE, lock=lock),)),)) for lock in (before, after)]
    text = "\n".join(field_lines(field_changes(*policies)))
    assert all(f"gold.copies.us-east-2.lock.{line}" in text for line in said), text


def test_equal_policies_change_no_field() -> None:
    assert field_changes(BEFORE, BEFORE) == []
    assert list(field_lines([])) == []


def test_a_new_policy_and_other_limits_are_named() -> None:
    changes = field_changes(BEFORE, PolicySet((GOLD, replace(GOLD, name="new")), Limits(max_deletions=5)))
    assert {change[:3] for change in changes} >= {("limits.max_deletions", 100, 5), ("new", None, "policy")}
    lines = list(field_lines(changes))
    assert {"  new: a new policy", "  new.retention.keep_last: 7"} <= set(lines)
    assert "  policies: gold -> gold, new (the first that takes a volume governs it)" in lines
    assert not any("new." in line and "->" in line for line in lines)


def test_a_removed_policy_and_copy_rule_are_named_once() -> None:
    """A policy without a word of its own, and a rule that keeps all, were added and removed in silence."""
    bare = Policy("bare", Selector(), Retention(), (CopyRule("eu-west-1", retention=Retention()),))
    lines = list(field_lines(field_changes(PolicySet((GOLD, bare)), PolicySet((replace(GOLD, copies=()),)))))
    assert lines[1:] == [
        "  bare: this policy is removed",
        "  gold.copies.us-east-2: this copy rule is removed",
        "  policies: gold, bare -> gold (the first that takes a volume governs it)",
    ]


def test_a_missing_field_shows_its_default() -> None:
    """`14 -> default` did not say what the default is."""
    strict = replace(GOLD, retention=Retention(keep_last=14, minimum=3), gone=GoneRetention())
    lines = list(field_lines(field_changes(PolicySet((strict,)), PolicySet((replace(GOLD, rpo=timedelta(hours=30)),)))))
    assert lines[1:] == [
        "  gold.gone: {} -> none",
        "  gold.retention.keep_last: 14 -> 7",
        "  gold.retention.minimum: 3 -> 1",
        "  gold.rpo: 8h -> 30h (a volume counts as late, and its alarm is raised, later)",
    ]
    daily = replace(GOLD, retention=Retention(keep_daily=14))
    assert "  gold.retention.keep_last: 7 -> none" in list(field_lines(field_changes(BEFORE, PolicySet((daily,)))))


def test_show_prints_a_former_version(world: World) -> None:
    """Only what was in force could be read, and a rollback was a leap in the dark."""
    documents = [stored_text(yaml.safe_load(DOCUMENT.replace("keep_last: 3", f"keep_last: {number}"))) for number in (5, 3)]
    world.documents[REGION] = documents
    shown = CliRunner().invoke(app, ["show", "1", "--region", REGION])
    assert shown.exit_code == 0
    assert "keep_last: 5" in shown.output
