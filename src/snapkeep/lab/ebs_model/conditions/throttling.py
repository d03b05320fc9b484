"""Request throttling: one token bucket for each account, region and action.

Sizes and refills: [EC2 developer guide: API throttling]. An action that is not listed there counts as mutating (CopySnapshot,
LockSnapshot, ModifySnapshotTier, EnableFastSnapshotRestores are not).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from snapkeep.lab.ebs_model.conditions.quotas import Quotas
from snapkeep.lab.ebs_model.errors import ApiError

TokenBucket = tuple[float, float]
"""Size, and tokens refilled in a second."""

MUTATING: TokenBucket = (50, 5)
NON_MUTATING: TokenBucket = (100, 20)
UNPAGINATED: TokenBucket = (50, 10)
LISTED: Mapping[str, TokenBucket] = {
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
DIRECT: Mapping[str, TokenBucket] = {
    "ListSnapshotBlocks": (50, 50),
    "ListChangedBlocks": (50, 50),
    "GetSnapshotBlock": (1000, 1000),
}
# [EBS user guide: quotas, L-C125AE42]: GetSnapshotBlock per account is 5,000 in five Regions; per snapshot 1,000 in all.
LARGE_REGIONS = ("us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-southeast-1")
LARGE_GET: TokenBucket = (5000, 5000)
OF_ONE_SNAPSHOT = "GetSnapshotBlock of one snapshot"
GET_OF_ONE_SNAPSHOT: TokenBucket = (1000, 1000)


@cache
def is_read(action: str) -> bool:
    """Return whether an action only reads (in EC2's terms, non-mutating)."""
    return action.startswith(("Describe", "Get", "List"))


def bucket_of(action: str, params: Mapping[str, Any], quotas: Quotas, region: str = "") -> tuple[str, TokenBucket]:
    """Return the name of a request's bucket, and that bucket's size and refill."""
    if action in quotas.buckets:
        return action, quotas.buckets[action]
    if action == "GetSnapshotBlock" and region in LARGE_REGIONS:
        return action, LARGE_GET
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

    def take(self, account_name: str, action: str, params: Mapping[str, Any], quotas: Quotas, now: float) -> None:
        """Take one token for a request of an account in a region.

        Raise RequestLimitExceeded (HTTP 503) if there is none. The EBS direct APIs raise RequestThrottledException with its
        reason, HTTP 400 (botocore: ebs).
        """
        name, bucket = bucket_of(action, params, quotas, account_name.rpartition("/")[2])
        if not self._take(f"{account_name}/{name}", bucket, now):
            if action in DIRECT:
                raise _throttled("ACCOUNT_THROTTLED")
            raise ApiError("RequestLimitExceeded", "Request limit exceeded.", 503)
        if action == "GetSnapshotBlock":
            bucket = quotas.buckets.get(OF_ONE_SNAPSHOT, GET_OF_ONE_SNAPSHOT)
            if not self._take(f"{account_name}/{params.get('SnapshotId')}", bucket, now):
                raise _throttled("RESOURCE_LEVEL_THROTTLE")

    def _take(self, slot: str, bucket: TokenBucket, now: float) -> bool:
        capacity, refill = bucket
        level, since = self.levels.get(slot, (capacity, now))
        level = min(capacity, level + max(0.0, now - since) * refill)
        self.levels[slot] = (level - 1 if level >= 1 else level, now)
        return level >= 1


def _throttled(reason: str) -> ApiError:
    return ApiError("RequestThrottledException", "The number of API requests has exceeded the maximum.", 400, reason)
