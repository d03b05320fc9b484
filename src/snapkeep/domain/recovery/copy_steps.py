"""Copies of recovery points under another key, shared with another account: their plan and its steps.

A vault's copies are often under a key that no other account can use. A copy under a customer managed key can be shared, so that
a clean account can make volumes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from snapkeep.domain.model import Snapshot
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.choice import PointChoice
from snapkeep.domain.recovery.recovery_plan import RecoveryStep, StepKind, holding
from snapkeep.domain.tags import description_of_copy

KEY_USE = "kms:CreateGrant, kms:Decrypt, kms:DescribeKey, kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt*"


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The copies to make, before consent."""

    region: str
    points: tuple[Snapshot, ...]
    key: str
    account: str
    """The account with which the copies are shared."""
    remarks: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    """The reasons why it would fail: nothing begins while there is one."""


def plan_copies(region: str, choices: Sequence[PointChoice], key: str, account: str, obstacles: Iterable[str] = ()) -> CopyPlan:
    """Return the plan that copies all points of some choices under a key, for an account.

    A volume without a point is an obstacle, as in a recovery. `obstacles` are the known ones.
    """
    points = tuple(point for choice in choices for point in choice.points)
    hindrances = [*obstacles, *(f"{volume_id}: {why}" for choice in choices for volume_id, why in choice.missing.items())]
    if not points and not hindrances:
        hindrances.append("there is nothing to copy")
    remarks = [
        f"the policy of {key} must let account {account} use it through EC2: {KEY_USE}",
        "each copy is a full one, and while it is there, new copies of its volume into this region are full ones too",
    ]
    return CopyPlan(region, points, key, account, tuple(remarks), tuple(hindrances))


def copy_steps(plan: CopyPlan) -> tuple[RecoveryStep, ...]:
    """Return the steps of a plan: hold all points, start all copies before waiting for any, and share each completed copy."""
    copies, waits, shares = [], [], []
    for number, point in enumerate(plan.points, 1):
        copy, about = f"copy-{number}", f"copy {point.id} ({point.origin.volume_id}) under {plan.key}"
        request = {
            "SourceRegion": plan.region,
            "SourceSnapshotId": point.id,
            "Description": description_of_copy(point.origin),
            "Encrypted": True,
            "KmsKeyId": plan.key,
        }
        copies.append(RecoveryStep(copy, StepKind.COPY_POINT, about, {"request": request}))
        about = f"wait until the copy of {point.id} is complete"
        waits.append(RecoveryStep(f"wait-{number}", StepKind.WAIT_FOR_COPY, about, made_by=copy))
        about = f"share the copy of {point.id} with account {plan.account}"
        shares.append(RecoveryStep(f"share-{number}", StepKind.SHARE_COPY, about, {"account": plan.account}, made_by=copy))
    return holding([point.id for point in plan.points], [*copies, *waits, *shares])
