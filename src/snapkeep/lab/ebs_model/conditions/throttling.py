"""Request throttling: one token bucket for each account, region and action.

Sizes and refills: [EC2 developer guide: API throttling]. What is not listed there counts as mutating (CopySnapshot,
LockSnapshot, ModifySnapshotTier, EnableFastSnapshotRestores are not).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.lab.ebs_model.conditions.quotas import Quotas
from snapkeep.lab.ebs_model.errors import ApiError

Bucket = tuple[float, float]
"""Size, and tokens refilled in a second."""

MUTATING: Bucket = (50, 5)
NON_MUTATING: Bucket = (100, 20)
UNPAGINATED: Bucket = (50, 10)
LISTED: Mapping[str, Bucket] = {
    **dict.fromkeys(
        (
            "CreateSnapshot",
            "CreateSnapshots",
            "DeleteSnapshot",
            "ModifySnapshotAttribute",
            "CreateVolume",
            "DeleteVolume",
            "DeregisterImage",
        ),
        (100.0, 5.0),
    ),
    "CreateTags": (100.0, 10.0),
    "DeleteTags": (100.0, 10.0),
    "CopyImage": (100.0, 1.0),
}
UNFILTERED = ("DescribeSnapshots", "DescribeVolumes", "DescribeInstances", "DescribeImages")
# Per account and second [Service Quotas: EBS direct APIs]; the bucket holds one second's worth.
DIRECT: Mapping[str, Bucket] = {
    "ListSnapshotBlocks": (50, 50),
    "ListChangedBlocks": (50, 50),
    "GetSnapshotBlock": (1000, 1000),
}


def is_read(action: str) -> bool:
    """Given an action, return whether it only reads: what EC2 calls a non-mutating one."""
    return action.startswith(("Describe", "Get", "List"))


def bucket_of(action: str, params: Mapping[str, Any], quotas: Quotas) -> tuple[str, Bucket]:
    """Given a request, return the name of its bucket and that bucket's size and refill."""
    if action in quotas.buckets:
        return action, quotas.buckets[action]
    if action in DIRECT:
        return action, DIRECT[action]
    if is_read(action):
        if action in UNFILTERED and not (params.get("Filters") or params.get("MaxResults") or params.get("NextToken")):
            return action + " without filter or page", UNPAGINATED
        return action, NON_MUTATING
    return action, LISTED.get(action, MUTATING)


class Throttle:
    """All buckets of a world. A bucket never used is full."""

    __slots__ = ("levels",)

    def __init__(self) -> None:
        self.levels: dict[str, tuple[float, float]] = {}

    def take(self, account_name: str, service: str, action: str, params: Mapping[str, Any], quotas: Quotas, now: float) -> None:
        """Given a request, take one token. Raise RequestLimitExceeded (HTTP 503) when there is none.

        The EBS direct APIs answer RequestThrottledException, HTTP 400 (botocore: ebs).
        """
        name, (capacity, refill) = bucket_of(action, params, quotas)
        slot = f"{account_name}/{name}"
        level, since = self.levels.get(slot, (capacity, now))
        level = min(capacity, level + max(0.0, now - since) * refill)
        if level < 1:
            self.levels[slot] = (level, now)
            if service == "ebs":
                raise ApiError("RequestThrottledException", "The number of API requests has exceeded the maximum.")
            raise ApiError("RequestLimitExceeded", "Request limit exceeded.", 503)
        self.levels[slot] = (level - 1, now)
