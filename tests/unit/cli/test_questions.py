"""Questions before a change: yes continues, no changes nothing, and Ctrl-C reports that nothing was changed."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from snapkeep.cli import common
from snapkeep.cli.application import make_application
from snapkeep.cli.common import require_consent
from snapkeep.cli.errors import NotConfirmed, WrongUse, exit_status


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool | Exception]:
    """The answers of a person at a terminal."""
    queue: list[bool | Exception] = []

    def confirm(_: str) -> bool:
        answer = queue.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(common, "can_ask", lambda *, json: not json)
    monkeypatch.setattr(typer, "confirm", confirm)
    return queue


def ask(*, yes: bool = False, json: bool = False) -> None:
    require_consent("Delete it?", yes=yes, json=json, otherwise="nothing was changed")


def test_yes_continues(answers: list[bool | Exception]) -> None:
    answers.append(True)
    ask()
    ask(yes=True)


def test_no_changes_nothing_and_exits_1(answers: list[bool | Exception]) -> None:
    answers.append(False)
    with pytest.raises(NotConfirmed, match=r"^nothing was changed$") as refused:
        ask()
    assert exit_status(refused.value) == 1


def test_ctrl_c_at_a_question_reports_that_nothing_was_changed(answers: list[bool | Exception]) -> None:
    answers.append(typer.Abort())
    with pytest.raises(KeyboardInterrupt, match=r"^nothing was changed$"):
        ask()


@pytest.mark.parametrize("json", [True, False])
def test_without_a_terminal_yes_must_be_given(json: bool) -> None:
    with pytest.raises(WrongUse, match="nothing was changed: give --yes") as refused:
        ask(json=json)
    assert exit_status(refused.value) == 2


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["local"],
        ["local", "up"],
        ["deploy"],
        ["destroy"],
        ["package"],
        ["policy"],
        ["policy", "push"],
        ["plan"],
        ["status"],
        ["sweep"],
        ["explain"],
        ["simulate"],
    ],
)
def test_h_is_help(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short, full = (CliRunner().invoke(make_application(), [*command, option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == full.output
    assert "Usage:" in short.output
    assert max(map(len, short.output.splitlines())) <= 80
