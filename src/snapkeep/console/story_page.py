"""The page of a snapshot: its history, as `snapkeep explain` prints it. It is read when the page is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from snapkeep.cli.commands.explain import explainer_of, is_snapshot_id
from snapkeep.cli.common import AwsSettings
from snapkeep.cli.views.explain import facts_of, story_as_data
from snapkeep.console.page import Context, NotThere, Page, Query
from snapkeep.console.reading import Reading
from snapkeep.usecases.look.explain import Story


@dataclass(frozen=True, slots=True)
class StoryPage:
    """Tells the stories of a system's snapshots."""

    settings: AwsSettings

    @property
    def page(self) -> Page:
        """The page."""
        return Page("snapshot", "Snapshot", self._context, {"snapkeep explain --json": self._data}, listed=False)

    def _story(self, reading: Reading, query: Query) -> Story:
        snapshot_id = query.get("id", "")
        if not is_snapshot_id(snapshot_id):
            raise NotThere(f"{snapshot_id or 'a snapshot without an id'} is not a snapshot id such as snap-0123456789abcdef0")
        return explainer_of(replace(self.settings, read_only=True)).run(snapshot_id, reading.at)

    def _context(self, reading: Reading, query: Query) -> Context:
        story = self._story(reading, query)
        return {"story": story, "facts": list(facts_of(story))[1:], "summary": next(facts_of(story))[1]}

    def _data(self, reading: Reading, query: Query) -> Any:
        return story_as_data(self._story(reading, query))
