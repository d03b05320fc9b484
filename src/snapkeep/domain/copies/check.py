"""Check of a completed copy against its request."""

from __future__ import annotations

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Snapshot


def faults_of_copy(request: CopyRequest, copy: Snapshot) -> list[str]:
    """Return what is wrong with a completed copy, in words; empty if it is good."""
    faults = []
    if copy.size_gib != request.size_gib:
        faults.append(f"its size is {copy.size_gib} GiB, its source's {request.size_gib} GiB")
    if request.encrypted and not copy.encrypted:
        faults.append("it is not encrypted, and was to be")
    if request.kms_key and not _is_alias(request.kms_key) and not copy.kms_key_id.endswith(request.kms_key):
        faults.append(f"it is encrypted with {copy.kms_key_id or 'no key'}, and was to be with {request.kms_key}")
    return faults


def missing_tags(request: CopyRequest, copy: Snapshot) -> dict[str, str]:
    """Return the requested tags that the copy lacks, or that differ."""
    return {key: value for key, value in request.tags.items() if copy.tags.get(key) != value}


def _is_alias(key: str) -> bool:
    """Whether a key is given by alias (`alias/dr`, or the alias's ARN): a snapshot names its key, never the alias."""
    return key.startswith("alias/") or ":alias/" in key
