"""The ASGI application: ministack with the seams in place, our own pages beside it, and the task that drives the clock."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from snapkeep.lab.embedded_aws.admin import Admin
from snapkeep.lab.embedded_aws.host import Host
from snapkeep.lab.embedded_aws.inbox import Inbox
from snapkeep.lab.embedded_aws.patches import (
    deliveries,
    ec2,
    eventbridge,
    history,
    iam,
    kms,
    lambdas,
    metrics,
    parameters,
    provisioning,
    queues,
    sns,
    stepfunctions,
)
from snapkeep.lab.embedded_aws.settings import Settings
from snapkeep.lab.embedded_aws.worlds import open_world, save_world

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# World time between two looks at the alarms.
ALARM_SECONDS = 30.0
_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws")


def build(settings: Settings) -> Application:
    """Given the settings, put the seams in place and return the application. The environment must have been set before."""
    from ministack.app import app

    host = open_world(settings)
    inbox = Inbox()
    ec2.install(host)
    iam.install(host)
    eventbridge.install(host)
    deliveries.install()
    history.install()
    kms.install(host)
    lambdas.install(settings, settings.work_dir or Path(tempfile.gettempdir()))
    metrics.install(host)
    parameters.install()
    provisioning.install()
    queues.install()
    sns.install(host, inbox)
    stepfunctions.install()
    return Application(app, host, Admin(host, inbox), settings)


class Application:
    """One server."""

    def __init__(self, ministack: Any, host: Host, admin: Admin, settings: Settings) -> None:
        self._ministack = ministack
        self._host = host
        self._admin = admin
        self._settings = settings
        self._changed = asyncio.Event()
        self.ready = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http" and str(scope["path"]).startswith("/_snapkeep/"):
            await self._admin(scope, receive, send)
            return
        if scope["type"] == "lifespan":
            await self._ministack(scope, receive, self._note_startup(send))
            return
        await self._ministack(scope, receive, send)

    def _note_startup(self, send: Send) -> Send:
        async def noting(message: MutableMapping[str, Any]) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.ready.set()

        return noting

    async def drive_clock(self) -> None:
        """Let what is due in the world happen when it is due; between, sleep."""
        loop = asyncio.get_running_loop()
        self._host.on_change(partial(loop.call_soon_threadsafe, self._changed.set))
        await self.ready.wait()
        while True:
            self._changed.clear()
            try:
                self._host.tick()
            except Exception:
                # The clock must not stop for one event that could not be delivered.
                _LOGGER.exception("the world's clock: what was due could not be carried out")
            with_timeout = self._host.seconds_until_due()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=with_timeout)
            except TimeoutError:
                continue

    async def evaluate_alarms(self) -> None:
        """Look at every alarm now and then, as CloudWatch does each minute."""
        await self.ready.wait()
        while True:
            await asyncio.sleep(max(1.0, ALARM_SECONDS / self._host.scale))
            metrics.evaluate_all(self._host.clock.now())

    def save(self) -> None:
        """Keep the world for the next start, when a state directory was given."""
        save_world(self._host, self._settings)
