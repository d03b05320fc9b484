"""The reason of a snapshot that does not count names its state first, then what keeps a completed one from being restored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.model import Action, KeyFault, SnapshotState, Unusable
from snapkeep.domain.policy.model import Retention
from snapkeep.domain.retention.verdicts import FOUND_WRONG, decide
from snapkeep.domain.tag_names import CHECK, MANAGED, WRONG
from support.lineages import SYSTEM, copy_of, snapshot

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAULT = KeyFault("arn:key", Unusable.KEY_DISABLED)
NEWER = copy_of(snapshot("2026-11-22T03:00", 2), "us-east-2", 2)


@pytest.mark.parametrize("fault", [None, FAULT])
@pytest.mark.parametrize(
    ("state", "rule", "text"),
    [
        (SnapshotState.PENDING, "pending", "pending: does not count"),
        (SnapshotState.ERROR, "error", "failed: does not count"),
        (SnapshotState.RECOVERABLE, "recoverable", "in the Recycle Bin: does not count"),
        (SnapshotState.RECOVERING, "recovering", "being recovered from the Recycle Bin: does not count"),
    ],
)
def test_a_copy_that_is_not_completed_is_kept_for_its_state(
    state: SnapshotState, rule: str, text: str, fault: KeyFault | None
) -> None:
    """It cannot be restored whatever its key: the state is the reason that a person needs first."""
    copy = replace(copy_of(snapshot("2026-11-20T03:00", 1), "us-east-2", 1, state=state), key_fault=fault)
    verdict, _ = decide([copy, NEWER], Retention(keep_last=1), NOW, system=SYSTEM)
    assert (verdict.action, verdict.reasons) == (Action.KEEP, ((rule, text),))


@pytest.mark.parametrize(
    ("changes", "rule", "text"),
    [
        (
            {"key_fault": KeyFault("arn:key", Unusable.KEY_PENDING_DELETION, datetime(2026, 12, 7, tzinfo=UTC))},
            "unusable",
            "its key is pending deletion on 2026-12-07: does not count, and is not deleted",
        ),
        ({"archived": True}, "unusable", f"{Unusable.ARCHIVED.label}: does not count, and is not deleted"),
        ({"tags": {MANAGED: SYSTEM, CHECK: WRONG}, "key_fault": FAULT}, *FOUND_WRONG),
    ],
    ids=["key", "archived", "wrong"],
)
def test_a_completed_copy_that_cannot_be_restored_is_kept_for_its_fault(changes: dict[str, Any], rule: str, text: str) -> None:
    copy = replace(copy_of(snapshot("2026-11-20T03:00", 1), "us-east-2", 1), **changes)
    verdict, _ = decide([copy, NEWER], Retention(keep_last=1), NOW, system=SYSTEM)
    assert (verdict.action, verdict.reasons) == (Action.KEEP, ((rule, text),))
