"""Both regions' sweeps over 100,000 snapshots and their copies: EC2 calls, memory, function time.

    python bench/bench_sweep.py [SNAPSHOTS]

EC2 is the model in a process of its own (big_account.py). Each sweep runs in another, as a function does: the memory is the most
that this process ever held, all of it; the processor time is all of its own, answers parsed by botocore included. Function time
is that processor time and the latency of its requests in virtual time (`ASSUMED_LATENCY`: AWS documents none). Nothing is
encrypted, locked, held, drilled or remembered.
"""

# ruff: noqa: ARG002 - what stands in for AWS takes what AWS takes

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

from bench_cold_start import FUNCTION_VARIABLES
from big_account import DR, POLICY_NAME, PRIMARY, SYSTEM, WRONG_EVERY, Ec2OverTheWire, TableOverTheWire, Wire, serve

from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.ec2_guards import RecentGuards
from snapkeep.adapters.ec2_reader import FILTER_VALUES, PAGE
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.sweep.report import Handling
from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.functions.sweep import SweepAdapters, build
from snapkeep.lab.ebs_model import ASSUMED_LATENCY
from snapkeep.lab.simulator.memory_ports import MemoryDocuments, MemoryHolds
from snapkeep.lab.simulator.memory_queue import MemoryQueue
from snapkeep.lab.simulator.sweeps import NoMemory, NoTrail
from snapkeep.usecases.sweep.deletions_by_others import DeletionWatch
from snapkeep.usecases.sweep.exposure import SHARING_LOOKS, ExposureCheck
from snapkeep.usecases.sweep.shared import SweepLimits, SweepOptions

NOW = datetime(2026, 11, 23, tzinfo=UTC)
KEPT = 18
"""Of 20 snapshots of each volume, here and there: each sweep has more to delete than it may at once."""
GUARD_PAGES = 2
"""AMIs and locks of the region: listed once, because something is to be deleted."""
MOST_SECONDS, MOST_MB = 300, 1000
PAGE_SECONDS = ASSUMED_LATENCY.seconds_of("DescribeSnapshots", {"Snapshots": [None] * PAGE})


class Queue(MemoryQueue):
    """The queue: what is finished is read as it is from the table, a page of 1 MB at a time."""

    def __init__(self, table: TableOverTheWire, known: list[QueueEntry]) -> None:
        super().__init__(region=DR)
        self._table = DynamoDbQueue(client=table, table="queue", region=DR)  # type: ignore[arg-type]
        for entry in known:
            self.insert(entry)

    def in_state(self, state: EntryState) -> Iterator[QueueEntry]:
        finished = self._table.in_state(state) if state is EntryState.DONE else ()
        return chain(super().in_state(state), finished)


class Runs:
    """Starts runs; none is in progress."""

    def __init__(self) -> None:
        self.started = 0

    def start(self, event: Any, name: str) -> bool:
        self.started += 1
        return True

    def deployed_at(self) -> datetime:
        return NOW - timedelta(days=4000)

    def under_way(self) -> list[Any]:
        return []

    def waits(self, run: str) -> list[Any]:
        raise AssertionError(f"{run} is not under way")


class Nothing:
    """Ports without dead letters, waiting executions and comparisons."""

    def receive(self, most: int) -> Iterator[Any]:
        return iter(())

    def delete(self, letters: Any) -> None:
        pass

    def start(self, copy_id: str, method: Any, name: str, **_: Any) -> bool:
        return True

    def send_success(self, region: str, token: str, output: Any) -> bool:
        return True

    def send_failure(self, region: str, token: str, error: str, cause: str) -> bool:
        return True


class NoDrills:
    """The region has nothing that drills made."""

    def tagged_volumes(self, key: str) -> list[Any]:
        return []

    def tagged_machines(self, key: str) -> dict[str, Any]:
        return {}


class OverTheWire(Composition):
    """The composition of a sweep's function whose AWS is the other process."""

    def __init__(self, stack: str, pipe: Connection, facts: dict[str, Any]) -> None:
        region = PRIMARY if stack == "primary" else DR
        self.wire = Wire(pipe, facts["now"])
        self.regions = {name: Ec2OverTheWire(self.wire, name) for name in (PRIMARY, DR)}
        self.table = TableOverTheWire(self.wire)
        self.queue = Queue(self.table, facts["known"])
        names = {"SNAPKEEP_NAME": SYSTEM, "SNAPKEEP_STACK": stack, "AWS_REGION": region, "SNAPKEEP_MAX_LOCK_DAYS": "0"}
        environment = Environment(FUNCTION_VARIABLES | names)
        super().__init__(environment, self, self.wire)

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
        """Return the EC2 client, for every service."""
        assert service == "ec2", service
        return self.regions[region or self.environment.region]

    def queue_of(self, region: str) -> Any:
        return self.queue

    @cached_property
    def guards(self) -> RecentGuards:
        return self.guards_of(self.environment.region)

    def points_of(self, region: str) -> Any:
        return self.reader_of(region)

    def hold_store_of(self, region: str) -> Any:
        return MemoryHolds()

    @cached_property
    def documents(self) -> Any:
        return MemoryDocuments()

    @cached_property
    def drill_ec2(self) -> Any:
        return NoDrills()

    @cached_property
    def drill_runs(self) -> Any:
        return None

    @cached_property
    def verifications(self) -> Any:
        return Nothing()

    @cached_property
    def task_tokens(self) -> Any:
        return Nothing()

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy()

    @cached_property
    def policies(self) -> Callable[[], PolicySet]:
        rule = CopyRule(DR, retention=Retention(keep_last=KEPT))
        policies = PolicySet((Policy(POLICY_NAME, Selector(), Retention(keep_last=KEPT), (rule,)),), Limits())
        return lambda: policies


def adapters(composition: OverTheWire) -> SweepAdapters:
    """Return the ports of a sweep beside EC2, all of them empty."""
    runs: Any = Runs()
    letters: Any = Nothing()
    return SweepAdapters(
        runs=runs,
        waiting_runs=runs,
        letters=letters,
        exposure=ExposureCheck(exposure=Ec2Exposure(client=composition.get("ec2"))),
        watch=DeletionWatch(memories=NoMemory(), trail=NoTrail()),
        limits=SweepLimits(),
        verifications=None,
    )


def run_sweep(stack: str, pipe: Connection, facts: dict[str, Any], answer: Connection) -> None:
    """Run one sweep in a process of its own, and send its cost."""
    function = OverTheWire(stack, pipe, facts)
    sweep = build(function, adapters(function))
    idle_mb, asked_at, began = peak_mb(), function.wire.seconds, time.process_time()
    swept = sweep.run("bench", SweepOptions())
    computed, latency = time.process_time() - began, function.wire.seconds - asked_at
    requests = [request for client in function.regions.values() for request in client.calls]
    answer.send(
        {
            "calls": Counter(method for method, looks in requests if not looks),
            "looks": sum(looks for _, looks in requests),
            "table pages": function.table.pages,
            "repaired": Counter(str(item.kind) for item in swept.report.items if item.handling is Handling.REPAIRED),
            "failed": [item for item in swept.report.items if item.handling is Handling.FAILED],
            "deletions": len(swept.plan.deletions),
            "idle MB": idle_mb,
            "peak MB": peak_mb(),
            "computed": computed,
            "latency": latency,
            "now": function.wire.seconds,
        }
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bench_sweeps(count: int) -> dict[str, Any]:
    processes = multiprocessing.get_context("spawn")
    own_end, server_end = processes.Pipe()
    aws = processes.Process(target=serve, args=(server_end, count), daemon=True)
    aws.start()
    facts = own_end.recv()
    pages = {region: -(-count_of_region // PAGE) for region, count_of_region in facts["snapshots"].items()}
    needed = {
        "primary": pages[PRIMARY] + pages[DR] + -(-facts["volumes"] // PAGE) + GUARD_PAGES,
        # The sweep requests the source volumes by id, to learn which are deleted.
        "dr": pages[DR] + -(-facts["volumes"] // FILTER_VALUES) + GUARD_PAGES,
    }
    summaries: dict[str, Any] = {}
    for stack in ("primary", "dr"):
        result, answer = processes.Pipe(duplex=False)
        function = processes.Process(target=run_sweep, args=(stack, own_end, facts, answer), daemon=True)
        function.start()
        taken = result.recv()
        function.join()
        facts["now"] = taken["now"]
        summaries[stack] = summary(taken, needed[stack], wrong=2 * -(-facts["volumes"] // WRONG_EVERY))
    assert summaries["dr"]["pages of the queue's table"] == facts["table pages"]
    own_end.send(None)
    aws.join()
    return {"snapshots": facts["snapshots"][PRIMARY], "copies": facts["snapshots"][DR], **summaries}


def summary(taken: dict[str, Any], pages: int, wrong: int) -> dict[str, Any]:
    calls, repairs = sum(taken["calls"].values()), sum(taken["repaired"].values())
    seconds = taken["latency"] + taken["computed"]
    assert not taken["failed"], taken["failed"]
    assert repairs == wrong, taken["repaired"]
    assert taken["deletions"] == SweepLimits().deletions
    assert calls <= pages + repairs, (taken["calls"], pages, taken["repaired"])
    assert taken["looks"] <= SHARING_LOOKS + 2
    return {
        "EC2 calls": calls,
        "pages needed": pages,
        "repairs": taken["repaired"],
        "looks at sharing (own budget)": taken["looks"],
        "pages of the queue's table": taken["table pages"],
        "peak memory of the process, MB": round(taken["peak MB"]),
        "of it before the sweep, MB": round(taken["idle MB"]),
        "latency of the requests, s": round(taken["latency"], 1),
        "computed, answers parsed, s": round(taken["computed"], 1),
        "function time, s": round(seconds, 1),
        "seconds a page": round(PAGE_SECONDS, 2),
        "below five minutes up to, seconds a page": round(PAGE_SECONDS + (MOST_SECONDS - seconds) / pages, 2),
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sweeps = bench_sweeps(count)
    print(json.dumps({"sweeps": sweeps}, indent=2))
    if count == 100_000:
        for stack in ("primary", "dr"):
            assert sweeps[stack]["peak memory of the process, MB"] < MOST_MB
            assert sweeps[stack]["function time, s"] < MOST_SECONDS


if __name__ == "__main__":
    main()
