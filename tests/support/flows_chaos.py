"""Everything that can happen to the flows, one method each, with the invariants after each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.domain.copies.retries import RetryPolicy
from snapkeep.domain.policy.model import CopyRule, Limits, Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.lab.ebs_model import PUBLIC_LINUX, EventOptions, FaultRule, Quotas, Speeds, VirtualClock, World
from snapkeep.lab.ebs_model.store.records import COMPLETED, SnapshotRecord
from snapkeep.lab.simulator.executions import Execution
from snapkeep.lab.simulator.invariant_monitor import InvariantMonitor
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import StepKill
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.sweeps import Sweeper
from support.placing import hold

PRIMARIES = ("us-east-1", "eu-west-1")
DESTINATIONS = ("us-east-2", "us-west-2")
HOUR, DAY = 3600.0, 86_400.0
MODEL_QUOTA, OUR_QUOTA = 5, 3
MOMENTS = (1.0, 7.0, 30.0, 61.0, 100.0, 600.0, HOUR, 6 * HOUR)
WEATHER = (
    "event_lost",
    "event_doubled",
    "event_delayed",
    "event_reordered",
    "snapshot_fails",
    "copy_fails",
    "slow_copy",
    "api_error",
    "api_timeout",
)
THROTTLED = ("CopySnapshot", "CreateTags", "DeleteSnapshot", "DescribeSnapshots")
REGIONS = (*PRIMARIES, *DESTINATIONS)


def governed(_: str, tags: Mapping[str, str]) -> bool:
    """Whether the policies below include a volume, by the tester's own decision."""
    return "Backup" in tags


def make_policies(
    keep: int,
    keep_copies: int,
    regions: int,
    hours: int,
    keys: Mapping[str, str],
    every: timedelta = timedelta(0),
    making: bool = False,
) -> PolicySet:
    """Return policies from small numbers: how many are kept, which of the two DR regions get a copy, with a key or not."""
    chosen = (DESTINATIONS[:1], DESTINATIONS[1:], DESTINATIONS)[regions % 3]
    copies = tuple(
        CopyRule(
            region,
            kms_key=keys.get(region, ""),
            copy_within=timedelta(hours=(3, 24)[hours % 2]),
            retention=Retention(keep_last=1 + keep_copies % 3),
            every=every,
        )
        for region in chosen
    )
    made = SnapshotRule(every=timedelta(hours=1)) if making else None
    policy = Policy("default", Selector(tags={"Backup": ("*",)}), Retention(keep_last=1 + keep % 4), copies, snapshots=made)
    return PolicySet((policy,), Limits(max_deletions=20, max_share_percent=100))


class Chaos:
    """A system over two primary and two DR regions, with all faults and actions of others."""

    def __init__(self, seed: int = 0) -> None:
        self.world = World(
            clock=VirtualClock(),
            seed=seed,
            regions=REGIONS,
            quotas=Quotas(copies_per_destination=MODEL_QUOTA),
            speeds=Speeds(jitter=0.5),
            events=EventOptions(arn_shape="mixed"),
        )
        self.keys = {region: self._kms(region).create_key()["KeyMetadata"]["Arn"] for region in DESTINATIONS}
        self.policies = make_policies(1, 0, 0, 1, {})
        self.events: list[dict[str, Any]] = []
        self.world.subscribe(self.events.append)
        self.kill_in = self.interleave_in = self.meet_in = 0
        layout = SystemLayout(PRIMARIES, DESTINATIONS, copy_quota=OUR_QUOTA, retry_policy=RetryPolicy(2, timedelta(minutes=5)))
        self.runner = Runner(self.world, lambda: self.policies, layout, hook=self._hook, seed=seed, on_run_ended=self._run_ended)
        self.sweeper = Sweeper(self.runner)
        self.watch = InvariantMonitor(self.runner, lambda: self.policies, governed).attach()
        self.volumes = [
            self._make_volume(region, tags)
            for region in PRIMARIES
            for tags in ({"Backup": "yes"}, {"Backup": "yes", "Name": "second"}, {"Name": "scratch"})
        ]
        self.instance = self._make_instance()
        self.runner.advance(5)

    def _ec2(self, region: str) -> Any:
        return self.world.client("ec2", region, caller="person")

    def _kms(self, region: str) -> Any:
        return self.world.client("kms", region, caller="person")

    def _make_volume(self, region: str, tags: Mapping[str, str]) -> tuple[str, str]:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        made = self._ec2(region).create_volume(
            AvailabilityZone=f"{region}a",
            Size=4,
            VolumeType="gp3",
            Encrypted=True,
            TagSpecifications=[{"ResourceType": "volume", "Tags": listed}],
        )
        return region, made["VolumeId"]

    def _make_instance(self) -> str:
        region = PRIMARIES[0]
        self.runner.advance(5)
        instance: str = self._ec2(region).run_instances(ImageId=PUBLIC_LINUX, MinCount=1, MaxCount=1)["Instances"][0][
            "InstanceId"
        ]
        for device, (where, volume) in zip(("/dev/sdf", "/dev/sdg"), self.volumes, strict=False):
            if where == region:
                self._ec2(region).attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
        return instance

    def _hook(self, name: str) -> None:
        if self.interleave_in:
            self.interleave_in -= 1
            if not self.interleave_in:
                self.runner.kernel.pause(2.0)
        if self.meet_in and name == "reader.copies_in_flight":
            self.meet_in -= 1
            if not self.meet_in:
                for region in DESTINATIONS:
                    self.runner.dispatch(region)
        if self.kill_in:
            self.kill_in -= 1
            if not self.kill_in:
                raise StepKill(f"at {name}")

    def _run_ended(self, run: Execution) -> None:
        self.watch.run_ended(run)

    @staticmethod
    def _by_person(call: Callable[[], object]) -> None:
        """Ignore the refusal of a person's own call."""
        try:
            call()
        except (ClientError, BotoCoreError):
            return

    def _snapshot(self, region: str, number: int) -> SnapshotRecord | None:
        found = [snapshot for snapshot in self.world.region_account(region).snapshots.values() if snapshot.state == COMPLETED]
        return found[number % len(found)] if found else None

    # Events and deeds

    def advance(self, number: int) -> None:
        self.runner.advance(MOMENTS[number % len(MOMENTS)])

    def create_snapshot(self, number: int) -> None:
        region, volume = self.volumes[number % len(self.volumes)]
        self._by_person(lambda: self._ec2(region).create_snapshot(VolumeId=volume))

    def make_snapshots(self, number: int) -> None:
        """Make the system's own snapshots, with most of its ticks at once."""
        for _ in range(1 + number % 3):
            self.runner.make_snapshots(PRIMARIES[number % 2])

    def create_set(self) -> None:
        request = {"InstanceId": self.instance, "ExcludeBootVolume": True}
        self._by_person(lambda: self._ec2(PRIMARIES[0]).create_snapshots(InstanceSpecification=request))

    def change_weather(self, kind: int, share: int) -> None:
        name, probability = WEATHER[kind % len(WEATHER)], (0.2, 0.5, 1.0)[share % 3]
        if name.startswith("api_"):
            for effect in ("before", "after"):
                self.world.add_fault(FaultRule(name, probability=probability / 4, effect=effect))
        else:
            self.world.add_fault(FaultRule(name, probability=probability, delay_seconds=900.0))

    def calm_down(self) -> None:
        for name in WEATHER:
            self.world.state.faults.remove(name)

    def throttle(self, number: int) -> None:
        self.world.change_quotas(buckets={THROTTLED[number % len(THROTTLED)]: (2.0, 0.05)})

    def let_through(self) -> None:
        self.world.change_quotas(buckets={})

    def kill_at(self, calls: int) -> None:
        self.kill_in = calls

    def interleave_at(self, calls: int) -> None:
        self.interleave_in = calls

    def let_dispatchers_meet(self, number: int) -> None:
        """While one looks at what is in flight, each region's dispatcher is woken once more; and there is enough to do."""
        for volume in range(len(self.volumes)):
            self.create_snapshot(volume)
        self.runner.advance(70)
        self.meet_in = 1 + number % 6
        self.runner.advance(200)

    def change_policy(self, keep: int, keep_copies: int, regions: int, with_key: bool, every: int = 0) -> None:
        self.watch.policy_changed(self.policies)
        keys, between = self.keys if with_key else {}, timedelta(hours=(0, 0, 1, 6, 24)[every % 5])
        numbers = keep, keep_copies, regions, keep + keep_copies
        self.policies = make_policies(*numbers, keys, between, making=every % 2 == 1)

    def take_region_away(self, number: int) -> None:
        self.world.take_region_away(REGIONS[number % len(REGIONS)])

    def bring_regions_back(self) -> None:
        for region in REGIONS:
            self.world.bring_region_back(region)

    def turn_key(self, number: int, usable: bool) -> None:
        region = DESTINATIONS[number % len(DESTINATIONS)]
        kms, key = self._kms(region), self.keys[region]
        if usable:
            self._by_person(lambda: kms.cancel_key_deletion(KeyId=key))
            self._by_person(lambda: kms.enable_key(KeyId=key))
        elif number % 4 < len(DESTINATIONS):
            self._by_person(lambda: kms.disable_key(KeyId=key))
        else:
            self._by_person(lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30))

    def let_a_key_rest(self, number: int, keep: int) -> None:
        """A key is not usable for some hours, while the policy asks for copies with it and snapshots go on."""
        self.change_policy(keep, keep, regions=2, with_key=True)
        for _ in range(2):
            self.create_snapshot(number)
            self.runner.advance(2 * HOUR)
        self.turn_key(number, usable=False)
        self.runner.advance(HOUR)
        self.change_policy(0, 0, regions=2, with_key=bool(number % 2))
        self.create_snapshot(number)
        self.runner.advance(2 * HOUR)
        self.sweep()
        self.runner.advance(2 * HOUR)

    def use_in_image(self, number: int) -> None:
        region = REGIONS[number % len(REGIONS)]
        snapshot = self._snapshot(region, number)
        if snapshot is not None:
            mapping = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot.id}}]
            name = f"image-{len(self.world.region_account(region).images)}-{self.world.now():.0f}"
            self._by_person(
                lambda: self._ec2(region).register_image(Name=name, RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)
            )

    def lock_or_hold(self, number: int) -> None:
        """Lock a snapshot; one time in eight a person holds it, and all of its copies, for some hours instead."""
        region = REGIONS[number % len(REGIONS)]
        snapshot = self._snapshot(region, number)
        if snapshot is not None and number == 6:
            self._hold(snapshot.source_id or snapshot.id)
            return
        self._lock(region, snapshot)

    def _hold(self, source_id: str) -> None:
        placed = hold(f"hold-{source_id}-{self.world.now():.0f}", snapshots=(source_id,))
        stores = self.runner.composition.hold_stores.values()
        for store in stores:
            store.place(placed)
        self.runner.kernel.after(6 * HOUR, lambda: [store.release(placed.id) for store in stores])

    def _lock(self, region: str, snapshot: SnapshotRecord | None) -> None:
        if snapshot is not None:
            self._by_person(
                lambda: self._ec2(region).lock_snapshot(SnapshotId=snapshot.id, LockMode="governance", LockDuration=1)
            )

    def copy_by_hand(self, number: int) -> None:
        source, target = PRIMARIES[number % 2], DESTINATIONS[number // 2 % 2]
        snapshot = self._snapshot(source, number)
        if snapshot is not None:
            self._by_person(lambda: self._ec2(target).copy_snapshot(SourceRegion=source, SourceSnapshotId=snapshot.id))

    def copies_fail_for_an_hour(self, number: int) -> None:
        self.world.add_fault(FaultRule("copy_fails", probability=1.0))
        self.create_snapshot(number)
        self.runner.advance(HOUR)
        self.world.state.faults.remove("copy_fails")

    def delete_source(self, number: int) -> None:
        region = PRIMARIES[number % len(PRIMARIES)]
        snapshot = self._snapshot(region, number // 2)
        if snapshot is not None:
            self._by_person(lambda: self._ec2(region).delete_snapshot(SnapshotId=snapshot.id))

    def delete_volume(self, number: int) -> None:
        """One volume in each region at most, so that the others live on."""
        region, volume = self.volumes[1 if number % 2 else 4]
        self._by_person(lambda: self._ec2(region).detach_volume(VolumeId=volume))
        self._by_person(lambda: self._ec2(region).delete_volume(VolumeId=volume))

    def replay_event(self, number: int) -> None:
        if self.events:
            self.world.deliver(dict(self.events[number % len(self.events)]))

    def lose_queue(self, number: int) -> None:
        region = DESTINATIONS[number % len(DESTINATIONS)]
        self.watch.queue_lost(region)
        self.runner.composition.queues[region].lose_everything()

    def sweep(self) -> None:
        self.sweeper.start()

    def dispatch(self, number: int) -> None:
        self.runner.dispatch(DESTINATIONS[number % len(DESTINATIONS)])

    # Invariants

    def check(self) -> None:
        """Raise AssertionError if anything is broken so far."""
        assert not self.watch.violations, "\n".join(self.watch.violations)
        assert not self.runner.unexpected, f"{self.runner.unexpected[0]!r}"

    def calm_everything(self) -> None:
        """Remove every fault."""
        self.calm_down()
        self.let_through()
        self.bring_regions_back()
        for number in range(len(DESTINATIONS)):
            self.turn_key(number, usable=True)
        self.kill_in = self.interleave_in = self.meet_in = 0

    def come_to_rest(self) -> None:
        """Run everything to its end without faults, with occasional sweeps. Check INV-11 and INV-12."""
        self.calm_everything()
        for _ in range(4):
            self.runner.run_until_idle(2 * DAY)
            self.runner.advance(25 * HOUR)
            self.sweeper.start()
        assert self.runner.run_until_idle(3 * DAY), f"still under way: {list(self.runner.open_runs)[:3]}, {self._left_waiting()}"
        self.check()
        missing = self.watch.missing_at_the_end()
        assert not missing, "\n".join(missing)
        self._replay_changes_nothing()

    def _left_waiting(self) -> list[str]:
        return [
            str(entry) for queue in self.runner.composition.queues.values() for entry in queue._entries.values() if entry.tokens
        ]

    def _replay_changes_nothing(self) -> None:
        """INV-11: everything that happened comes again.

        A repair that it makes once (of a lost queue's entries) is not made twice.
        """
        seen = list({str(event["detail"]): event for event in self.events}.values())
        for rehearsal in (True, True, False):
            self.watch.writes = 0
            for event in seen:
                self.world.deliver(dict(event))
            self.runner.run_until_idle(3 * DAY)
            self.check()
            assert rehearsal or not self.watch.writes, f"INV-11: {self.watch.writes} writes for events that came again"
