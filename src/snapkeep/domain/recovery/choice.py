"""The choice of recovery points: for each volume the newest one up to a moment, and whole sets before single points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from snapkeep.domain.durations import span_text
from snapkeep.domain.model import Snapshot, Unusable
from snapkeep.domain.records import dataclass
from snapkeep.domain.suggestion import nearest
from snapkeep.domain.tag_names import DEVICE, DRILL, INSTANCE, POLICY, SET

TOGETHER = timedelta(0)
LONG_AGO = timedelta(days=2)
"""The time by which a volume's newest point may be older than those of its instance, without a remark that it may have been
detached."""


@dataclass(frozen=True, slots=True)
class Lineages:
    """The snapshots and copies of one region by source volume, the newest origin first."""

    region: str
    by_volume: Mapping[str, Sequence[Snapshot]]

    def newest(self, volume_id: str, at: datetime) -> Snapshot | None:
        """Return the newest recovery point of a volume with data up to `at`; None if there is none."""
        points = self.by_volume.get(volume_id, ())
        return next((point for point in points if point.origin.start_time <= at and is_point(point)), None)

    def oldest(self, volume_id: str) -> Snapshot | None:
        """Return the oldest recovery point of a volume; None if it has none."""
        return next((point for point in reversed(self.by_volume.get(volume_id, ())) if is_point(point)), None)

    def last_seen(self, volume_id: str, at: datetime) -> Snapshot | None:
        """Return the snapshot that shows the volume's last attachment: its newest point, or without one its newest snapshot."""
        snapshots = self.by_volume.get(volume_id, ())
        return self.newest(volume_id, at) or next((snapshot for snapshot in snapshots if snapshot.origin.start_time <= at), None)

    def why_none(self, volume_id: str, at: datetime) -> str:
        """Return why a volume has no recovery point, in words."""
        snapshots = [snapshot for snapshot in self.by_volume.get(volume_id, ()) if snapshot.origin.start_time <= at]
        if not snapshots:
            older = " is that old" if self.by_volume.get(volume_id) else ""
            return f"no snapshot of it in {self.region}{older}"
        return f"the newest, {snapshots[0].id}, cannot be restored: {why_unusable(snapshots[0])}"

    def why_unnamed(self, name: str, at: datetime) -> str:
        """Return why an instance or a name has no recovery point up to a moment, in words."""
        snapshots = [snapshot for of_volume in self.by_volume.values() for snapshot in of_volume]
        named = [snapshot for snapshot in snapshots if name in (snapshot.tags.get("Name"), snapshot.tags.get(INSTANCE))]
        oldest = min((snapshot.origin.start_time for snapshot in named), default=at)
        if oldest > at:
            return f"no snapshot in {self.region} is that old; the oldest is of {oldest:%Y-%m-%d %H:%M:%S} UTC"
        near = nearest(name, {snapshot.tags["Name"] for snapshot in snapshots if "Name" in snapshot.tags})
        return f"no recovery point in {self.region} names it" + (f"; did you mean {near}?" if near else "")


def is_point(snapshot: Snapshot) -> bool:
    """Whether a snapshot or copy can be restored now.

    It may also be a snapshot that Snapkeep does not manage. A snapshot whose key's state is not known (`kms:DescribeKey` is
    denied) counts as a point.
    """
    return snapshot.completed and (snapshot.unusable is None or _key_not_known(snapshot))


def _key_not_known(snapshot: Snapshot) -> bool:
    return snapshot.unusable is Unusable.KEY_NOT_KNOWN and not snapshot.archived


def why_unusable(snapshot: Snapshot) -> str:
    """Return why a snapshot is not a recovery point, in words."""
    if not snapshot.completed:
        return f"it is {snapshot.state}"
    return snapshot.key_fault.text if snapshot.key_fault else snapshot.unusable.label if snapshot.unusable else ""


def lineages_of(region: str, snapshots: Iterable[Snapshot]) -> Lineages:
    """Return a region's listing by source volume, without the snapshots of drills."""
    by_volume: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        if DRILL in snapshot.tags:
            continue
        by_volume[snapshot.origin.volume_id].append(snapshot)
    for snapshots_of_volume in by_volume.values():
        snapshots_of_volume.sort(
            key=lambda snapshot: (snapshot.origin.start_time, snapshot.start_time, snapshot.id), reverse=True
        )
    return Lineages(region, by_volume)


@dataclass(frozen=True, slots=True)
class PointChoice:
    """The points to restore for some volumes, and the volumes without one."""

    region: str
    at: datetime
    points: tuple[Snapshot, ...]
    """One point for each volume with any, in the order of devices and ids."""
    missing: Mapping[str, str]
    """Volume without a point -> the reason, in words."""
    set_id: str = ""
    """The set of all points; empty for single points."""
    passed_over: tuple[Snapshot, ...] = ()
    """The newest point of each volume, if an older set was chosen."""

    @property
    def whole(self) -> bool:
        """Whether every volume has a point."""
        return not self.missing

    @property
    def spread(self) -> timedelta:
        """The time between the oldest and the newest point; none for a set, which is one moment."""
        return TOGETHER if self.set_id else _spread(self.points)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about doubtful points, and about newer points that were passed over, in words."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        newest = max((point.origin.start_time for point in self.points), default=self.at)
        for point in self.points:
            name, start = point.origin.volume_id, point.origin.start_time
            if point.key_fault is not None:
                yield f"{name}: whether {point.id} can be restored is not known: {point.key_fault.text}"
            if INSTANCE in point.tags and newest - start > LONG_AGO:
                seen = f"last seen on {point.tags[INSTANCE]} at {start:%Y-%m-%d %H:%M} UTC"
                yield f"{name}: {seen}, {span_text(newest - start)} before the others: it may have been detached since"
        if self.passed_over:
            later = max(point.origin.start_time for point in self.passed_over) - newest
            apart = _spread(self.passed_over)
            consistent = f"; they are {span_text(apart)} apart, not crash-consistent as one" if apart else ""
            newer = f"single points are up to {span_text(later)} newer (--newest takes them){consistent}"
            yield f"set {self.set_id} is chosen; {newer}"


def _spread(points: Collection[Snapshot]) -> timedelta:
    starts = [point.origin.start_time for point in points]
    return max(starts) - min(starts) if starts else TOGETHER


def choose_points(lineages: Lineages, volume_ids: Collection[str], at: datetime, *, sets_first: bool = True) -> PointChoice:
    """Return the points to restore volumes that belong together: the newest whole set, or else the newest of each volume.

    A set has a point of each volume, made at one moment. It is preferred to single points closer to `at`, unless the newest
    point of each volume is requested.
    """
    single = {volume_id: lineages.newest(volume_id, at) for volume_id in volume_ids}
    newest = tuple(point for point in single.values() if point is not None)
    missing = {volume_id: lineages.why_none(volume_id, at) for volume_id, point in single.items() if point is None}
    if missing or len(single) == 1:
        return PointChoice(lineages.region, at, _in_order(newest), missing)
    whole_set = _set_of(newest) or (_newest_whole_set(lineages, volume_ids, at) if sets_first else ())
    passed_over = newest if whole_set and {point.id for point in whole_set} != {point.id for point in newest} else ()
    set_id = whole_set[0].tags[SET] if whole_set else ""
    return PointChoice(lineages.region, at, _in_order(whole_set or newest), {}, set_id, passed_over)


def _in_order(points: Iterable[Snapshot]) -> tuple[Snapshot, ...]:
    return tuple(sorted(points, key=lambda point: (point.tags.get(DEVICE, ""), point.origin.volume_id)))


def _set_of(points: Sequence[Snapshot]) -> Sequence[Snapshot]:
    """Return the points if they are one set; otherwise nothing."""
    sets = {(point.origin.region, point.tags.get(SET)) for point in points}
    return points if len(sets) == 1 and SET in points[0].tags else ()


def _newest_whole_set(lineages: Lineages, volume_ids: Collection[str], at: datetime) -> Sequence[Snapshot]:
    sets: dict[tuple[str, str], dict[str, Snapshot]] = defaultdict(dict)
    for volume_id in set(volume_ids):
        for point in lineages.by_volume.get(volume_id, ()):
            if SET in point.tags and point.origin.start_time <= at and is_point(point):
                sets[point.origin.region, point.tags[SET]].setdefault(volume_id, point)
    whole = [tuple(members.values()) for members in sets.values() if len(members) == len(set(volume_ids))]
    return max(whole, key=lambda members: max(point.origin.start_time for point in members), default=())


def volumes_of_instance(lineages: Lineages, instance_id: str, at: datetime) -> list[str]:
    """Return the volumes whose newest point's tags name an instance, including volumes without a point.

    A volume that was attached elsewhere, or detached, since then is not among them. A volume that was detached before the
    newest set of the instance is not among them either, because sets have all volumes.
    """
    seen = [snapshot for volume_id in lineages.by_volume if (snapshot := lineages.last_seen(volume_id, at))]
    return _still_attached([snapshot for snapshot in seen if snapshot.tags.get(INSTANCE) == instance_id])


def _still_attached(of_instance: Sequence[Snapshot]) -> list[str]:
    """Return the volumes that are still attached to an instance, given the last snapshot of each volume that names it."""
    sets = [point for point in of_instance if SET in point.tags]
    if sets:
        last = max(sets, key=lambda point: point.origin.start_time)
        of_instance = [
            point
            for point in of_instance
            if point.tags.get(SET) == last.tags[SET] or point.origin.start_time > last.origin.start_time
        ]
    return sorted(point.origin.volume_id for point in of_instance)


@dataclass(frozen=True, slots=True)
class Target:
    """The volumes to recover: by ids and names, by policy, or by tags; empty for every volume."""

    names: tuple[str, ...] = ()
    """Volume ids, instance ids, or values of the tag `Name`."""
    policy: str = ""
    tags: Mapping[str, str] | None = None

    def __str__(self) -> str:
        asked = [f"policy {self.policy}"] if self.policy else []
        return ", ".join([*self.names, *asked, *(f"tag {key}={value}" for key, value in (self.tags or {}).items())])

    def groups(self, lineages: Lineages, at: datetime) -> dict[str, list[str]]:
        """Return the volumes by their instance; a volume without one is under its own id.

        A volume that is named itself is a group of its own, even if others of its instance are named too: no set was requested.
        """
        groups: dict[str, list[str]] = {}
        for name in self.names:
            groups |= self._named(lineages, name, at)
        if not self.names:
            groups = _by_instance(lineages, self._matches, at)
        return groups

    def later_than(self, lineages: Lineages, at: datetime) -> list[str]:
        """Return the volumes that are not in the groups because all their snapshots are later: perhaps they did not exist yet."""
        if self.names:
            return []
        return sorted(
            volume_id
            for volume_id, snapshots in lineages.by_volume.items()
            if snapshots[-1].origin.start_time > at and volume_id.startswith("vol-") and self._matches(snapshots[0])
        )

    def _named(self, lineages: Lineages, name: str, at: datetime) -> dict[str, list[str]]:
        if name.startswith("vol-"):
            return {name: [name]}
        if name.startswith("i-"):
            return {name: volumes_of_instance(lineages, name, at)}
        return _by_instance(lineages, lambda point: point.tags.get("Name") == name, at) or {name: []}

    def takes(self, policy: str, tags: Mapping[str, str]) -> bool:
        """Whether a target without names includes a volume with this policy and these tags."""
        return self.policy in ("", policy) and all(tags.get(key) == value for key, value in (self.tags or {}).items())

    def _matches(self, point: Snapshot) -> bool:
        return self.takes(point.tags.get(POLICY, ""), point.tags)


def _by_instance(lineages: Lineages, matches: Callable[[Snapshot], bool], at: datetime) -> dict[str, list[str]]:
    by_instance: dict[str, list[Snapshot]] = defaultdict(list)
    groups: dict[str, list[str]] = defaultdict(list)
    for volume_id in lineages.by_volume:
        seen = lineages.last_seen(volume_id, at) if volume_id.startswith("vol-") else None
        if seen and INSTANCE in seen.tags:
            by_instance[seen.tags[INSTANCE]].append(seen)
        elif seen and matches(seen):
            groups[volume_id].append(volume_id)
    # All volumes of an instance are read, including those that do not match: together they show the last set.
    for instance_id, last_seen in by_instance.items():
        attached = set(_still_attached(last_seen))
        for seen in filter(matches, last_seen):
            volume_id = seen.origin.volume_id
            groups[instance_id if volume_id in attached else volume_id].append(volume_id)
    return {owner: sorted(volume_ids) for owner, volume_ids in sorted(groups.items())}
