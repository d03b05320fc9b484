"""The console on 1,500 volumes and 102,000 snapshots and copies against `snapkeep plan` of the same: CPU, memory, sizes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench_plan import ACCOUNT, BIN, REGION, run

from snapkeep.lab.embedded_aws import EmbeddedAws

DR_REGION, VOLUMES, POINTS_EACH = "us-east-2", 1500, 34
MOST_READING, MOST_PAGE_SECONDS, MOST_MEGABYTES, MOST_PAGE_BYTES = 1.5, 2.0, 500.0, 1_000_000
PAGES = ("now", "coverage", "proofs", "recover?q=volume-1", "copies", "policies", "runs")
OWN = {"snapkeep:managed": "snapkeep", "snapkeep:policy": "all"}
COPY = {
    "region": DR_REGION,
    "description": "[Snapkeep: {snapshot} of {volume} from {region}, started {start}]",
    "tags": OWN
    | {
        "snapkeep:source-volume": "{volume}",
        "snapkeep:source-region": "{region}",
        "snapkeep:source-snapshot": "{snapshot}",
        "snapkeep:source-start": "{start}",
        "snapkeep:proof": "PROVED sample:300 {start}",
    },
}
POLICY = {
    "version": 1,
    "policies": [
        {
            "name": "all",
            "select": {},
            "retention": {"keep_last": 40},
            "copies": [{"region": DR_REGION, "retention": {"keep_last": 40}}],
        }
    ],
}


def world() -> dict[str, object]:
    """Return volumes with daily snapshots, each with a proved copy."""
    names = [f"volume-{number}" for number in range(VOLUMES)]
    history = {"every_hours": 24, "count": POINTS_EACH, "tags": OWN, "copies": [COPY]}
    return {
        "version": 1,
        "account": ACCOUNT,
        "volumes": [{"name": name, "region": REGION, "size_gib": 8} for name in names],
        "history": [{"volume": name, **history} for name in names],
    }


class Usage:
    """The CPU seconds and the largest memory of a process so far (proc(5))."""

    def __init__(self, pid: int) -> None:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        self.seconds = sum(map(int, ticks[11:13])) / os.sysconf("SC_CLK_TCK")
        self.megabytes = int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, EmbeddedAws(world_document=world()) as aws:
        directory = Path(folder)
        environment = {**os.environ, **aws.environment(REGION, ACCOUNT)}
        (directory / "policy.json").write_text(json.dumps(POLICY))
        aws.client("ssm", REGION, ACCOUNT).put_parameter(Name="/snapkeep/policy", Value=json.dumps(POLICY), Type="String")
        plan = [str(BIN / "snapkeep"), "plan", "--region", REGION, "--json", "--policy", str(directory / "policy.json")]
        planned = run(plan, environment, directory / "plan.json")
        command = [str(BIN / "snapkeep"), "console", "--no-open", "--region", REGION]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as console:  # noqa: S603 - ourselves
            try:
                address = re.findall(r"http://\S+", console.stdout.readline() if console.stdout else "")[0]
                opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
                base = address.partition("/?")[0]
                opener.open(address).read()
                with opener.open(f"{base}/news") as news:
                    next(line for line in news if line.startswith(b"data: ") and line != b"data: 0\n")
                read = Usage(console.pid)
                pages, sizes = {}, {}
                for page in PAGES:
                    before = Usage(console.pid).seconds
                    sizes[page] = len(opener.open(f"{base}/{page}").read())
                    pages[page] = Usage(console.pid).seconds - before
                after = Usage(console.pid)
            finally:
                console.terminate()
    ratio, slowest = read.seconds / planned.cpu_seconds, max(pages.values())
    took = f"plan {planned.cpu_seconds:.1f} s CPU; the console's first reading {read.seconds:.1f} s"
    print(f"{took}: {ratio:.2f}, at most {MOST_READING}")
    listed = ", ".join(f"{page} {seconds:.2f} s" for page, seconds in pages.items())
    print(f"pages, at most {MOST_PAGE_SECONDS:g} s of CPU: {listed}")
    print(f"the largest page: {max(sizes.values()):,} bytes, at most {MOST_PAGE_BYTES:,}")
    print(f"memory {after.megabytes:.0f} MB (at most {MOST_MEGABYTES:g})")
    within = max(sizes.values()) <= MOST_PAGE_BYTES and after.megabytes <= MOST_MEGABYTES
    return int(ratio > MOST_READING or slowest > MOST_PAGE_SECONDS or not within)


if __name__ == "__main__":
    sys.exit(main())
