"""A page: its title, what it shows of a reading, and the same as data; and what pages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from snapkeep.console.reading import Reading
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.protection import VolumeProtection
from snapkeep.domain.tags import parse_time
from snapkeep.domain.wildcards import matches_any

ROWS = 100
"""Rows on one page of a long list."""
Query = Mapping[str, str]
Context = dict[str, Any]
PageData: TypeAlias = Mapping[str, Callable[["Reading", Query], Any]]
"""Commands, each with what returns the data that it prints."""
Item = TypeVar("Item")


class NotThere(SnapkeepError):
    """There is no such page, volume or instance."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    name: str
    """Its address, and its template's name."""
    title: str
    context: Callable[[Reading, Query], Context]
    data: PageData
    """The commands that print its data, without its filters, each with what returns the same."""
    listed: bool = True
    """Whether the navigation has it."""

    def as_data(self, reading: Reading, query: Query) -> Any:
        """Return what its command prints; of several commands, by command."""
        printed = {command: data(reading, query) for command, data in self.data.items()}
        return printed if len(printed) > 1 else next(iter(printed.values()))


@dataclass(frozen=True, slots=True)
class Rows(Sequence[Any]):
    """One page of a long list."""

    shown: Sequence[Any]
    total: int
    number: int
    name: str = "page"
    """The name of its number in a query."""

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // ROWS))

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, index: Any) -> Any:
        return self.shown[index]


def rows_of(items: Sequence[Item], query: Query, name: str = "page") -> Rows:
    """Return the page of a list that a query names; the nearest one where there is none of that number."""
    text = query.get(name, "1")
    last = max(1, -(-len(items) // ROWS))
    number = min(max(int(text), 1), last) if text.isdecimal() and len(text) < 10 else 1  # noqa: PLR2004 - no such list
    return Rows(items[(number - 1) * ROWS : number * ROWS], len(items), number, name)


def moment_of(query: Query, now: datetime) -> tuple[datetime, str]:
    """Return the moment that `at` in a query names, and a problem. A time without a zone is in UTC, as the pages show times."""
    text = query.get("at", "")
    if not text:
        return now, ""
    try:
        moment = datetime.fromisoformat(text)
        return min(moment.replace(tzinfo=UTC) if moment.tzinfo is None else parse_time(text), now), ""
    except ValueError:
        return now, f"{text} is not a time: write one such as 2026-12-24T03:00"


def matches(volume: VolumeProtection, text: str) -> bool:
    """Whether a volume is one that a person looks for: by a part of its id, instance, name, policy, or a tag's value."""
    words = (volume.volume.id, volume.policy, *volume.volume.instance_ids, *volume.volume.tags.values())
    pattern = text.lower() if "*" in text else f"*{text.lower()}*"
    return any(matches_any(word.lower(), [pattern]) for word in words)
