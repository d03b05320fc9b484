"""One role may lock, for MaxLockDays at most; none may unlock."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from support.role_evaluation import is_allowed
from support.templates import ROLE, STACKS, Statement, resources, statements, template

SYSTEM = {"Fn::Sub": "snapkeep${FunctionNameSuffix}"}
SNAPSHOTS = {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}::snapshot/*"}


@pytest.mark.parametrize("stack", STACKS)
def test_one_role_may_lock_managed_snapshots_for_max_lock_days(stack: str) -> None:
    locking = [one for role in resources(stack, ROLE) for one in statements(stack, role) if "ec2:LockSnapshot" in one.actions]
    (lock,) = locking
    assert (lock.role, lock.actions, lock.resources) == ("LockSnapshotsRole", ("ec2:LockSnapshot",), (SNAPSHOTS,))
    assert lock.condition == {
        "StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM},
        "NumericLessThanEquals": {"ec2:SnapshotLockDuration": {"Ref": "MaxLockDays"}},
        # IAM has no key for the mode. EC2 takes at most 72 hours: 73 allow no cool-off period.
        "NumericGreaterThanEqualsIfExists": {"ec2:SnapshotCoolOffPeriod": {"Fn::If": ["ComplianceLocks", "24", "73"]}},
    }


@pytest.mark.parametrize("stack", STACKS)
def test_without_max_lock_days_nothing_may_lock(stack: str) -> None:
    (policy,) = [one for one in resources(stack, ROLE)["LockSnapshotsRole"]["Policies"] if one["PolicyName"] == "work"]
    (condition,) = [one["Fn::If"][0] for one in policy["PolicyDocument"]["Statement"] if "Fn::If" in one]
    assert template(stack)["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "MaxLockDays"}, "0"]}]}
    assert template(stack)["Parameters"]["MaxLockDays"]["Default"] == "0"


def may_unlock(statement: Statement) -> bool:
    return any(fnmatchcase("ec2:unlocksnapshot", action.lower()) for action in statement.actions)


def test_no_role_may_unlock() -> None:
    assert [
        one for stack in STACKS for role in resources(stack, ROLE) for one in statements(stack, role) if may_unlock(one)
    ] == []


@pytest.mark.parametrize("action", ["ec2:UnlockSnapshot", "ec2:*", "*", "ec2:Unlock*"])
def test_a_planted_right_to_unlock_is_found(action: str) -> None:
    assert may_unlock(Statement("PlantedRole", ("ec2:LockSnapshot", action), ("*",), {}))


def may_lock(days: int | None, hours: int = 0, *, most: str = "14", compliance: bool = False, tag: str = "snapkeep") -> bool:
    """Return whether IAM allows a call of LockSnapshot with such a duration and cool-off period."""
    request: dict[str, Any] = {"LockMode": "governance"}
    request |= {"LockDuration": days} if days else {"ExpirationDate": "2036-01-01T00:00:00Z"}
    request |= {"CoolOffPeriod": hours} if hours else {}
    conditions = {"Locks": most != "0", "ComplianceLocks": compliance}
    return is_allowed(
        "LockSnapshotsRole", "LockSnapshot", request, {"snapkeep:managed": tag}, {"MaxLockDays": most}, **conditions
    )


def test_max_lock_days_holds_by_iam() -> None:
    assert may_lock(1)
    assert may_lock(14)
    assert not may_lock(15)
    assert not may_lock(None), "a lock until a date has no duration"
    assert not may_lock(1, most="0")
    assert not may_lock(14, tag="snapkeep2")


def test_a_cool_off_period_is_at_least_a_day() -> None:
    assert may_lock(14, 24, compliance=True)
    assert may_lock(14, compliance=True), "governance mode"
    assert not may_lock(14, 23, compliance=True)
    assert not may_lock(14, 72)
