"""Which copies are missing, and which would be no better if they were made again."""

from dataclasses import replace
from typing import Any

import pytest

from snapkeep.domain.model import KeyFault, Snapshot, Unusable
from snapkeep.domain.policy.model import CopyRule
from snapkeep.domain.retention.holds import NO_COPY_FACTS, CopyFacts
from snapkeep.domain.retention.missing_copies import is_missing, waits_for_key
from support.lineages import copy_of, lineage

DR = "us-east-2"
KEY, OTHER_KEY = (f"arn:aws:kms:{DR}:111122223333:key/{name}" for name in ("one", "two"))
OLDER, NEWER = lineage(["2026-11-20T03:00", "2026-11-21T03:00"])


def missing(snapshot: Snapshot, copies: CopyFacts = NO_COPY_FACTS, *, superfluous_too: bool = False) -> bool:
    return is_missing(snapshot, CopyRule(DR), copies, superfluous_too=superfluous_too)


def with_fault(snapshot: Snapshot, reason: Unusable) -> Snapshot:
    return replace(snapshot, kms_key_id=KEY, key_fault=KeyFault(KEY, reason))


@pytest.mark.parametrize(
    ("reason", "key", "waits"),
    [
        (Unusable.KEY_DISABLED, KEY, True),
        (Unusable.KEY_DISABLED, OTHER_KEY, False),
        (Unusable.KEY_DISABLED, "alias/ours", False),
        (Unusable.KEY_DISABLED, "", False),
        (Unusable.KEY_NOT_KNOWN, OTHER_KEY, True),
    ],
)
def test_a_copy_waits_for_the_key_of_its_rule_or_one_not_known(reason: Unusable, key: str, waits: bool) -> None:
    assert waits_for_key(with_fault(copy_of(OLDER, DR, 1), reason), CopyRule(DR, kms_key=key)) is waits


def test_a_copy_whose_key_can_be_used_waits_for_none() -> None:
    assert not waits_for_key(replace(copy_of(OLDER, DR, 1), kms_key_id=KEY), CopyRule(DR, kms_key=KEY))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"archived": True}, False),
        ({"not_copyable": "it is a local snapshot"}, False),
        ({"key_fault": KeyFault(KEY, Unusable.KEY_DISABLED)}, False),
        ({"key_fault": KeyFault(KEY, Unusable.KEY_NOT_KNOWN)}, True),
    ],
    ids=["copyable", "archived", "not copyable", "its key is disabled", "its key is not known"],
)
def test_only_copies_that_ec2_can_make_are_missing(changes: dict[str, Any], expected: bool) -> None:
    assert missing(replace(OLDER, **changes)) is expected


def test_a_newer_copy_makes_older_ones_superfluous() -> None:
    copies = CopyFacts(frozenset({(NEWER.id, DR)}), {(NEWER.origin.lineage, DR): NEWER.start_time})
    twin = replace(NEWER, id="snap-twin")
    assert [missing(each, copies) for each in (OLDER, NEWER, twin)] == [False, False, True]
    assert [missing(each, copies, superfluous_too=True) for each in (OLDER, NEWER)] == [True, False]
