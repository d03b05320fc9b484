"""The server: pages as HTML and as data, volumes as CSV, the forms that act, and the news that a page has changed."""

from __future__ import annotations

import asyncio
import csv
import io
import shlex
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from snapkeep.adapters.clock import WallClock
from snapkeep.cli.common import AwsSettings, pasted_options
from snapkeep.cli.console_links import ConsoleLinks
from snapkeep.cli.errors import WrongUse, known_errors, one_line
from snapkeep.cli.output import csv_cell, printable, warn
from snapkeep.cli.views import recover_instance
from snapkeep.cli.views.copies import budget_text, way_text
from snapkeep.cli.views.drill import measured_span
from snapkeep.cli.views.policy import summary_lines
from snapkeep.cli.views.recover import USABLE
from snapkeep.cli.views.recoverable import togetherness
from snapkeep.console import trend
from snapkeep.console.guard import CONTENT, TOKEN, VisitorGuard
from snapkeep.console.page import NotThere, Page, Query
from snapkeep.console.pages import PAGES, VOLUME_COLUMNS, covered, volume_cells
from snapkeep.console.policy_page import Simulator, simulated_things
from snapkeep.console.proof_pages import proof_text
from snapkeep.console.reading import Readings, SystemReader
from snapkeep.console.recoveries import Recoveries
from snapkeep.console.recovery_pages import FormAction, RecoveryPages
from snapkeep.console.report_pages import ReportPages
from snapkeep.console.story_page import StoryPage
from snapkeep.console.timeline import LANE, LEFT, TOP, WIDTH, mark_as_text
from snapkeep.console.worker_process import Runner, run_apart
from snapkeep.domain.durations import span_text
from snapkeep.domain.errors import DocumentNotFound
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.protection import age_text
from snapkeep.domain.system import system_name
from snapkeep.domain.tags import format_time, parse_time
from snapkeep.reports.page import FOLDER, page_templates

HOST = "127.0.0.1"
HERE = Path(__file__).parent
STALE = timedelta(minutes=1)
"""The age of a reading that pages show beside its time."""
LOOK_SECONDS = 1.0
"""How often an open page's connection looks for a new reading."""
END_SECONDS = 5
"""How long requests may take after Ctrl-C: longer than an open page's connection looks away."""
MOST_FORM_BYTES = 256 * 1024
"""The largest form that is read: it may have a map of hundreds of instances."""
MOST_ADDRESS_BYTES = 512 * 1024
"""The largest address that is read, with the headers: it has any document that could be stored, with comments."""


@dataclass(slots=True, frozen=True)
class Console:
    """The application over the readings of one system."""

    readings: Readings
    links: ConsoleLinks
    suffix: str
    region: str
    recoveries: RecoveryPages
    stories: StoryPage
    reports: ReportPages
    simulate: Simulator | None = None
    """Simulates tried documents."""
    options: str = ""
    """The options that a command for this system needs, as `pasted_options` returns them."""
    run: Runner = run_apart
    """Runs a simulation."""

    @property
    def system(self) -> str:
        """The system's name."""
        return system_name(self.suffix)

    def application(self) -> Starlette:
        """Return the ASGI application; it refuses nobody: see `guard.py`."""
        routes = [Route("/", lambda _: RedirectResponse(f"/{PAGES[0].name}"))]
        for page in self.pages:
            routes.append(Route(f"/{page.name}", self._html(page)))
            routes.append(Route(f"/{page.name}.json", self._data(page)))
        routes += [Route("/coverage.csv", self._csv), Route("/news", self._news), Route("/recovery/news", self._recovery_news)]
        routes.append(Route("/report", self._report))
        if self.simulate:
            routes.append(Route("/simulation", self._simulation))
        for page, act in self.recoveries.actions:
            routes.append(Route(f"/{page.name}", self._acting(page, act), methods=["POST"]))
        routes.append(Route("/static/palette.css", lambda _: FileResponse(FOLDER / "palette.css")))
        files = Mount("/static", StaticFiles(directory=HERE / "static"))
        application = Starlette(routes=[*routes, files], exception_handlers={HTTPStatus.NOT_FOUND: self._not_found})
        application.state.ends = lambda: False  # whether the server ends: open pages wait for news as long as it runs
        return application

    @property
    def pages(self) -> tuple[Page, ...]:
        """Every page, in the order of the navigation."""
        now, *others = PAGES
        with_trend = replace(now, data={**now.data, **self.reports.page.data})
        return (with_trend, *others, self.reports.page, *self.recoveries.pages, self.stories.page)

    @property
    def allow_actions(self) -> bool:
        """Whether its forms act."""
        return self.recoveries.allow_actions

    def _html(self, page: Page) -> Any:
        def answer(request: Request) -> Response:
            return self._shown(page, request, request.query_params)

        return answer

    def _shown(self, page: Page, request: Request, query: Query, code: HTTPStatus = HTTPStatus.OK) -> Response:
        version = self.readings.version  # before the reading: one that ends meanwhile is news
        reading = self.readings.current()
        if reading is None:
            return self._rendered("wait", request, page=page, reading=None, version=version)
        try:
            context = page.context(reading, query)
        except _FAILURES as error:
            return self._rendered("not_there", request, _code_of(error), page=page, reading=reading, text=one_line(error))
        shown = " ".join(filter(None, [str(version), context.get("version", "")]))
        return self._rendered(page.name, request, code, page=page, reading=reading, **context | {"version": shown})

    def _data(self, page: Page) -> Any:
        def answer(request: Request) -> Response:
            reading = self.readings.current()
            if reading is None:
                return JSONResponse({"problem": self.readings.problem or "not read yet"}, HTTPStatus.SERVICE_UNAVAILABLE)
            try:
                return JSONResponse(page.as_data(reading, request.query_params))
            except _FAILURES as error:
                return JSONResponse({"problem": one_line(error)}, _code_of(error))

        return answer

    def _acting(self, page: Page, act: FormAction) -> Any:
        """Return what carries out a form, and leads to the recovery; where it is refused, the page is shown with why."""

        def acted(request: Request, fields: dict[str, str]) -> Response:
            reading = self.readings.current()
            if reading is None:
                return self._rendered("wait", request, page=page, reading=None)
            try:
                run = act(reading, fields)
            except _FAILURES as error:
                return self._shown(page, request, fields | {"refused": one_line(error)}, HTTPStatus.CONFLICT)
            return RedirectResponse(f"/recovery?{urlencode({'in': run.region, 'id': run.id})}", HTTPStatus.SEE_OTHER)

        async def answer(request: Request) -> Response:
            return await run_in_threadpool(acted, request, await _form(request))

        return answer

    async def _simulation(self, request: Request) -> Response:
        """Answer with the simulator's page, which has its styles in itself, and no script. It ends with the request."""
        reading = self.readings.current()
        if reading is None or self.simulate is None:
            return self._rendered("wait", request, page=None, reading=None)
        try:
            simulated = await run_in_threadpool(simulated_things, reading, request.query_params)
            async with _ONE_SIMULATION:
                text = await self.run(self.simulate, simulated, request.is_disconnected)
        except _FAILURES as error:
            return self._rendered("not_there", request, HTTPStatus.BAD_REQUEST, page=None, reading=reading, text=one_line(error))
        return Response(text, media_type="text/html", headers={CONTENT: _STYLES_ALONE})

    def _report(self, request: Request) -> Response:
        """Answer with the page of a report, which has its styles in itself, and no script."""
        reading = self.readings.current()
        if reading is None:
            return self._rendered("wait", request, page=None, reading=None)
        try:
            text = self.reports.render(request.query_params)
        except _FAILURES as error:
            return self._rendered("not_there", request, _code_of(error), page=None, reading=reading, text=one_line(error))
        return Response(text, media_type="text/html", headers={CONTENT: _STYLES_ALONE})

    def _csv(self, request: Request) -> Response:
        reading = self.readings.current()
        if reading is None:
            return JSONResponse({"problem": self.readings.problem or "not read yet"}, HTTPStatus.SERVICE_UNAVAILABLE)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(VOLUME_COLUMNS)
        table.writerows([csv_cell(cell) for cell in volume_cells(volume)] for volume in covered(reading, request.query_params))
        headers = {"Content-Disposition": 'attachment; filename="volumes.csv"'}
        return Response(text.getvalue(), media_type="text/csv", headers=headers)

    def _news(self, request: Request) -> Response:
        """Send the version of the latest reading whenever it changes."""

        def version() -> str:
            self.readings.renew()
            return str(self.readings.version)

        return _changes(request, version)

    def _recovery_news(self, request: Request) -> Response:
        """Send the version of a recovery whenever a step is taken, here or in another session, and of the reading beside it."""

        def version() -> str:
            self.readings.renew()
            return f"{self.readings.version} {self.recoveries.version(request.query_params)}"

        return _changes(request, version)

    def _not_found(self, request: Request, _: Exception) -> Response:
        text = f"{request.url.path} is not a page of the console"
        return self._rendered("not_there", request, HTTPStatus.NOT_FOUND, page=None, reading=self.readings.latest, text=text)

    def _rendered(self, template: str, request: Request, code: HTTPStatus = HTTPStatus.OK, **context: Any) -> Response:
        query = dict(request.query_params)
        shared = {
            "console": self,
            "problem": self.readings.problem,
            "query": query,
            "address": lambda **changed: f"?{urlencode({**query, **changed})}",
            "news": "/news",
            "version": self.readings.version,
            "code": code,
            "stale": self._stale(),
        }
        text = _TEMPLATES.get_template(f"{template}.html.j2").render(shared | context)
        return Response(text, code, media_type="text/html")

    def _stale(self) -> timedelta | None:
        """Return the age of the latest reading where it is older than it should be."""
        latest = self.readings.latest
        age = self.readings.clock.now() - latest.at if latest else timedelta(0)
        return age if age > STALE else None

    def recovery_command(self, target: str, region: str, at: datetime, kind: str = "volume") -> str:
        """Return the command that recovers a target, from the points that a page shows for the moment.

        `kind` is what is made: its volumes, the whole instance, or a group.
        """
        return f"snapkeep recover {kind} {shlex.quote(target)} --in {region} --at {format_time(at)}{self.options}"


_STYLES_ALONE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_ONE_SIMULATION = asyncio.Lock()
"""Two at once would take twice as long."""
_FAILURES = known_errors()
"""Errors that a page shows in words."""


def _code_of(error: Exception) -> HTTPStatus:
    if isinstance(error, NotThere | DocumentNotFound):
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.BAD_REQUEST if isinstance(error, WrongUse) else HTTPStatus.BAD_GATEWAY


def _changes(request: Request, version: Callable[[], str]) -> Response:
    """Return a stream of versions, one whenever it changes: server-sent events (WHATWG HTML, section 9.2)."""

    async def versions() -> AsyncIterator[str]:
        sent = ""
        while not request.app.state.ends() and not await request.is_disconnected():
            now = await run_in_threadpool(version)
            if now != sent:
                sent = now
                yield f"data: {sent}\n\n"
            await asyncio.sleep(LOOK_SECONDS)

    return StreamingResponse(versions(), media_type="text/event-stream")


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form that a page sent. Raise HTTPException if they are too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a form has at most {MOST_FORM_BYTES} bytes")
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _printed(text: str) -> str:
    """Return a text for a page. Browsers send each new line of a field as CR LF (HTML standard, "form submission")."""
    return printable(text.replace("\r\n", "\n"))


def _environment() -> Environment:
    environment = page_templates(HERE / "templates")
    environment.finalize = lambda value: _printed(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
    environment.globals |= {
        "age_text": age_text,
        "policy_lines": lambda policies: list(summary_lines(policies, [limit.name for limit in fields(Limits)])),
        "span_text": span_text,
        "togetherness": togetherness,
        "measured_span": measured_span,
        "trend_size": {"width": trend.WIDTH, "height": trend.HEIGHT},
        "USABLE": USABLE,
        "INSTANCE_USABLE": recover_instance.USABLE,
        "INSTANCE_PRICE": recover_instance.PRICE,
        "NOT_CHECKED": recover_instance.NOT_CHECKED,
        "counted": counted,
        "mark_as_text": mark_as_text,
        "drawing": {"width": WIDTH, "lane": LANE, "left": LEFT, "top": TOP},
    }
    environment.filters["exactly"] = format_time
    environment.filters["parsed"] = parse_time
    environment.filters["proof"] = proof_text
    environment.filters["way"] = lambda way: way_text(way).removeprefix(", ")
    environment.filters["budget"] = budget_text
    environment.filters["when"] = lambda moment: f"{moment:%Y-%m-%d %H:%M} UTC"
    return environment


_TEMPLATES = _environment()


def serve(
    settings: AwsSettings, port: int, simulate: Simulator | None = None, *, open_browser: bool, allow_actions: bool = False
) -> None:
    """Show a system until Ctrl-C; with `allow_actions`, forms begin recoveries. Raise WrongUse for a port that is in use."""
    clock = WallClock()
    readings = Readings(SystemReader(replace(settings, read_only=True)).read, clock)
    readings.renew()
    recoveries = Recoveries(settings, clock)
    pages = RecoveryPages(recoveries, allow_actions)
    links, options = settings.console_links, pasted_options(settings)
    console = Console(
        readings, links, settings.suffix, settings.region, pages, StoryPage(settings), ReportPages(settings), simulate, options
    )
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        application = console.application()
        guard = VisitorGuard(application, port, allow_actions=allow_actions)
        address = f"http://{HOST}:{port}/?{TOKEN}={guard.token}"
        sys.stdout.write(f"The console is at {address}\nCtrl-C ends it.\n")
        sys.stdout.flush()
        if open_browser:
            webbrowser.open(address)
        config = uvicorn.Config(
            guard,
            log_level="warning",
            timeout_graceful_shutdown=END_SECONDS,
            http="h11",
            h11_max_incomplete_event_size=MOST_ADDRESS_BYTES,
        )
        server = uvicorn.Server(config)
        application.state.ends = lambda: server.should_exit
        server.run(sockets=[listener])
    warn(f"{run.id} is not finished. To continue: {recoveries.command('resume', run)}" for run in recoveries.working())


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # before the address is printed: a browser may be there at once
    except OSError as error:
        listener.close()
        raise WrongUse(f"--port {port}: {(error.strerror or str(error)).lower()}; 0 takes a free one") from error
    return listener
