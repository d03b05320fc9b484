"""EC2 calls and state transitions for each protected snapshot, deletions included, in both regions together.

A fleet at its steady state: every volume has as many snapshots and copies as retention keeps, so that each new snapshot is
tagged, copied and checked, and one older snapshot and one older copy go. AWS's sample makes 8 calls, or 9 with a tag key,
and enters 13 states, 8 and 5 (read in its source); it looks at neither AMIs nor locks.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.flows import Laboratory, policy_set

MOST_CALLS = 9.0
MOST_TRANSITIONS = 13
KEEP, KEEP_COPIES = 3, 1
FLEETS = (1, 20, 80)
SECONDS_BETWEEN_SNAPSHOTS = 0.25
"""The pace that CreateSnapshot's token bucket allows."""


def measure(volumes: int) -> tuple[Counter[str], dict[str, int]]:
    """Return EC2 calls by action, for each snapshot of so many volumes, and the transitions of an execution by state machine."""
    laboratory = Laboratory(policies=policy_set(keep=KEEP, keep_copies=KEEP_COPIES, copy_within=timedelta(hours=24)))
    fleet = [laboratory.make_volume() for _ in range(volumes)]
    for _ in range(KEEP):
        one_night(laboratory, fleet)
    calls: Counter[str] = Counter()
    laboratory.world.call = counting(laboratory.world.call, calls)  # type: ignore[method-assign]
    deleted = laboratory.runner.totals.deletions
    one_night(laboratory, fleet)
    assert laboratory.runner.totals.deletions - deleted == 2 * volumes, "the fleet is not at its steady state"
    calls_each: Counter[str] = Counter({action: count / volumes for action, count in calls.items()})  # type: ignore[misc]
    return calls_each, {machine: laboratory.runs(machine)[-1].transitions for machine in ("protect", "receive")}


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


def main() -> int:
    failed, entered = False, {"protect": 0, "receive": 0}
    for volumes in FLEETS:
        calls, entered = measure(volumes)
        total = sum(calls.values())
        by_action = ", ".join(f"{action} {count:.2f}" for action, count in calls.most_common())
        print(f"{volumes:4} snapshots together: {total:.2f} EC2 calls each ({by_action})")
        failed = failed or (volumes > 1 and total > MOST_CALLS)
    transitions = sum(entered.values())
    print(f"state transitions: {transitions} ({', '.join(f'{name} {count}' for name, count in entered.items())})")
    print(f"at most {MOST_CALLS:.0f} calls (a burst shares what is asked of the region) and {MOST_TRANSITIONS} transitions")
    return int(failed or transitions > MOST_TRANSITIONS)


if __name__ == "__main__":
    sys.exit(main())
