"""A copy that is full although its volume was copied before is noted, counted and reported with its cost."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.events import CopyEndEvent, parse_copy_event
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling, SweepOutcome
from snapkeep.functions.sweep_metrics import report_lines
from support.sweeping_world import DAY, DR, HOUR, PRIMARY, SweepingWorld, gold, kinds


def event(incremental: str | None) -> dict[str, object]:
    arns = {"snapshot_id": f"arn:aws:ec2::{DR}:snapshot/snap-2", "source": "arn:aws:ec2::us-east-1:snapshot/snap-1"}
    said = {} if incremental is None else {"incremental": incremental}
    return {
        "detail-type": "EBS Snapshot Notification",
        "region": DR,
        "detail": {"event": "copySnapshot", "result": "succeeded", **arns, **said},
    }


def test_an_event_shows_whether_a_copy_was_full() -> None:
    parsed = [parse_copy_event(event(said)) for said in ("false", "False", "true", None)]
    assert [isinstance(ended, CopyEndEvent) and ended.full for ended in parsed] == [True, True, False, False]


def world_with_copies(*keys: str) -> SweepingWorld:
    """Return a world in which a volume was copied under each of the keys in turn."""
    world = SweepingWorld()
    volume = world.volume(16)
    for number, key in enumerate(keys):
        world.policies = with_key(key, world)
        world.world.write(volume, number * 100, 200, region=PRIMARY)
        world.snapshot(volume)
        world.later(6 * HOUR)
    return world


def with_key(name: str, world: SweepingWorld) -> PolicySet:
    policies = gold()
    kms = world.world.client("kms", DR)
    if name and name not in {alias["AliasName"] for alias in kms.list_aliases()["Aliases"]}:
        kms.create_alias(AliasName=name, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    [policy] = policies.policies
    [rule] = policy.copies
    return replace(policies, policies=(replace(policy, copies=(replace(rule, kms_key=name),)),))


def test_copies_under_one_key_are_no_finding() -> None:
    assert not kinds(world_with_copies("alias/a", "alias/a", "alias/a").sweep(DR))[FindingKind.COPY_FULL]


def test_a_full_copy_under_another_key_is_reported_with_its_cost() -> None:
    world = world_with_copies("alias/a", "alias/a", "alias/b")
    report = world.sweep(DR)
    [item] = [item for item in report.items if item.kind is FindingKind.COPY_FULL]
    assert (item.handling, report.outcome) == (Handling.NOTED, SweepOutcome.OK)
    assert item.text == "at most 16 GiB: 0.16 USD for the transfer, 0.80 USD a month for the storage"
    assert item.subject == world.snapshots(DR)[-1]["SnapshotId"]
    [line, *_] = report_lines(report)
    assert '"CopiesFull": 1' in line
    world.later(DAY)
    assert not kinds(world.sweep(DR))[FindingKind.COPY_FULL]


def test_every_copy_is_full_while_copies_under_two_keys_exist() -> None:
    world = world_with_copies("alias/a", "alias/b", "alias/b")
    assert kinds(world.sweep(DR))[FindingKind.COPY_FULL] == 2
