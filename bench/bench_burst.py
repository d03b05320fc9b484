"""A burst of 5,000 copies of mixed sizes into one region with a quota of 20, in virtual time.

Beside it the same burst with the original system's behaviour (every copy is started at once, and once) and with blind
exponential back-off; and the cost of one dispatch with 100 and with 100,000 waiting entries.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from heapq import heapify, heappop, heappush
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector
from snapkeep.domain.tags import tags_for_copy
from snapkeep.lab.ebs_model import Quotas, Speeds, VirtualClock, World
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.runner import Runner

PRIMARY, DR = "us-east-1", "us-east-2"
COPIES, QUOTA = 5_000, 20
DICE = 20260301
SPEEDS = Speeds(copy_base_seconds=60.0, copy_mib_per_second=120.0)
MIB_PER_GIB = 1024
RULE = CopyRule(DR, copy_within=timedelta(days=30), retention=Retention(keep_last=1))
POLICIES = PolicySet((Policy("default", Selector(), Retention(keep_last=1), (RULE,)),), Limits())


@dataclass
class Burst:
    """A world with the sources of a burst, and the deadline of each copy."""

    world: World
    sources: list[str]
    seconds: dict[str, float]
    deadlines: dict[str, float]
    began: float

    @property
    def lower_bound_seconds(self) -> float:
        """No order on 20 machines is faster: all work shared evenly, and no copy in less than its own time."""
        return max(sum(self.seconds.values()) / QUOTA, *self.seconds.values())


def make_burst(*, tight: bool = False) -> Burst:
    """Volumes of 1 to 2,000 GiB, most of them small, each with a completed snapshot of data written all over it."""
    dice = random.Random(DICE)  # noqa: S311 - a model's dice
    quotas = Quotas(throttling=False, pending_snapshots=COPIES, copies_per_destination=QUOTA)
    world = World(clock=VirtualClock(), regions=(PRIMARY, DR), quotas=quotas, speeds=SPEEDS, seed=DICE)
    ec2 = world.client("ec2", PRIMARY)
    sizes = [min(2000, max(1, int(dice.lognormvariate(3.0, 1.3)))) for _ in range(COPIES)]
    volumes = [ec2.create_volume(AvailabilityZone=f"{PRIMARY}a", Size=size, VolumeType="gp3")["VolumeId"] for size in sizes]
    world.run_until(world.now() + 10)
    for volume, size in zip(volumes, sizes, strict=True):
        world.write(volume, 0, size * 2048, region=PRIMARY)
    tags = [{"Key": "snapkeep:managed", "Value": "snapkeep"}]
    sources = [
        ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])["SnapshotId"]
        for volume in volumes
    ]
    world.run_until(world.now() + 4 * 86_400)
    seconds = {
        source: SPEEDS.copy_base_seconds + size * MIB_PER_GIB / SPEEDS.copy_mib_per_second
        for source, size in zip(sources, sizes, strict=True)
    }
    now = world.now()
    deadlines = tight_deadlines(sources, seconds, dice, now) if tight else policy_deadlines(sources, dice, now)
    return Burst(world, sources, seconds, deadlines, now)


def policy_deadlines(sources: list[str], dice: random.Random, now: float) -> dict[str, float]:
    """The deadlines of three policies, mixed over all sizes: 18, 30 and 42 hours. Together they can be met."""
    return {source: now + dice.choice((18, 30, 42)) * 3600.0 for source in sources}


def tight_deadlines(sources: list[str], seconds: dict[str, float], dice: random.Random, now: float) -> dict[str, float]:
    """Deadlines that leave hardly any room: those of a known order on 20 machines, each at most an hour after its end there."""
    machines = [0.0] * QUOTA
    deadlines = {}
    for source in sorted(sources, key=lambda _: dice.random()):
        end = heappop(machines) + seconds[source]
        heappush(machines, end)
        deadlines[source] = now + end + 300 + dice.uniform(0, 3600)
    return deadlines


def request(burst: Burst, source: str) -> CopyRequest:
    snapshot = burst.world.region_account(PRIMARY).snapshots[source]
    origin = Origin(PRIMARY, snapshot.volume_id, source, utc(snapshot.start))
    tags = tags_for_copy("snapkeep", "default", origin)
    return CopyRequest(origin, "default", DR, "", utc(burst.deadlines[source]), snapshot.size_gib, False, tags)


@dataclass
class Outcome:
    """The result of a burst."""

    name: str
    arrived: int
    seconds: float
    busy_share: float
    late: int
    calls: int

    def line(self, bound: float) -> str:
        finish = f"{self.seconds / 3600:8.1f} h = {self.seconds / bound:5.3f} of the bound"
        return (
            f"{self.name:<28} arrived {self.arrived:>5} of {COPIES}, {finish}, busy {self.busy_share:6.1%}, "
            f"late {self.late:>4}, CopySnapshot calls per copy {self.calls / max(self.arrived, 1):6.3f}"
        )


def measured(name: str, burst: Burst, calls: int, waited_until: float) -> Outcome:
    copies = [copy for copy in burst.world.region_account(DR).snapshots.values() if copy.source_id]
    done = [copy for copy in copies if copy.state == "completed"]
    end = max((copy.completed_at for copy in done), default=burst.began)
    busy = sum(min(copy.completed_at, waited_until) - copy.start for copy in done if copy.start < waited_until)
    late = sum(copy.completed_at > burst.deadlines[copy.source_id] for copy in done) + COPIES - len(done)
    share = busy / (QUOTA * (waited_until - burst.began)) if waited_until > burst.began else 0.0
    return Outcome(name, len(done), end - burst.began, share, late, calls)


def count_copy_calls(world: World) -> list[int]:
    calls, call = [0], world.call

    def counted(service: str, action: str, params: Any = None, **options: Any) -> Any:
        calls[0] += action == "CopySnapshot"
        return call(service, action, params, **options)

    world.call = counted  # type: ignore[method-assign]
    return calls


def with_the_queue(*, tight: bool = False) -> tuple[Outcome, float]:
    """Snapkeep: all copies enter the queue at once, and are dispatched."""
    burst = make_burst(tight=tight)
    calls = count_copy_calls(burst.world)
    runner = Runner(burst.world, lambda: POLICIES)
    now = runner.composition.clock.now()
    queue = runner.composition.queues[DR]
    for source in burst.sources:
        queue.insert(QueueEntry(request(burst, source), EntryState.WAITING, now, now))
    runner.wake(DR, 1.0)
    waited_until = burst.began
    while not runner.idle:
        if queue.count(EntryState.WAITING):
            waited_until = burst.world.now()
        runner.advance(5.0)
    runner.advance(60.0)
    return measured(
        "Snapkeep, tight deadlines" if tight else "Snapkeep", burst, calls[0], waited_until
    ), burst.lower_bound_seconds


def at_once() -> Outcome:
    """The original system: each run calls CopySnapshot once; a refused call is not retried."""
    burst = make_burst()
    calls = count_copy_calls(burst.world)
    client = burst.world.client("ec2", DR)
    for source in burst.sources:
        try_copy(client, source)
    burst.world.run_until_idle()
    return measured("the original: once, at once", burst, calls[0], burst.began)


def with_blind_back_off() -> Outcome:
    """Each copy is retried independently, with exponential back-off, a cap of five minutes and full jitter."""
    burst = make_burst()
    calls = count_copy_calls(burst.world)
    client, dice = burst.world.client("ec2", DR), random.Random(DICE)  # noqa: S311
    due = [(burst.began, number, 0, source) for number, source in enumerate(burst.sources)]
    heapify(due)
    waited_until = burst.began
    while due:
        moment, number, tries, source = heappop(due)
        burst.world.run_until(moment)
        if not try_copy(client, source):
            waited_until = moment
            heappush(due, (moment + dice.uniform(1, min(300, 2 * 2**tries)), number, min(tries + 1, 10), source))
    burst.world.run_until_idle()
    return measured("blind exponential back-off", burst, calls[0], waited_until)


def try_copy(client: Any, source: str) -> bool:
    try:
        client.copy_snapshot(SourceRegion=PRIMARY, SourceSnapshotId=source)
    except ClientError:
        return False
    return True


def dispatch_milliseconds(waiting: int) -> float:
    """The median of dispatches that each fill an empty quota, with a number of waiting entries at the first of them."""
    quotas = Quotas(throttling=False, pending_snapshots=100, snapshots_per_volume=100, seconds_between_snapshots=0)
    world = World(clock=VirtualClock(), regions=(PRIMARY, DR), quotas=quotas)
    runner = Runner(world, lambda: POLICIES)
    ec2 = world.client("ec2", PRIMARY)
    volume = ec2.create_volume(AvailabilityZone=f"{PRIMARY}a", Size=1, VolumeType="gp3")["VolumeId"]
    world.run_until(world.now() + 5)
    sources = [ec2.create_snapshot(VolumeId=volume)["SnapshotId"] for _ in range(5 * QUOTA)]
    world.run_until(world.now() + 60)
    now, queue = runner.composition.clock.now(), runner.composition.queues[DR]
    for number in range(waiting):
        source = sources[number] if number < len(sources) else f"snap-{number:017x}"
        origin = Origin(PRIMARY, volume, source, now)
        tags = tags_for_copy("snapkeep", "default", origin)
        request = CopyRequest(origin, "default", DR, "", now + timedelta(seconds=number), 1, False, tags)
        queue.insert(QueueEntry(request, EntryState.WAITING, now, now))
    times = []
    for _ in range(len(sources) // QUOTA):
        started = time.perf_counter()
        done = runner.composition.dispatch(DR).run("bench")
        times.append(time.perf_counter() - started)
        assert len(done.started) == QUOTA, done
        for copy in list(world.region_account(DR).copies_in_flight):
            world.client("ec2", DR).delete_snapshot(SnapshotId=copy)
    return sorted(times)[len(times) // 2] * 1000


def main() -> int:
    """Print the measurements. Return 1 if one misses its aim."""
    started = time.perf_counter()
    snapkeep, bound = with_the_queue()
    print(f"{COPIES} copies, quota {QUOTA}, lower bound for {QUOTA} machines {bound / 3600:.1f} h of virtual time")
    tight, _ = with_the_queue(tight=True)
    outcomes = [snapkeep, at_once(), with_blind_back_off(), tight]
    for outcome in outcomes:
        print(outcome.line(bound))
    few, many = min(dispatch_milliseconds(100) for _ in range(5)), min(dispatch_milliseconds(100_000) for _ in range(2))
    print(
        f"one dispatch that fills the quota: {few:.1f} ms with 100 waiting, {many:.1f} ms with 100,000 ({many / few:.2f} times)"
    )
    aims = {
        "time to finish at most 1.05 of the bound": snapkeep.seconds <= 1.05 * bound,
        "slots busy at least 98 % while anything waits": snapkeep.busy_share >= 0.98,
        "no deadline missed that can be met": snapkeep.late == 0 and tight.late == 0,
        "CopySnapshot calls per copy at most 1.02": snapkeep.calls <= 1.02 * COPIES,
        "dispatch with 100,000 waiting at most twice that with 100": many <= 2 * few,
    }
    for aim, met in aims.items():
        print(f"{'met   ' if met else 'MISSED'} {aim}")
    print(f"measured in {time.perf_counter() - started:.0f} s")
    return 0 if all(aims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
