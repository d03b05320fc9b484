"""Plan copies of recovery points under another key, for another account. It changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from snapkeep.domain.model import KeyFault, Unusable
from snapkeep.domain.recovery.choice import Target, choose_points, lineages_of
from snapkeep.domain.recovery.copy_steps import CopyPlan, copy_steps, plan_copies
from snapkeep.domain.recovery.recovery_plan import STEP_TAGS, StepKind
from snapkeep.usecases.recovery.find_points import SnapshotLister

AWS_KEYS = "alias/aws/"
"""The beginning of the aliases of keys that AWS manages: no other account can use one (EBS user guide: share a KMS key)."""


class CopyDryRuns(Protocol):
    """Tries the request of a copy as a dry run."""

    @property
    def region(self) -> str:
        """The region."""

    def refusal_to_copy(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why CopySnapshot would be refused; empty if it would not."""


class KeyReader(Protocol):
    """Looks at KMS keys of the region."""

    def fault_of(self, key_arn: str) -> KeyFault | None:
        """Return why a key cannot be used, None where it can. Raise AwsThrottled or AwsUnavailable."""

    def managed_by_aws(self, key: str) -> bool:
        """Whether AWS manages a key; False where it may not be described."""


def prepare_copies(
    snapshots: SnapshotLister, dry_runs: CopyDryRuns, target: Target, at: datetime, key: str, account: str, keys: KeyReader
) -> CopyPlan:
    """Return the plan, with every obstacle that can be known. Raise AwsRefused, AwsThrottled or AwsUnavailable."""
    lineages = lineages_of(dry_runs.region, snapshots.all_snapshots())
    groups = target.groups(lineages, at)
    obstacles = [f"{name}: {lineages.why_unnamed(name, at)}" for name, volume_ids in groups.items() if not volume_ids]
    choices = [choose_points(lineages, volume_ids, at) for volume_ids in groups.values() if volume_ids]
    # A dry run of CopySnapshot does not look at the key, and the copy itself fails late (EBS user guide).
    fault = keys.fault_of(key)
    if fault is not None and fault.reason is not Unusable.KEY_NOT_KNOWN:
        obstacles.append(f"{key}: {fault.text}: name an enabled customer managed key of {dry_runs.region}")
    if AWS_KEYS in key or keys.managed_by_aws(key):
        managed = f"{key}: AWS manages this key, and no other account can use it"
        obstacles.append(f"{managed}: name a customer managed key of {dry_runs.region}")
    plan = plan_copies(dry_runs.region, choices, key, account, obstacles)
    if fault is not None and fault.reason is Unusable.KEY_NOT_KNOWN:
        plan = replace(plan, remarks=(*plan.remarks, f"{key}: {fault.text}"))
    if plan.obstacles:
        return plan
    requests = [step.parameters["request"] for step in copy_steps(plan) if step.kind is StepKind.COPY_POINT]
    trial = dict.fromkeys(STEP_TAGS, "dry-run")
    refusals = {why for request in requests if (why := dry_runs.refusal_to_copy(request, trial))}
    return replace(plan, obstacles=tuple(sorted(refusals)))
