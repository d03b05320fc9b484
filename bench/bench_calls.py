"""EC2 calls and state transitions for each protected snapshot, deletions included, in both regions together.

A fleet at its steady state, with a snapshot of each volume every day. Every volume has as many snapshots and copies as
retention keeps, so that each new snapshot is tagged, copied and checked, and one older snapshot and one older copy are deleted.
Every volume is attached to an instance. No function shares what it has listed with another one. The last sweep found no AMI and
no lock on a managed snapshot: otherwise each run that deletes would read both. Each call is printed with the function that
makes it, and its purpose.

AWS's sample makes 8 calls, or 9 with a tag key, and enters 13 states, 8 and 5 (read in its source); it reads neither AMIs nor
locks.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from snapkeep.lab.ebs_model import PUBLIC_LINUX
from snapkeep.lab.simulator.model_clients import CALLER
from snapkeep.lab.simulator.sweeps import Sweeper
from support.flows import Laboratory, policy_set

MOST_TRANSITIONS = 13
KEEP, KEEP_COPIES = 3, 1
SECONDS_BETWEEN_SNAPSHOTS = 0.25
"""The pace that CreateSnapshot's token bucket allows."""

PURPOSES: Mapping[tuple[str, str, str], str] = {
    ("TagSnapshots", "DescribeSnapshots", "snapshot-id"): "the event is a hint: state, volume, start, size and tags are EC2's",
    ("TagSnapshots", "DescribeInstances", "block-device-mapping.volume-id"): "root volumes, and the recovery record's instance",
    ("TagSnapshots", "DescribeVolumes", "volume-id"): "tags choose the policy; the recovery record's volumes",
    ("TagSnapshots", "CreateTags", ""): "the tags make it a managed snapshot",
    ("Dispatch", "DescribeSnapshots", "status"): "copies in flight, of every caller, against the quota",
    ("Dispatch", "DescribeSnapshots", "tag:snapkeep:source-snapshot"): "no second copy, where there may be a first one",
    ("Dispatch", "CopySnapshot", ""): "the copy, with its tags",
    ("TagSnapshotCopy", "DescribeSnapshots", "tag:OriginalVolumeId"): "the event is a hint: EC2 says how the copy ended",
    ("DeleteOldSnapshots", "DescribeSnapshots", "volume-id"): "retention is planned from all snapshots of the volume",
    ("DeleteOldSnapshots", "DescribeSnapshots", "tag:OriginalVolumeId"): "retention is planned from all copies of the volume",
    ("DeleteOldSnapshots", "DescribeImages", ""): "what an AMI uses stays",
    ("DeleteOldSnapshots", "DescribeLockedSnapshots", ""): "what is locked stays",
    ("DeleteOldSnapshots", "DeleteSnapshot", ""): "one older snapshot, and one older copy",
}
"""Function, action and filter -> the purpose of the call. A call without an entry stops the benchmark."""

Take = Callable[[Laboratory, Sequence[str], Sequence[str]], None]
Call = tuple[str, str, str]


def take_each(laboratory: Laboratory, volumes: Sequence[str], _: Sequence[str]) -> None:
    """Make a snapshot of each volume by itself."""
    for volume_id in volumes:
        laboratory.start_snapshot(volume_id)
        laboratory.runner.advance(SECONDS_BETWEEN_SNAPSHOTS)


def take_sets(laboratory: Laboratory, _: Sequence[str], instances: Sequence[str]) -> None:
    """Make a multi-volume set of each instance."""
    for instance_id in instances:
        specification = {"InstanceId": instance_id, "ExcludeBootVolume": True}
        laboratory.ec2().create_snapshots(InstanceSpecification=specification)
        laboratory.runner.advance(SECONDS_BETWEEN_SNAPSHOTS)


CASES: tuple[tuple[str, int, int, Take, float], ...] = (
    ("one alone", 1, 1, take_each, 11.0),
    ("20 together, on ten instances, a multi-volume set of each", 20, 10, take_sets, 8.3),
    ("20 together, on ten instances, each by itself", 20, 10, take_each, 10.4),
    ("80 together, on 40 instances, each by itself", 80, 40, take_each, 10.7),
)
"""Name, volumes, instances, how the snapshots are made, and the limit of EC2 calls for each snapshot."""


def measure(volumes: int, instances: int, take: Take) -> tuple[Counter[Call], dict[str, int]]:
    """Return EC2 calls for each snapshot of a night, and the transitions of an execution by state machine."""
    laboratory = Laboratory(policies=policy_set(keep=KEEP, keep_copies=KEEP_COPIES, copy_within=timedelta(hours=24)))
    instance_ids = [make_instance(laboratory) for _ in range(instances)]
    fleet = [laboratory.make_volume() for _ in range(volumes)]
    for number, volume_id in enumerate(fleet):
        device = f"/dev/sd{'fghij'[number // instances]}"
        laboratory.ec2().attach_volume(VolumeId=volume_id, InstanceId=instance_ids[number % instances], Device=device)
        laboratory.runner.advance(1)
    night = partial(one_night, laboratory, partial(take, laboratory, fleet, instance_ids))
    for _ in range(KEEP):
        night()
    calls: Counter[Call] = Counter()
    sweep(laboratory)
    count_calls(laboratory, calls)
    deleted = laboratory.runner.totals.deletions
    night()
    assert laboratory.runner.totals.deletions - deleted == 2 * volumes, "the fleet is not at its steady state"
    return calls, {machine: laboratory.runs(machine)[-1].transitions for machine in ("protect", "receive")}


def make_instance(laboratory: Laboratory) -> str:
    image = {"ImageId": PUBLIC_LINUX, "MinCount": 1, "MaxCount": 1}
    instance_id = str(laboratory.ec2().run_instances(**image)["Instances"][0]["InstanceId"])
    laboratory.runner.advance(60)
    return instance_id


def one_night(laboratory: Laboratory, take: Callable[[], None]) -> None:
    """Make the snapshots, and simulate the rest of the day: a record must not be read again every day."""
    began = laboratory.world.now()
    take()
    assert laboratory.runner.run_until_idle(86_400)
    laboratory.runner.advance(86_400 - (laboratory.world.now() - began))


def sweep(laboratory: Laboratory) -> None:
    """Sweep both regions, as every six hours: the sweep shows runs that no AMI and no lock holds a managed snapshot."""
    Sweeper(laboratory.runner).start()
    assert laboratory.runner.run_until_idle(3600)


def count_calls(laboratory: Laboratory, calls: Counter[Call]) -> None:
    """Count the system's EC2 calls from now on, by the function that makes them."""
    functions, world, runner = laboratory.runner.functions, laboratory.world, laboratory.runner
    current = [""]

    def named(name: str, function: Any) -> Any:
        def called(*arguments: Any) -> Any:
            current[0] = name
            return function(*arguments)

        return called

    def counted(service: str, action: str, *arguments: Any, **keywords: Any) -> Any:
        if service == "ec2" and keywords.get("caller") == CALLER:
            parameters = next(argument for argument in arguments if isinstance(argument, Mapping))
            filters = [str(each["Name"]) for each in parameters.get("Filters", ())]
            calls[current[0], action, ",".join(filters)] += 1
        return call(service, action, *arguments, **keywords)

    call = world.call
    world.call = counted  # type: ignore[method-assign]
    functions.update({name: named(name, function) for name, function in functions.items()})
    runner.dispatch = named("Dispatch", runner.dispatch)  # type: ignore[method-assign]


def main() -> int:
    failed, entered = False, {"protect": 0, "receive": 0}
    for name, volumes, instances, take, most in CASES:
        calls, entered = measure(volumes, instances, take)
        total = sum(calls.values()) / volumes
        failed = failed or total > most
        print(f"{name}: {total:.2f} EC2 calls for each snapshot, at most {most:g}")
        for key, purpose in PURPOSES.items():
            if count := calls.pop(key, 0):
                function, action, _ = key
                print(f"  {count / volumes:5.2f}  {function:18} {action:23} {purpose}")
        assert not calls, f"calls of unknown purpose: {calls}"
    transitions = sum(entered.values())
    print(f"state transitions: {transitions} ({', '.join(f'{name} {count}' for name, count in entered.items())})")
    print(f"at most {MOST_TRANSITIONS} transitions")
    return int(failed or transitions > MOST_TRANSITIONS)


if __name__ == "__main__":
    sys.exit(main())
