"""The world: one entry point for every request, what happens by itself, and what is changed from outside."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from snapkeep.lab.ebs_model.api import actions, keys
from snapkeep.lab.ebs_model.api import recycle_bin as recyclebin
from snapkeep.lab.ebs_model.api import timers as happenings
from snapkeep.lab.ebs_model.client import Client, make_client
from snapkeep.lab.ebs_model.conditions.clock import Clock, VirtualClock, seconds_of
from snapkeep.lab.ebs_model.conditions.faults import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.quotas import Quotas
from snapkeep.lab.ebs_model.errors import dry_run, missing
from snapkeep.lab.ebs_model.files import saved_world as state
from snapkeep.lab.ebs_model.files import world_file as document_reader
from snapkeep.lab.ebs_model.requests.call import Call, Params, Response
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE
from snapkeep.lab.ebs_model.store.records import BinRule
from snapkeep.lab.ebs_model.store.tags import as_dict, request_tags
from snapkeep.lab.ebs_model.store.world_state import Setting


class World(Setting):
    """EBS, EC2's part of it, and KMS keys, of several accounts in several regions.

    Thread-safe: requests and ticks take turns. Listeners are called inside that turn and may make requests.
    """

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
                self.throttle.take(place.name, service, action, request, place.quotas, now)
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

    def next_due(self) -> float | None:
        """Return when something happens next, in seconds since the epoch; None when nothing is due any more."""
        return self.heap[0][0] if self.heap else None

    def run_until(self, moment: float | datetime) -> None:
        """Given a time, let everything up to it happen, in order. Needs a VirtualClock.

        Raise TypeError on a clock that runs by itself.
        """
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
