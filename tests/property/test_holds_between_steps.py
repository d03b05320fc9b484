"""INV-26: a hold that is placed between any two steps of a flow stops every deletion that begins after it.

The flow is a night in which every path deletes: runs of a new snapshot in both regions, the end of a failed copy, and the sweeps
of both regions. A hold is placed at each call of a port in turn; no call of DeleteSnapshot after it may name what it covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from snapkeep.domain.model import Snapshot
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.lab.ebs_model import FaultRule
from snapkeep.lab.simulator.model_clients import CALLER
from snapkeep.lab.simulator.sweeps import Sweeper
from snapkeep.usecases.ports import DeletionResult
from snapkeep.usecases.retention.delete import DeleteSnapshots
from support.flows import DR, PRIMARY, Laboratory, policy_set
from support.placing import hold

pytestmark = pytest.mark.slow

BOTH = (PRIMARY, DR)
SCOPES: dict[str, Callable[[Night], PlacedHold]] = {
    "everything": lambda _: hold(),
    "volume": lambda night: hold(volumes=(night.volume,)),
    "snapshots": lambda night: hold(snapshots=tuple(night.lab.ids())),
    "policy": lambda _: hold(policies=("default",)),
}


@dataclass
class Night:
    """A laboratory before its last night, and what is done in it."""

    scope: str = "everything"
    regions: Sequence[str] = BOTH
    """The regions in which the hold is written."""
    at: int = 0
    """The call of a port at which it is placed; 0 for never."""
    calls: int = 0
    placed: PlacedHold | None = None
    deleted: list[tuple[str, str]] = field(default_factory=list)
    """The snapshots that DeleteSnapshot named after the hold was placed, with their source volumes."""
    deletions: int = 0
    under_way: set[str] = field(default_factory=set)

    def run(self) -> Night:
        self.lab = lab = Laboratory(policies=policy_set(keep=9, keep_copies=9), hook=self._hook)
        self.volume, self.counting = lab.make_volume(), False
        for _ in range(2):
            lab.protect(self.volume)
        lab.policies = policy_set(keep=1, keep_copies=1)
        self._watch()
        self.counting = True
        lab.world.add_fault(FaultRule("copy_fails", times=1))
        lab.protect(self.volume)
        lab.policies = policy_set(keep=9, keep_copies=9)
        lab.protect(self.volume)
        lab.policies = policy_set(keep=1, keep_copies=1)
        Sweeper(lab.runner).start()
        lab.settle()
        return self

    def _watch(self) -> None:
        call = self.lab.world.call

        def watched(service: str, action: str, params: Any = None, *, region: str, **options: Any) -> Any:
            if action == "DeleteSnapshot" and options.get("caller") == CALLER:
                record = self.lab.world.region_account(region).snapshots.get(params["SnapshotId"])
                self.deletions += 1
                if record is not None and self.placed is not None:
                    self.deleted.append((record.id, record.source_id or record.id))
            return call(service, action, params, region=region, **options)

        self.lab.world.call = watched  # type: ignore[method-assign]

    def _hook(self, name: str) -> None:
        after = name in self.under_way
        self.under_way ^= {name}
        # Before each call, and after DeleteSnapshot: right before that, the holds were read, and what is being deleted cannot be
        # held any more.
        if not self.counting or name.startswith("holds.") or after != (name == "deleter.delete"):
            return
        self.calls += 1
        if self.calls == self.at:
            self.placed = SCOPES[self.scope](self)
            for region in self.regions:
                self.lab.runner.composition.hold_stores[region].place(self.placed)

    @property
    def broken(self) -> list[str]:
        """The deletions of what the hold covers. All snapshots are of one volume and policy, but some are made after it."""
        held = self.placed.snapshots if self.placed else ()
        return [copy for copy, source in self.deleted if not held or source in held]


@cache
def gaps() -> range:
    """Return the calls of a night, at each of which a hold may be placed."""
    night = Night().run()
    assert night.deletions >= 5, "every path deletes"
    return range(1, night.calls + 1)


CASES: tuple[tuple[str, Sequence[str]], ...] = (
    *((scope, BOTH) for scope in SCOPES),
    ("everything", [PRIMARY]),
    ("everything", [DR]),
)


def broken_at(moments: Sequence[int], cases: Sequence[tuple[str, Sequence[str]]] = CASES) -> Iterator[tuple[int, str, str]]:
    """Yield the deletions of what is held, with the call at which the hold was placed and its scope: each case in turn."""
    for number, at in enumerate(moments):
        scope, regions = cases[number % len(cases)]
        yield from ((at, scope, one) for one in Night(scope, regions, at).run().broken)


def test_nothing_covered_is_deleted_after_a_hold_at_any_step() -> None:
    assert list(broken_at(gaps())) == []


def delete_without_a_last_look(self: DeleteSnapshots, snapshot: Snapshot, _: str) -> DeletionResult:
    return self.deleter.delete(snapshot.id)


def without_copies(self: PlacedHold, snapshot: Snapshot, policy: str = "") -> bool:
    return not snapshot.is_copy and real_covers(self, snapshot, policy)


real_covers = PlacedHold.covers
PLANTED = {
    "a flow reads holds once, at its start": (DeleteSnapshots, "_delete", delete_without_a_last_look),
    "a hold of a volume leaves its copies out": (PlacedHold, "covers", without_copies),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_the_suite_finds_the_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = gaps()
    monkeypatch.setattr(*PLANTED[bug])
    assert next(broken_at(moments, [("volume", BOTH)]), None)
