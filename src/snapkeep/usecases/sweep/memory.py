"""The store of a sweep's memory, for the next sweep and for signals before it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from snapkeep.domain.errors import InvalidConfiguration, ReportNotFound
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.sweep.memory import SweepMemory
from snapkeep.usecases.sweep.report_names import JSON

if TYPE_CHECKING:
    from snapkeep.usecases.sweep.ports import ReportStore

MEMORY = "memory/snapshots.json"


class Memories(Protocol):
    """Keeps what a sweep remembers for the next one."""

    def load(self) -> SweepMemory | None:
        """Return the last sweep's memory; None before the first sweep."""

    def prepare(self, sweep_id: str, memory: SweepMemory) -> None:
        """Keep a sweep's memory apart until its report is published."""

    def replace_by(self, sweep_id: str) -> None:
        """Replace the memory by the one that a sweep prepared; leave it where it prepared none."""


@dataclass(frozen=True, slots=True)
class StoredMemory(Memories):
    """A memory beside the reports, as JSON."""

    store: ReportStore

    def load(self) -> SweepMemory | None:
        """Return the last sweep's memory; None before the first sweep. Raise InvalidConfiguration if it cannot be read."""
        try:
            return from_text(SweepMemory, self.store.get(MEMORY))
        except ReportNotFound:
            return None
        except ValueError as error:
            raise InvalidConfiguration(f"{MEMORY} in the reports' bucket cannot be read: {error}") from error

    def prepare(self, sweep_id: str, memory: SweepMemory) -> None:
        """Keep a sweep's memory apart until its report is published."""
        self.store.put(_prepared(sweep_id), to_text(memory), JSON)

    def replace_by(self, sweep_id: str) -> None:
        """Replace the memory by the one that a sweep prepared; leave it where it prepared none."""
        with suppress(ReportNotFound):
            self.store.put(MEMORY, self.store.get(_prepared(sweep_id)), JSON)


def _prepared(sweep_id: str) -> str:
    return f"interim/{sweep_id}-memory.json"
