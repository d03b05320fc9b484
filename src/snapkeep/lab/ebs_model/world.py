"""The world: the entry point of every request, its time, and changes from outside."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Unpack

from snapkeep.lab.ebs_model.api import actions, keys, recycle_bin, timers
from snapkeep.lab.ebs_model.client import Client, make_client
from snapkeep.lab.ebs_model.conditions.clock import VirtualClock, WorldClock, seconds_of
from snapkeep.lab.ebs_model.conditions.faults import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.latency import Latency
from snapkeep.lab.ebs_model.conditions.quotas import Quotas
from snapkeep.lab.ebs_model.errors import dry_run, missing
from snapkeep.lab.ebs_model.files import saved_world, world_file
from snapkeep.lab.ebs_model.requests.call import Call, Params, Response
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, BLOCKS_PER_GIB, ZEROS
from snapkeep.lab.ebs_model.store.content import ContentFaults, plant
from snapkeep.lab.ebs_model.store.records import BinRule
from snapkeep.lab.ebs_model.store.region_account import RegionAccount, dict_of_tags
from snapkeep.lab.ebs_model.store.tags import request_tags
from snapkeep.lab.ebs_model.store.world_state import Listener, Observer, WorldOptions, WorldState


class World:
    """EBS, EC2's part of it, and KMS keys, of several accounts in several regions.

    It is thread-safe: requests and ticks take turns. Listeners are called within a turn and may make requests.
    """

    def __init__(self, state: WorldState | None = None, **options: Unpack[WorldOptions]) -> None:
        self.state = state if state is not None else WorldState(**options)
        self.clock = self.state.clock
        self._lock = threading.RLock()
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
        """Carry out one request: a service, a PascalCase action, its parameters. Return the answer in botocore's shape.

        Raise ApiError with AWS's code, message and HTTP status; NoAnswer if there is no answer.
        """
        state = self.state
        with self._lock:
            self.tick()
            now = state.now()
            request = params if params is not None else {}
            if state.faults.kinds:
                state.faults.before(action, region, now)
            account = state.region_account(region, account_id)
            state.calls_made += 1
            if account.quotas.throttling:
                state.throttle.take(account.name, action, request, account.quotas, now)
            handler = actions.find(service, action)
            for parameter in handler.required:
                if request.get(parameter) in (None, ""):
                    raise missing(parameter)
            if request.get("DryRun"):
                raise dry_run()
            answer = handler.run(Call(state, account, request, caller or "", now + account.skew_seconds))
            if state.faults.kinds:
                state.faults.after(action, region, now)
            return answer

    def client(self, service: str, region: str, account_id: str | None = None, *, caller: str = "") -> Client:
        """Return a client of `ec2`, `ebs` or `kms` in a region, called like boto3's."""
        return make_client(self, service, region, account_id or self.account_id, caller)

    def resource_tags(self, region: str, account_id: str, resource_id: str) -> dict[str, str]:
        """Return a resource's tags (for `aws:ResourceTag`); none if the resource does not exist."""
        with self._lock:
            resource = self.region_account(region, account_id).tagged(resource_id)
            return {} if resource is None else dict_of_tags(resource)

    @staticmethod
    def request_tags(action: str, params: Params) -> dict[str, str]:
        """Return the tags in a request (for `aws:RequestTag`)."""
        return request_tags(action, params)

    # Accounts and regions

    @property
    def account_id(self) -> str:
        """The account of requests that name none."""
        return self.state.account_id

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions of this world."""
        return self.state.regions

    def region_account(self, region: str, account_id: str | None = None) -> RegionAccount:
        """Return the resources of an account in a region. Raise ApiError for a region that is not in the world."""
        return self.state.region_account(region, account_id)

    def close_account(self, account_id: str) -> None:
        """Delete an account with all its resources, including locked snapshots, as AWS does some days after its closing.

        Source: EBS user guide, snapshot lock considerations (a closed account's snapshots are deleted after 90 days).
        """
        state = self.state
        with self._lock:
            for key in [key for key in state.region_accounts if key[0] == account_id]:
                del state.region_accounts[key]
            for shared in state.shared_snapshots.values():
                for snapshot_id in [snapshot_id for snapshot_id, owner in shared.items() if owner == account_id]:
                    del shared[snapshot_id]

    # Events

    def subscribe(self, listener: Listener) -> None:
        """Deliver every event to a function, like EventBridge."""
        self.state.listeners.append(listener)

    def observe(self, observer: Observer) -> None:
        """Call a function for every event at once, even if it is delivered late, twice or never."""
        self.state.observers.append(observer)

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Deliver an event again, now, to every listener."""
        self.state.deliver(dict(event))

    # Time

    def now(self) -> float:
        """Return seconds since the epoch: the clock's, or the due time of the running timer."""
        return self.state.now()

    def next_due(self) -> float | None:
        """Return the due time of the next timer in seconds since the epoch; None if no timer is set."""
        timers_set = self.state.timers
        return timers_set[0][0] if timers_set else None

    def run_until(self, moment: float | datetime) -> None:
        """Run every timer up to a time, in order, and set the clock to it. Raise TypeError on a clock that runs by itself."""
        if not isinstance(self.clock, VirtualClock):
            raise TypeError("run_until needs a VirtualClock; call tick() on a real or scaled one")
        until = seconds_of(moment)
        heap = self.state.timers
        with self._lock:
            while heap and heap[0][0] <= until:
                self.clock.move_to(heap[0][0])
                self._run_next_timer()
            self.clock.move_to(until)

    def run_until_idle(self, limit_seconds: float = 30 * 86_400.0) -> None:
        """Run every timer that is due within a limit (VirtualClock), and stop at the last of them."""
        limit = self.clock.now() + limit_seconds
        heap = self.state.timers
        while heap and heap[0][0] <= limit:
            self.run_until(max(heap[0][0], self.clock.now()))

    def tick(self) -> None:
        """Run every due timer. Every request does this first."""
        heap = self.state.timers
        if self.state.moment is not None or not heap or heap[0][0] > self.clock.now():
            return
        with self._lock:
            while heap and heap[0][0] <= self.clock.now():
                self._run_next_timer()

    def wait_for_answer(self, action: str, answer: Response) -> None:
        """Wait for the duration of a request with this answer (empty for an error).

        A listener's requests take no time: the world stands still until its event is delivered.
        """
        if self.state.latency == _NO_LATENCY or not isinstance(self.clock, VirtualClock):
            return
        with self._lock:
            made_by_listener = self.state.delivering > 0
        if not made_by_listener:
            self.clock.advance(self.state.latency.seconds_of(action, answer))

    def _run_next_timer(self) -> None:
        due, _, kind, account_id, region, resource_id, extra = heapq.heappop(self.state.timers)
        outer, self.state.moment = self.state.moment, due
        try:
            timers.HANDLERS[kind](self.state, self.region_account(region, account_id), resource_id, extra)
        finally:
            self.state.moment = outer

    # A world as data

    def save(self) -> dict[str, Any]:
        """Return the world as JSON-able data, without its listeners."""
        with self._lock:
            return saved_world.save(self.state)

    @classmethod
    def from_saved(cls, data: Mapping[str, Any], *, clock: WorldClock | None = None) -> World:
        """Return the world in data from ``save``; without a clock, on a virtual one. Raise ValueError."""
        return cls(saved_world.restore(data, clock))

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, clock: WorldClock | None = None) -> World:
        """Return the world that a world file describes (docs/ebs-model.md). Raise ValueError with every error in it."""
        return cls(world_file.build(document, clock))

    # Changing the world from outside

    def write(
        self, volume_id: str, first_block: int, count: int, *, region: str, account_id: str | None = None, zeros: bool = False
    ) -> None:
        """Write new content, or zeros, to an extent of 512 KiB blocks of a volume. Raise KeyError or ValueError."""
        volume = self.region_account(region, account_id).volumes[volume_id]
        if count < 1 or first_block < 0 or first_block + count > volume.size_gib * BLOCKS_PER_GIB:
            raise ValueError(f"blocks {first_block} to {first_block + count} are not all on a volume of {volume.size_gib} GiB")
        with self._lock:
            volume.log.write(first_block, count, ZEROS if zeros else None)

    def deny_key(self, key_arn: str, principals: str = "*") -> None:
        """Make a key inaccessible to the principals that match a pattern. Raise KeyError."""
        keys.deny(self.state, key_arn, principals)

    def allow_key(self, key_arn: str) -> None:
        """Make a key accessible to all principals again. Raise KeyError."""
        keys.allow(self.state, key_arn)

    def add_recycle_bin_rule(
        self,
        region: str,
        retention_days: int,
        tags: Mapping[str, str] | None = None,
        exclude_tags: Mapping[str, str] | None = None,
        *,
        account_id: str | None = None,
    ) -> None:
        """Add a retention rule of Recycle Bin; region-wide without tags.

        An empty tag value matches any. Raise ValueError outside 1 to 365 days [Recycle Bin user guide: factors].
        """
        if not 1 <= retention_days <= recycle_bin.LONGEST_DAYS:
            raise ValueError(f"retention_days is {retention_days}: from 1 to {recycle_bin.LONGEST_DAYS}")
        rule = BinRule(retention_days, list((tags or {}).items()), list((exclude_tags or {}).items()))
        self.region_account(region, account_id).bin_rules.append(rule)

    def stored_bytes(self, region: str, account_id: str | None = None) -> int:
        """Return the billed bytes of a region's snapshots in the standard tier."""
        return self.region_account(region, account_id).stored_blocks * BLOCK_SIZE

    def archived_bytes(self, region: str, account_id: str | None = None) -> int:
        """Return the bytes of a region's snapshots in the archive tier."""
        return self.region_account(region, account_id).archived_blocks * BLOCK_SIZE

    def plant(self, snapshot_id: str, faults: ContentFaults, *, region: str, account_id: str | None = None) -> None:
        """Plant wrong, missing, extra or swapped blocks, or a wrong size, in a snapshot. Raise KeyError or ValueError."""
        with self._lock:
            plant(self.region_account(region, account_id).snapshots[snapshot_id], faults)

    def accept_product(self, product_code: str, *, region: str, account_id: str | None = None) -> None:
        """Subscribe an account to a product of AWS Marketplace: instances of it can be launched."""
        self.region_account(region, account_id).subscriptions.append(product_code)

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults in force."""
        self.state.faults.set(faults)

    def add_fault(self, rule: FaultRule) -> None:
        """Add a rule to the faults in force."""
        self.state.faults.add(rule)

    def take_region_away(self, region: str) -> None:
        """Make a region unreachable until `bring_region_back`. Copies in progress there continue."""
        self.state.faults.add(FaultRule("region_unreachable", region=region))

    def bring_region_back(self, region: str) -> None:
        """Make a region reachable again."""
        self.state.faults.remove("region_unreachable", region)

    def is_reachable(self, region: str) -> bool:
        """Return whether requests reach a region now."""
        faults = self.state.faults
        return not (faults.kinds and faults.hit("region_unreachable", self.now(), region=region))

    def set_clock_skew(self, region: str, seconds: float) -> None:
        """Set the difference of a region's clock from the world's, for every account there from now on."""
        self.state.set_clock_skew(region, seconds)

    def set_quotas(self, quotas: Quotas, region: str | None = None) -> None:
        """Replace the quotas of one region, or of all."""
        if region is None:
            self.state.quotas = quotas
        else:
            self.state.region_quotas[region] = quotas
        for account in self.state.region_accounts.values():
            if region in (None, account.region):
                account.quotas = quotas

    def change_quotas(self, region: str | None = None, **changes: Any) -> None:
        """Change fields of Quotas, in one region or in all."""
        base = self.state.quotas if region is None else self.state.region_quotas.get(region, self.state.quotas)
        self.set_quotas(replace(base, **changes), region)

    def change_speeds(self, **changes: Any) -> None:
        """Change fields of Speeds for operations that start from now on."""
        self.state.speeds = replace(self.state.speeds, **changes)


_NO_LATENCY = Latency()
