"""Snapshots that the system makes itself, for a fleet in virtual time: RPOs kept, how many it takes, and what a tick costs.

Half of the fleet has another tool that makes snapshots often enough: of those volumes the system makes none.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from functools import partial

from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.domain.tag_names import MADE
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.simulator.experiment import TICK_SECONDS, TIMINGS
from snapkeep.lab.simulator.fleet import generate, make_world
from snapkeep.lab.simulator.runner import Runner

PRIMARY, DR = "us-east-1", "us-east-2"
VOLUMES, DAY = 200, 86_400.0
RPO = timedelta(hours=30)
RULE = CopyRule(DR, copy_within=RPO, retention=Retention(keep_last=2))
POLICY = Policy("own", Selector(), Retention(keep_last=2), (RULE,), RPO, snapshots=SnapshotRule(when="rpo"))


def main(days: int) -> int:
    """Run for a number of days and print the results. Return 1 if an RPO was missed or a snapshot was superfluous."""
    world = make_world(generate(VOLUMES, 1, {}), PRIMARY, (DR,), seed=1)
    runner = Runner(world, lambda: PolicySet((POLICY,)), timings=TIMINGS)
    volumes = list(world.region_account(PRIMARY).volumes)
    others, own = volumes[: VOLUMES // 2], volumes[VOLUMES // 2 :]
    made = dict.fromkeys(volumes, 0)
    newest: dict[str, float] = {}
    missed = 0
    client = world.client("ec2", PRIMARY, caller="another tool")

    def make(volume_id: str) -> None:
        client.create_snapshot(VolumeId=volume_id)
        runner.kernel.after(DAY / 2, partial(make, volume_id))

    for number, volume_id in enumerate(others):
        runner.kernel.after(60.0 + 30.0 * number, partial(make, volume_id))
    runner.advance(2 * 3600)
    began, seen, ticks = world.now(), set[str](), 0.0
    while world.now() < began + days * DAY:
        before = time.perf_counter()
        runner.make_snapshots(PRIMARY)
        ticks += time.perf_counter() - before
        runner.advance(TICK_SECONDS)
        for snapshot in world.region_account(PRIMARY).snapshots.values():
            if snapshot.id not in seen:
                seen.add(snapshot.id)
                made[snapshot.volume_id] += MADE in snapshot.tags
        for copy in world.region_account(DR).snapshots.values():
            if copy.state == "completed" and copy.id not in newest:
                newest[copy.id] = 0.0
                source = str(dict(zip(copy.tags[::2], copy.tags[1::2], strict=True))["snapkeep:source-volume"])
                start = dict(zip(copy.tags[::2], copy.tags[1::2], strict=True))["snapkeep:source-start"]
                newest[source] = max(newest.get(source, 0.0), utc(0).fromisoformat(start).timestamp())
        if world.now() > began + RPO.total_seconds():
            missed += sum(world.now() - newest.get(volume_id, 0.0) > RPO.total_seconds() for volume_id in volumes)
    each = sum(made[volume_id] for volume_id in own) / len(own)
    fewest = days * DAY / RPO.total_seconds()
    superfluous = sum(made[volume_id] for volume_id in others)
    count = days * DAY / TICK_SECONDS
    print(f"{days} days, {VOLUMES} volumes, RPO {RPO}: missed {missed} times; {superfluous} superfluous ones were made")
    print(f"{each:.1f} snapshots a volume, {each / fewest:.2f} of the fewest that keep the RPO; {ticks / count:.4f} s a tick")
    return int(bool(missed or superfluous))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4))
