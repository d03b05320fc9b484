"""Methods of a proof: the blocks that are compared, the faults that this finds, and its cost."""

from __future__ import annotations

import math
import re

from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.prices import BLOCK_LISTING, BLOCK_READ
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.blocks import BLOCKS_PER_GIB, PAGE_BLOCKS

LISTINGS_PER_SECOND = 50
"""ListSnapshotBlocks and ListChangedBlocks, each, of an account in a Region (Service Quotas: EBS direct APIs)."""
READS_PER_SECOND = 1000
"""GetSnapshotBlock of one snapshot (Service Quotas: EBS direct APIs)."""
LARGEST_SAMPLE = 10_000
"""The indexes of a sample travel through the state machine, which holds 256 KiB (Step Functions: quotas)."""
MOST_PARTS = 1000
DEFAULT_SAMPLE = 300
"""This number finds a share of 1 % of wrong blocks with a probability of 95 %."""
CONFIDENCE = 0.95


class MethodKind(LabelledEnum):
    """The blocks that are compared by their content, from the weakest to the strongest. Tags and proofs hold the values."""

    STRUCTURE = "structure", "structure"
    SAMPLE = "sample", "sample"
    SUBSET = "subset", "part"
    CHANGED = "changed", "changes since the last full proof"
    FULL = "full", "all blocks"

    @property
    def strength(self) -> int:
        """Its place in this order."""
        return list(MethodKind).index(self)


@dataclass(frozen=True, slots=True)
class Method:
    """The comparison of a copy with its source.

    Every method compares the listings of both, and each block that one side lacks.
    """

    kind: MethodKind
    sample: int = 0
    """SAMPLE and CHANGED: the number of other blocks that are compared."""
    part: int = 0
    """SUBSET: the part, from 1 to `parts`; a part is every `parts`-th block."""
    parts: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError, which says what would be right, for invalid numbers."""
        if not 0 <= self.sample <= LARGEST_SAMPLE or (self.kind is MethodKind.SAMPLE and not self.sample):
            raise ValueError(f"a sample has 1 to {LARGEST_SAMPLE} blocks")
        if self.kind is MethodKind.SUBSET and not 1 <= self.part <= self.parts <= MOST_PARTS:
            raise ValueError(f"a part is n/t with n from 1 to t, and t at most {MOST_PARTS}, such as 1/30")

    def __str__(self) -> str:
        """Return its identifier: `structure`, `sample:300`, `subset:1/30`, `changed:300`, `full`."""
        if self.kind is MethodKind.SUBSET:
            return f"{self.kind}:{self.part}/{self.parts}"
        return f"{self.kind}:{self.sample}" if self.sample else str(self.kind)

    @property
    def finds(self) -> str:
        """The faults that the method finds, in words."""
        if self.kind is MethodKind.FULL:
            return "every difference"
        if self.kind is MethodKind.CHANGED:
            return "every difference in what changed since the last full proof"
        if self.kind is MethodKind.SUBSET:
            return f"missing and extra blocks, and every difference in part {self.part} of {self.parts}"
        if self.kind is MethodKind.STRUCTURE:
            return "missing and extra blocks, and a wrong size"
        return f"missing and extra blocks, and {100 * share_found(self.sample):.2g} % of wrong blocks with 95 %"


STRUCTURE = Method(MethodKind.STRUCTURE)
FULL = Method(MethodKind.FULL)


def parse_part(text: str) -> Method:
    """Return the method of `n/t`. Raise ValueError for anything else."""
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    return Method(MethodKind.SUBSET, part=int(match[1]) if match else 0, parts=int(match[2]) if match else 0)


def strength_of(method: str) -> tuple[int, int]:
    """Return a sort key for the identifiers of methods; the larger of two samples is stronger."""
    kind, _, number = method.partition(":")
    strengths = {str(member): member.strength for member in MethodKind}
    return strengths.get(kind, -1), int(number) if number.isdecimal() else 0


def share_found(sample: int) -> float:
    """Return the share of wrong blocks that 95 % of samples find: 5 % of samples have none of them."""
    return float(1 - (1 - CONFIDENCE) ** (1 / sample))


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most blocks, time and money that a proof needs, by the documented prices and rates."""

    blocks: int
    """The blocks whose content is compared."""
    list_requests: int
    reads: int
    seconds: float
    dollars: float


def estimate(method: Method, size_gib: int, changed_blocks: int | None = None) -> Estimate:
    """Return the estimate for the proof of a volume whose blocks are all written.

    Blocks that one side lacks are additional. Without the number of changed blocks, all of them may have changed.
    """
    blocks = size_gib * BLOCKS_PER_GIB
    pages = math.ceil(blocks / PAGE_BLOCKS)
    compared = {
        MethodKind.STRUCTURE: 0,
        MethodKind.SAMPLE: method.sample,
        MethodKind.SUBSET: math.ceil(blocks / max(1, method.parts)),
        MethodKind.CHANGED: blocks if changed_blocks is None else changed_blocks + method.sample,
        MethodKind.FULL: blocks,
    }[method.kind]
    compared = min(compared, blocks)
    listings = pages + min(pages, compared) + (pages if method.kind is MethodKind.CHANGED else 0)
    # Both sides at once, each in its own Region.
    seconds = listings / LISTINGS_PER_SECOND + compared / READS_PER_SECOND
    return Estimate(compared, 2 * listings, 2 * compared, seconds, dollars_of(2 * listings, 2 * compared))


def dollars_of(list_requests: int, reads: int) -> float:
    """Return the price of requests and of read blocks, in US dollars."""
    return list_requests * BLOCK_LISTING.dollars + reads * BLOCK_READ.dollars


@dataclass(frozen=True, slots=True)
class MonthSpending:
    """The cost of the comparisons of one policy that ended in a calendar month."""

    dollars: float
    reduced: bool
    """Whether one of them compared only structure because the budget was spent."""
