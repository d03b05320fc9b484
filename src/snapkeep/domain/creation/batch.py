"""The due snapshots that are started now, and which of them form a set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from snapkeep.domain.model import NEVER, Snapshot, SnapshotState, Volume, VolumeRole
from snapkeep.domain.policy.model import CONSISTENT_INSTANCE, Policy
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import MADE

MOST_PENDING = 90
"""The quota of an account's region is 100 pending snapshots (L-94D7AB7D): the rest is left to other tools."""
MOST_PENDING_OF_VOLUME = 5
MOST_PENDING_OF_HDD = 1
"""Concurrent snapshots of one volume (EBS quotas): 1 for these types."""
HDD_TYPES = ("st1", "sc1")
APART = timedelta(seconds=15)
"""The least time between two snapshots of one volume (EC2 API: SnapshotCreationPerVolumeRateExceeded)."""
UNTIL_LISTED = timedelta(minutes=10)
"""The time for which an intention counts as a snapshot that EC2 does not list yet: EC2 lists new snapshots late."""
MOST_EXCLUDED = 40
"""Data volumes that CreateSnapshots can leave out (ec2 2016-11-15)."""
QUOTA_SHARE_PERCENT = 95
"""The share of the region's snapshot quota above which no snapshot is made: people and other tools need the rest."""


class DueVolume(NamedTuple):
    """A volume whose snapshot is due, and since when."""

    volume: Volume
    policy: Policy
    since: datetime


@dataclass(frozen=True, slots=True)
class Creation:
    """One call: a snapshot of a volume, or a set of an instance's volumes."""

    volume_ids: tuple[str, ...]
    policy: str
    instance_id: str = ""
    """Empty for a single snapshot."""
    excluded_ids: tuple[str, ...] = ()
    """The other data volumes of the instance."""
    exclude_root: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """The calls to make now, the most overdue first."""

    creations: tuple[Creation, ...] = ()
    quota_near: bool = False
    """Whether the quota of snapshots prevents more of them."""
    more_wait: bool = False
    """Whether more may start once fewer are pending."""


def choose(
    due: Iterable[DueVolume],
    volumes: Collection[Volume],
    snapshots: Sequence[Snapshot],
    intentions: Mapping[str, datetime],
    now: datetime,
    *,
    quota: int,
) -> Batch:
    """Return the snapshots to start now.

    `snapshots` are all snapshots of the region, including those of people and other tools. `intentions` has the time of each
    volume's last intended call. A volume has at most one pending snapshot of the system's own.
    """
    waiting = sorted(due, key=lambda item: (item.since, item.volume.id))
    if not waiting:
        return Batch()
    chooser = _Chooser(snapshots, intentions, now)
    pending, total, near, more_wait = chooser.pending_total, len(snapshots), False, False
    creations: list[Creation] = []
    for creation in _grouped([item for item in waiting if chooser.may_start(item.volume)], volumes):
        number = len(creation.volume_ids)
        # A set that does not fit leaves its room to a smaller one after it.
        if (total + number) * 100 > quota * QUOTA_SHARE_PERCENT:
            near = True
        elif pending + number <= MOST_PENDING:
            creations.append(creation)
            pending, total = pending + number, total + number
        else:
            more_wait = True
    return Batch(tuple(creations), near, more_wait)


class _Chooser:
    """The limits that a region's existing snapshots impose on new ones."""

    def __init__(self, snapshots: Sequence[Snapshot], intentions: Mapping[str, datetime], now: datetime) -> None:
        self._intentions = intentions
        self._now = now
        self._pending: Counter[str] = Counter()
        self._own: set[str] = set()
        self._newest: dict[str, datetime] = {}
        self.pending_total = 0
        for snapshot in snapshots:
            if snapshot.is_copy:
                continue
            volume_id, start = snapshot.origin.volume_id, snapshot.start_time
            self._newest[volume_id] = max(start, self._newest.get(volume_id, NEVER))
            if snapshot.state is SnapshotState.PENDING:
                self.pending_total += 1
                self._pending[volume_id] += 1
                if MADE in snapshot.tags:
                    self._own.add(volume_id)
        # A snapshot that EC2 does not list yet is pending too. A refused one, whose time is in the future, is not.
        self.pending_total += sum(self._unlisted(volume_id) for volume_id, moment in intentions.items() if moment <= now)

    def _unlisted(self, volume_id: str) -> bool:
        intended = self._intentions.get(volume_id)
        return intended is not None and self._newest.get(volume_id, NEVER) < intended and self._now - intended < UNTIL_LISTED

    def may_start(self, volume: Volume) -> bool:
        most = MOST_PENDING_OF_HDD if volume.volume_type in HDD_TYPES else MOST_PENDING_OF_VOLUME
        return (
            volume.id not in self._own
            and not self._unlisted(volume.id)
            and self._pending[volume.id] < most
            and self._now - self._newest.get(volume.id, NEVER) >= APART
        )


def _grouped(due: Sequence[DueVolume], volumes: Collection[Volume]) -> Iterator[Creation]:
    """Yield the calls, in the order of their most overdue volume. The volumes of a set share one instance and one policy."""
    sets: dict[tuple[str, str], list[Volume]] = {}
    for item in due:
        if key := _set_of(item):
            sets.setdefault(key, []).append(item.volume)
    attached: dict[str, list[Volume]] = {}
    for volume in volumes:
        for instance_id in volume.instance_ids:
            attached.setdefault(instance_id, []).append(volume)
    begun_sets: set[tuple[str, str]] = set()
    for item in due:
        key = _set_of(item)
        if key is None:
            yield Creation((item.volume.id,), item.policy.name)
        elif key not in begun_sets:
            begun_sets.add(key)
            yield from _of_instance(key, sets[key], attached[key[0]])


def _set_of(item: DueVolume) -> tuple[str, str] | None:
    instances = item.volume.instance_ids
    together = item.policy.consistent == CONSISTENT_INSTANCE and len(instances) == 1
    return (instances[0], item.policy.name) if together else None


def _of_instance(key: tuple[str, str], members: Sequence[Volume], attached: Sequence[Volume]) -> Iterator[Creation]:
    instance_id, policy = key
    ids = tuple(volume.id for volume in members)
    further = [volume for volume in attached if volume.id not in ids]
    excluded = tuple(volume.id for volume in further if volume.role is not VolumeRole.ROOT)
    # A set includes each volume that it cannot exclude. If one of them is in no policy, single snapshots are made instead.
    if not 1 < len(members) <= MOST_PENDING or len(excluded) > MOST_EXCLUDED:
        for volume_id in ids:
            yield Creation((volume_id,), policy)
        return
    yield Creation(ids, policy, instance_id, excluded, any(volume.role is VolumeRole.ROOT for volume in further))
