"""`status --watch` keeps the queue and the totals on the screen, and a spinner shows which regions are awaited."""

from __future__ import annotations

import io
from threading import Event

import pytest
from rich.console import Console
from typer.testing import CliRunner

from snapkeep.cli import side_by_side as module
from snapkeep.cli.commands import status as command
from snapkeep.cli.side_by_side import side_by_side
from support.patience import COMMAND_SECONDS
from support.several_regions import FAR, NEAR, PRIMARY, Account, install


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = install(monkeypatch)
    made.push()
    source = made.snapshot()
    for number in range(60):
        made.world.client("ec2", PRIMARY).create_volume(AvailabilityZone=f"{PRIMARY}a", Size=8 + number)
    made.queue(source, NEAR)
    return made


def test_watch_cuts_the_lists_and_not_the_totals(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(
        command, "make_console", lambda: Console(file=out, force_terminal=True, color_system=None, width=80, height=30)
    )
    rounds = iter((None, None))

    def wait(_: float) -> None:
        if next(rounds, KeyboardInterrupt) is KeyboardInterrupt:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", wait)
    result = CliRunner().invoke(command.app, ["--region", PRIMARY, "--watch"])
    assert result.exit_code == 1
    last = out.getvalue().rpartition("can be recovered")[2].splitlines()
    assert len(last) <= 30
    text = "\n".join(last)
    for part in ("more: --all", "1 copy to us-east-2, waiting", "DR region", "61 volumes", "policy gold: 61 volumes"):
        assert part in text


def test_the_spinner_names_the_regions_that_have_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[str]] = []
    answered = Event()

    class Spinner:
        def __enter__(self) -> object:
            return self.show

        def __exit__(self, *_: object) -> None:
            return None

        def show(self, regions: list[str]) -> None:
            shown.append(list(regions))
            if regions == [FAR]:
                answered.set()

    def slow() -> int:
        assert answered.wait(COMMAND_SECONDS), "the other region's answer was not shown"
        return 2

    monkeypatch.setattr(module, "_spinner", Spinner)
    assert side_by_side({FAR: slow, NEAR: lambda: 1}) == {FAR: 2, NEAR: 1}
    assert shown == [[FAR, NEAR], [FAR]]


def test_an_error_in_one_region_is_raised() -> None:
    def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side({NEAR: fail, FAR: lambda: 1})
    assert side_by_side({}) == {}
