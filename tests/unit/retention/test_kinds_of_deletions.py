"""The kind of a deletion follows from the rule that deletes, whatever the texts of its reasons say."""

import pytest

from snapkeep.domain.model import Action, Reason, Verdict
from snapkeep.domain.retention.deletion import SECOND_COPY_RULE, DeletionKind, deletion_orders
from snapkeep.domain.retention.verdicts import RETENTION_WORDS
from support.lineages import lineage


@pytest.mark.parametrize("rule", [SECOND_COPY_RULE, *sorted(RETENTION_WORDS)])
def test_a_reworded_reason_leaves_the_kind_of_a_deletion(rule: str) -> None:
    (snapshot,) = lineage(["2026-11-20"])
    kind = DeletionKind.SECOND_COPY if rule == SECOND_COPY_RULE else DeletionKind.RETENTION
    for text in ("", "in other words", f"a second copy, a duplicate, {DeletionKind.SECOND_COPY}, {SECOND_COPY_RULE}"):
        (order,) = deletion_orders([Verdict(snapshot, Action.DELETE, (Reason(rule, text),))])
        assert order.kind is kind
