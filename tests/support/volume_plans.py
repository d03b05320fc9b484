"""A primary region and its DR region in memory, for the commands that plan and that push policies."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from snapkeep.domain.errors import DocumentAbsent
from snapkeep.domain.model import Snapshot, SnapshotLock, Volume
from snapkeep.lab.simulator.memory_ports import MemoryHolds
from snapkeep.usecases.policies import NOTHING, StoredDocument
from support.lineages import REGION, copy_of, snapshot

DR = "us-east-2"
SOURCES = [snapshot(f"2025-11-{day}T03:00", day, policy="default") for day in (20, 21, 22, 23)]
COPIES = [copy_of(source, DR, number) for number, source in enumerate(SOURCES[:3], start=1)]
DOCUMENT = """
version: 1
policies:
  - name: default
    select: {tags: {Backup: gold}}
    retention: {keep_last: 3}
    copies: [{region: us-east-2, retention: {keep_last: 1}}]
"""


@dataclass
class World:
    """Contents of the chosen AWS."""

    listings: dict[str, list[Snapshot]] = field(default_factory=lambda: {REGION: list(SOURCES), DR: list(COPIES)})
    volumes: list[Volume] = field(default_factory=lambda: [Volume("vol-0a", REGION, 8, "gp3", tags={"Backup": "gold"})])
    documents: dict[str, list[str]] = field(default_factory=lambda: {REGION: [], DR: []})
    stacks: set[str] = field(default_factory=lambda: {REGION, DR})
    holds: dict[str, MemoryHolds] = field(default_factory=lambda: defaultdict(MemoryHolds))


@dataclass
class Reader:
    """Reads the world."""

    world: World
    region: str

    def all_volumes(self) -> list[Volume]:
        return self.world.volumes if self.region == REGION else []

    def all_snapshots(self) -> list[Snapshot]:
        return self.world.listings[self.region]

    def images_using(self, snapshot_ids: list[str]) -> dict[str, tuple[str, ...]]:
        return {SOURCES[0].id: ("ami-0123",)} if SOURCES[0].id in snapshot_ids else {}

    def locks(self, _: list[str]) -> dict[str, SnapshotLock]:
        return {}


@dataclass
class Store:
    """Keeps the world's documents."""

    world: World
    region: str

    def current(self) -> StoredDocument:
        versions = self.history()
        if not versions or versions[0].is_empty:
            raise DocumentAbsent
        return versions[0]

    def history(self) -> list[StoredDocument]:
        at = datetime(2026, 11, 23, tzinfo=UTC)
        kept = list(enumerate(self.world.documents[self.region], start=1))
        return [StoredDocument(number, text, at, "someone") for number, text in reversed(kept)]

    def put(self, text: str, *, advanced: bool) -> int:
        self.world.documents[self.region].append(text)
        return len(self.world.documents[self.region])

    def remove(self) -> None:
        self.world.documents[self.region].append(NOTHING)
