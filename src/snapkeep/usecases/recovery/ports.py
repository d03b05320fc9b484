"""The ports of proofs. Blocks are read in their own region: only their hashes leave it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from snapkeep.domain.recovery.blocks import BlockDigest, BlockDigests, BlockList, Extent
    from snapkeep.domain.recovery.methods import Method, MonthSpending
    from snapkeep.domain.recovery.proof import Proof

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BlockPage:
    """One page of a listing: ascending indexes, and the token with which each block is read."""

    indexes: Sequence[int]
    tokens: Sequence[str]
    """Empty for a listing of changes."""
    size_gib: int
    more: str
    """The token of the next page; empty on the last one. A page that is not the last may be empty."""


class BlockApi(Protocol):
    """Single requests to the EBS direct APIs of one region.

    Each raises AwsThrottled, AwsUnavailable, AwsRefused, or BlocksUnreadable.
    """

    @property
    def region(self) -> str:
        """The region that is read."""

    def page(self, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage:
        """Return a page from a block on, or the page of a token. Raise PageTokenExpired for a token that is too old."""

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        """Return a page of the blocks that changed since another snapshot; None where AWS does not compare the two."""

    def read(self, snapshot_id: str, index: int, token: str) -> BlockDigest:
        """Read one block and return its digest."""


class BlockReader(Protocol):
    """Lists and reads the blocks of snapshots in one region. Raises BlocksUnreadable, AwsUnavailable or AwsRefused."""

    def listing(self, snapshot_id: str, first: int, most: int, size_gib: int) -> BlockList:
        """Return the listing from a block on: at least `most` indexes, or to the end."""

    def changes(self, base_id: str, snapshot_id: str, first: int, most: int) -> BlockList:
        """Return the blocks that changed since another snapshot, in the same way."""

    def digests(self, snapshot_id: str, extents: Sequence[Extent]) -> BlockDigests:
        """Read those of the blocks that are listed."""


class Workers(Protocol):
    """Makes calls at the same time."""

    def run(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the results in the order of the calls. Raise the error of the first call that failed."""


class Verifications(Protocol):
    """The state machine Verify of this region."""

    def start(self, copy_id: str, method: Method, name: str, *, month_usd: float = 0.0) -> str:
        """Start the comparison of a copy; return its execution. A name that was taken in the last 90 days starts no new one.

        `month_usd` is the budget of the copy's rule for a month; 0 for no limit.
        """


class ProofStore(Protocol):
    """Keeps proofs."""

    def put(self, proof: Proof) -> str:
        """Keep a proof; return where it is."""

    def spending(self, policy: str, month: datetime) -> MonthSpending:
        """Return the cost of a policy's comparisons with a budget that ended in the calendar month (UTC) of a moment."""

    def last_base(self, volume_id: str, copy_region: str) -> Proof:
        """Return the newest proof of a volume's copies in a region that decides the base of changes. Raise ProofNotFound."""
