"""The holds in force: read before anything is deleted; placed, listed and released by people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import partial
from typing import Protocol

from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.model import Snapshot
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.placed_holds import PlacedHold, PlacedHolds


class HoldStore(Protocol):
    """Stores the holds of one region, each by itself: no writer can overwrite another's."""

    def all(self) -> list[PlacedHold]:
        """Return every hold. Raise InvalidConfiguration, naming it, if one cannot be read."""

    def place(self, hold: PlacedHold) -> None:
        """Write a hold. Writing the same one again changes nothing."""

    def release(self, hold_id: str) -> bool:
        """Remove a hold; return False if there is none with this id."""


class HoldReader(Protocol):
    """Reads the holds in force."""

    def placed(self, snapshots: Iterable[Snapshot]) -> PlacedHolds:
        """Return the holds that may cover snapshots of this region. It raises nothing: an unread hold may cover everything."""


def read_holds(stores: Mapping[str, Callable[[], HoldStore]]) -> PlacedHolds:
    """Return the holds of all these regions, with the reasons why some could not be read."""
    holds: dict[PlacedHold, None] = {}
    unread: dict[str, str] = {}
    for region, store in stores.items():
        try:
            holds |= dict.fromkeys(store().all())
        except SnapkeepError as error:
            unread[region] = f"the holds in {region} could not be read: {error}"
    return PlacedHolds(tuple(holds), unread)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldsInForce(HoldReader):
    """Reads the holds of this region, of the source regions, and of the regions to which the policies copy.

    No hold is cached between two calls: it counts for every deletion that begins after it was written.
    """

    region: str
    store_of: Callable[[str], HoldStore]
    policies: Callable[[], PolicySet]
    of_origins: bool = True
    """Whether the source regions have holds too: not for a vault, whose sources are in another account."""

    def placed(self, snapshots: Iterable[Snapshot]) -> PlacedHolds:
        """Return the holds that may cover snapshots of this region."""
        origins = {snapshot.origin.region for snapshot in snapshots} if self.of_origins else set()
        try:
            regions = sorted({self.region, *origins, *self.policies().copy_regions})
        except SnapkeepError as error:  # a function whose first read of the policies fails knows none
            return PlacedHolds(unread={self.region: f"the regions in which holds may be written are not known: {error}"})
        return read_holds({region: partial(self.store_of, region) for region in regions})


@dataclass(frozen=True, slots=True)
class HoldResult:
    """The regions in which a hold was written or removed, and the reasons why it could not be in others."""

    done: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def place(stores: Mapping[str, HoldStore], hold: PlacedHold) -> HoldResult:
    """Write a hold in every reachable region."""

    def write(store: HoldStore) -> bool:
        store.place(hold)
        return True

    return _in_each(stores, write)


def release(stores: Mapping[str, HoldStore], hold_id: str) -> HoldResult:
    """Remove a hold from every reachable region. It counts until it is removed from all."""
    return _in_each(stores, lambda store: store.release(hold_id))


def _in_each(stores: Mapping[str, HoldStore], act: Callable[[HoldStore], bool]) -> HoldResult:
    done: list[str] = []
    problems: dict[str, str] = {}
    for region, store in stores.items():
        try:
            if act(store):
                done.append(region)
        except SnapkeepError as error:
            problems[region] = str(error)
    return HoldResult(tuple(done), problems)
