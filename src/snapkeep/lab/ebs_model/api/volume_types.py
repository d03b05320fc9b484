"""The sizes, IOPS and throughput of each volume type. Source: botocore: CreateVolume, ModifyVolume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from snapkeep.lab.ebs_model.errors import ApiError, invalid_value, missing

LARGEST_GIB = {"gp2": 16_384, "gp3": 65_536, "io1": 16_384, "io2": 65_536, "st1": 16_384, "sc1": 16_384, "standard": 1024}
SMALLEST_GIB = {"io1": 4, "io2": 4, "st1": 125, "sc1": 125}
IOPS = {"gp3": (3000, 80_000), "io1": (100, 64_000), "io2": (100, 256_000)}
THROUGHPUT = (125, 2000)
MULTI_ATTACH_TYPES = ("io1", "io2")
GP2_IOPS_PER_GIB, GP2_LEAST_IOPS, GP2_MOST_IOPS = 3, 100, 16_000


class Performance(NamedTuple):
    """IOPS (0 if the type has none), throughput in MiB/s (only gp3; otherwise 0), and Multi-Attach."""

    iops: int
    throughput: int
    multi_attach: bool


def check_size(kind: str, size_gib: int, least_gib: int) -> None:
    """Raise an error if a type does not exist, does not allow a size, or if the snapshot is larger."""
    if kind not in LARGEST_GIB:
        raise invalid_value(kind, "VolumeType")
    if not size_gib:
        raise missing("size/snapshot")
    if size_gib < least_gib:
        raise ApiError("InvalidParameterValue", f"The volume size must be at least the snapshot's {least_gib} GiB.")
    if not SMALLEST_GIB.get(kind, 1) <= size_gib <= LARGEST_GIB[kind]:
        raise ApiError("InvalidParameterValue", f"Volume of {size_gib} GiB is invalid for volume type {kind}.")


def performance_of(kind: str, size_gib: int, params: Mapping[str, Any], *, required: bool = False) -> Performance:
    """Return the performance in a request for a type and size, with the type's defaults.

    Raise InvalidParameterCombination on a setting that the type does not have, InvalidParameterValue outside its range, and
    MissingParameter for io1 and io2 without IOPS when they are required.
    """
    iops, throughput = params.get("Iops"), params.get("Throughput")
    if iops is not None and kind not in IOPS:
        raise ApiError("InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes.")
    if throughput is not None and kind != "gp3":
        raise ApiError("InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes.")
    if params.get("MultiAttachEnabled") and kind not in MULTI_ATTACH_TYPES:
        raise ApiError("InvalidParameterCombination", f"Multi-Attach is not supported for {kind} volumes.")
    if iops is None and required and kind in MULTI_ATTACH_TYPES:
        raise missing("iops")
    if iops is not None and not IOPS[kind][0] <= int(iops) <= IOPS[kind][1]:
        raise invalid_value(iops, "iops", f"Expected: {IOPS[kind][0]} to {IOPS[kind][1]} for {kind}.")
    if throughput is not None and not THROUGHPUT[0] <= int(throughput) <= THROUGHPUT[1]:
        raise invalid_value(throughput, "throughput", f"Expected: {THROUGHPUT[0]} to {THROUGHPUT[1]} MiB/s.")
    chosen = int(iops) if iops is not None else _usual_iops(kind, size_gib)
    return Performance(chosen, int(throughput or (THROUGHPUT[0] if kind == "gp3" else 0)), bool(params.get("MultiAttachEnabled")))


def _usual_iops(kind: str, size_gib: int) -> int:
    if kind == "gp2":
        return min(GP2_MOST_IOPS, max(GP2_LEAST_IOPS, GP2_IOPS_PER_GIB * size_gib))
    return IOPS["gp3"][0] if kind in IOPS else 0
