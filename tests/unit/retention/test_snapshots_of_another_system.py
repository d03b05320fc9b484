"""Snapshots of another system, a renamed or destroyed one too, are kept, and the reason names it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from snapkeep.domain.model import Action
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.retention.verdicts import decide
from snapkeep.domain.tag_names import MANAGED
from support.lineages import SYSTEM, snapshot


def test_the_reason_names_the_system_whose_tag_a_snapshot_carries() -> None:
    """The reason said that the snapshot carries no tag of ours, as if no system managed it."""
    former = replace(snapshot("2026-11-20T03:00", 1), tags={MANAGED: "snapkeep-old"})
    (verdict, _) = decide(
        [former, snapshot("2026-11-21T03:00", 2)], Retention(keep_last=1), datetime(2026, 11, 23, tzinfo=UTC), system=SYSTEM
    )
    ((rule, text),) = verdict.reasons
    assert (verdict.action, rule) == (Action.KEEP, "not-managed")
    assert "snapkeep-old" in text
