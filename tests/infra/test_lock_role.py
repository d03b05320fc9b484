"""One role may lock, for MaxLockDays at most; none may unlock."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

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
