"""EC2 calls and state transitions for each protected snapshot, deletions included, in both regions together.

A fleet at its steady state: every volume has as many snapshots and copies as retention keeps, so that each new snapshot is
tagged, copied and checked, and one older snapshot and one older copy go. AWS's sample makes 8 calls, or 9 with a tag key,
and enters 13 states, 8 and 5 (read in its source); it looks at neither AMIs nor locks.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.flows import Laboratory, policy_set
from support.second_engine import second_engine

MOST_CALLS = 9.0
MOST_TRANSITIONS = 13
KEEP, KEEP_COPIES = 3, 1
FLEETS = (1, 20, 80)
SECONDS_BETWEEN_SNAPSHOTS = 0.25
"""The pace that CreateSnapshot's token bucket allows whoever makes them."""


def measure(volumes: int) -> Counter[str]:
    """Given how many volumes are protected together, return EC2 calls by action, for each snapshot."""
    laboratory = Laboratory(policies=policy_set(keep=KEEP, keep_copies=KEEP_COPIES, copy_within=timedelta(hours=24)))
    fleet = [laboratory.make_volume() for _ in range(volumes)]
    for _ in range(KEEP):
        one_night(laboratory, fleet)
    calls: Counter[str] = Counter()
    laboratory.world.call = counting(laboratory.world.call, calls)  # type: ignore[method-assign]
    deleted = laboratory.runner.totals.deletions
    one_night(laboratory, fleet)
    assert laboratory.runner.totals.deletions - deleted == 2 * volumes, "the fleet is not at its steady state"
    return Counter({action: count / volumes for action, count in calls.items()})  # type: ignore[misc]


def one_night(laboratory: Laboratory, fleet: list[str]) -> None:
    for volume_id in fleet:
        laboratory.start_snapshot(volume_id)
        laboratory.runner.advance(SECONDS_BETWEEN_SNAPSHOTS)
    assert laboratory.runner.run_until_idle(86_400)
    laboratory.runner.advance(3600)


def counting(call: Any, calls: Counter[str]) -> Any:
    def counted(service: str, action: str, *arguments: Any, **keywords: Any) -> Any:
        if service == "ec2" and keywords.get("caller") == "snapkeep":
            calls[action] += 1
        return call(service, action, *arguments, **keywords)

    return counted


def states_entered() -> dict[str, tuple[str, ...]]:
    """Run both definitions through their usual way on an ASL engine; return the states that each entered."""
    snapshot, volume, region = "snap-1", "vol-1", "us-east-2"
    copy = {"snapshot_id": snapshot, "volume_id": volume, "region": region, "timeout_seconds": 3600, "wanted": {}}
    deletion = {"snapshot_id": "snap-0", "volume_id": volume, "origin_start": "", "policy": "default", "reasons": []}
    plan = {"plan_id": "plan-1", "made_at": "", "counts": {"kept": 7, "deleted": 1}, "delete": [deletion]}
    tokens: list[str] = []
    handlers: dict[str, Any] = {
        "TagSnapshots": lambda _: {"outcome": "MANAGED", "volumes": [volume], "copies": [copy], "problems": []},
        "CopySnapshotToDR": lambda given: tokens.append(given["token"]) or {},  # type: ignore[func-returns-value]
        "CountSnapshots": lambda _: plan,
        "DeleteOldSnapshots": lambda _: {"deleted": 1, "failed": []},
        "TagSnapshotCopy": lambda _: {"outcome": "RECEIVED", "volumes": [volume], "plan": plan, "problems": []},
    }
    with second_engine(handlers) as engine:
        protect = engine.start("protect", {})
        while not tokens:
            time.sleep(0.01)
        engine.succeed(tokens[0], {"status": "COPIED", "snapshot_id": snapshot, "region": region})
        runs = {"protect": engine.wait(protect), "receive": engine.wait(engine.start("receive", {}))}
    assert all(run.status == "SUCCEEDED" for run in runs.values()), runs
    return {name: run.states for name, run in runs.items()}


def main() -> int:
    failed = False
    for volumes in FLEETS:
        calls = measure(volumes)
        total = sum(calls.values())
        by_action = ", ".join(f"{action} {count:.2f}" for action, count in calls.most_common())
        print(f"{volumes:4} snapshots together: {total:.2f} EC2 calls each ({by_action})")
        failed = failed or (volumes > 1 and total > MOST_CALLS)
    entered = states_entered()
    transitions = sum(map(len, entered.values()))
    print(f"state transitions: {transitions} ({', '.join(f'{name} {len(states)}' for name, states in entered.items())})")
    print(f"at most {MOST_CALLS:.0f} calls (a burst shares what is asked of the region) and {MOST_TRANSITIONS} transitions")
    return int(failed or transitions > MOST_TRANSITIONS)


if __name__ == "__main__":
    sys.exit(main())
