"""Deciding about 1,000,000 snapshots of 50,000 volumes, with every reason and the invariants, against a bare loop.

The bare loop groups dicts by volume and keeps the newest seven. Two fleets: a regular one, whose volumes have a snapshot on
each of the same days, so that many volumes share their periods; and an irregular one, whose snapshots are from any minute of a
year, so that no two volumes share theirs. Each part runs in a process of its own, in one run, with the garbage collector set as
the command line sets it; time is CPU time, the least of three rounds in which the parts take turns: on a busy machine a single
round is up to twice off. Memory is what the process holds more than before its snapshots were made, per snapshot.

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
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

from snapkeep.domain.model import Action, Origin, Snapshot, SnapshotState
from snapkeep.domain.policy.model import Limits, Retention
from snapkeep.domain.records import collect_rarely
from snapkeep.domain.retention.plan import LineageFacts, plan_lineage
from snapkeep.domain.tags import tags_for_snapshot

MOST_TIMES_THE_BARE_LOOP = 4.0
MOST_BYTES_A_SNAPSHOT = 700
VOLUMES, SNAPSHOTS_A_VOLUME = 50_000, 20
ROUNDS = 3
MINUTES_A_YEAR = 365 * 24 * 60
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


def regular(volumes: int) -> list[tuple[int, datetime]]:
    """Daily snapshots as a scheduler makes them: each volume has its hour, each snapshot starts within one hour after it."""
    dice = random.Random(1)  # noqa: S311 - the same fleet each time
    hour_of = [dice.randrange(24) for _ in range(volumes)]
    return _shuffled(
        (volume, NOW - timedelta(days=day + 1, hours=-hour_of[volume], seconds=-dice.randrange(3600)))
        for day in range(SNAPSHOTS_A_VOLUME)
        for volume in range(volumes)
    )


def irregular(volumes: int) -> list[tuple[int, datetime]]:
    """Snapshots that people and scripts made, at any minute of a year."""
    dice = random.Random(1)  # noqa: S311 - the same fleet each time
    return _shuffled(
        (volume, NOW - timedelta(minutes=dice.randrange(1, MINUTES_A_YEAR)))
        for _ in range(SNAPSHOTS_A_VOLUME)
        for volume in range(volumes)
    )


def _shuffled(times: Iterable[tuple[int, datetime]]) -> list[tuple[int, datetime]]:
    """Shuffled: a listing is not ordered by volume."""
    listed = list(times)
    random.Random(2).shuffle(listed)  # noqa: S311 - the same order each time
    return listed


FLEETS = {"regular": regular, "irregular": irregular}


def bare(times: list[tuple[int, datetime]], _: int) -> dict[str, float]:
    listed = [
        {"SnapshotId": f"snap-{number:017x}", "VolumeId": f"vol-{volume:017x}", "StartTime": start}
        for number, (volume, start) in enumerate(times)
    ]
    started = time.process_time()
    by_volume = defaultdict(list)
    for snapshot in listed:
        by_volume[snapshot["VolumeId"]].append(snapshot)
    deletions = []
    for snapshots in by_volume.values():
        snapshots.sort(key=lambda snapshot: snapshot["StartTime"], reverse=True)
        deletions.extend(snapshot["SnapshotId"] for snapshot in snapshots[7:])
    return {"seconds": time.process_time() - started, "snapshots": len(listed), "deleted": len(deletions)}


def decide(times: list[tuple[int, datetime]], volumes: int) -> dict[str, float]:
    rules = Retention(keep_last=7, keep_daily=14, keep_weekly=8, keep_monthly=12, keep_within=timedelta(days=3))
    volume_ids = [f"vol-{volume:017x}" for volume in range(volumes)]
    before = _resident_bytes()
    listed = []
    for number, (volume, start) in enumerate(times):
        snapshot_id, volume_id = f"snap-{number:017x}", volume_ids[volume]
        origin = Origin("us-east-1", volume_id, snapshot_id, start)
        tags = tags_for_snapshot("snapkeep", "gold", origin)
        listed.append(Snapshot(snapshot_id, "us-east-1", SnapshotState.COMPLETED, start, origin, 100, tags))
    made = _resident_bytes()
    started = time.process_time()
    by_lineage = defaultdict(list)
    for snapshot in listed:
        by_lineage[snapshot.origin.volume_id].append(snapshot)
    verdicts = []
    for snapshots in by_lineage.values():
        facts = LineageFacts(snapshots[0].origin.lineage, snapshots, rules)
        verdicts.extend(plan_lineage(facts, "us-east-1", NOW, system="snapkeep", limits=Limits()).verdicts)
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


def apart(part: str, fleet: str, volumes: int) -> dict[str, float]:
    arguments = [sys.executable, __file__, "--part", part, "--fleet", fleet, "--volumes", str(volumes)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
    return json.loads(done.stdout)


def compare(fleet: str, volumes: int) -> dict[str, Any]:
    # The parts take turns, and the least time of each counts: other load on the machine affects both, and only adds time.
    rounds = [(apart("bare", fleet, volumes), apart("decide", fleet, volumes)) for _ in range(ROUNDS)]
    loop, ours = (min(parts, key=itemgetter("seconds")) for parts in zip(*rounds, strict=True))
    ratio = ours["seconds"] / loop["seconds"]
    holds = ratio <= MOST_TIMES_THE_BARE_LOOP and ours["bytes"] <= MOST_BYTES_A_SNAPSHOT
    return {"fleet": fleet, "bare": loop, "decide": ours, "ratio": ratio, "holds": holds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=VOLUMES)
    parser.add_argument("--part", choices=["bare", "decide"])
    parser.add_argument("--fleet", choices=FLEETS, default="regular")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.part:
        collect_rarely()
        times = FLEETS[options.fleet](options.volumes)
        print(json.dumps({"bare": bare, "decide": decide}[options.part](times, options.volumes)))
        return 0
    results = [compare(fleet, options.volumes) for fleet in FLEETS]
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for result in results:
            show(options.volumes, **result)
    return 0 if all(result["holds"] for result in results) else 1


def show(volumes: int, fleet: str, bare: dict[str, float], decide: dict[str, float], ratio: float, *, holds: bool) -> None:
    print(f"{fleet} fleet")
    print(f"  snapshots              {decide['snapshots']:>12,}  of {volumes:,} volumes")
    print(f"  bare loop              {bare['seconds']:>12.2f}  s of CPU")
    print(f"  decide and invariants  {decide['seconds']:>12.2f}  s of CPU")
    print(f"  ratio                  {ratio:>12.2f}  (at most {MOST_TIMES_THE_BARE_LOOP})")
    print(f"  reasons given          {decide['reasons']:>12,}")
    print(f"  bytes a snapshot       {decide['bytes']:>12.0f}  (at most {MOST_BYTES_A_SNAPSHOT})")
    print(f"    of it the facts      {decide['snapshot_bytes']:>12.0f}")
    print("  holds" if holds else "  does NOT hold")


if __name__ == "__main__":
    sys.exit(main())
