"""Check of a completed copy against its request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from snapkeep.domain.copies.entry import QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import CLOCK_SKEW, Snapshot
from snapkeep.domain.recovery.verdict import ProofVerdict
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG


def belongs_to(entry: QueueEntry, copy: Snapshot) -> bool:
    """Whether a copy has the origin that the entry requests, and the id that the dispatcher recorded, if any."""
    requested, origin = entry.request.origin, copy.origin
    if copy.id in entry.wrong:
        return False
    same_source = (requested.region, requested.snapshot_id) == (origin.region, origin.snapshot_id)
    return same_source and copy.region == entry.request.region and entry.copy_id in ("", copy.id)


def is_older_than(entry: QueueEntry, copy: Snapshot) -> bool:
    """Whether the copy was made before the entry was: for a lost or expired entry, perhaps under an earlier version of the rule.

    Such a copy may differ from the request and still be good: the entry fails, but the copy gets no permanent mark as wrong.
    """
    return copy.start_time + CLOCK_SKEW < entry.enqueued_at


def has_predecessor(copy: Snapshot, listed: Iterable[Snapshot]) -> bool:
    """Whether an earlier copy of the volume is completed in the region: EC2 could have copied only the changed blocks."""
    lineage = copy.origin.lineage
    return any(
        other.id != copy.id and other.completed and other.origin.lineage == lineage and other.start_time < copy.start_time
        for other in listed
    )


def faults_of_copy(request: CopyRequest, copy: Snapshot) -> list[str]:
    """Return what is wrong with a completed copy, in words; empty if it is good."""
    faults = ["an earlier check found it wrong"] if copy.found_wrong else []
    if copy.size_gib != request.size_gib:
        faults.append(f"its size is {copy.size_gib} GiB, its source's {request.size_gib} GiB")
    # An encrypted copy of an unencrypted source is not a fault: the account may encrypt every copy by default.
    if request.encrypted and not copy.encrypted:
        faults.append("it is not encrypted, but should be")
    if not has_key(copy, request.kms_key):
        faults.append(f"it is encrypted with {copy.kms_key_id or 'no key'}, but should be with {request.kms_key}")
    return faults


def found_wrong_by_content(request: CopyRequest, copy: Snapshot) -> bool:
    """Whether only the blocks of a copy are wrong: a new copy may be good, while a wrong size or key would recur."""
    differs = copy.tags.get(PROOF, "").startswith(ProofVerdict.DIFFERS)
    return copy.found_wrong and differs and len(faults_of_copy(request, copy)) == 1


def as_marked(entry: QueueEntry | None, copy: Snapshot) -> Snapshot:
    """Return a copy with the mark of a copy that differs, if its entry has it, although EC2 does not show it yet."""
    if entry is None or copy.id not in entry.wrong:
        return copy
    return as_differing(copy)


def as_differing(copy: Snapshot) -> Snapshot:
    """Return a copy with the tags that mark it as different from its source."""
    return replace(copy, tags={**copy.tags, CHECK: WRONG, PROOF: str(ProofVerdict.DIFFERS)})


def missing_tags(request: CopyRequest, copy: Snapshot) -> dict[str, str]:
    """Return the requested tags that the copy lacks, or that differ."""
    return {key: value for key, value in request.tags.items() if copy.tags.get(key) != value}


def has_key(copy: Snapshot, key: str) -> bool:
    """Whether a copy has the key of its copy rule, as far as this is known: a snapshot names its key, never an alias."""
    return not names_one_key(key) or copy.kms_key_id.endswith(key)


def names_one_key(key: str) -> bool:
    """Whether a copy rule names its key by id or ARN. An alias, or no key, stands for different keys at different times."""
    return bool(key) and not key.startswith("alias/") and ":alias/" not in key
