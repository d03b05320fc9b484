"""Deciding about 1,000,000 snapshots of 50,000 volumes, with every reason and the invariants, against a bare loop.

The bare loop groups dicts by volume and keeps the newest seven. Both parts run in a process of their own, in one run; time is
CPU time, memory is what the process holds more than before its snapshots were made, per snapshot.

    python bench/bench_decide.py [--volumes 50000] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from snapkeep.domain import invariants, ledger, retention
from snapkeep.domain.model import Action, Origin, Plan, Snapshot, SnapshotState
from snapkeep.domain.policy import Limits, Retention

MOST_TIMES_THE_BARE_LOOP = 4.0
MOST_BYTES_A_SNAPSHOT = 700
SNAPSHOTS_A_VOLUME = 20
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


def snapshot_times(volumes: int) -> list[tuple[int, datetime]]:
    """Daily snapshots as a scheduler makes them: each volume has its hour, each snapshot starts within one hour after it.

    They come in the order of no volume, as a listing has them.
    """
    dice = random.Random(1)  # noqa: S311 - the same fleet each time
    hour_of = [dice.randrange(24) for _ in range(volumes)]
    times = [
        (volume, NOW - timedelta(days=day + 1, hours=-hour_of[volume], seconds=-dice.randrange(3600)))
        for day in range(SNAPSHOTS_A_VOLUME)
        for volume in range(volumes)
    ]
    dice.shuffle(times)
    return times


def bare(volumes: int) -> dict[str, float]:
    times = snapshot_times(volumes)
    listed = [
        {"SnapshotId": f"snap-{number:017x}", "VolumeId": f"vol-{volume:017x}", "StartTime": start}
        for number, (volume, start) in enumerate(times)
    ]
    del times
    started = time.process_time()
    by_volume = defaultdict(list)
    for snapshot in listed:
        by_volume[snapshot["VolumeId"]].append(snapshot)
    deletions = []
    for snapshots in by_volume.values():
        snapshots.sort(key=lambda snapshot: snapshot["StartTime"], reverse=True)
        deletions.extend(snapshot["SnapshotId"] for snapshot in snapshots[7:])
    return {"seconds": time.process_time() - started, "snapshots": len(listed), "deleted": len(deletions)}


def decide(volumes: int) -> dict[str, float]:
    rules = Retention(keep_last=7, keep_daily=14, keep_weekly=8, keep_monthly=12, keep_within=timedelta(days=3))
    times = snapshot_times(volumes)
    volume_ids = [f"vol-{volume:017x}" for volume in range(volumes)]
    before = _resident_bytes()
    listed = []
    for number, (volume, start) in enumerate(times):
        snapshot_id, volume_id = f"snap-{number:017x}", volume_ids[volume]
        origin = Origin("us-east-1", volume_id, snapshot_id, start)
        tags = ledger.tags_for_snapshot("snapkeep", "gold", origin)
        listed.append(Snapshot(snapshot_id, "us-east-1", SnapshotState.COMPLETED, start, origin, 100, tags))
    made = _resident_bytes()
    started = time.process_time()
    by_lineage = defaultdict(list)
    for snapshot in listed:
        by_lineage[snapshot.origin.volume_id].append(snapshot)
    verdicts = []
    for snapshots in by_lineage.values():
        decided = retention.decide(snapshots, rules, NOW, system="snapkeep")
        plan = Plan("plan-bench", "us-east-1", NOW, tuple(decided))
        invariants.check_plan(plan, system="snapkeep", limits=Limits())
        verdicts.extend(decided)
    ended = time.process_time()
    return {
        "seconds": ended - started,
        "snapshots": len(verdicts),
        "deleted": sum(verdict.action is Action.DELETE for verdict in verdicts),
        "reasons": sum(len(verdict.reasons) for verdict in verdicts),
        "snapshot_bytes": (made - before) / len(verdicts),
        "bytes": (_resident_bytes() - before) / len(verdicts),
        "peak_bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / len(verdicts),
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _apart(part: str, volumes: int) -> dict[str, float]:
    arguments = [sys.executable, __file__, "--part", part, "--volumes", str(volumes)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=50_000)
    parser.add_argument("--part", choices=["bare", "decide"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.part:
        print(json.dumps({"bare": bare, "decide": decide}[options.part](options.volumes)))
        return 0
    loop, ours = _apart("bare", options.volumes), _apart("decide", options.volumes)
    ratio = ours["seconds"] / loop["seconds"]
    holds = ratio <= MOST_TIMES_THE_BARE_LOOP and ours["bytes"] <= MOST_BYTES_A_SNAPSHOT
    result = {"bare": loop, "decide": ours, "ratio": ratio, "holds": holds}
    if options.json:
        print(json.dumps(result, indent=2))
        return 0 if holds else 1
    print(f"snapshots                {ours['snapshots']:>12,}  of {options.volumes:,} volumes")
    print(f"bare loop                {loop['seconds']:>12.2f}  s of CPU")
    print(f"decide and invariants    {ours['seconds']:>12.2f}  s of CPU")
    print(f"ratio                    {ratio:>12.2f}  (at most {MOST_TIMES_THE_BARE_LOOP})")
    print(f"reasons given            {ours['reasons']:>12,}")
    print(f"bytes a snapshot         {ours['bytes']:>12.0f}  (at most {MOST_BYTES_A_SNAPSHOT})")
    print(f"  of it the facts        {ours['snapshot_bytes']:>12.0f}")
    print("holds" if holds else "does NOT hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
