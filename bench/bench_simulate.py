"""A year of 1,000 volumes, daily snapshots, one DR copy, as `snapkeep simulate` has it: at most ten minutes of one core."""

from __future__ import annotations

import gc
import sys
import time

from snapkeep.cli.application import OBJECTS_BETWEEN_COLLECTIONS
from snapkeep.domain.policy import Limits, from_parameters
from snapkeep.simulate.experiment import Experiment, Plan
from snapkeep.simulate.fleet import generate, make_world

AIM_SECONDS = 600.0


def main(days: int = 365, volumes: int = 1_000) -> int:
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    policies = from_parameters("none", "us-east-2", 7, 3, "", 24, Limits())
    world = make_world(generate(volumes, 1, {}), "us-east-1", ("us-east-2",), seed=1)
    started = time.process_time()
    result = Experiment("parameters", world, policies, Plan(days=days)).run()
    seconds = time.process_time() - started
    whole = seconds * 365 / days * 1_000 / volumes
    print(f"{volumes} volumes, {days} days: {result.copies} copies, {result.deletions} deletions, {seconds:.0f} s of CPU time")
    print(f"a year of 1,000 volumes: {whole:.0f} s (aim: at most {AIM_SECONDS:.0f}); broken invariants: {len(result.violations)}")
    return 0 if whole <= AIM_SECONDS and not result.violations else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
