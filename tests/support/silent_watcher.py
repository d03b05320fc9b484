"""A watcher of a deployment that shows nothing."""

from __future__ import annotations

from snapkeep.deploy.progress import StackEvent


class Silent:
    """Shows nothing: for programs and tests."""

    def step(self, text: str) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def expect(self, resources: int) -> None:
        """Show nothing."""

    def event(self, event: StackEvent) -> None:
        """Show nothing."""


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)
