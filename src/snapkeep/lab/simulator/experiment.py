"""A fleet under a policy for a period of virtual time, through the same use cases and the model, with results by day."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from snapkeep.adapters.aws_errors import code_of
from snapkeep.adapters.ec2_reader import volume_from
from snapkeep.domain import prices
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.model import Volume
from snapkeep.domain.plural import counted
from snapkeep.domain.policy import selection
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.recovery.methods import estimate
from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.api.volumes import rendered
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import GIB
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, BLOCKS_PER_GIB
from snapkeep.lab.ebs_model.store.region_account import RegionAccount
from snapkeep.lab.ebs_model.store.tags import as_list, flat
from snapkeep.lab.simulator.executions import Execution, Timings
from snapkeep.lab.simulator.invariant_monitor import InvariantMonitor
from snapkeep.lab.simulator.layout import SystemLayout, limits_for
from snapkeep.lab.simulator.memory_proofs import Verification
from snapkeep.lab.simulator.runner import Runner
from snapkeep.lab.simulator.sweeps import Sweeper

HOUR = 3600.0
STORAGE, TRANSFER, TRANSITIONS, FUNCTIONS = "snapshots in", "transfer to", "state transitions", "functions"
VERIFICATION = "verification"
TIMINGS = Timings(stream_seconds=60.0, wake_seconds=60.0)
"""Dispatchers wake once a minute, as if only by their schedule; in a stack, they wake within a second. A year must pass in
minutes."""
FIRST_SNAPSHOT_SECONDS = 60.0
TICK_SECONDS = 300.0
"""The interval of two ticks for due snapshots, as in the stack's schedule."""


@dataclass(frozen=True, slots=True)
class ExperimentOptions:
    """The length of a simulation, and the intervals of snapshots and sweeps."""

    days: int
    every_hours: float = 24.0
    spread_hours: float = 1.0
    """The hours within which the fleet's snapshots are made, because schedules spread them."""
    sweep_hours: float = 168.0
    copy_quota: int = 20
    primary: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class RegionDay:
    """One region at the end of a day."""

    snapshots: int
    stored_gib: float


@dataclass(frozen=True, slots=True)
class Day:
    """The system at the end of a day; the worst values of the queue and of the RPO are those of the whole day, by policy too."""

    at: datetime
    regions: Mapping[str, RegionDay]
    waiting_most: int
    rpo_median_hours: float
    rpo_worst_hours: float
    failed_runs: int
    worst_hours_by_policy: Mapping[str, float] = field(default_factory=dict)

    @property
    def within(self) -> datetime:
        """A moment within the day that ends: its end is the midnight of the next day."""
        return self.at - timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NotableEvent:
    """An event worth a look."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class PolicyRpo:
    """The RPO of one policy, and the greatest ages of its volumes' newest recovery points: here, a completed copy is one."""

    policy: str
    asked_hours: float
    worst_hours: float
    met_share: float
    """The share of days on which all its volumes were within their RPO."""

    @property
    def met(self) -> bool:
        """Whether all its volumes were always within their RPO."""
        return self.worst_hours <= self.asked_hours


NO_VOLUMES = "the fleet has no volume in {}: give the region in which it has some (--region)"
NOBODY_GOVERNED = "no policy governs a volume of this fleet: volumes made by chance carry the tags of --tag KEY=VALUE alone"
NEVER_WITHIN = "a snapshot every {:g} h cannot hold an RPO of {:g} h: make them more often (--every), or raise the RPO (rpo)"


@dataclass(slots=True)
class ExperimentResult:
    """The result of one policy."""

    name: str
    options: ExperimentOptions
    policies: PolicySet
    volumes: int
    governed: int
    asked_hours: Mapping[str, float] = field(default_factory=dict)
    """The RPO of each policy with volumes to copy."""
    days: list[Day] = field(default_factory=list)
    months: dict[str, Counter[str]] = field(default_factory=dict)
    """Dollars by month (`2026-03`) and by item."""
    runs: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    copied_gib: float = 0.0
    deletions: int = 0
    notices: Counter[str] = field(default_factory=Counter)
    worst: list[NotableEvent] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Hints about the options of the simulation."""
        # If a policy makes snapshots itself, no other tool makes them.
        making = {policy.name for policy in self.policies.policies if policy.snapshots}
        others_make = [rpo for rpo in self.rpo if rpo.policy not in making]
        too_short = sorted({rpo.asked_hours for rpo in others_make if self.options.every_hours >= rpo.asked_hours})
        return [
            *([NO_VOLUMES.format(self.options.primary)] if not self.volumes else []),
            *([NOBODY_GOVERNED] if self.volumes and not self.governed else []),
            *(NEVER_WITHIN.format(self.options.every_hours, hours) for hours in too_short),
        ]

    @property
    def dollars(self) -> float:
        """The total cost in US dollars."""
        return sum(sum(month.values()) for month in self.months.values())

    @property
    def rpo_worst_hours(self) -> float:
        """The greatest age of a newest copy, in hours."""
        return max((day.rpo_worst_hours for day in self.days), default=0.0)

    @property
    def rpo_met_share(self) -> float:
        """The share of days on which every volume was within the RPO of its policy."""
        return self._share_of_days(self.asked_hours)

    @property
    def rpo(self) -> list[PolicyRpo]:
        """The result of each policy with volumes to copy."""
        return [
            PolicyRpo(
                policy,
                hours,
                max((day.worst_hours_by_policy[policy] for day in self.days), default=0.0),
                self._share_of_days([policy]),
            )
            for policy, hours in self.asked_hours.items()
        ]

    def _share_of_days(self, policies: Iterable[str]) -> float:
        limits = {policy: self.asked_hours[policy] for policy in policies}
        met = sum(all(day.worst_hours_by_policy[policy] <= hours for policy, hours in limits.items()) for day in self.days)
        return met / len(self.days) if self.days else 1.0


class Experiment:
    """Runs one policy over one world."""

    def __init__(self, name: str, world: World, policies: PolicySet, options: ExperimentOptions) -> None:
        self.world = world
        self.options = options
        self.policies = policies
        destinations = tuple(dict.fromkeys(rule.region for policy in policies.policies for rule in policy.copies))
        limits = limits_for(policies)
        layout = SystemLayout((options.primary,), destinations, copy_quota=options.copy_quota, lock_limits=limits)
        self.runner = Runner(world, lambda: policies, layout, timings=TIMINGS, on_run_ended=self._run_ended)
        self.watch = InvariantMonitor(self.runner, lambda: policies, self._governs).attach()
        self.sweeper = Sweeper(self.runner)
        place = world.region_account(options.primary)
        instances = {
            instance.id: {"RootDeviceName": instance.root_device, "Tags": as_list(instance.tags)}
            for instance in place.instances.values()
        }
        self._volumes = {volume.id: volume_from(rendered(volume), place.region, instances) for volume in place.volumes.values()}
        chosen = {volume.id: selection.select(volume, policies).policy for volume in self._volumes.values()}
        governed = sum(policy is not None for policy in chosen.values())
        copied = {volume_id: policy for volume_id, policy in chosen.items() if policy is not None and policy.copies}
        self._snapshot_tags = {
            volume_id: _example_tags(policy.selector.snapshot_tags) for volume_id, policy in chosen.items() if policy is not None
        }
        used = {policy.name for policy in copied.values()}
        rpo_hours = {policy.name: policy.rpo.total_seconds() / HOUR for policy in policies.policies if policy.name in used}
        self.result = ExperimentResult(name, options, policies, len(chosen), governed, rpo_hours)
        self._making = {volume_id for volume_id, policy in chosen.items() if policy is not None and policy.snapshots}
        self._began = world.now()
        self._policy_of = {volume_id: policy.name for volume_id, policy in copied.items()}
        pairs = ((volume_id, rule.region) for volume_id, policy in copied.items() for rule in policy.copies)
        self._newest = dict.fromkeys(pairs, self._began)
        """The time of each volume's newest copy by region; the start of the experiment if there is none."""
        self._waiting_most = self._failed_today = 0
        self._worst_today: dict[str, float] = {}
        """The greatest age of a newest copy so far today, by policy, in seconds."""
        self._transitions_before = self._calls_before = 0
        self._moved: Counter[str] = Counter()
        self._extra_dollars: Counter[str] = Counter()
        self._verification_dollars = 0.0
        self.runner.composition.on_verification = self._verified
        self._listen()

    def _governs(self, volume_id: str, tags: Mapping[str, str]) -> bool:
        volume = self._volumes.get(volume_id) or Volume(volume_id, self.options.primary, 1, "", tags=tags)
        return selection.select(volume, self.policies).policy is not None

    def run(self, progress: Callable[[int], None] = lambda _: None) -> ExperimentResult:
        """Simulate the time; call `progress` with the number of each ended day. Return the result."""
        if self.options.sweep_hours:
            self.sweeper.schedule(self.options.sweep_hours)
        self._plan_snapshots()
        if self._making:
            self.runner.make_every(TICK_SECONDS)
        for day in range(self.options.days):
            for _ in range(24):
                self.runner.advance(HOUR)
                self._look()
            self._close_day()
            progress(day + 1)
        result = self.result
        result.runs, result.deletions = self.runner.totals.runs, self.runner.totals.deletions
        result.notices = Counter(notice.kind for notice in self.runner.composition.notices.added)
        result.violations = [*self.watch.violations, *(repr(error) for error in self.runner.unexpected)]
        result.worst = worst_moments(result)
        return result

    def _plan_snapshots(self) -> None:
        client = self.world.client("ec2", self.options.primary, caller="schedule")
        volumes = [item for item in self.world.region_account(self.options.primary).volumes if item not in self._making]
        gap = self.options.spread_hours * HOUR / max(len(volumes), 1)
        for number, volume_id in enumerate(volumes):
            self._snapshot_every(client, volume_id, FIRST_SNAPSHOT_SECONDS + number * gap)

    def _snapshot_every(self, client: Any, volume_id: str, seconds: float) -> None:
        def make() -> None:
            try:
                made = client.create_snapshot(VolumeId=volume_id)["SnapshotId"]
            except (ClientError, BotoCoreError) as error:
                why = code_of(error) if isinstance(error, ClientError) else type(error).__name__
                self.result.worst.append(NotableEvent(utc(self.world.now()), f"no snapshot of {volume_id}: {why}"))
            else:
                # If a policy counts only some snapshots, its schedule makes those.
                place = self.world.region_account(self.options.primary)
                place.set_tags(place.snapshots[made], flat(self._snapshot_tags.get(volume_id, {})))
            self.runner.kernel.after(self.options.every_hours * HOUR, make)

        self.runner.kernel.after(seconds, make)

    def _listen(self) -> None:
        def note_copy(place: RegionAccount, detail: Mapping[str, Any]) -> None:
            if detail.get("event") == "copySnapshot" and detail.get("result") == "succeeded":
                self._copied(place, detail["snapshot_id"].rpartition("/")[2])

        self.world.observe(note_copy)

    def _copied(self, place: RegionAccount, copy_id: str) -> None:
        copy, truth = place.snapshots[copy_id], self.watch.truths[copy_id]
        gib = copy.moved_blocks * BLOCK_SIZE / GIB
        self._moved[place.region] += gib  # type: ignore[assignment]
        self._extra_dollars[place.region] += gib * prices.completion_price_usd_per_gib(copy.duration_minutes)  # type: ignore[assignment]
        self.result.copies += 1
        self.result.copied_gib += gib
        pair = truth.volume_id, place.region
        if pair in self._newest:
            before = self._newest[pair]
            self._note_age(truth.volume_id, self.world.now() - before)
            self._newest[pair] = max(before, truth.start)

    def _verified(self, verification: Verification) -> None:
        """Charge a comparison by its estimate, because the simulator reads no blocks."""
        copy = self.world.region_account(verification.region).snapshots[verification.copy_id]
        taken = estimate(verification.method, -(-copy.full_blocks // BLOCKS_PER_GIB))
        functions = sum(_function_dollars(1, seconds) for seconds in (taken.seconds, taken.seconds, 0.0))
        self._verification_dollars += taken.dollars + VERIFY_TRANSITIONS * prices.STATE_TRANSITION.dollars + functions

    def _note_age(self, volume_id: str, age_seconds: float) -> None:
        policy = self._policy_of[volume_id]
        self._worst_today[policy] = max(self._worst_today.get(policy, 0.0), age_seconds)

    def _run_ended(self, run: Execution) -> None:
        self.watch.run_ended(run)
        self._failed_today += run.status == "FAILED"

    def _look(self) -> None:
        waiting = sum(queue.count(EntryState.WAITING) for queue in self.runner.composition.queues.values())
        self._waiting_most = max(self._waiting_most, waiting)

    def _close_day(self) -> None:
        now = self.world.now()
        at = utc(now)
        regions = {region: self._region(region) for region in (self.options.primary, *self.runner.layout.destinations)}
        ages: dict[str, float] = {}
        for (volume_id, _), newest in self._newest.items():
            ages[volume_id] = max(ages.get(volume_id, 0.0), now - newest)
        for volume_id, age in ages.items():
            self._note_age(volume_id, age)
        worst = {policy: self._worst_today.get(policy, 0.0) / HOUR for policy in self.result.asked_hours}
        middle = median(ages.values()) / HOUR if ages else 0.0
        self.result.days.append(
            Day(at, regions, self._waiting_most, middle, max(worst.values(), default=0.0), self._failed_today, worst)
        )
        self._charge(regions)
        for queue in self.runner.composition.queues.values():
            queue.expire(at)
        self._waiting_most = self._failed_today = 0
        self._worst_today.clear()

    def _region(self, region: str) -> RegionDay:
        place = self.world.region_account(region)
        return RegionDay(len(place.snapshots), place.stored_blocks * BLOCK_SIZE / GIB)

    def _charge(self, regions: Mapping[str, RegionDay]) -> None:
        within = self.result.days[-1].within
        month = self.result.months.setdefault(f"{within:%Y-%m}", Counter())
        share = 1 / monthrange(within.year, within.month)[1]
        for region, day in regions.items():
            month[f"{STORAGE} {region}"] += day.stored_gib * prices.SNAPSHOT_STORAGE.dollars * share  # type: ignore[assignment]
        for region, gib in self._moved.items():
            month[f"{TRANSFER} {region}"] += (
                gib * prices.transfer_price(self.options.primary, region).dollars + self._extra_dollars[region]
            )  # type: ignore[assignment]
        totals = self.runner.totals
        month[TRANSITIONS] += (totals.transitions - self._transitions_before) * prices.STATE_TRANSITION.dollars  # type: ignore[assignment]
        month[FUNCTIONS] += _function_dollars(totals.invocations - self._calls_before)  # type: ignore[assignment]
        month[VERIFICATION] += self._verification_dollars  # type: ignore[assignment]
        self._verification_dollars = 0.0
        self._transitions_before, self._calls_before = totals.transitions, totals.invocations
        self._moved.clear()
        self._extra_dollars.clear()


def worst_moments(result: ExperimentResult) -> list[NotableEvent]:
    """Return the notable moments of a result, in the order of time."""
    moments = list(result.worst[:5])
    if result.days:
        longest = max(result.days, key=lambda day: day.waiting_most)
        if longest.waiting_most:
            copies = counted(longest.waiting_most, "copy", "copies")
            moments.append(NotableEvent(longest.within, f"{copies} waited at once, the most of all days"))
        oldest = max(result.days, key=lambda day: day.rpo_worst_hours)
        if oldest.rpo_worst_hours:
            moments.append(
                NotableEvent(oldest.within, f"the newest recovery point of a volume was {oldest.rpo_worst_hours:.1f} h old")
            )
        failed = max(result.days, key=lambda day: day.failed_runs)
        if failed.failed_runs:
            moments.append(
                NotableEvent(failed.within, f"{counted(failed.failed_runs, 'run')} ended FAILED, the most of all days")
            )
    return sorted(moments, key=lambda moment: moment.at)


FUNCTION_SECONDS, FUNCTION_GIB = 0.4, 0.25
"""The duration of one invocation of a function, and its memory. Both are assumptions."""


VERIFY_TRANSITIONS = 6
"""States of a comparison in one portion: Begin, Verify, EvaluateContinue, TagSnapshotCopy, Outcome, Done."""


def _function_dollars(invocations: int, further_seconds: float = 0.0) -> float:
    gib_seconds = (FUNCTION_SECONDS + further_seconds) * FUNCTION_GIB
    return invocations * (prices.FUNCTION_REQUEST.dollars + gib_seconds * prices.FUNCTION_GIB_SECOND.dollars)


def _example_tags(patterns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return tags that match patterns of values."""
    return {key: values[0].replace("*", "").replace("?", "x") for key, values in patterns.items()}
