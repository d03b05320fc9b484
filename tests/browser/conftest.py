"""The console of the demonstration's system, in a real browser. Chromium comes from the system's packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from snapkeep.console.guard import TOKEN
from snapkeep.lab.demo.console_world import REGION, running_world
from snapkeep.lab.embedded_aws import EmbeddedAws

NAMED = os.environ.get("CHROMIUM", "chromium")
CHROMIUM = shutil.which(NAMED) or NAMED
"""A name on the path, or a file."""
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MILLISECONDS = 120_000
"""A limit for a machine that is busy; nothing here takes seconds on an idle one."""


@dataclass
class Console:
    """A running `snapkeep console`."""

    address: str
    token: str
    process: subprocess.Popen[str]


@dataclass
class Visitor:
    """A page of the browser, and everything that should not have happened in it."""

    page: Page
    console: Console
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(MILLISECONDS)
        self.page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        if not url.startswith(self.console.address):
            self.faults.append(f"request to {url}")

    def open(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(self.console.address + path)


def scrolling_tables(page: Page) -> list[str]:
    """Return the names of the tables whose last columns are not seen without scrolling."""
    wide = "[...document.querySelectorAll('.wide')].filter(table => table.scrollWidth > table.clientWidth)"
    return list(page.evaluate(f"{wide}.map(table => table.getAttribute('aria-label'))"))


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    with running_world(lambda _: None) as running:
        yield running


@pytest.fixture
def options() -> list[str]:
    """Options of `snapkeep console`."""
    return []


@pytest.fixture
def credentials() -> dict[str, str]:
    """Variables with other credentials than those of the embedded AWS."""
    return {}


@pytest.fixture
def console(aws: EmbeddedAws, options: list[str], credentials: dict[str, str]) -> Iterator[Console]:
    command = [sys.executable, "-m", "snapkeep", "console", "--no-open", "--region", REGION, *options]
    process = subprocess.Popen(command, env=os.environ | aws.environment() | credentials, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(rf"(http://\S+)/\?{TOKEN}=(\S+)", process.stdout.readline())
        assert found, "the console did not print its address"
        yield Console(found[1], found[2], process)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
    yield browser
    browser.close()


@pytest.fixture
def visitor(chromium: Browser, console: Console) -> Iterator[Visitor]:
    context = chromium.new_context()
    made = Visitor(context.new_page(), console)
    made.open(f"/?{TOKEN}={console.token}")
    made.page.wait_for_selector(".chips")
    yield made
    context.close()
