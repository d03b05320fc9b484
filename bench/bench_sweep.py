"""Sweep of 100,000 snapshots with their copies: EC2 calls, memory, and time in the model's latency; and 300 deletions paced.

    python bench/bench_sweep.py [SNAPSHOTS]

A describe call of a full page is taken to last `PAGE_SECONDS`; what the sweep computes is measured. The deletions run against a
token bucket of 100 calls, refilled with 5 a second, in virtual time.
"""

# ruff: noqa: ARG002 - what stands in for AWS takes what AWS takes

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import PAGE, Ec2Reader
from snapkeep.adapters.ec2_writers import Ec2Deleter
from snapkeep.domain import ledger
from snapkeep.domain.errors import AwsThrottled
from snapkeep.domain.model import Origin
from snapkeep.domain.policy import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.simulate.memory_queue import MemoryQueue
from snapkeep.usecases.dead_letters import ReplayDeadLetters
from snapkeep.usecases.deletion import DeleteSnapshots, DeletionOrder
from snapkeep.usecases.enqueue import EnqueueCopy
from snapkeep.usecases.sweep import ExposureCheck, SweepLimits, SweepOptions
from snapkeep.usecases.sweep_primary import PrimarySweep

PRIMARY, DR, SYSTEM = "us-east-1", "us-east-2", "snapkeep"
SNAPSHOTS_PER_VOLUME = 20
PAGE_SECONDS, CALL_SECONDS = 0.9, 0.1
NOW = datetime(2026, 11, 23, tzinfo=UTC)
LOST_EVERY, UNCOPIED_EVERY = 1000, 500
LOOKS = 50


class CannedEc2:
    """EC2 that makes its pages as they are asked for, so that what is measured is the sweep."""

    def __init__(self, items: Any, count: int, volumes: int) -> None:
        self.items, self.count, self.volumes = items, count, volumes
        self.calls: Counter[str] = Counter()

    def describe_snapshots(self, **query: Any) -> dict[str, Any]:
        self.calls["describe_snapshots" if "RestorableByUserIds" not in query else "look at sharing"] += 1
        if "RestorableByUserIds" in query:
            return {"Snapshots": []}
        first = int(query.get("NextToken", 0))
        last = min(first + query["MaxResults"], self.count)
        page = {"Snapshots": [self.items(number) for number in range(first, last)]}
        return page | ({"NextToken": str(last)} if last < self.count else {})

    def describe_volumes(self, **query: Any) -> dict[str, Any]:
        self.calls["describe_volumes"] += 1
        first = int(query.get("NextToken", 0))
        last = min(first + query["MaxResults"], self.volumes)
        made = [{"VolumeId": volume_of(n), "Size": 8, "VolumeType": "gp3", "Tags": []} for n in range(first, last)]
        return {"Volumes": made} | ({"NextToken": str(last)} if last < self.volumes else {})

    def describe_images(self, **query: Any) -> dict[str, Any]:
        self.calls["describe_images"] += 1
        return {"Images": []}

    def describe_locked_snapshots(self, **query: Any) -> dict[str, Any]:
        self.calls["describe_locked_snapshots"] += 1
        return {"Snapshots": []}

    def describe_snapshot_attribute(self, **query: Any) -> dict[str, Any]:
        self.calls["look at sharing"] += 1
        return {"CreateVolumePermissions": []}

    def get_snapshot_block_public_access_state(self) -> dict[str, Any]:
        self.calls["look at sharing"] += 1
        return {"State": "block-all-sharing"}


def volume_of(number: int) -> str:
    return f"vol-{number:017x}"


def start_of(number: int) -> datetime:
    return NOW - timedelta(hours=1, days=SNAPSHOTS_PER_VOLUME - 1 - number % SNAPSHOTS_PER_VOLUME)


def origin_of(number: int) -> Origin:
    return Origin(PRIMARY, volume_of(number // SNAPSHOTS_PER_VOLUME), f"snap-{number:017x}", start_of(number))


def described(snapshot_id: str, volume_id: str, start: datetime, tags: dict[str, str]) -> dict[str, Any]:
    return {
        "SnapshotId": snapshot_id,
        "VolumeId": volume_id,
        "State": "completed",
        "StartTime": start,
        "Progress": "100%",
        "OwnerId": "123456789012",
        "Description": "",
        "VolumeSize": 8,
        "Encrypted": True,
        "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
        "StorageTier": "standard",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def source(number: int) -> dict[str, Any]:
    """One in `LOST_EVERY` is a newest one that no run has handled."""
    origin = origin_of(number)
    lost = number % SNAPSHOTS_PER_VOLUME == SNAPSHOTS_PER_VOLUME - 1 and number // SNAPSHOTS_PER_VOLUME % LOST_EVERY == 0
    tags = {} if lost else ledger.tags_for_snapshot(SYSTEM, "gold", origin) | {"Name": "data", "Team": "storage"}
    return described(origin.snapshot_id, origin.volume_id, origin.start_time, tags)


def copy(number: int) -> dict[str, Any]:
    """Of one volume in `UNCOPIED_EVERY` the newest copy was deleted."""
    newest = number % SNAPSHOTS_PER_VOLUME == SNAPSHOTS_PER_VOLUME - 1
    origin = origin_of(number)
    if newest and number // SNAPSHOTS_PER_VOLUME % UNCOPIED_EVERY == 1:
        return described(f"snap-d{number:016x}", "vol-ffffffff", origin.start_time, {})
    tags = ledger.tags_for_copy(SYSTEM, "gold", origin) | {"Name": "data", "Team": "storage"}
    return described(f"snap-c{number:016x}", "vol-ffffffff", origin.start_time, tags)


class Runs:
    def __init__(self) -> None:
        self.started = 0

    def start(self, event: Any, name: str) -> bool:
        self.started += 1
        return True

    def deployed_at(self) -> datetime:
        return NOW - timedelta(days=400)


class Nothing:
    def receive(self, most: int) -> Iterator[Any]:
        return iter(())

    def delete(self, letters: Any) -> None:
        pass

    def tag(self, snapshot_ids: Any, tags: Any) -> None:
        pass

    def succeed(self, region: str, token: str, output: Any) -> bool:
        return True

    def fail(self, region: str, token: str, error: str, cause: str) -> bool:
        return True


class Now:
    def now(self) -> datetime:
        return NOW


def bench_sweep(count: int) -> dict[str, Any]:
    rule = CopyRule(DR, retention=Retention(keep_last=30))
    policies = PolicySet((Policy("gold", Selector(), Retention(keep_last=18), (rule,)),), Limits())
    volumes = count // SNAPSHOTS_PER_VOLUME
    clients = {PRIMARY: CannedEc2(source, count, volumes), DR: CannedEc2(copy, count, 0)}
    readers = {region: Ec2Reader(client=client, region=region) for region, client in clients.items()}  # type: ignore[arg-type]
    queue, nothing, runs = MemoryQueue(region=DR), Nothing(), Runs()
    sweep = PrimarySweep(
        system=SYSTEM,
        reader=readers[PRIMARY],
        reader_of=readers.__getitem__,
        queue_of=lambda _: queue,
        guards=RecentGuards(reader=readers[PRIMARY], clock=Now()),
        policies=lambda: policies,
        enqueue=EnqueueCopy(queue_of=lambda _: queue, waiters=nothing, clock=Now()),
        tagger=nothing,
        runs=runs,
        letters=ReplayDeadLetters(letters=nothing, runs=runs),
        exposure=ExposureCheck(exposure=Ec2Exposure(client=clients[PRIMARY]), looks=LOOKS),  # type: ignore[arg-type]
        clock=Now(),
        limits=SweepLimits(),
    )
    began = time.process_time()
    swept = sweep.run("bench", SweepOptions())
    computed = time.process_time() - began
    calls = clients[PRIMARY].calls + clients[DR].calls
    pages = 2 * -(-count // PAGE) + -(-volumes // PAGE) + 2
    looks = calls.pop("look at sharing")
    total = sum(calls.values())
    assert total <= pages, (calls, pages)
    seconds = computed + pages * PAGE_SECONDS + looks * CALL_SECONDS
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert runs.started >= 1
    assert len(queue) >= 1
    return {
        "snapshots": count,
        "copies": count,
        "EC2 calls": total,
        "pages needed": pages,
        "looks at sharing (own budget)": looks,
        "runs started": runs.started,
        "copies asked for": len(queue),
        "deletions planned": len(swept.plan.deletions),
        "peak memory, MB": round(peak_mb),
        "computed, s": round(computed, 1),
        "function time with the pages' latency, s": round(seconds),
    }


class Bucket:
    """DeleteSnapshot as EC2 throttles it: 100 calls, 5 a second (EC2 developer guide, "Request throttling")."""

    def __init__(self) -> None:
        self.tokens, self.at, self.time, self.calls, self.gone = 100.0, 0.0, 0.0, 0, 0

    def delete_snapshot(self, SnapshotId: str) -> None:  # noqa: N803 - EC2's name
        self.time += 0.05
        self.calls += 1
        self.tokens = min(100.0, self.tokens + (self.time - self.at) * 5)
        self.at = self.time
        if self.tokens < 1:
            raise AwsThrottled("RequestLimitExceeded")
        self.tokens -= 1
        self.gone += 1

    def pause(self, seconds: float) -> None:
        self.time += seconds


def bench_deletions(count: int) -> dict[str, Any]:
    bucket = Bucket()
    step = DeleteSnapshots(
        deleter=Ec2Deleter(client=bucket),  # type: ignore[arg-type]
        pacer=bucket,
        clock=Now(),
        audit=lambda *_: None,
    )
    results = step.run(NOW, [DeletionOrder(f"snap-{n:017x}", "vol-1", "", "gold", ("beyond last 1",)) for n in range(count)])
    assert all(result.done for result in results)
    return {
        "deletions": bucket.gone,
        "calls": bucket.calls,
        "calls for each": round(bucket.calls / count, 3),
        "seconds": round(bucket.time),
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    deletions = bench_deletions(300)
    sweep = bench_sweep(count)
    print(json.dumps({"sweep": sweep, "deletions": deletions}, indent=2))
    assert deletions["calls for each"] <= 1.1
    if count == 100_000:
        assert sweep["peak memory, MB"] < 1000
        assert sweep["function time with the pages' latency, s"] < 300


if __name__ == "__main__":
    main()
