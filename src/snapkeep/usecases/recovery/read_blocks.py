"""Read the blocks of snapshots as fast as the documented quotas allow, and slower after throttling."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import TypeVar

from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, PageTokenExpired
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.blocks import (
    BLOCKS_PER_GIB,
    PAGE_BLOCKS,
    SMALLEST_PAGE_BLOCKS,
    BlockDigest,
    BlockDigests,
    BlockList,
    Extent,
    extents_of,
    indexes_of,
)
from snapkeep.domain.recovery.methods import LISTINGS_PER_SECOND, READS_PER_SECOND
from snapkeep.usecases.ports import PacingClock
from snapkeep.usecases.recovery.ports import BlockApi, BlockPage, Workers

Result = TypeVar("Result")
Page = TypeVar("Page", BlockPage, BlockPage | None)
MOST_ATTEMPTS = 10
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.1, 10.0
MOST_EMPTY_PAGES = 100
"""Empty pages in a row after which a listing counts as unavailable."""
READINGS = 3
"""The number of reads of a block whose bytes do not have the stated checksum."""


class Pace:
    """The rate of one kind of requests: at most its limit, half after throttling, and higher again with every answer."""

    def __init__(self, per_second: float) -> None:
        self.limit = per_second
        self.per_second = per_second
        self._free_at = 0.0
        self._slowed_at = 0.0
        self._lock = threading.Lock()

    def turn(self, now: float) -> float:
        """Take the next turn; return the seconds until it comes."""
        with self._lock:
            turn = max(now, self._free_at)
            self._free_at = turn + 1 / self.per_second
            return turn - now

    def throttled(self, now: float) -> None:
        """Slow down, once a second: requests that are under way are throttled together."""
        with self._lock:
            if now - self._slowed_at >= 1:
                self._slowed_at = now
                self.per_second = max(self.limit / 100, self.per_second / 2)

    def answered(self) -> None:
        """Speed up a little."""
        with self._lock:
            self.per_second = min(self.limit, self.per_second + self.limit / 1000)


@dataclass(frozen=True, slots=True)
class _Part:
    """A page as extents. `until` is the block after its last one."""

    first: int
    extents: list[Extent]
    until: int
    more: bool
    size_gib: int
    requests: int


@dataclass(frozen=True, kw_only=True)
class ReadBlocks:
    """`BlockReader` over concurrent, paced requests.

    Listings continue by a page token only after an empty page, because tokens expire after 60 minutes.
    """

    api: BlockApi
    workers: Workers
    clock: PacingClock
    listings: Pace = field(default_factory=lambda: Pace(LISTINGS_PER_SECOND))
    readings: Pace = field(default_factory=lambda: Pace(READS_PER_SECOND))
    _spans: dict[str, int] = field(default_factory=dict)
    """The number of indexes in the shortest of the latest pages of a snapshot."""

    def listing(self, snapshot_id: str, first: int, most: int, size_gib: int) -> BlockList:
        """Return what is listed from a block on, at least until `first + most`, or to the end.

        Pages are requested at the same time, each where the one before is expected to end: at first as if every block was
        written, then as far as the latest pages reached.
        """
        end = min(first + most, max(size_gib * BLOCKS_PER_GIB, first + 1))
        listed = _Listing(first)
        while not listed.ended and listed.until < end:
            starts = range(listed.until, end, self._spans.get(snapshot_id, PAGE_BLOCKS))
            parts = self.workers.run([partial(self._part, snapshot_id, start, needed=start == listed.until) for start in starts])
            spans = [part.until - part.first for part in parts if part is not None and part.more]
            if spans:
                self._spans[snapshot_id] = min(spans)
            listed.add(parts)
        return listed.result()

    def changes(self, base_id: str, snapshot_id: str, first: int, most: int) -> BlockList:
        """Return the blocks that changed since another snapshot, at least until `first + most`, or to the end."""
        listed = _Listing(first)
        while not listed.ended and listed.until < first + most:
            page, requests = self._page(partial(self.api.page_of_changes, base_id, snapshot_id), listed.until, PAGE_BLOCKS)
            if page is None:
                return BlockList((), first, ended=True, size_gib=0, requests=listed.requests + requests, related=False)
            listed.add([_part_of(page, listed.until, requests)])
        return listed.result()

    def digests(self, snapshot_id: str, extents: Sequence[Extent]) -> BlockDigests:
        """Read those of the blocks that are listed, with fresh tokens, and return their digests by ascending index."""
        groups = list(_groups(extents))
        by_group = self.workers.run([partial(self._tokens, snapshot_id, group) for group in groups])
        tokens = [item for group_tokens, _ in by_group for item in group_tokens]
        read = self.workers.run([partial(self._read, snapshot_id, index, token) for index, token in tokens])
        return BlockDigests(
            tuple(digest for digest, _ in read), sum(requests for _, requests in by_group), sum(reads for _, reads in read)
        )

    def _part(self, snapshot_id: str, first: int, *, needed: bool) -> _Part | None:
        """Return a page; None for one that was requested early and is refused: it may begin after the last block."""
        try:
            page, requests = self._page(partial(self.api.page, snapshot_id), first, PAGE_BLOCKS)
        except AwsRefused:
            if needed:
                raise
            return None
        return _part_of(page, first, requests)

    def _tokens(self, snapshot_id: str, group: list[int]) -> tuple[list[tuple[int, str]], int]:
        """Return the tokens of the blocks of a group that are listed, and the number of requests."""
        of_group, first, last = set(group), group[0], group[-1]
        tokens: list[tuple[int, str]] = []
        requests = 0
        while first <= last:
            page, made = self._page(partial(self.api.page, snapshot_id), first, max(SMALLEST_PAGE_BLOCKS, last - first + 1))
            requests += made
            tokens.extend(item for item in zip(page.indexes, page.tokens, strict=True) if item[0] in of_group)
            if not page.more:
                break
            first = page.indexes[-1] + 1
        return tokens, requests

    def _read(self, snapshot_id: str, index: int, token: str) -> tuple[BlockDigest, int]:
        """Return a block's digest and the number of reads. Bytes without the stated checksum may be damaged on their way."""
        readings = 0
        while True:
            digest = self._paced(self.readings, partial(self.api.read, snapshot_id, index, token))
            readings += 1
            if digest.sound or readings == READINGS:
                return digest, readings

    def _page(self, request: Callable[[int, int, str], Page], first: int, most: int) -> tuple[Page, int]:
        """Return a page that is the last one or not empty, and the number of requests."""
        token = ""
        for requests in range(1, MOST_EMPTY_PAGES + 1):
            try:
                page = self._paced(self.listings, partial(request, first, most, token))
            except PageTokenExpired:
                token = ""
                continue
            if page is None or page.indexes or not page.more:
                _check(page, first)
                return page, requests
            token = page.more
        raise AwsUnavailable(f"{MOST_EMPTY_PAGES} pages of a listing from block {first} on were empty, and none the last")

    def _paced(self, pace: Pace, request: Callable[[], Result]) -> Result:
        """Make a request in its turn; repeat it after growing delays while AWS throttles it or does not answer."""
        for attempt in range(MOST_ATTEMPTS):
            self.clock.pause(pace.turn(self._seconds()))
            try:
                answer = request()
            except (AwsThrottled, AwsUnavailable) as error:
                if attempt + 1 == MOST_ATTEMPTS:
                    raise
                if isinstance(error, AwsThrottled):
                    pace.throttled(self._seconds())
                longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**attempt)
                self.clock.pause(random.uniform(longest / 2, longest))  # noqa: S311 - jitter
            else:
                pace.answered()
                return answer
        raise AssertionError

    def _seconds(self) -> float:
        return self.clock.now().timestamp()


def _check(page: BlockPage | None, first: int) -> None:
    """Raise AwsUnavailable for a page that begins before the block that was requested: an answer to something else."""
    if page is not None and page.indexes and page.indexes[0] < first:
        raise AwsUnavailable(f"a listing from block {first} on begins at block {page.indexes[0]}")


def _part_of(page: BlockPage, first: int, requests: int) -> _Part:
    until = page.indexes[-1] + 1 if page.indexes else first
    return _Part(first, extents_of(page.indexes), until, bool(page.more), page.size_gib, requests)


def _groups(extents: Iterable[Extent]) -> Iterator[list[int]]:
    """Return indexes in groups, each within one page of a listing, however many blocks between them are listed."""
    group: list[int] = []
    for index in indexes_of(extents):
        if group and index >= group[0] + PAGE_BLOCKS:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


@dataclass(slots=True)
class _Listing:
    """A listing that is put together of pages."""

    until: int
    extents: list[Extent] = field(default_factory=list)
    ended: bool = False
    size_gib: int = 0
    requests: int = 0

    def add(self, parts: Sequence[_Part | None]) -> None:
        """Add pages by ascending first block. Those after a gap are dropped, and requested again from its beginning."""
        for part in parts:
            if part is None:
                continue
            self.requests += part.requests
            if self.ended or part.first > self.until:
                continue
            self.size_gib = part.size_gib
            for first, end in part.extents:
                if end > self.until:
                    self._append(max(first, self.until), end)
            self.until = max(self.until, part.until)
            self.ended = not part.more

    def _append(self, first: int, end: int) -> None:
        if self.extents and self.extents[-1][1] == first:
            self.extents[-1] = (self.extents[-1][0], end)
        else:
            self.extents.append((first, end))

    def result(self) -> BlockList:
        return BlockList(tuple(self.extents), self.until, self.ended, self.size_gib, self.requests)
