"""The world inside the server: the model of EBS, reached by one thread at a time, and what the seams need to know of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from snapkeep.lab.ebs_model import World
from snapkeep.lab.embedded_aws.clock import AdjustableClock

Event = dict[str, Any]
# Service, action, account and the caller's ARN.
BeforeCall = Callable[[str, str, str, str], None]


class Host:
    """The one world of a server. Requests, Lambda threads and the clock's task reach it through here, one at a time."""

    def __init__(self, world: World, clock: AdjustableClock, scale: float, handles: Callable[[str, str], bool]) -> None:
        self._handles = handles
        self.world = world
        self.clock = clock
        self.scale = scale
        self._lock = threading.RLock()
        self._before_call: list[BeforeCall] = []
        self._wake: Callable[[], object] = lambda: None

    def handles(self, service: str, action: str) -> bool:
        """Given a service and an action, return whether the model has it."""
        return self._handles(service, action)

    def before_call(self, look: BeforeCall) -> None:
        """Given a function of service, action, account and caller, call it before each call, when the world stands still."""
        self._before_call.append(look)

    def on_change(self, wake: Callable[[], object]) -> None:
        """Given a function, call it after every call: something may be due earlier than before."""
        self._wake = wake

    def call(
        self, service: str, action: str, params: Mapping[str, Any], *, region: str, account_id: str, caller: str
    ) -> dict[str, Any]:
        """Given a call, let what was due before it happen, carry it out, and return its answer. Raise as the world does."""
        with self._lock:
            self.world.tick()
            for look in self._before_call:
                look(service, action, account_id, caller)
            try:
                return self.world.call(service, action, params, region=region, account_id=account_id, caller=caller)
            finally:
                self._wake()

    def changed(self) -> None:
        """Say that something may be due earlier than it was."""
        self._wake()

    def tick(self) -> None:
        """Let everything happen that is due."""
        with self._lock:
            self.world.tick()

    def seconds_until_due(self) -> float | None:
        """Return how many real seconds it is until something is due; nothing: None."""
        with self._lock:
            due = self.world.next_due()
        return None if due is None else max(0.0, due - self.clock.now()) / self.scale

    def tags_of(self, region: str, account_id: str, resource_id: str) -> Mapping[str, str]:
        """Given a resource, return its tags as of now; empty if there is no such resource."""
        with self._lock:
            return self.world.resource_tags(region, account_id, resource_id)

    def locked(self) -> AbstractContextManager[bool]:
        """Return the lock that guards the world, for those who look into it."""
        return self._lock
