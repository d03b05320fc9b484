"""The ASGI application: ministack with its patches, the administration pages, and the tasks that drive clock and alarms."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from snapkeep.lab.embedded_aws.aws.inbox import Inbox
from snapkeep.lab.embedded_aws.patches import (
    call_events,
    cloudformation,
    credentials,
    deliveries,
    ec2,
    event_buses,
    eventbridge,
    history,
    iam,
    kms,
    lambdas,
    logs,
    metrics,
    parameters,
    persistence,
    policy_simulation,
    provisioning,
    queues,
    redrive,
    run_command,
    service_metrics,
    service_quotas,
    sns,
    stack_firewalls,
    stack_networks,
    stack_properties,
    stepfunctions,
)
from snapkeep.lab.embedded_aws.server.admin_pages import AdminPages
from snapkeep.lab.embedded_aws.server.options import ServerOptions
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld
from snapkeep.lab.embedded_aws.world.open_world import open_world, save_world

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# World time between two evaluations of the alarms.
ALARM_SECONDS = 30.0
# The real seconds between two checks for unsaved changes: a killed server loses at most this time and one save.
SAVE_SECONDS = 2.0
_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws")


def build(options: ServerOptions) -> Application:
    """Apply the patches and return the application. `apply_environment` must have run before."""
    from ministack.app import app

    locked_world = open_world(options.state_dir, options.world_file, options.scale)
    inbox = Inbox()
    ec2.apply(locked_world)
    iam.apply(locked_world)
    eventbridge.apply(locked_world)
    event_buses.apply()
    call_events.apply(locked_world)
    stack_firewalls.apply(locked_world)
    cloudformation.apply()  # checks the caller of what event buses and firewalls add, too
    credentials.apply(options.secret)
    deliveries.apply()
    history.apply()
    kms.apply(locked_world)
    lambdas.apply(options.max_workers, options.work_dir or Path(tempfile.gettempdir()))
    logs.apply()
    metrics.apply(locked_world)
    parameters.apply()
    persistence.apply()
    policy_simulation.apply()
    provisioning.apply()
    queues.apply()
    run_command.apply(locked_world)
    service_metrics.apply(locked_world)
    service_quotas.apply(locked_world)
    stack_networks.apply(locked_world)
    stack_properties.apply()
    sns.apply(locked_world, inbox)
    stepfunctions.apply()
    redrive.apply()
    return Application(app, locked_world, AdminPages(locked_world, inbox), options)


class Application:
    """The ASGI application of one server."""

    def __init__(self, ministack: Any, locked_world: LockedWorld, admin: AdminPages, options: ServerOptions) -> None:
        self._ministack = ministack
        self._locked_world = locked_world
        self._admin = admin
        self._options = options
        self._changed = asyncio.Event()
        self._unsaved = asyncio.Event()
        self.ready = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and str(scope["path"]).startswith("/_snapkeep/"):
            await self._admin(scope, receive, send)
            return
        if scope["type"] == "lifespan":
            await self._ministack(scope, receive, self._note_startup(send))
            return
        self._unsaved.set()
        await self._ministack(scope, receive, send)

    @property
    def regions(self) -> tuple[str, ...]:
        """Return the regions of the world."""
        return self._locked_world.world.regions

    def _note_startup(self, send: Send) -> Send:
        async def noting(message: MutableMapping[str, Any]) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                kms.add_keys_of_world(self._locked_world)
                self.ready.set()

        return noting

    async def drive_clock(self) -> None:
        """Run the world's timers when they are due, and sleep in between."""
        loop = asyncio.get_running_loop()
        self._locked_world.on_change(partial(loop.call_soon_threadsafe, self._changed.set))
        await self.ready.wait()
        while True:
            self._changed.clear()
            self._unsaved.set()
            try:
                self._locked_world.tick()
            except Exception:
                # An undeliverable event must not stop the clock.
                _LOGGER.exception("the world's clock: what was due could not be carried out")
            with_timeout = self._locked_world.seconds_until_due()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=with_timeout)
            except TimeoutError:
                continue

    async def evaluate_alarms(self) -> None:
        """Evaluate every alarm once per 30 seconds of world time."""
        await self.ready.wait()
        while True:
            await asyncio.sleep(max(1.0, ALARM_SECONDS / self._locked_world.scale))
            now = self._locked_world.clock.now()
            service_metrics.sample_queues(now)
            stack_properties.expire_items(now)
            metrics.evaluate_all(now)

    async def save_regularly(self) -> None:
        """Save the state soon after each change, so that a killed server loses little."""
        await self.ready.wait()
        while self._options.state_dir is not None:
            await self._unsaved.wait()
            self._unsaved.clear()
            await asyncio.sleep(SAVE_SECONDS)
            try:
                await asyncio.to_thread(self._save_everything)
            except Exception:
                # The next change tries again, and so does the shutdown.
                _LOGGER.exception("the state could not be saved")

    def _save_everything(self) -> None:
        persistence.save()
        self.save()

    def save(self) -> None:
        """Save the world for the next start if the server has a state directory."""
        if self._options.state_dir is not None:
            save_world(self._locked_world, self._options.state_dir)
