"""Locks in a policy document: what they say, what is refused, and how they are shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from snapkeep.cli.views.policy import summary_lines
from snapkeep.domain.policy.document import InvalidPolicy, parse_document, to_document
from snapkeep.domain.policy.model import LockMode, LockRule

GOVERNANCE = {"mode": "governance", "for": "7d"}
COMPLIANCE = {"mode": "compliance", "for": "2w", "cool_off": "24h"}


def document(lock: dict[str, Any] | None = None, of_copies: dict[str, Any] | None = None, **rule: Any) -> dict[str, Any]:
    copy = {"region": "us-east-2", "retention": {"keep_last": 3}, **({"lock": of_copies} if of_copies else {}), **rule}
    policy = {"name": "gold", "select": {}, "retention": {"keep_last": 7}, "copies": [copy]}
    return {"version": 1, "policies": [policy | ({"lock": lock} if lock else {})]}


def test_locks_are_read_written_again_and_shown() -> None:
    policies = parse_document(document(GOVERNANCE, COMPLIANCE))
    (policy,) = policies.policies
    assert policy.lock == LockRule(LockMode.GOVERNANCE, timedelta(days=7))
    assert policy.copies[0].lock == LockRule(LockMode.COMPLIANCE, timedelta(days=14), timedelta(hours=24))
    assert parse_document(to_document(policies)).policies == policies.policies
    lines = list(summary_lines(policies, ()))
    assert "    locked in governance mode for 7d" in lines
    assert "        locked in compliance mode for 14d, which can be removed for 1d" in lines


def test_without_locks_there_are_none() -> None:
    (policy,) = parse_document(document()).policies
    assert (policy.lock, policy.copies[0].lock) == (None, None)


@pytest.mark.parametrize(
    ("wrong", "path", "right"),
    [
        (document({"mode": "compliance", "for": "7d"}), "policies[0].lock.cool_off", "at least 1d"),
        (document({"mode": "compliance", "for": "7d", "cool_off": "12h"}), "policies[0].lock.cool_off", "at least 1d"),
        (document({"mode": "compliance", "for": "7d", "cool_off": "4d"}), "policies[0].lock.cool_off", "1h to 3d"),
        (document({"mode": "governance", "for": "7d", "cool_off": "24h"}), "policies[0].lock.cool_off", "leave it out"),
        (document({"mode": "governance", "for": "36h"}), "policies[0].lock.for", "whole days"),
        (document({"mode": "governance"}), "policies[0].lock.for", "14d"),
        (document({"for": "7d"}), "policies[0].lock.mode", "governance or compliance"),
        (document(None, {"mode": "compliance", "for": "7d"}), "policies[0].copies[0].lock.cool_off", "at least 1d"),
        (document(None, COMPLIANCE, verify={"structure": "never"}), "policies[0].copies[0].lock.mode", "compare the copies"),
    ],
)
def test_a_wrong_lock_is_refused_with_the_right_one(wrong: dict[str, Any], path: str, right: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        parse_document(wrong)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert right in problem.right
