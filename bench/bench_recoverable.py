"""`snapkeep recoverable` for 1,500 volumes and 51,000 points against `snapkeep plan` for the same, on one server: CPU time."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from bench_plan import ACCOUNT, BIN, EMPTY_REGION, REGION, run

from snapkeep.lab.embedded_aws import EmbeddedAws

VOLUMES, POINTS_EACH = 1500, 34
MOST_CPU = 1.0
POLICY = {"version": 1, "policies": [{"name": "all", "select": {}, "retention": {"keep_last": 7}}]}


def world() -> dict[str, object]:
    """Return volumes of 500 instances, three of each, whose snapshots are sets."""
    names = [f"volume-{number}" for number in range(VOLUMES)]

    def tags(number: int) -> dict[str, str]:
        instance = f"i-{number // 3:017x}"
        return {
            "snapkeep:managed": "snapkeep",
            "snapkeep:policy": "all",
            "snapkeep:instance": instance,
            "snapkeep:device": "/dev/sdf",
        }

    return {
        "version": 1,
        "account": ACCOUNT,
        "volumes": [{"name": name, "region": REGION, "size_gib": 8, "tags": {"Backup": "yes"}} for name in names],
        "history": [
            {"volume": name, "every_hours": 24, "count": POINTS_EACH, "tags": tags(number)} for number, name in enumerate(names)
        ],
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, EmbeddedAws(world_document=world()) as aws:
        directory = Path(folder)
        environment = {**os.environ, **aws.environment(REGION, ACCOUNT), "PYTHONPYCACHEPREFIX": str(directory / "compiled")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        (directory / "policy.json").write_text(json.dumps(POLICY))
        for region in (EMPTY_REGION, REGION):  # the first time to compile
            plan = [str(BIN / "snapkeep"), "plan", "--region", region, "--json", "--policy", str(directory / "policy.json")]
            points = [str(BIN / "snapkeep"), "recoverable", "--region", region, "--in", region, "--json"]
            planned = run(plan, environment, directory / "plan.json")
            found = run(points, environment, directory / "points.json")
        (things,) = json.loads((directory / "points.json").read_text())
    assert sum(len(owner["points"]) for owner in things["owners"]) == VOLUMES
    ratio = found.cpu_seconds / planned.cpu_seconds
    print(f"{VOLUMES * POINTS_EACH:,} points; plan {planned.cpu_seconds:.1f} s CPU, recoverable {found.cpu_seconds:.1f} s CPU")
    print(f"CPU {ratio:.2f} of a plan's (at most {MOST_CPU})")
    return int(ratio > MOST_CPU)


if __name__ == "__main__":
    sys.exit(main())
