"""Resources of one name are the same in all templates, but for parts that differ for a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.templates import template

SECTIONS = ("Globals", "Mappings", "Rules", "Conditions", "Parameters", "Resources", "Outputs")
ENVIRONMENT = "Properties/Environment/Variables"
OWN_POLICY = "Properties/Policies/1"
"""The second policy of a role is its own; the first one is that of all functions."""

DIFFERENT = {
    "vault": {
        "Globals/Function/Environment/Variables": "a vault has no parameters of retention, and knows its account",
        "Parameters/FunctionNameSuffix/Description": "a vault is in no pair of stacks",
        f"Resources/TagSnapshotCopy/{ENVIRONMENT}": "nothing is compared, nor shared",
        f"Resources/TagSnapshotCopyRole/{OWN_POLICY}": "nothing is compared, nor shared, and no execution waits",
        f"Resources/DeleteOldSnapshotsRole/{OWN_POLICY}": "a vault sees no volumes",
        f"Resources/DispatchRole/{OWN_POLICY}": "other accounts' keys, no waiting execution, no budget",
        "Resources/CallByOthers/Properties/EventPattern": "roles of functions that a vault has not",
        "Resources/RuleDeadLettersPolicy/Properties/PolicyDocument": "other rules",
        f"Resources/Sweep/{ENVIRONMENT}": "no comparisons, drills or adoptions",
        f"Resources/SweepRole/{OWN_POLICY}": "no comparisons, drills or volumes, but shares and words to owners",
        "Resources/Reports/Properties/LifecycleConfiguration": "no proofs and plans of drills",
        "Resources/BucketParameter/Properties/Description": "no recovery records",
        "Resources/CopiesFailedAlarm/Properties/AlarmDescription": "the next sweep copies again",
        "Resources/PlanRefusedAlarm/Properties/AlarmDescription": "`snapkeep plan` does not show vaults",
        "Resources/FailedInvocationsAlarm/Properties/AlarmDescription": "other functions",
        "Resources/Dashboard/Properties/DashboardBody": "other widgets",
    },
    "primary": {
        "Globals/Function/Environment/Variables": "the policy of the parameters, and no queue",
        "Parameters/Retention": "snapshots, not copies",
        "Resources/StartRole/Properties/Policies/0": "another state machine",
        f"Resources/DeleteOldSnapshotsRole/{OWN_POLICY}": "copies in all DR regions count",
        "Resources/CallByOthers/Properties/EventPattern": "other roles",
        "Resources/RuleDeadLettersPolicy/Properties/PolicyDocument": "other rules",
        f"Resources/Sweep/{ENVIRONMENT}": "no comparisons, drills or vaults",
        f"Resources/SweepRole/{OWN_POLICY}": "it reads all DR regions, and writes their queues",
        "Resources/Reports/Properties/LifecycleConfiguration": "no proofs and plans of drills",
        "Resources/LockMissingAlarm/Properties/AlarmDescription": "a snapshot, not a copy",
        "Resources/FailedInvocationsAlarm/Properties/AlarmDescription": "other functions",
        "Resources/Dashboard/Properties/DashboardBody": "other widgets",
        "Outputs/StateMachineArn": "another state machine",
        "Outputs/KeyArn/Description": "no table",
    },
}
"""For each template, what differs from that of the DR stack, with the reason."""


def differences(one: Any, other: Any, path: str) -> Iterator[str]:
    """Return the paths at which two parts of templates differ."""
    if isinstance(one, dict) and isinstance(other, dict) and path.count("/") < 4:
        for key in one.keys() | other.keys():
            yield from differences(one.get(key), other.get(key), f"{path}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{path}/{index}")
    elif one != other:
        yield path


@pytest.mark.parametrize("stack", DIFFERENT)
def test_a_shared_resource_differs_from_the_dr_stacks_only_for_a_reason(stack: str) -> None:
    dr, other = template("dr"), template(stack)
    found = {
        path
        for section in SECTIONS
        for name in dr.get(section, {}).keys() & other.get(section, {}).keys()
        for path in differences(dr[section][name], other[section][name], f"{section}/{name}")
    }
    reasons = DIFFERENT[stack]
    assert {path for path in found if not path.startswith(tuple(reasons))} == set()
    assert {prefix for prefix in reasons if not any(path.startswith(prefix) for path in found)} == set()
