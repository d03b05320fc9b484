"""An experiment with the system's own snapshots under faults, for a long time: RPOs, periods, snapshots of others, quotas.

There are four groups of volumes: volumes of `rpo` have only snapshots of the system, those of `beside` have enough snapshots of
another tool, and those of `every` and `cron` have one a day in a time zone that changes its clock twice a year.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.domain.model import VolumeRole
from snapkeep.domain.policy.frequency import Periods
from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, SnapshotRule
from snapkeep.domain.tag_names import MADE
from snapkeep.domain.tags import parse_time
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.store.records import ERROR, SnapshotRecord
from snapkeep.lab.ebs_model.store.region_account import RegionAccount
from snapkeep.lab.ebs_model.store.tags import value_of
from snapkeep.lab.simulator.executions import Timings
from snapkeep.lab.simulator.fleet import SimulatedVolume, generate, make_world
from snapkeep.lab.simulator.invariant_monitor import InvariantMonitor
from snapkeep.lab.simulator.layout import SystemLayout
from snapkeep.lab.simulator.memory_ports import StepKill
from snapkeep.lab.simulator.model_clients import CALLER
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.sweeps import Sweeper

PRIMARY, DR = "us-east-1", "us-east-2"
GROUPS = ("rpo", "beside", "every", "cron")
RPO, DAYS_RPO = timedelta(hours=30), timedelta(hours=40)
ZONE = "Europe/Berlin"
TICK_SECONDS, DAY, HOUR = 300.0, 86_400.0, 3_600.0
SWEEP_HOURS = 6.0
OTHERS_HOURS = 12.0
EXCUSED_SECONDS = (SWEEP_HOURS + 2) * HOUR
"""The time for which an RPO may be missed after a fault of the volume: the next sweep finds a lost event."""
KILLED, OUTAGE_SECONDS = 0.002, 3 * HOUR
"""The share of calls at which a tick is interrupted, and the hours for which the DR region is unreachable each month."""
FAULTS = Faults(
    event_lost=0.005,
    event_doubled=0.01,
    event_delayed=0.02,
    snapshot_fails=0.003,
    copy_fails=0.003,
    slow_snapshot=0.003,
    slow_copy=0.003,
    api_error=0.002,
    api_timeout=0.002,
)
MOST_VIOLATIONS = 100
OF_QUOTAS = frozenset(
    {
        "PendingSnapshotLimitExceeded",
        "ConcurrentSnapshotLimitExceeded",
        "SnapshotCreationPerVolumeRateExceeded",
        "SnapshotLimitExceeded",
    }
)


def policies() -> PolicySet:
    """Return the policies of the four groups."""
    rules = {
        "rpo": SnapshotRule(when="rpo"),
        "beside": SnapshotRule(when="rpo"),
        "every": SnapshotRule(every=timedelta(days=1), timezone=ZONE),
        "cron": SnapshotRule(cron="30 2 * * ? *", timezone=ZONE),
    }
    return PolicySet(tuple(_policy(name, rule) for name, rule in rules.items()))


def _policy(name: str, rule: SnapshotRule) -> Policy:
    rpo = RPO if rule.when else DAYS_RPO
    copies = (CopyRule(DR, copy_within=rpo, retention=Retention(keep_last=2)),)
    return Policy(name, Selector(tags={"Backup": (name,)}), Retention(keep_last=2), copies, rpo, snapshots=rule)


@dataclass(slots=True)
class CreationResult:
    """The result of an experiment. `violations` is empty for a system without faults."""

    violations: list[str] = field(default_factory=list)
    missed: int = 0
    """Missed RPOs that could not have been met after a fault of the volume."""
    made: Counter[str] = field(default_factory=Counter)
    """Snapshots that the system made, by group."""
    ticks: int = 0
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)


class CreationExperiment:
    """A fleet of volumes, a quarter of them in each group; every tick of the system runs."""

    def __init__(self, volumes: int, *, seed: int, faults: Faults = FAULTS, killed: float = KILLED) -> None:
        fleet = [_placed(volume, number) for number, volume in enumerate(generate(volumes, seed, {}))]
        self.world = make_world(fleet, PRIMARY, (DR,), seed=seed)
        self.policies = policies()
        self.result = CreationResult()
        self._dice = Random(seed)  # noqa: S311 - a simulation's dice
        self._killed, self._in_tick = killed, False
        # Dispatchers wake once a minute: a year must pass in minutes.
        timings = Timings(stream_seconds=60.0, wake_seconds=60.0)
        self.runner = Runner(
            self.world, lambda: self.policies, SystemLayout((PRIMARY,), (DR,)), timings=timings, hook=self._hook, seed=seed
        )
        self.monitor = InvariantMonitor(self.runner, lambda: self.policies, lambda _, tags: "Backup" in tags).attach()
        self.began = self.world.now()
        self._group = {
            volume.id: value_of(volume.tags, "Backup") or "" for volume in self.world.region_account(PRIMARY).volumes.values()
        }
        self._newest = dict.fromkeys(self._group, self.began)
        """Volume -> the start of its newest completed copy's source."""
        self._of_others: dict[str, list[SnapshotRecord]] = defaultdict(list)
        self._struck: dict[str, float] = dict.fromkeys(self._group, 0.0)
        """Volume -> the time of the last fault of one of its snapshots, copies or events."""
        self._made: dict[str, list[SnapshotRecord]] = defaultdict(list)
        self._seen: set[str] = set()
        self._late: dict[str, bool] = {}
        """The volumes whose RPO is missed now, with whether it could have been met."""
        self._changes = 0
        self._watch()
        self.world.state.faults.set(faults)
        Sweeper(self.runner).schedule(SWEEP_HOURS)
        self._let_others_make()
        # The other tool made snapshots before the system began.
        self.runner.advance(OTHERS_HOURS * HOUR)
        self.began = self.world.now()
        self._newest = dict.fromkeys(self._group, self.began)

    # The world

    def _let_others_make(self) -> None:
        client = self.world.client("ec2", PRIMARY, caller="another tool")

        def make(volume_id: str) -> None:
            with suppress(ClientError, BotoCoreError):
                client.create_snapshot(VolumeId=volume_id)
            self.runner.kernel.after(OTHERS_HOURS * HOUR, partial(make, volume_id))

        beside = [volume_id for volume_id, group in self._group.items() if group == "beside"]
        for number, volume_id in enumerate(beside):
            self.runner.kernel.after(60.0 + 30.0 * number, partial(make, volume_id))

    def _hook(self, _: str) -> None:
        if self._in_tick and self._dice.random() < self._killed:
            self.result.kills += 1
            raise StepKill("at a call of a tick")

    def _watch(self) -> None:
        """Watch calls, ends and faults, and serve a tick's listings from memory while nothing changes."""
        build = self.runner.composition.make_snapshots
        listing = _SteadyListing(self.runner.composition.reader(PRIMARY), lambda: self._changes)
        self.runner.composition.make_snapshots = (  # type: ignore[method-assign]
            lambda region: replace(build(region), reader=listing)
        )
        self.world.observe(self._note_end)
        self._watch_calls()
        self._watch_faults()

    def _watch_calls(self) -> None:
        call = self.world.call

        def watched_call(service: str, action: str, params: Any = None, **options: Any) -> Any:
            if action.startswith(("Describe", "List", "Get")):
                return call(service, action, params, **options)
            self._changes += 1
            try:
                return call(service, action, params, **options)
            except ApiError as error:
                if options.get("caller") == CALLER and self._in_tick and error.code in OF_QUOTAS:
                    self.result.violations.append(f"a quota: {action} of {params}: {error.code}")
                raise

        self.world.call = watched_call  # type: ignore[method-assign]

    def _watch_faults(self) -> None:
        engine = self.world.state.faults
        hit, deliveries = engine.hit, engine.deliveries

        def watched_hit(kind: str, now: float, **facts: str) -> Any:
            rule = hit(kind, now, **facts)
            if rule is not None:
                self.result.faults[kind] += 1
                self._strike(facts.get("volume_id") or self._volume_of(facts.get("source_id", "")), now)
            return rule

        def watched_deliveries(event: Mapping[str, Any], now: float) -> list[float]:
            times = deliveries(event, now)
            for snapshot_id in () if times else _snapshots_of(event["detail"]):
                self._strike(self._volume_of(snapshot_id), now)
            return times

        engine.hit, engine.deliveries = watched_hit, watched_deliveries  # type: ignore[method-assign]

    def _note_end(self, _: RegionAccount, detail: Mapping[str, Any]) -> None:
        self._changes += 1
        if detail.get("event") == "copySnapshot" and detail.get("result") == "succeeded":
            truth = self.monitor.truths[detail["snapshot_id"].rpartition("/")[2]]
            self._newest[truth.volume_id] = max(truth.start, self._newest[truth.volume_id])

    def _volume_of(self, snapshot_id: str) -> str:
        truth = self.monitor.truths.get(snapshot_id)
        return truth.volume_id if truth else ""

    def _strike(self, volume_id: str, now: float) -> None:
        if volume_id in self._struck:
            self._struck[volume_id] = now

    # Time

    def run(self, days: int, progress: Callable[[int], None] = lambda _: None) -> CreationResult:
        """Simulate days, tick by tick; call `progress` with the number of each ended day. Return the result."""
        for day in range(days):
            if day % 30 == 29:  # noqa: PLR2004 - once a month
                self._outage()
            ended = self.began + (day + 1) * DAY
            while self.world.now() < ended:
                self.result.ticks += 1
                self._in_tick = True
                self.runner.make_snapshots(PRIMARY)
                self._in_tick = False
                self.runner.advance(TICK_SECONDS)
                self._look()
            for queue in self.runner.composition.queues.values():
                queue.expire(utc(self.world.now()))
            progress(day + 1)
        self._check_periods()
        self.result.violations += [*self.monitor.violations, *(repr(error) for error in self.runner.unexpected)]
        return self.result

    def _outage(self) -> None:
        """Make the DR region unreachable for some hours."""
        elapsed = self.world.now() - self.world.state.faults.started
        rule = FaultRule("region_unreachable", region=DR, from_seconds=elapsed, until_seconds=elapsed + OUTAGE_SECONDS)
        self.world.add_fault(rule)
        self._struck = dict.fromkeys(self._struck, self.world.now() + OUTAGE_SECONDS)

    def _look(self) -> None:
        now, place = self.world.now(), self.world.region_account(PRIMARY)
        for snapshot in reversed(place.snapshots.values()):
            if snapshot.id in self._seen:
                break
            self._seen.add(snapshot.id)
            self._note(snapshot)
        for volume_id, group in self._group.items():
            late = now - self._newest[volume_id] - (RPO if group in ("rpo", "beside") else DAYS_RPO).total_seconds()
            if late <= 0:
                self._late.pop(volume_id, None)
                continue
            if volume_id not in self._late:
                self._late[volume_id] = False
                self.result.missed += 1
            struck = self._struck[volume_id] >= self._newest[volume_id]
            if not self._late[volume_id] and (late > EXCUSED_SECONDS or not struck):
                self._late[volume_id] = True
                self._broken(volume_id, f"its RPO is missed by {late / HOUR:.1f} h")

    def _note(self, snapshot: SnapshotRecord) -> None:
        """Record a new snapshot, and check that the system makes none if another tool makes enough."""
        group = self._group.get(snapshot.volume_id, "")
        if not value_of(snapshot.tags, MADE):
            self._of_others[snapshot.volume_id].append(snapshot)
            return
        self.result.made[group] += 1
        self._made[snapshot.volume_id].append(snapshot)
        intended = parse_time(value_of(snapshot.tags, MADE) or "").timestamp()
        since = intended - RPO.total_seconds() / 2
        others = self._of_others[snapshot.volume_id][-3:]
        # A tick does not know of snapshots that another tool makes after its listing.
        if group == "beside" and any(other.state != ERROR and since < other.start < intended for other in others):
            self._broken(snapshot.volume_id, "a snapshot is made, although another tool made one lately")

    def _check_periods(self) -> None:
        """Check that each day in the time zone has one snapshot that did not fail.

        The first day may have one more, the last none.
        """
        periods = Periods(timedelta(days=1), "", ZONE)
        for volume_id in (volume_id for volume_id, group in self._group.items() if group in ("every", "cron")):
            starts = [utc(snapshot.start) for snapshot in self._made[volume_id] if snapshot.state != ERROR]
            counts = Counter(periods.numbers(starts))
            first, last = min(counts), max(counts)
            for number in range(first + 1, last):
                if counts[number] != 1:
                    self._broken(volume_id, f"{counts[number]} snapshots in period {number - first} of {last - first}")

    def _broken(self, volume_id: str, what: str) -> None:
        moment = f"{utc(self.world.now()):%Y-%m-%d %H:%M}"
        if len(self.result.violations) < MOST_VIOLATIONS:
            self.result.violations.append(f"{volume_id} ({self._group[volume_id]}), {moment}: {what}")


class _SteadyListing:
    """A reader of a region that lists everything again only after a change."""

    def __init__(self, reader: Any, changes: Callable[[], int]) -> None:
        self._reader = reader
        self._changes = changes
        self._listed: dict[str, tuple[int, list[Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def all_volumes(self) -> Iterator[Any]:
        """Return all volumes."""
        return self._listing("all_volumes")

    def all_snapshots(self) -> Iterator[Any]:
        """Return all snapshots."""
        return self._listing("all_snapshots")

    def _listing(self, name: str) -> Iterator[Any]:
        known = self._listed.get(name)
        if known is None or known[0] != self._changes():
            known = self._changes(), list(getattr(self._reader, name)())
            self._listed[name] = known
        return iter(known[1])


def _placed(volume: SimulatedVolume, number: int) -> SimulatedVolume:
    """Return a volume of the fleet in its group, attached to an instance: in two of the groups, three volumes share one."""
    group, place = GROUPS[number % len(GROUPS)], number // len(GROUPS)
    volume = replace(volume, tags={"Backup": group})
    if group not in ("rpo", "every"):
        return volume
    role = VolumeRole.DATA if place % 3 else VolumeRole.ROOT
    return replace(volume, instance_id=f"i-{place // 3:012x}{GROUPS.index(group)}", role=role)


def _snapshots_of(detail: Mapping[str, Any]) -> Iterator[str]:
    for item in (detail, *detail.get("snapshots", ())):
        if "snapshot_id" in item:
            yield item["snapshot_id"].rpartition("/")[2]
