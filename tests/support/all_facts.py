"""The facts of a primary region and its DR regions, as `snapkeep plan` gathers them, in one call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from snapkeep.domain.copies.known_copies import KnownCopies
from snapkeep.domain.retention.region_plan import RegionFacts
from snapkeep.usecases.ports import SnapshotReader
from snapkeep.usecases.retention.plan_regions import facts_of, list_region


def gather_all_facts(
    primary: SnapshotReader,
    dr_readers: Sequence[SnapshotReader],
    known: Mapping[str, KnownCopies] = MappingProxyType({}),
    since: datetime | None = None,
) -> list[RegionFacts]:
    """List the primary region and its DR regions once each; return their facts, the primary's first.

    `known` has the facts of each DR region's queue.
    """
    listing = replace(list_region(primary, with_volumes=True), since=since)
    return facts_of(primary.region, [listing, *(list_region(reader, known.get(reader.region)) for reader in dr_readers)])
