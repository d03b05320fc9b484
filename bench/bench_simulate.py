"""A year of 1,000 volumes, daily snapshots, one DR copy, as `snapkeep simulate` has it: at most ten minutes of one core.

    python bench/bench_simulate.py [DAYS [VOLUMES]]

The core is one on which the bare loop of bench_decide.py takes 1.7 s; how long it takes here is measured before and after.
"""

from __future__ import annotations

import gc
import sys
import time

import bench_decide

from snapkeep.cli.application import OBJECTS_BETWEEN_COLLECTIONS
from snapkeep.domain.policy import Limits, from_parameters
from snapkeep.simulate.experiment import Experiment, Plan
from snapkeep.simulate.fleet import generate, make_world

AIM_SECONDS = 600.0
LOOP_SECONDS = 1.7
"""Of the bare loop, on the core for which the aim was set."""


def main(days: int = 365, volumes: int = 1_000) -> int:
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    before = loop_seconds()
    policies = from_parameters("none", "us-east-2", 7, 3, "", 24, Limits())
    world = make_world(generate(volumes, 1, {}), "us-east-1", ("us-east-2",), seed=1)
    started = time.process_time()
    result = Experiment("parameters", world, policies, Plan(days=days)).run()
    seconds = time.process_time() - started
    after = loop_seconds()
    whole = seconds * 365 / days * 1_000 / volumes
    there = whole * LOOP_SECONDS * 2 / (before + after)
    print(f"{volumes} volumes, {days} days: {result.copies} copies, {result.deletions} deletions, {seconds:.0f} s of CPU time")
    print(f"the bare loop took {before:.2f} s before and {after:.2f} s after; {LOOP_SECONDS} s on the core of the aim")
    print(f"a year of 1,000 volumes: {whole:.0f} s here, {there:.0f} s there (aim: at most {AIM_SECONDS:.0f})")
    print(f"broken invariants: {len(result.violations)}")
    return 0 if there <= AIM_SECONDS and not result.violations else 1


def loop_seconds() -> float:
    return bench_decide.apart("bare", "regular", bench_decide.VOLUMES)["seconds"]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
