"""`snapkeep plan` on 50,000 snapshots against Cloud Custodian, on the same server in the same run: CPU time and memory.

Custodian's policy groups by volume and leaves out the newest seven with `reduce`, and would delete the rest (`--dryrun`): no
reasons, no copies, no AMIs, no locks, no second look. It is installed into an environment of its own (`make bench`). It would
keep a listing for 15 minutes: without that, or a second run would not list at all. Each runs once before, in a region without
snapshots, so that neither is measured while its modules are compiled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from snapkeep.lab.embedded_aws import EmbeddedAws

VOLUMES, SNAPSHOTS_EACH = 1000, 50
MOST_CPU, MOST_MEMORY = 0.25, 0.35
REGION, EMPTY_REGION, ACCOUNT = "us-east-1", "eu-west-1", "123456789012"
BIN = Path(sys.executable).parent
CUSTODIAN = Path(__file__).parents[1] / ".tools/c7n/bin/custodian"

CUSTODIAN_POLICY = {
    "policies": [
        {
            "name": "beyond-seven",
            "resource": "aws.ebs-snapshot",
            "filters": [
                {"type": "value", "key": "State", "value": "completed"},
                {"type": "reduce", "group-by": "VolumeId", "sort-by": "StartTime", "order": "desc", "discard": 7},
            ],
            "actions": ["delete"],
        }
    ]
}
OUR_POLICY = {
    "version": 1,
    "limits": {"max_deletions": 1000, "max_share_percent": 100},
    "policies": [{"name": "all", "select": {}, "retention": {"keep_last": 7}}],
}


def world() -> dict[str, object]:
    """Return the world: each volume with its snapshots, all managed, as a system that has run for weeks leaves them."""
    names = [f"volume-{number}" for number in range(VOLUMES)]
    tags = {"snapkeep:managed": "snapkeep", "snapkeep:policy": "all", "Name": "nightly"}
    return {
        "version": 1,
        "account": ACCOUNT,
        "volumes": [{"name": name, "region": REGION, "size_gib": 8, "tags": {"Backup": "yes"}} for name in names],
        "history": [{"volume": name, "every_hours": 24, "count": SNAPSHOTS_EACH, "tags": tags} for name in names],
    }


class Cost(NamedTuple):
    cpu_seconds: float
    memory_mib: float


MEASURE = """
import json, resource, subprocess, sys
with open(sys.argv[1], "wb") as output:
    done = subprocess.run(sys.argv[2:], stdout=output)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""A separate process starts the command, because the system also counts the memory of the starting process as its child's."""


def run(arguments: list[str], environment: dict[str, str], output: Path) -> Cost:
    """Run a command and return its cost, by the operating system's own accounting."""
    starter = [sys.executable, "-c", MEASURE, str(output), *arguments]
    done = subprocess.run(starter, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603 - ourselves
    status, cpu_seconds, memory_mib = json.loads(done.stdout)
    assert status in (0, 1), output.read_text()[-2000:]
    return Cost(cpu_seconds, memory_mib)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, EmbeddedAws(world_document=world()) as aws:
        directory = Path(folder)
        environment = {**os.environ, **aws.environment(REGION, ACCOUNT), "PYTHONPYCACHEPREFIX": str(directory / "compiled")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        (directory / "ours.json").write_text(json.dumps(OUR_POLICY))
        (directory / "theirs.json").write_text(json.dumps(CUSTODIAN_POLICY))
        costs = {}
        for region in (EMPTY_REGION, REGION):
            output = str(directory / "out")
            custodian = [str(CUSTODIAN), "run", "--dryrun", "--cache-period", "0", "--region", region, "-s", output]
            plan = [str(BIN / "snapkeep"), "plan", "--region", region, "--json", "--policy", str(directory / "ours.json")]
            costs[region] = (
                run([*custodian, str(directory / "theirs.json")], environment, directory / "theirs.txt"),
                run(plan, environment, directory / "ours.txt"),
            )
        theirs, ours = costs[REGION]
        resources = json.loads((directory / "out/beyond-seven/resources.json").read_text())
        deleted = sum(
            verdict["action"] == "delete"
            for region in json.loads((directory / "ours.txt").read_text())["regions"]
            for volume in region["volumes"]
            for verdict in volume["snapshots"]
        )
    expected = VOLUMES * (SNAPSHOTS_EACH - 7)
    assert len(resources) == expected, f"Cloud Custodian found {len(resources)}"
    assert deleted == expected, f"the plan deletes {deleted}"
    cpu, memory = ours.cpu_seconds / theirs.cpu_seconds, ours.memory_mib / theirs.memory_mib
    print(
        f"{VOLUMES * SNAPSHOTS_EACH:,} snapshots; Cloud Custodian {theirs.cpu_seconds:.1f} s CPU, {theirs.memory_mib:.0f} MiB; ",
        end="",
    )
    print(f"snapkeep plan {ours.cpu_seconds:.1f} s CPU, {ours.memory_mib:.0f} MiB")
    print(f"CPU {cpu:.2f} of it (at most {MOST_CPU}), memory {memory:.2f} (at most {MOST_MEMORY})")
    return int(cpu > MOST_CPU or memory > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
