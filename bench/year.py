"""A year of 200 volumes whose snapshots the system makes, under faults: `make year`. It takes about 45 minutes of one core.

Arguments: days, volumes, seed. The same arguments give the same year.
"""

from __future__ import annotations

import sys
import time

from snapkeep.lab.simulator.creation_experiment import CreationExperiment

DAYS, VOLUMES, SEED = 365, 200, 15


def main(days: int = DAYS, volumes: int = VOLUMES, seed: int = SEED) -> int:
    """Run the experiment and print its result. Return 1 if anything was violated."""
    print(f"seed {seed}: {days} days, {volumes} volumes", flush=True)
    began = time.perf_counter()

    experiment = CreationExperiment(volumes, seed=seed)

    shown = 0

    def progress(day: int) -> None:
        nonlocal shown
        found = experiment.result.violations
        if day % 30 == 0 or len(found) > shown:
            print(
                f"day {day}: {time.perf_counter() - began:.0f} s, violations: {len(found)}", *found[shown:], sep="\n", flush=True
            )
            shown = len(found)

    result = experiment.run(days, progress)
    made = ", ".join(f"{group} {count:,}" for group, count in sorted(result.made.items()))
    faults = ", ".join(f"{kind} {count:,}" for kind, count in sorted(result.faults.items()))
    print(f"{result.ticks:,} ticks, {result.kills:,} killed; snapshots made: {made}")
    print(f"faults: {faults}")
    print(f"RPOs missed after a fault of the volume: {result.missed}; violations: {len(result.violations)}")
    for violation in result.violations[shown:]:
        print(violation)
    return int(bool(result.violations))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
