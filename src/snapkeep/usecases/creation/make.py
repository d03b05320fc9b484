"""Make the due snapshots, once each: the intention is written before the call, which has no client token."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Protocol

from snapkeep.domain.creation.batch import UNTIL_LISTED, Creation, DueVolume, choose
from snapkeep.domain.creation.due_times import may_be_due, next_due
from snapkeep.domain.errors import (
    UNREACHABLE_AFTER,
    AwsRefused,
    AwsThrottled,
    AwsUnavailable,
    DocumentChanged,
    DocumentNotFound,
    PendingQuotaReached,
    SnapkeepError,
    SnapshotQuotaReached,
    VolumeBusy,
)
from snapkeep.domain.json_codec import from_json, to_json
from snapkeep.domain.model import Snapshot, Volume
from snapkeep.domain.policy.model import Policy, PolicySet
from snapkeep.domain.policy.selection import select
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import APPLICATION, CONSISTENCY, CRASH, MADE
from snapkeep.domain.tags import format_time, parse_time
from snapkeep.usecases.creation.scripts import OwedScript, RunScripts, ScriptedGroup
from snapkeep.usecases.placed_holds import HoldStore
from snapkeep.usecases.ports import Commands, Notice, Notices, PacingClock, SnapshotReader
from snapkeep.usecases.recovery.record_ports import Documents

INTENTIONS = "creation/intentions.json"
"""The key of the document of intentions."""
BETWEEN_CALLS = 0.2
"""Seconds between calls: EC2 refills the bucket of CreateSnapshot with 5 requests a second (EC2 developer guide: API
throttling)."""
BETWEEN_ROUNDS = 60.0
"""Seconds until a tick looks again if more are due than may be pending: most snapshots with few changes end earlier."""
LAST_ROUND_WITHIN = timedelta(seconds=170)
"""With this limit, a round of calls ends within the function's time-out of 280 seconds."""
REFUSED_FOR = timedelta(minutes=50)
"""The time without another call for a volume whose call was refused, in addition to the time after a call without an answer.
For the same time, a region's id in the document prevents a second notice of its quota.
"""


class SnapshotMaker(Protocol):
    """Makes snapshots. Its role can neither delete snapshots nor tag others than those that it makes."""

    def create(self, creation: Creation, tags: Mapping[str, str]) -> list[str]:
        """Start snapshots with their tags in the call; return their ids.

        Raise PendingQuotaReached, SnapshotQuotaReached, VolumeBusy, AwsThrottled or AwsRefused if none was made, AwsUnavailable
        if this is not known.
        """


@dataclass(frozen=True, slots=True)
class MakeResult:
    """The result of one tick."""

    due: int = 0
    made: tuple[str, ...] = ()
    """Ids of snapshots."""
    stopped: str = ""
    """The reason why no more were made, in words; empty if there is none."""
    more_wait: bool = False
    """Whether more are due than may be pending at once."""


@dataclass(frozen=True, slots=True)
class Intentions:
    """The calls that ticks intend, or made recently."""

    moments: dict[str, datetime] = field(default_factory=dict)
    """Volume id, or the region's id -> the time of the intention."""
    owed: tuple[OwedScript, ...] = ()
    """The commands after snapshots whose end is not known yet."""


@dataclass(slots=True)
class _Round:
    """The calls of one tick."""

    intentions: Intentions
    stopped: str = ""
    made: list[str] = field(default_factory=list)
    called: bool = False
    no_answers: int = 0
    over: bool = False
    """Whether no more calls are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeSnapshots:
    """One tick. Only one of two concurrent ticks continues: the one that writes its intentions first."""

    reader: SnapshotReader
    reader_of: Callable[[str], SnapshotReader]
    maker: SnapshotMaker
    commands: Commands
    intentions: Documents
    policies: Callable[[], PolicySet]
    holds: Callable[[], HoldStore]
    """Returns the holds that people placed in this region."""
    notices: Notices
    clock: PacingClock
    quota: int
    """The region's quota of snapshots."""

    def run(self) -> MakeResult:
        """Make the due snapshots. Raise AwsThrottled or AwsUnavailable if they are not known; the next tick follows anyway."""
        policies, last_at = self.policies(), self.clock.now() + LAST_ROUND_WITHIN
        if not any(policy.snapshots for policy in policies.policies):
            return MakeResult()
        result = self._make_due(policies, first=True)
        while result.more_wait and not result.stopped and self.clock.now() + timedelta(seconds=BETWEEN_ROUNDS) <= last_at:
            self.clock.pause(BETWEEN_ROUNDS)
            further = self._make_due(policies, first=False)
            result = replace(further, due=result.due, made=(*result.made, *further.made))
        return result

    def _make_due(self, policies: PolicySet, *, first: bool) -> MakeResult:
        """Make the due snapshots that may be pending now. Only the first round of a tick has time for commands."""
        # The intentions are read before the listing: those of another tick in between change their version.
        known, version = self._load()
        intended, now = known.moments, self.clock.now()
        owed = self._run_scripts.settle(known.owed)
        volumes = list(self.reader.all_volumes())
        chosen = {volume.id: policy for volume in volumes if (policy := select(volume, policies).policy) and policy.snapshots}
        snapshots = list(self.reader.all_snapshots()) if chosen else []
        due = list(self._due([volume for volume in volumes if volume.id in chosen], chosen, snapshots, now))
        batch = choose(due, volumes, snapshots, intended, now, quota=self.quota)
        stopped = "the region's quota of snapshots is nearly reached" if batch.quota_near else ""
        recent = {subject: moment for subject, moment in intended.items() if now - moment < UNTIL_LISTED}
        warned = self.reader.region in recent
        if batch.quota_near:
            self._quota_reached(f"{stopped}: {len(snapshots)} of {self.quota}", recent, now)
        creations: Sequence[Creation] = batch.creations
        if creations and (held := self._held()):
            creations, stopped = (), held
        plain, groups = _grouped(creations, chosen, {volume.id: volume for volume in volumes}, owed, now)
        groups = groups if first else []
        if not (plain or groups) and warned is (self.reader.region in recent) and tuple(owed) == known.owed:
            return MakeResult(len(due), stopped=stopped, more_wait=batch.more_wait)
        intending = [*plain, *(creation for group in groups for creation in group.creations)]
        recent |= {volume_id: now for creation in intending for volume_id in creation.volume_ids}
        owed += [item for group in groups if (item := group.owed)]
        intentions = Intentions(recent, tuple(owed))
        try:
            version = self._save(intentions, version)
        except DocumentChanged:
            return MakeResult(len(due), stopped="another tick is at work")
        made = self._make(plain, groups, _Round(intentions, stopped=stopped), version, len(due))
        return replace(made, more_wait=batch.more_wait)

    def _held(self) -> str:
        """Return the hold that stops the making of snapshots; empty without one. Raise AwsUnavailable if this is not known."""
        return next((f"{hold.scope}: {hold.text}" for hold in self.holds().all() if hold.making), "")

    @property
    def _run_scripts(self) -> RunScripts:
        return RunScripts(commands=self.commands, notices=self.notices, clock=self.clock, region=self.reader.region)

    def _due(
        self, volumes: Sequence[Volume], chosen: Mapping[str, Policy], snapshots: Iterable[Snapshot], now: datetime
    ) -> Iterable[DueVolume]:
        by_volume: dict[str, list[Snapshot]] = defaultdict(list)
        for snapshot in snapshots:
            by_volume[snapshot.origin.volume_id].append(snapshot)
        near = [volume for volume in volumes if may_be_due(chosen[volume.id], by_volume[volume.id], now)]
        copies = self._copies(near, chosen)
        for volume in near:
            policy, own = chosen[volume.id], by_volume[volume.id]
            since = next_due(volume, policy, own, {region: listed.get(volume.id, ()) for region, listed in copies.items()}, now)
            if since is not None and since <= now:
                yield DueVolume(volume, policy, since)

    def _copies(self, volumes: Sequence[Volume], chosen: Mapping[str, Policy]) -> dict[str, dict[str, list[Snapshot]]]:
        """Return the copies of volumes by region. Durations are estimated for a region that does not respond."""
        by_region: dict[str, dict[str, list[Snapshot]]] = {}
        by_rpo = [volume for volume in volumes if chosen[volume.id].makes_in_time]
        for region in sorted({rule.region for volume in by_rpo for rule in chosen[volume.id].copies}):
            ids = [volume.id for volume in by_rpo if chosen[volume.id].copy_rule(region)]
            listed: dict[str, list[Snapshot]] = defaultdict(list)
            try:
                for copy in self.reader_of(region).copies_of_volumes(ids):
                    if copy.origin.region == self.reader.region:
                        listed[copy.origin.volume_id].append(copy)
            except SnapkeepError:
                listed.clear()
            by_region[region] = listed
        return by_region

    def _make(
        self, plain: Sequence[Creation], groups: Sequence[ScriptedGroup], round_: _Round, version: str, due: int
    ) -> MakeResult:
        before = dict(round_.intentions.moments)
        self._create_all(plain, round_, {})

        def create(group: ScriptedGroup, succeeded: bool) -> bool:
            tags = {CONSISTENCY: APPLICATION if succeeded else CRASH} if group.policy.before else {}
            self._create_all(group.creations, round_, tags)
            return not round_.over

        # No command runs for snapshots that are not made.
        unbegun = groups if round_.over else self._run_scripts.around(groups, create)
        self._not_made([creation for group in unbegun for creation in group.creations], round_)
        owed = [group.owed for group in unbegun]
        intentions = replace(round_.intentions, owed=tuple(item for item in round_.intentions.owed if item not in owed))
        if intentions.moments != before or unbegun:
            # A tick that has written since began after these intentions, and respects them until they are old.
            with suppress(DocumentChanged):
                self._save(intentions, version)
        return MakeResult(due, tuple(round_.made), round_.stopped)

    def _create_all(self, creations: Sequence[Creation], round_: _Round, tags: Mapping[str, str]) -> None:
        intended, remaining = round_.intentions.moments, list(creations)
        while remaining and not round_.over:
            if round_.called:
                self.clock.pause(BETWEEN_CALLS)
            round_.called = True
            try:
                ids, instead = self._create(remaining[0], intended, tags)
                round_.made += ids
                remaining[1:1] = instead
            except (PendingQuotaReached, AwsThrottled, SnapshotQuotaReached) as error:
                round_.stopped, round_.over = str(error), True
                if isinstance(error, SnapshotQuotaReached):
                    self._quota_reached(str(error), intended, self.clock.now())
                break
            except AwsUnavailable as error:
                # The snapshot may have been made: the intention stays, and a later tick looks for it.
                round_.no_answers += 1
                if round_.no_answers == UNREACHABLE_AFTER:
                    round_.stopped, round_.over = str(error), True
            remaining.pop(0)
        self._not_made(remaining, round_)

    @staticmethod
    def _not_made(creations: Iterable[Creation], round_: _Round) -> None:
        """Remove the intentions of snapshots that were certainly not made: the next tick need not wait for them."""
        for creation in creations:
            for volume_id in creation.volume_ids:
                del round_.intentions.moments[volume_id]

    def _create(
        self, creation: Creation, intended: dict[str, datetime], tags: Mapping[str, str]
    ) -> tuple[list[str], list[Creation]]:
        """Make one call.

        Return the ids, and the calls to make instead of a refused set. `intended` records the volumes without a snapshot.
        """
        try:
            return self.maker.create(creation, {MADE: format_time(intended[creation.volume_ids[0]]), **tags}), []
        except VolumeBusy:
            for volume_id in creation.volume_ids:
                del intended[volume_id]
            return [], []
        except AwsRefused as error:
            now = self.clock.now()
            if not creation.instance_id:
                intended |= dict.fromkeys(creation.volume_ids, now + REFUSED_FOR)
                self._notify(AwsRefused.__name__, creation.volume_ids[0], f"no snapshot of it can be made: {error}", now)
                return [], []
            # The cause may be one volume, or one that was detached in between: it must not affect the RPO of the others.
            text = f"no set of its volumes can be made, single snapshots are made instead: {error}"
            self._notify(AwsRefused.__name__, creation.instance_id, text, now)
            return [], [Creation((volume_id,), creation.policy) for volume_id in creation.volume_ids]

    def _load(self) -> tuple[Intentions, str]:
        try:
            document = self.intentions.get(INTENTIONS)
        except DocumentNotFound:
            return Intentions(), ""
        data = json.loads(document.text)
        moments = {subject: parse_time(moment) for subject, moment in data["moments"].items()}
        return Intentions(moments, tuple(from_json(OwedScript, item) for item in data["owed"])), document.version

    def _save(self, intentions: Intentions, version: str) -> str:
        moments = {subject: format_time(moment) for subject, moment in sorted(intentions.moments.items())}
        return self.intentions.put(INTENTIONS, json.dumps({"moments": moments, "owed": to_json(intentions.owed)}), version)

    def _quota_reached(self, cause: str, intended: dict[str, datetime], now: datetime) -> None:
        """Notify of the region's quota once an hour: there is a tick every five minutes."""
        if self.reader.region not in intended:
            intended[self.reader.region] = now + REFUSED_FOR
            self._notify(SnapshotQuotaReached.__name__, self.reader.region, cause, now)

    def _notify(self, kind: str, subject: str, cause: str, now: datetime) -> None:
        self.notices.add(Notice(kind, cause, subject, "", self.reader.region, now))


def _grouped(
    creations: Iterable[Creation],
    chosen: Mapping[str, Policy],
    volumes: Mapping[str, Volume],
    owed: Iterable[OwedScript],
    now: datetime,
) -> tuple[list[Creation], list[ScriptedGroup]]:
    """Return the snapshots that are made at once, and those between commands, by instance.

    An instance with an owed command gets no other one until it has ended. A volume of no instance, or of several, has no
    commands.
    """
    plain: list[Creation] = []
    groups: dict[tuple[str, str], ScriptedGroup] = {}
    taken = {item.instance_id for item in owed}
    for creation in creations:
        policy, instances = chosen[creation.volume_ids[0]], volumes[creation.volume_ids[0]].instance_ids
        instance_id = creation.instance_id or (instances[0] if len(instances) == 1 else "")
        key = instance_id, policy.name
        if not (policy.before or policy.after) or not instance_id:
            plain.append(creation)
        elif key in groups:
            groups[key].creations.append(creation)
        elif instance_id not in taken:
            taken.add(instance_id)
            groups[key] = ScriptedGroup(instance_id, policy, [creation], now)
    return plain, list(groups.values())
