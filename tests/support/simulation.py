"""Small simulations, of a volume or two for a few days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.lab.simulator.experiment import Experiment, ExperimentOptions, ExperimentResult
from snapkeep.lab.simulator.fleet import SimulatedVolume, make_world

MADE_AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
PRIMARY, NEAR, FAR = "us-east-1", "us-east-2", "eu-west-1"
STILL = SimulatedVolume(100, used_share=0.5, changed_share_per_day=0.0)


def policy(*regions: str, name: str = "gold", selector: Selector | None = None, **rule: Any) -> PolicySet:
    copies = tuple(CopyRule(region, **rule) for region in regions)
    return PolicySet((Policy(name, selector or Selector(), Retention(keep_last=2), copies, timedelta(hours=48)),))


def run(
    chosen: PolicySet, *volumes: SimulatedVolume, name: str = "test", days: int = 4, unreachable: str = ""
) -> ExperimentResult:
    destinations = tuple(dict.fromkeys(rule.region for policy in chosen.policies for rule in policy.copies))
    world = make_world(volumes or [STILL], PRIMARY, destinations)
    if unreachable:
        world.take_region_away(unreachable)
    return Experiment(name, world, chosen, ExperimentOptions(days=days)).run()
