"""Fixtures of the console's tests: the console over an account in memory, and a client that knows its token."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from snapkeep.adapters.clock import WallClock
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.console_links import NO_LINKS
from snapkeep.console.guard import VisitorGuard
from snapkeep.console.reading import Readings, SystemReader
from snapkeep.console.recoveries import Recoveries
from snapkeep.console.recovery_pages import RecoveryPages
from snapkeep.console.report_pages import ReportPages
from snapkeep.console.server import Console
from snapkeep.console.story_page import StoryPage
from support.several_regions import PRIMARY, Account, install

PORT = 8470


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    return install(monkeypatch).push()


@pytest.fixture
def readings(account: Account) -> Readings:
    return Readings(SystemReader(AwsSettings(PRIMARY, "", read_only=True)).read, WallClock())


@dataclass
class PausingClock:
    """Lets the account's time pass while a recovery waits."""

    account: Account

    def now(self) -> datetime:
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        with self.account.lock:
            self.account.clock.advance(seconds)


@pytest.fixture
def allow_actions() -> bool:
    return False


@pytest.fixture
def recoveries(account: Account) -> Recoveries:
    return Recoveries(AwsSettings(PRIMARY, ""), PausingClock(account))


@pytest.fixture
def console(readings: Readings, recoveries: Recoveries, allow_actions: bool) -> Console:
    settings = AwsSettings(PRIMARY, "")
    pages = RecoveryPages(recoveries, allow_actions)
    return Console(readings, NO_LINKS, "", PRIMARY, pages, StoryPage(settings), ReportPages(settings))


@pytest.fixture
def guard(console: Console, allow_actions: bool) -> VisitorGuard:
    return VisitorGuard(console.application(), PORT, allow_actions=allow_actions)


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
