"""A volume comes under another policy while a run waits for its copy: what is in force when the run plans decides, as in `snapkeep plan`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapkeep.adapters.ec2_writers import tag_list
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector
from snapkeep.lab.ebs_model import FaultRule
from support.flows import DR, Laboratory

SILVER = Policy(
    "silver", Selector(tags={"Backup": ("silver",)}), Retention(keep_last=3), (CopyRule(DR, retention=Retention(keep_last=9)),)
)
GOLD = replace(SILVER, name="gold", selector=Selector(tags={"Backup": ("gold",)}), retention=Retention(keep_last=9))


@pytest.mark.parametrize(("now", "kept"), [("silver", 3), ("gold", 4), ("none", 4)])
def test_the_current_policy_of_the_volume_decides_deletions(now: str, kept: int) -> None:
    lab = Laboratory(PolicySet((GOLD, SILVER)))
    volume = lab.make_volume({"Backup": "silver"})
    for _ in range(3):
        lab.protect(volume)
    lab.world.add_fault(FaultRule("slow_copy", factor=100.0))
    last = lab.start_snapshot(volume)
    while lab.tags(last).get("snapkeep:policy") is None:
        lab.runner.advance(1)
    lab.ec2().create_tags(Resources=[volume], Tags=tag_list({"Backup": now}))
    lab.settle()
    assert len(lab.ids()) == kept


def test_a_repeated_event_of_an_older_snapshot_restores_no_former_policy() -> None:
    lab = Laboratory(PolicySet((GOLD, SILVER)))
    volume = lab.make_volume({"Backup": "silver"})
    kept = [lab.protect(volume) for _ in range(3)]
    first = next(event for event in lab.events if event["detail"]["event"] == "createSnapshot")
    lab.policies = PolicySet((GOLD, replace(SILVER, retention=Retention(keep_last=1))))
    lab.ec2().create_tags(Resources=[volume], Tags=tag_list({"Backup": "gold"}))
    lab.runner.start("protect", "us-east-1", first)
    lab.settle()
    assert lab.ids() == kept
