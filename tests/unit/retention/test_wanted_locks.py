"""Retention deletes no snapshot whose policy requires a lock, neither before the lock is made nor after its removal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from snapkeep.domain.locks import LockLimits
from snapkeep.domain.policy.model import LockMode, LockRule
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DAY, DR, PRIMARY, Laboratory, policy_set

WEEK = LockRule(LockMode.GOVERNANCE, timedelta(days=7))


def locking(region: str, rule: LockRule | None = WEEK) -> Laboratory:
    """Return a system that keeps one snapshot and one copy, and locks those of a region."""
    policies = policy_set(keep=1, keep_copies=1)
    (policy,), (copies,) = policies.policies, policies.policies[0].copies
    locked = replace(policy, lock=rule) if region == PRIMARY else replace(policy, copies=(replace(copies, lock=rule),))
    return Laboratory(policies=replace(policies, policies=(locked,)), layout=SystemLayout(lock_limits=LockLimits(7)))


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_a_snapshot_whose_lock_was_removed_is_not_deleted_by_the_next_run(region: str) -> None:
    """An attacker had only to unlock it: retention had given it up, and the next run deleted it."""
    lab = locking(region)
    volume = lab.make_volume()
    lab.protect(volume)
    first = lab.ids(region)[0]
    lab.ec2(region).unlock_snapshot(SnapshotId=first)
    lab.protect(volume)
    assert first in lab.ids(region)


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_it_is_deleted_once_the_lock_would_have_ended(region: str) -> None:
    lab = locking(region)
    volume = lab.make_volume()
    lab.protect(volume)
    first = lab.ids(region)[0]
    lab.ec2(region).unlock_snapshot(SnapshotId=first)
    lab.runner.advance(7 * DAY)
    lab.protect(volume)
    assert first not in lab.ids(region)


@pytest.mark.parametrize("region", [PRIMARY, DR])
def test_without_a_lock_rule_nothing_is_held(region: str) -> None:
    lab = locking(region, None)
    volume = lab.make_volume()
    lab.protect(volume)
    first = lab.ids(region)[0]
    lab.protect(volume)
    assert first not in lab.ids(region)
