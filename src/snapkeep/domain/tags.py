"""The tags of origins, and the adoption of snapshots that the original system tagged.

Times in tags are ISO 8601 in UTC with a `Z`, to the millisecond, as EC2 prints `StartTime`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType

from snapkeep.domain.model import CLOCK_SKEW, Origin, Snapshot
from snapkeep.domain.other_tools import NOT_CARRIED
from snapkeep.domain.records import replace
from snapkeep.domain.tag_names import (
    MANAGED,
    ORIGINAL_NAME,
    ORIGINAL_REGION,
    ORIGINAL_VOLUME,
    OWN_TAGS,
    POLICY,
    SOURCE_REGION,
    SOURCE_SNAPSHOT,
    SOURCE_START,
    SOURCE_VOLUME,
)
from snapkeep.domain.wildcards import matches_any

TAG_LIMIT = 50
"""Tags per resource; `aws:` tags do not count, and cannot be written (botocore: CreateTags)."""

TIMES_CACHED = 16_384
"""The size of the caches of times as texts and as moments: the same times recur in a process."""
_DESCRIPTION = re.compile(
    r"^\[Snapkeep: (?P<snapshot>\S+) of (?P<volume>\S+) from (?P<region>\S+?)(?:, started (?P<start>\S+))?\]$"
)
"""Earlier versions wrote no start."""
_ORIGINAL_DESCRIPTION = re.compile(
    r"^(?P<snapshot>snap-[0-9a-f]+)\*\*(?P<volume>vol-[0-9a-f]+)\*\*(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d+)$"
)


@lru_cache(maxsize=TIMES_CACHED)
def format_time(moment: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC (`2026-11-23T01:02:03.000Z`)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=TIMES_CACHED)
def parse_time(text: str) -> datetime:
    """Return the aware time, in UTC, of ISO 8601 with an offset or `Z`. Raise ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone; write 2026-11-23T01:02:03Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"'{text}' is in no year from 1 to 9999, in UTC") from error


def has_room(present: Iterable[str], keys: Iterable[str]) -> bool:
    """Whether a resource with these tag keys has room for others. AWS's own do not count (EC2 user guide: tag restrictions)."""
    return len({key for key in present if not key.startswith("aws:")} | set(keys)) <= TAG_LIMIT


def tags_for_snapshot(system: str, policy: str, origin: Origin) -> dict[str, str]:
    """Return the tags that make a source snapshot managed."""
    return {
        ORIGINAL_NAME: f"{origin.volume_id}_{format_time(origin.start_time)}",
        ORIGINAL_VOLUME: origin.volume_id,
        MANAGED: system,
        POLICY: policy,
        SOURCE_VOLUME: origin.volume_id,
    }


def tags_for_copy(system: str, policy: str, origin: Origin) -> dict[str, str]:
    """Return the tags of a copy in the CopySnapshot call."""
    return tags_for_snapshot(system, policy, origin) | {
        ORIGINAL_REGION: origin.region,
        SOURCE_REGION: origin.region,
        SOURCE_SNAPSHOT: origin.snapshot_id,
        SOURCE_START: format_time(origin.start_time),
    }


def description_of_copy(origin: Origin) -> str:
    """Return the description of a copy in the CopySnapshot call; unlike tags it never changes."""
    start = format_time(origin.start_time)
    return f"[Snapkeep: {origin.snapshot_id} of {origin.volume_id} from {origin.region}, started {start}]"


def describes_copy(tags: Mapping[str, str], description: str) -> bool:
    """Whether a copy's description names the same source snapshot as its tags."""
    described = _DESCRIPTION.match(description)
    return described is not None and described["snapshot"] == tags.get(SOURCE_SNAPSHOT)


def is_arbitrary(volume_id: str) -> bool:
    """Whether a volume id is the one that EC2 gives to copies: only the digit f."""
    return volume_id.startswith("vol-f") and not volume_id.removeprefix("vol-").strip("f")


def lineage_id(volume_id: str, snapshot_id: str) -> str:
    """Return the volume's id, or the snapshot's own if the volume id is arbitrary: unrelated snapshots share an arbitrary id."""
    return snapshot_id if is_arbitrary(volume_id) else volume_id


def names_origin(tags: Mapping[str, str], origin: Origin) -> bool:
    """Whether the tags name this origin, regardless of its start."""
    volume_id = lineage_id(tags.get(SOURCE_VOLUME) or tags.get(ORIGINAL_VOLUME, ""), tags.get(SOURCE_SNAPSHOT, ""))
    named = tags.get(SOURCE_REGION), volume_id, tags.get(SOURCE_SNAPSHOT)
    return named == (origin.region, origin.volume_id, origin.snapshot_id)


def carried_tags(
    own: Mapping[str, str],
    present: Mapping[str, str],
    volume_tags: Mapping[str, str],
    excluded: Iterable[str] = (),
    recovery: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, str], list[str]]:
    """Return all tags to write to a snapshot or a copy, and the keys that did not fit.

    `own` tags are always included, those of recovery are next, and the volume's are last. `aws:*` tags cannot be written. The
    volume's tags never replace an existing tag. Snapkeep's tags are not carried from the volume: a volume that was made from a
    copy, with its tags, is not a copy. Tags by which other tools claim or expire snapshots, and tags whose keys match
    `excluded`, are not carried either.
    """
    chosen = dict(own)
    # AWS's tags do not count against the limit of 50 (EC2 user guide: tag restrictions).
    used = {key for key in present if not key.startswith("aws:")} | set(own)
    left_out: list[str] = []
    patterns = (*NOT_CARRIED, *excluded)
    carried = (
        (key, value) for key, value in sorted(volume_tags.items()) if key not in OWN_TAGS and not matches_any(key, patterns)
    )
    for key, value in (*recovery.items(), *carried):
        if key in used:
            chosen |= {key: value} if key in recovery else {}
            continue
        if len(used) >= TAG_LIMIT:
            left_out.append(key)
            continue
        chosen[key] = value
        used.add(key)
    return chosen, left_out


def origin_of(
    snapshot_id: str, region: str, volume_id: str, start_time: datetime, tags: Mapping[str, str], description: str = ""
) -> Origin:
    """Return a copy's origin in its description, by Snapkeep or by the original system; otherwise the snapshot is its own origin.

    A description cannot be changed, while people and tools copy tags, and every principal that may tag can overwrite them. For
    a snapshot that is not a copy, leave both out.
    """
    if not description:
        return Origin(region, lineage_id(volume_id, snapshot_id), snapshot_id, start_time)
    match, start_known = _DESCRIPTION.match(description), True
    described_start = match["start"] if match else None
    # Others write the same description as AWS's sample: the sample's tag must exist too.
    if match is None and ORIGINAL_REGION in tags:
        match = _ORIGINAL_DESCRIPTION.match(description)
        start_known = SOURCE_SNAPSHOT in tags  # the original system names a copy after the copy's own start
    if match is None:
        return Origin(region, lineage_id(volume_id, snapshot_id), snapshot_id, start_time)
    volume_id = lineage_id(match["volume"], match["snapshot"])
    start = _source_start(tags, start_time, described_start or "")
    return Origin(match["region"], volume_id, match["snapshot"], start, start_known)


def with_source_starts(snapshots: Iterable[Snapshot], sources: Mapping[str, Snapshot]) -> list[Snapshot]:
    """Return the snapshots. Copies with an unknown start of their source get it from the source, if it is in `sources`."""

    def known(snapshot: Snapshot) -> Snapshot:
        origin = snapshot.origin
        source = None if origin.start_known else sources.get(origin.snapshot_id)
        if source is None or source.region != origin.region:
            return snapshot
        return replace(snapshot, origin=replace(origin, start_time=source.start_time, start_known=True))

    return [known(snapshot) for snapshot in snapshots]


def is_of_original_system(snapshot: Snapshot) -> bool:
    """Whether the original system tagged this snapshot and Snapkeep has not adopted it yet."""
    return ORIGINAL_NAME in snapshot.tags and MANAGED not in snapshot.tags


def is_of_former_system(snapshot: Snapshot, former: str) -> bool:
    """Whether a renamed system manages this snapshot; `former` is its name, empty without one."""
    return bool(former) and snapshot.managed_by(former)


def was_managed(snapshot: Snapshot) -> bool:
    """Whether a source snapshot was once managed: the original system does not write the source volume."""
    return snapshot.tags.get(SOURCE_VOLUME) == snapshot.origin.volume_id


def is_history(snapshot: Snapshot, system: str, deployed_at: datetime) -> bool:
    """Whether a source snapshot completed before the deployment, and the system never managed it. Only consent adopts it."""
    ours = snapshot.managed_by(system) or was_managed(snapshot)
    return not ours and (snapshot.completed_at or snapshot.start_time) < deployed_at


def other_manager(snapshot: Snapshot, system: str) -> str:
    """Return the name of another system that manages a source snapshot; empty if none does.

    Snapshots of a volume that was restored with tags also name one, but with another source volume than their own.
    """
    manager = snapshot.tags.get(MANAGED, "")
    theirs = manager != system and snapshot.tags.get(SOURCE_VOLUME) == snapshot.origin.volume_id
    return manager if theirs else ""


def _source_start(tags: Mapping[str, str], copy_start: datetime, described: str = "") -> datetime:
    """Return the start of a copy's source, from its description, its tag or its name.

    It is at most the clock skew later than the copy's own start: with a start in the future, the copy would count for all later
    snapshots.
    """
    for text in (described, tags.get(SOURCE_START, ""), tags.get(ORIGINAL_NAME, "").partition("_")[2]):
        try:
            start = parse_time(text)
        except ValueError:
            continue
        # The sources of this fact, in the order of trust; an impossible start is passed over.
        if start <= copy_start + CLOCK_SKEW:
            return start
    return copy_start
