"""Fixtures of the console's tests: the console over an account in memory, and a client that knows its token."""

import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from snapkeep.adapters.clock import WallClock
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.console_links import NO_LINKS
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.console.guard import VisitorGuard
from snapkeep.console.reading import Readings, read
from snapkeep.console.server import Console
from support.several_regions import DOCUMENT, FAR, NEAR, PRIMARY, Account, install

PORT = 8470


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = install(monkeypatch)
    made.documents = dict.fromkeys((PRIMARY, NEAR, FAR), json.dumps(DOCUMENT))
    return made


@pytest.fixture
def readings(account: Account) -> Readings:
    settings = AwsSettings(PRIMARY, "", read_only=True)
    return Readings(lambda: read(InstalledSystem(settings)), WallClock())


@pytest.fixture
def guard(readings: Readings) -> VisitorGuard:
    return VisitorGuard(Console(readings, NO_LINKS, "", PRIMARY).application(), PORT)


@pytest.fixture
def stranger(guard: VisitorGuard) -> Iterator[TestClient]:
    """A browser that does not know the token."""
    with TestClient(guard, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as client:
        yield client


@pytest.fixture
def browser(stranger: TestClient, guard: VisitorGuard) -> TestClient:
    """A browser that opened the printed address."""
    stranger.get(f"/?token={guard.token}")
    return stranger
