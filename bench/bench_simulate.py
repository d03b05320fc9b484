"""A year of 1,000 volumes, daily snapshots, one DR copy, as `snapkeep simulate` has it: at most ten minutes of one core.

    python bench/bench_simulate.py [DAYS [VOLUMES]]

The core is one on which the bare loop of bench_decide.py takes 1.7 s. A machine's speed changes within minutes: how long the loop
takes here is measured before the run, after it, and every 30 days within it. The first weeks are the cheapest, for retention has
less to look at: a short run underestimates a year.
"""

from __future__ import annotations

import sys
import time

import bench_decide

from snapkeep.domain.policy.model import Limits
from snapkeep.domain.policy.parameters import from_parameters
from snapkeep.domain.records import collect_rarely
from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions
from snapkeep.lab.simulator.fleet import generate, make_world

AIM_SECONDS = 600.0
LOOP_SECONDS = 1.7
"""Of the bare loop, on the core for which the aim was set."""


DAYS_BETWEEN_LOOPS = 30


class Stopwatch:
    """CPU time of this process, and what it would have been on the core of the aim."""

    def __init__(self) -> None:
        self.loops = [loop_seconds()]
        self.seconds = self.reference_seconds = 0.0
        self._began = time.process_time()

    def lap(self) -> None:
        """Take the time since the last lap by the speed that the machine had in it."""
        passed = time.process_time() - self._began
        self.loops.append(loop_seconds())
        self.seconds += passed
        self.reference_seconds += passed * LOOP_SECONDS * 2 / (self.loops[-2] + self.loops[-1])
        self._began = time.process_time()


def main(days: int = 365, volumes: int = 1_000) -> int:
    collect_rarely()
    policies = from_parameters("none", "us-east-2", 7, 3, "", 24, Limits())
    world = make_world(generate(volumes, 1, {}), "us-east-1", ("us-east-2",), seed=1)
    watch = Stopwatch()

    def day_over(day: int) -> None:
        if day == days or day % DAYS_BETWEEN_LOOPS == 0:
            watch.lap()
            print(
                f"day {day}: {watch.seconds:.0f} s of CPU time here, {watch.reference_seconds:.0f} s on the core of the aim",
                flush=True,
            )

    result = Experiment("parameters", world, policies, ExperimentOptions(days=days)).run(day_over)
    scale = 365 / days * 1_000 / volumes
    seconds, reference_seconds = watch.seconds * scale, watch.reference_seconds * scale
    print(f"{volumes} volumes, {days} days: {result.copies} copies, {result.deletions} deletions")
    print(f"the bare loop took {min(watch.loops):.2f} to {max(watch.loops):.2f} s; {LOOP_SECONDS} s on the core of the aim")
    print(f"1,000 volumes, a year: {seconds:.0f} s here, {reference_seconds:.0f} s on the aim's core, at most {AIM_SECONDS:.0f}")
    print(f"broken invariants: {len(result.violations)}")
    return 0 if reference_seconds <= AIM_SECONDS and not result.violations else 1


def loop_seconds() -> float:
    return bench_decide.apart("bare", "regular", bench_decide.VOLUMES)["seconds"]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
