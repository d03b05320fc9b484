"""The progress of a deployment: a live table in a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from snapkeep.cli.output import BAD, GOOD, WARN
from snapkeep.deploy.changes import Change
from snapkeep.deploy.progress import StackEvent

_LATEST_SHOWN = 6
_STYLES = (("FAILED", BAD), ("ROLLBACK", BAD), ("IN_PROGRESS", WARN), ("COMPLETE", GOOD))


def _status_style(status: str) -> str:
    """Return the style of a CloudFormation status."""
    return next((style for words, style in _STYLES if words in status), "default")


class LineWatcher:
    """Prints a line for each event."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        """Begin; nothing to do."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End; nothing to do."""

    def step(self, text: str) -> None:
        """Print the step."""
        self._console.print(text, soft_wrap=True, markup=False)

    def note(self, text: str) -> None:
        """Print the note."""
        self._console.print(f"note: {text}", soft_wrap=True, markup=False)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask a question meanwhile; nothing to do."""
        yield

    def expect(self, resources: int) -> None:
        """Print the number of resources."""
        self._console.print(f"{resources} resources", soft_wrap=True, markup=False)

    def event(self, event: StackEvent) -> None:
        """Print the event."""
        reason = f": {event.reason}" if event.reason and event.failed else ""
        self._console.print(
            f"{event.region}: {event.status} {event.logical_id} ({event.resource_type}){reason}", soft_wrap=True, markup=False
        )


class LiveWatcher:
    """Shows a bar and the latest events of the current stack; a finished step stays above as one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(self._render(), console=console, refresh_per_second=8, transient=True, get_renderable=self._render)
        self._step = ""
        self._step_began = time.monotonic()
        self._expected = 0
        self._done: set[str] = set()
        self._latest: list[StackEvent] = []

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop drawing; the last step stays as a line."""
        self._finish_step(failed=kind is not None)
        self._live.stop()

    def step(self, text: str) -> None:
        """Show the step; the previous one is finished."""
        self._finish_step(failed=False)
        self._step, self._step_began = text, time.monotonic()
        self._expected, self._done, self._latest = 0, set(), []

    def note(self, text: str) -> None:
        """Print the note above the bar."""
        self._console.print(Text.assemble(("! ", WARN), text))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask a question between two steps: the former is finished, and nothing is drawn over the answer."""
        self._finish_step(failed=False)
        self._live.stop()
        yield
        self._live.start()

    def expect(self, resources: int) -> None:
        """Show a bar for that number of resources."""
        self._expected = resources

    def event(self, event: StackEvent) -> None:
        """Count the event, and show it among the latest."""
        if event.failed:
            self._console.print(Text.assemble(("✗ ", BAD), f"{event.logical_id} {event.status}: {event.reason}"))
        if event.status.endswith("_COMPLETE") and not event.of_the_stack:
            self._done.add(event.logical_id)
        self._latest = [*self._latest, event][-_LATEST_SHOWN:]

    def _finish_step(self, *, failed: bool) -> None:
        if self._step:
            mark = ("✗ ", BAD) if failed else ("✓ ", GOOD)
            seconds = time.monotonic() - self._step_began
            self._console.print(Text.assemble(mark, self._step, (f"  {seconds:.1f} s", "dim")))
        self._step = ""

    def _render(self) -> RenderableType:
        if not getattr(self, "_step", ""):
            return Text("")
        parts: list[RenderableType] = [Spinner("dots", Text(self._step), style="cyan")]
        if self._expected:
            bar = Table.grid(padding=(0, 1))
            bar.add_row("  ", ProgressBar(self._expected, len(self._done), width=40), f"{len(self._done)} of {self._expected}")
            parts.append(bar)
            events = Table.grid(padding=(0, 1))
            for event in self._latest:
                status = Text(event.status, style=_status_style(event.status))
                events.add_row("  ", status, event.logical_id, Text(event.resource_type, style="dim"))
            parts.append(events)
        return Group(*parts)


def watcher_on(console: Console) -> LineWatcher | LiveWatcher:
    """Return the watcher that shows the progress on a console."""
    return LiveWatcher(console) if console.is_terminal else LineWatcher(console)


def print_outputs(console: Console, title: str, outputs: Mapping[str, str]) -> None:
    """Print a stack's outputs, a line for each, unbroken: users copy ARNs, also from a narrow terminal."""
    console.print(Text(title, "bold"))
    width = max(map(len, outputs), default=0)
    for name, value in sorted(outputs.items()):
        console.print(Text.assemble("  ", (f"{name:<{width}}", "cyan"), f"  {value}"), soft_wrap=True)


def risky_lines(changes: Sequence[Change]) -> list[str]:
    """Return a line for each change that can lose data, or lose or move protection."""
    return [f"{change.region}: {change.text}: {change.consequence}" for change in changes if change.consequence]


def changes_question(changes: Sequence[Change]) -> str:
    """Return the question before a change, with a line for each that can lose data, or lose or move protection."""
    lines = [f"  {line}" for line in risky_lines(changes)]
    return "\n".join(["These changes can lose data, or lose or move protection:", *lines, "Deploy them?"])
