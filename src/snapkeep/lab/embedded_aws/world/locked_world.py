"""The model of EBS inside the server, with access by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from snapkeep.lab.ebs_model import World
from snapkeep.lab.embedded_aws.world.clock import AdjustableClock

Event = dict[str, Any]
# Service, action, account and the caller's ARN.
BeforeCall = Callable[[str, str, str, str], None]


class LockedWorld:
    """The world of a server. Requests, Lambda threads and the clock's task take its lock one after another."""

    def __init__(self, world: World, clock: AdjustableClock, scale: float, handles: Callable[[str, str], bool]) -> None:
        self._handles = handles
        self.world = world
        self.clock = clock
        self.scale = scale
        self._lock = threading.RLock()
        self._before_call: list[BeforeCall] = []
        self._wake: Callable[[], object] = lambda: None

    def handles(self, service: str, action: str) -> bool:
        """Return whether the model has the action."""
        return self._handles(service, action)

    def before_call(self, look: BeforeCall) -> None:
        """Run `look` before each call, while the world is locked."""
        self._before_call.append(look)

    def on_change(self, wake: Callable[[], object]) -> None:
        """Run `wake` after every call, because something may be due earlier than before."""
        self._wake = wake

    def call(
        self, service: str, action: str, params: Mapping[str, Any], *, region: str, account_id: str, caller: str
    ) -> dict[str, Any]:
        """Run everything that is due, then the call, and return its answer. Raise the errors of `World.call`."""
        with self._lock:
            self.world.tick()
            for look in self._before_call:
                look(service, action, account_id, caller)
            try:
                return self.world.call(service, action, params, region=region, account_id=account_id, caller=caller)
            finally:
                self._wake()

    def changed(self) -> None:
        """Signal that something may be due earlier than before."""
        self._wake()

    def tick(self) -> None:
        """Run everything that is due."""
        with self._lock:
            self.world.tick()

    def seconds_until_due(self) -> float | None:
        """Return the real seconds until something is due; None if nothing is."""
        with self._lock:
            due = self.world.next_due()
        return None if due is None else max(0.0, due - self.clock.now()) / self.scale

    def tags_of(self, region: str, account_id: str, resource_id: str) -> Mapping[str, str]:
        """Return the current tags of a resource; empty if there is no such resource."""
        with self._lock:
            if region not in self.world.regions:
                return {}
            return self.world.resource_tags(region, account_id, resource_id)

    def lock(self) -> AbstractContextManager[bool]:
        """Return the lock that guards the world, for code that reads `world` itself."""
        return self._lock
