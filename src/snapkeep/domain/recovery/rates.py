"""Rates at which volumes are initialised from snapshots (EBS user guide: initialize a volume)."""

from __future__ import annotations

from collections.abc import Iterator

SLOWEST_RATE, FASTEST_RATE = 100, 300
"""MiB/s of VolumeInitializationRate (EBS user guide: initialize a volume)."""
RATE = "VolumeInitializationRate"
"""The parameter of CreateVolume, CreateReplaceRootVolumeTask and a block device of RunInstances (botocore: ec2 2016-11-15)."""
RATE_QUOTA = 5000
"""MiB/s of all volumes of a region that initialise at provisioned rates (quota L-A37D9CF3)."""


def exceeds_quota(volumes: int, rate_mibps: int) -> bool:
    """Whether this number of volumes at once exceeds the quota of rates."""
    return rate_mibps * volumes > RATE_QUOTA


def rate_remarks(volumes: int, rate_mibps: int) -> Iterator[str]:
    """Yield a remark if the quota of rates does not admit this number of volumes at once."""
    if exceeds_quota(volumes, rate_mibps):
        yield (
            f"{volumes} volumes at {rate_mibps} MiB/s are more than the quota L-A37D9CF3, {RATE_QUOTA} MiB/s "
            "unless it was raised: the volumes beyond it are made at the default rate"
        )
