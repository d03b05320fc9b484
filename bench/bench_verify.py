"""Proofs at the documented rates of the EBS direct APIs, in virtual time: how close they come to what the quotas allow.

    python bench/bench_verify.py

Both sides are snapshots whose blocks were all written. Each request takes 100 ms, the guide's example, and the model's token
buckets throttle it: 50 listings a second, and 1,000 blocks of one snapshot. The threads are real and run one at a time; time
passes only when all of them wait.
"""

# ruff: noqa: ARG002 - what stands in for AWS takes what AWS takes

from __future__ import annotations

import heapq
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from snapkeep.domain.errors import AwsThrottled
from snapkeep.domain.recovery.blocks import BLOCKS_PER_GIB, PAGE_BLOCKS, BlockDigest
from snapkeep.domain.recovery.methods import FULL, LISTINGS_PER_SECOND, READS_PER_SECOND, STRUCTURE, Method
from snapkeep.domain.recovery.proof import Pair, Proof, ProofProgress
from snapkeep.functions.clients import BLOCK_CONNECTIONS
from snapkeep.lab.ebs_model import Quotas
from snapkeep.lab.ebs_model.conditions.throttling import Throttle
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.simulator.memory_proofs import MemoryProofs
from snapkeep.usecases.recovery.ports import BlockPage
from snapkeep.usecases.recovery.read_blocks import ReadBlocks
from snapkeep.usecases.recovery.verify import VerifyCopy

Result = TypeVar("Result")
LATENCY_SECONDS = 0.1
STRUCTURE_GIB, FULL_GIB = 100, 20
MOST_OF_STRUCTURE, MOST_OF_FULL = 1.1, 1.15
PAIR = Pair("vol-1", "us-east-1", "snap-1", "us-east-2", "snap-2")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Timeline:
    """`Clock` and `Pacer` of threads that run one at a time: time moves to the next wake-up when all of them wait."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running = 1
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._number = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        wake = threading.Event()
        with self._lock:
            self._number += 1
            heapq.heappush(self._waiting, (self.seconds + seconds, self._number, wake))
            self._rest()
        wake.wait()

    def _rest(self) -> None:
        """Count one thread less, and wake the next one where none runs."""
        self._running -= 1
        if not self._running and self._waiting:
            self.seconds, _, wake = heapq.heappop(self._waiting)
            self._running += 1
            wake.set()

    def run(self, calls: Sequence[Callable[[], Result]], most: int) -> list[Result]:
        """Make calls in so many threads, and return their results in order."""
        results: dict[int, Result] = {}
        pending, ended, done = deque(enumerate(calls)), threading.Event(), 0
        workers = min(most, len(calls))
        if not workers:
            return []

        def work() -> None:
            nonlocal done
            while pending:
                number, call = pending.popleft()
                results[number] = call()
            with self._lock:
                done += 1
                if done == workers:
                    self._running += 1  # the caller goes on
                    ended.set()
                self._rest()

        threads = [threading.Thread(target=work) for _ in range(workers)]
        with self._lock:
            self._running += workers
            for thread in threads:
                thread.start()
            self._rest()
        ended.wait()
        for thread in threads:
            thread.join()
        return [results[number] for number in range(len(calls))]


class Threads:
    """`Workers` on a timeline."""

    def __init__(self, timeline: Timeline, most: int) -> None:
        self._timeline, self._most = timeline, most

    def run(self, calls: Sequence[Callable[[], Result]]) -> list[Result]:
        return self._timeline.run(calls, self._most)


class ThrottledBlocks:
    """`BlockApi` of a snapshot whose blocks were all written, behind the model's token buckets."""

    def __init__(self, timeline: Timeline, region: str, size_gib: int) -> None:
        self.timeline, self.region, self.size_gib = timeline, region, size_gib
        self.requests: Counter[str] = Counter()
        self._throttle = Throttle()

    def _request(self, action: str, snapshot_id: str) -> None:
        self.requests[action] += 1
        try:
            self._throttle.take(f"1/{self.region}", action, {"SnapshotId": snapshot_id}, Quotas(), self.timeline.seconds)
        except ApiError as error:
            self.requests["throttled"] += 1
            raise AwsThrottled(error.message) from error
        finally:
            self.timeline.pause(LATENCY_SECONDS)

    def page(self, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage:
        self._request("ListSnapshotBlocks", snapshot_id)
        end = self.size_gib * BLOCKS_PER_GIB
        indexes = range(first, min(end, first + most))
        return BlockPage(indexes, ["token"] * len(indexes), self.size_gib, "more" if first + most < end else "")

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        raise NotImplementedError

    def read(self, snapshot_id: str, index: int, token: str) -> BlockDigest:
        self._request("GetSnapshotBlock", snapshot_id)
        checksum = "QQ=="
        return BlockDigest(index, checksum, checksum)


def prove(method: Method, size_gib: int) -> tuple[Proof, float, Counter[str]]:
    """Return a proof, the virtual seconds that it took, and the requests to one side."""
    timeline = Timeline()
    apis = {region: ThrottledBlocks(timeline, region, size_gib) for region in (PAIR.source_region, PAIR.copy_region)}
    readers = {
        region: ReadBlocks(api=api, workers=Threads(timeline, BLOCK_CONNECTIONS), clock=timeline) for region, api in apis.items()
    }
    use_case = VerifyCopy(
        reader=None,  # type: ignore[arg-type] - the comparison has begun
        reader_of=None,  # type: ignore[arg-type] - nothing is refused
        blocks_of=readers.__getitem__,
        proofs=MemoryProofs(),
        clock=timeline,
        sides=Threads(timeline, 2),
    )
    result: ProofProgress | Proof = ProofProgress(PAIR, method, timeline.now(), size_gib, size_gib)
    while isinstance(result, ProofProgress):
        result = use_case.run(result)
    return result, timeline.seconds, apis[PAIR.copy_region].requests


def measure(method: Method, size_gib: int, most: float) -> bool:
    """Print how long a proof takes, against the shortest time that the quotas allow. Return whether that is good enough."""
    blocks = size_gib * BLOCKS_PER_GIB
    pages = -(-blocks // PAGE_BLOCKS)
    proof, seconds, requests = prove(method, size_gib)
    assert proof.proved, proof
    least = (blocks / READS_PER_SECOND if method is FULL else pages / LISTINGS_PER_SECOND) + LATENCY_SECONDS
    print(f"{method} proof of {size_gib} GiB: {seconds:.2f} s, at least {least:.2f} s by the quotas: ratio {seconds / least:.3f}")
    print(f"  requests to each side: {dict(requests)}; pages at least: {pages}")
    good = seconds <= most * least
    if method is STRUCTURE:
        good = good and requests["ListSnapshotBlocks"] <= most * pages
    print(f"  aim: {most}: {'met' if good else 'MISSED'}")
    return good


def main() -> int:
    met = [measure(STRUCTURE, STRUCTURE_GIB, MOST_OF_STRUCTURE), measure(FULL, FULL_GIB, MOST_OF_FULL)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
