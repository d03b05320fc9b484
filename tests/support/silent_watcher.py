"""A watcher of a deployment that keeps its notes."""

from __future__ import annotations

from snapkeep.deploy.progress import SilentWatcher


class Notes(SilentWatcher):
    """Keeps the notes, and shows nothing."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)
