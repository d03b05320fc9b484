"""The state of a world: its clock, random sources, accounts in regions, timers, and the receivers of events."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from snapkeep.lab.ebs_model.conditions.clock import VirtualClock, WorldClock, finite, iso
from snapkeep.lab.ebs_model.conditions.event_options import ARN_SHAPES, Event, EventOptions
from snapkeep.lab.ebs_model.conditions.faults import FaultEngine, Faults
from snapkeep.lab.ebs_model.conditions.latency import Latency
from snapkeep.lab.ebs_model.conditions.quotas import Quotas, Speeds
from snapkeep.lab.ebs_model.conditions.throttling import Throttle
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.store.blocks import WriteLog
from snapkeep.lab.ebs_model.store.ids import Ids
from snapkeep.lab.ebs_model.store.region_account import RegionAccount

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
    "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
    "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
)  # fmt: skip

Listener = Callable[[Event], None]
Observer = Callable[[RegionAccount, Mapping[str, Any]], None]
"""Receives the account in its region and the detail of each emitted event."""
Timer = tuple[float, int, str, str, str, str, Any]
"""Due time, order, kind, account, region, resource id, and other data (JSON-able)."""


class WorldOptions(TypedDict, total=False):
    """The options of a new world, all with defaults."""

    clock: WorldClock | None
    seed: int
    quotas: Quotas | None
    speeds: Speeds | None
    latency: Latency | None
    faults: Faults | None
    events: EventOptions | None
    account: str
    regions: tuple[str, ...]
    region_quotas: Mapping[str, Quotas] | None


class WorldState:
    """All data of a world, and the parts that its actions share: identifiers, timers, and events."""

    def __init__(
        self,
        *,
        clock: WorldClock | None = None,
        seed: int = 0,
        quotas: Quotas | None = None,
        speeds: Speeds | None = None,
        latency: Latency | None = None,
        faults: Faults | None = None,
        events: EventOptions | None = None,
        account: str = DEFAULT_ACCOUNT,
        regions: tuple[str, ...] = DEFAULT_REGIONS,
        region_quotas: Mapping[str, Quotas] | None = None,
    ) -> None:
        self.clock: WorldClock = clock or VirtualClock()
        self.account_id = account
        self.regions = regions
        self.quotas = quotas or Quotas()
        self.speeds = speeds or Speeds()
        self.latency = _latency_on(self.clock, latency or Latency())
        self.event_options = events or EventOptions()
        self.region_quotas = dict(region_quotas or {})
        self.seed = seed
        self.ids = Ids(seed)
        self.random = random.Random(seed + 1)  # noqa: S311 - a model's dice
        self.event_random = random.Random(seed + 2)  # noqa: S311
        self.started = self.clock.now()
        self.faults = FaultEngine(seed + 3, self.started)
        self.faults.set(faults or Faults())
        self.throttle = Throttle()
        self.region_accounts: dict[tuple[str, str], RegionAccount] = {}
        self.shared_snapshots: dict[str, dict[str, str]] = {}
        self.events_emitted = 0
        self.calls_made = 0
        self.timers: list[Timer] = []
        """A heap, by due time."""
        self.sequence = 0
        self.listeners: list[Listener] = []
        self.observers: list[Observer] = []
        self.delivering = 0
        """The depth of nested deliveries of events."""
        self.moment: float | None = None
        """The due time of the running timer, if any."""

    def region_account(self, region: str, account_id: str | None = None) -> RegionAccount:
        """Return the resources of an account in a region. Raise ApiError for a region that is not in the world."""
        key = (account_id or self.account_id, region)
        account = self.region_accounts.get(key)
        if account is None:
            if region not in self.regions:
                raise ApiError("InvalidRegion", f"The region '{region}' does not exist in this world.")
            account = self.region_accounts[key] = RegionAccount(key[0], region, self.region_quotas.get(region, self.quotas))
        return account

    def now(self) -> float:
        """Return seconds since the epoch: the clock's, or the due time of the running timer."""
        return self.clock.now() if self.moment is None else self.moment

    def schedule(self, due: float, kind: str, account: RegionAccount, resource_id: str, extra: Any = "") -> None:
        """Set a timer."""
        self.sequence += 1
        entry = (due, self.sequence, kind, account.account_id, account.region, resource_id, extra)
        heapq.heappush(self.timers, entry)

    # Events

    def arn_shape(self) -> str:
        """Return the shape of the next event's ARNs."""
        shape = self.event_options.arn_shape
        return self.event_random.choice(ARN_SHAPES) if shape == "mixed" else shape

    def emit(self, account: RegionAccount, detail_type: str, resources: list[str], detail: Event) -> None:
        """Emit an event: it is delivered now, later, twice, or not at all."""
        self.events_emitted += 1
        for observer in self.observers:
            observer(account, detail)
        if not self.listeners:
            return
        digits = f"{self.event_random.getrandbits(128):032x}"
        now = self.now()
        event: Event = {
            "version": "0",
            "id": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": account.account_id,
            "time": iso(now + account.skew_seconds),
            "region": account.region,
            "resources": resources,
            "detail": detail,
        }
        for delay in self.faults.deliveries(event, now):
            later = delay + self.speeds.event_delay_seconds
            if later:
                self.schedule(now + later, "deliver", account, "", event)
            else:
                self.deliver(event)

    def deliver(self, event: Event) -> None:
        """Deliver an event to every listener."""
        self.delivering += 1
        try:
            for listener in tuple(self.listeners):
                listener(event)
        finally:
            self.delivering -= 1

    def new_log(self, origin: str, base: WriteLog | None = None, generation: int = 0) -> WriteLog:
        """Return the write log of a new volume, on the base of a snapshot's content or without a base."""
        return WriteLog(origin, base.data_key_id if base else self.ids.uuid(), base, generation)

    def next_seq(self) -> int:
        """Return the order number of a new resource."""
        self.sequence += 1
        return self.sequence

    def stretched(self, seconds: float) -> float:
        """Return a duration with the jitter of this world's speeds."""
        jitter = self.speeds.jitter
        return seconds * (1 + self.random.random() * jitter) if jitter else seconds

    def set_clock_skew(self, region: str, seconds: float) -> None:
        """Set the difference of a region's clock from the world's, for every account there from now on."""
        for account_id in {self.account_id, *(key[0] for key in self.region_accounts)}:
            self.region_account(region, account_id).skew_seconds = finite(seconds, "the clock skew")


def _latency_on(clock: WorldClock, latency: Latency) -> Latency:
    if latency != Latency() and not isinstance(clock, VirtualClock):
        raise ValueError("latency: needs a virtual clock; on one that runs, requests take the time that they take")
    return latency
