"""The world: accounts and regions, a clock, what is due, and one entry point for every request."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from . import actions, happenings, keys, recyclebin, state
from . import document as document_reader
from .blocks import BLOCK_SIZE, WriteLog
from .call import Call, Params, Response
from .client import Client, make_client
from .clock import Clock, VirtualClock, iso, seconds_of
from .errors import ApiError, dry_run, missing
from .events import SHAPES, Event, EventOptions
from .faults import FaultEngine, FaultRule, Faults
from .ids import Ids
from .latency import Latency
from .place import Place
from .quotas import Quotas, Speeds
from .records import BinRule
from .tags import as_dict, request_tags
from .throttling import Throttle

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
    "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1",
    "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
)  # fmt: skip

Listener = Callable[[Event], None]
Happening = tuple[float, int, str, str, str, str, Any]
"""Due time, order, kind, account, region, resource id, and what else it needs (JSON-able)."""


class World:
    """EBS, EC2's part of it, and KMS keys, of several accounts in several regions.

    Thread-safe: requests and ticks take turns. Listeners are called inside that turn and may make requests.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
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
        self.clock: Clock = clock or VirtualClock()
        self.account = account
        self.regions = regions
        self.quotas = quotas or Quotas()
        self.speeds = speeds or Speeds()
        self.latency = latency or Latency()
        self._requests_take_time = self.latency != Latency()
        if self._requests_take_time and not isinstance(self.clock, VirtualClock):
            raise ValueError("latency: needs a virtual clock; on one that runs, requests take the time that they take")
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
        self.places: dict[tuple[str, str], Place] = {}
        self.shared_snapshots: dict[str, dict[str, str]] = {}
        self.events_emitted = 0
        self.calls_made = 0
        self.heap: list[Happening] = []
        self.sequence = 0
        self._listeners: list[Listener] = []
        self._delivering = 0
        self._lock = threading.RLock()
        self._moment: float | None = None
        if isinstance(self.clock, VirtualClock):
            self.clock.attach(self.run_until)

    # Requests

    def call(
        self,
        service: str,
        action: str,
        params: Params | None = None,
        *,
        region: str,
        account_id: str | None = None,
        caller: str | None = None,
    ) -> Response:
        """Given a service, a PascalCase action and its parameters, return the answer as botocore would shape it.

        Raise ApiError with AWS's code, message and HTTP status; NoAnswer when nothing comes back.
        """
        with self._lock:
            self.tick()
            now = self.now()
            request = params if params is not None else {}
            self.faults.before(action, region, now)
            place = self.place(region, account_id)
            self.calls_made += 1
            if place.quotas.throttling:
                name = f"{place.account}/{place.region}"
                self.throttle.take(name, service, action, request, place.quotas, now)
            found = actions.find(service, action)
            for parameter in found.required:
                if request.get(parameter) in (None, ""):
                    raise missing(parameter)
            if request.get("DryRun"):
                raise dry_run()
            answer = found.run(Call(self, place, request, caller or "", now + place.skew_seconds))
            self.faults.after(action, region, now)
            return answer

    def client(self, service: str, region: str, account_id: str | None = None, *, caller: str = "") -> Client:
        """Given `ec2`, `ebs` or `kms` and a region, return an object that is called like boto3's client."""
        return make_client(self, service, region, account_id or self.account, caller)

    def place(self, region: str, account_id: str | None = None) -> Place:
        """Given a region and an account, return what is there. Raise ApiError for a region that is not in the world."""
        key = (account_id or self.account, region)
        found = self.places.get(key)
        if found is None:
            if region not in self.regions:
                raise ApiError("InvalidRegion", f"The region '{region}' does not exist in this world.")
            found = self.places[key] = Place(key[0], region, self.region_quotas.get(region, self.quotas))
        return found

    def resource_tags(self, region: str, account_id: str, resource_id: str) -> dict[str, str]:
        """Given a resource, return its tags (what `aws:ResourceTag` sees); no tags when there is no such resource."""
        with self._lock:
            place = self.place(region, account_id)
            for store in (place.snapshots, place.volumes, place.images, place.instances):
                found = store.get(resource_id)
                if found is not None:
                    return as_dict(found.tags)
            binned = place.bin.get(resource_id)
            return as_dict(binned.snapshot.tags) if binned else {}

    @staticmethod
    def request_tags(action: str, params: Params) -> dict[str, str]:
        """Given a request, return the tags in it (what `aws:RequestTag` sees)."""
        return request_tags(action, params)

    # Time

    def now(self) -> float:
        """Return seconds since the epoch: of the clock, or of what is happening right now."""
        return self.clock.now() if self._moment is None else self._moment

    def schedule(self, due: float, kind: str, place: Place, resource_id: str, extra: Any = "") -> None:
        """Given a time and a kind of happening, let it happen then."""
        self.sequence += 1
        entry = (due, self.sequence, kind, place.account, place.region, resource_id, extra)
        heapq.heappush(self.heap, entry)

    def next_due(self) -> float | None:
        """Return when something happens next, in seconds since the epoch; None when nothing is due any more."""
        return self.heap[0][0] if self.heap else None

    def run_until(self, moment: float | datetime) -> None:
        """Given a time, let everything up to it happen, in order. Needs a VirtualClock."""
        if not isinstance(self.clock, VirtualClock):
            raise TypeError("run_until needs a VirtualClock; call tick() on a real or scaled one")
        until = seconds_of(moment)
        heap = self.heap
        with self._lock:
            while heap and heap[0][0] <= until:
                self.clock.move_to(heap[0][0])
                self._happen()
            self.clock.move_to(until)

    def run_until_idle(self, limit_seconds: float = 30 * 86_400.0) -> None:
        """Let everything happen that is due within a limit (VirtualClock), and stop at the last of it."""
        limit = self.clock.now() + limit_seconds
        while self.heap and self.heap[0][0] <= limit:
            self.run_until(max(self.heap[0][0], self.clock.now()))

    def tick(self) -> None:
        """Let what is due by the clock happen. Every request does this first."""
        heap = self.heap
        if self._moment is not None or not heap or heap[0][0] > self.clock.now():
            return
        with self._lock:
            while heap and heap[0][0] <= self.clock.now():
                self._happen()

    def wait_for_answer(self, action: str, answer: Response) -> None:
        """Given an action and its answer (empty for an error), let the time that the request takes pass.

        What a listener asks takes none: the world stands still until it has heard the event.
        """
        if not self._requests_take_time or not isinstance(self.clock, VirtualClock):
            return
        with self._lock:
            asked_by_listener = self._delivering > 0
        if not asked_by_listener:
            self.clock.advance(self.latency.seconds_of(action, answer))

    def _happen(self) -> None:
        due, _, kind, account, region, resource_id, extra = heapq.heappop(self.heap)
        outer, self._moment = self._moment, due
        try:
            happenings.HANDLERS[kind](self, self.place(region, account), resource_id, extra)
        finally:
            self._moment = outer

    # Events

    def subscribe(self, listener: Listener) -> None:
        """Given a function, let it have every event, as EventBridge would deliver it."""
        self._listeners.append(listener)

    def arn_shape(self) -> str:
        """Return the shape of the next event's ARNs."""
        shape = self.event_options.arn_shape
        return self.event_random.choice(SHAPES) if shape == "mixed" else shape

    def emit(self, place: Place, detail_type: str, resources: list[str], detail: Event) -> None:
        """Given an event's content, deliver it: now, later, twice, or not at all."""
        self.events_emitted += 1
        if not self._listeners:
            return
        digits = f"{self.event_random.getrandbits(128):032x}"
        now = self.now()
        event: Event = {
            "version": "0",
            "id": f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": place.account,
            "time": iso(now + place.skew_seconds),
            "region": place.region,
            "resources": resources,
            "detail": detail,
        }
        for delay in self.faults.deliveries(event, now):
            later = delay + self.speeds.event_delay_seconds
            if later:
                self.schedule(now + later, "deliver", place, "", event)
            else:
                self.deliver(event)

    def deliver(self, event: Event) -> None:
        """Given an event, hand it to every listener."""
        self._delivering += 1
        try:
            for listener in tuple(self._listeners):
                listener(event)
        finally:
            self._delivering -= 1

    # A world as data

    def snapshot(self) -> dict[str, Any]:
        """Return the whole world as JSON-able data; listeners are not part of it."""
        with self._lock:
            return state.save(self)

    @classmethod
    def from_state(cls, data: Mapping[str, Any], *, clock: Clock | None = None) -> World:
        """Given what ``snapshot`` returned, return the world; without a clock, on a virtual one. Raise ValueError."""
        return state.restore(cls, data, clock)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, clock: Clock | None = None) -> World:
        """Given a world file's content (docs/ebs-model.md), return the world. Raise ValueError with every error."""
        return document_reader.build(cls, document, clock)

    # Changing the world from outside

    def write(self, volume_id: str, first_block: int, count: int, *, region: str, account_id: str | None = None) -> None:
        """Given a volume and an extent of 512 KiB blocks, give them new content. Raise KeyError or ValueError."""
        volume = self.place(region, account_id).volumes[volume_id]
        if count < 1 or first_block < 0 or first_block + count > volume.size_gib * 2048:
            raise ValueError(f"blocks {first_block} to {first_block + count} are not all on a volume of {volume.size_gib} GiB")
        with self._lock:
            volume.log.write(first_block, count)

    def deny_key(self, key_arn: str, principals: str = "*") -> None:
        """Given a key and a pattern of principals, let it be not accessible to them. Raise KeyError."""
        keys.deny(self, key_arn, principals)

    def allow_key(self, key_arn: str) -> None:
        """Given a key, let everybody use it again. Raise KeyError."""
        keys.allow(self, key_arn)

    def add_recycle_bin_rule(
        self,
        region: str,
        retention_days: int,
        tags: Mapping[str, str] | None = None,
        exclude_tags: Mapping[str, str] | None = None,
        *,
        account_id: str | None = None,
    ) -> None:
        """Given days and tags, let Recycle Bin keep what is deleted; region-wide without tags.

        An empty tag value matches any. Raise ValueError outside 1 to 365 days [Recycle Bin user guide: factors].
        """
        if not 1 <= retention_days <= recyclebin.LONGEST_DAYS:
            raise ValueError(f"retention_days is {retention_days}: from 1 to {recyclebin.LONGEST_DAYS}")
        rule = BinRule(retention_days, list((tags or {}).items()), list((exclude_tags or {}).items()))
        self.place(region, account_id).bin_rules.append(rule)

    def stored_bytes(self, region: str, account_id: str | None = None) -> int:
        """Given a region, return the bytes that its snapshots store in the standard tier (what is billed)."""
        return self.place(region, account_id).stored_blocks * BLOCK_SIZE

    def archived_bytes(self, region: str, account_id: str | None = None) -> int:
        """Given a region, return the bytes in the archive tier."""
        return self.place(region, account_id).archived_blocks * BLOCK_SIZE

    def set_faults(self, faults: Faults) -> None:
        """Given faults, let them be in force from now on instead of the present ones."""
        self.faults.set(faults)

    def add_fault(self, rule: FaultRule) -> None:
        """Given a rule, let it be in force too."""
        self.faults.add(rule)

    def take_region_away(self, region: str) -> None:
        """Given a region, let no request reach it until it is brought back. What runs there goes on."""
        self.faults.add(FaultRule("region_unreachable", region=region))

    def bring_region_back(self, region: str) -> None:
        """Given a region, let requests reach it again."""
        self.faults.remove("region_unreachable", region)

    def set_clock_skew(self, region: str, seconds: float) -> None:
        """Given a region and seconds, let its clock differ from the world's, for every account there from now on."""
        for account in {self.account, *(key[0] for key in self.places)}:
            self.place(region, account).skew_seconds = seconds

    def set_quotas(self, quotas: Quotas, region: str | None = None) -> None:
        """Given quotas, let them hold from now on, in one region or in all."""
        if region is None:
            self.quotas = quotas
        else:
            self.region_quotas[region] = quotas
        for place in self.places.values():
            if region in (None, place.region):
                place.quotas = quotas

    def change_quotas(self, region: str | None = None, **changes: Any) -> None:
        """Given fields of Quotas by name, change those, in one region or in all."""
        base = self.quotas if region is None else self.region_quotas.get(region, self.quotas)
        self.set_quotas(replace(base, **changes), region)

    def new_log(self, origin: str, base: WriteLog | None = None, generation: int = 0) -> WriteLog:
        """Given a volume's id and perhaps the snapshot content it starts from, return its write log."""
        return WriteLog(origin, base.data_key_id if base else self.ids.uuid(), base, generation)

    def next_seq(self) -> int:
        """Return the order number of a new resource."""
        self.sequence += 1
        return self.sequence

    def stretched(self, seconds: float) -> float:
        """Given a duration, return it with the jitter of this world's speeds."""
        jitter = self.speeds.jitter
        return seconds * (1 + self.random.random() * jitter) if jitter else seconds
