"""World files: volumes, instances, history, images, keys, quotas, speeds and faults as plain data.

The format is described in docs/ebs-model.md. Reading YAML or JSON is the caller's; every error is collected with its
path before anything is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import copies, keys, snapshots, volumes
from snapkeep.lab.ebs_model.conditions.clock import VIRTUAL_START, Clock, VirtualClock, seconds_of
from snapkeep.lab.ebs_model.conditions.event_options import EventOptions
from snapkeep.lab.ebs_model.conditions.faults import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.latency import Latency
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY, Quotas, Speeds
from snapkeep.lab.ebs_model.files.saved_world import quotas_from
from snapkeep.lab.ebs_model.requests.call import Call
from snapkeep.lab.ebs_model.store.blocks import BLOCKS_PER_GIB
from snapkeep.lab.ebs_model.store.records import COMPLETED, BinRule, Image, Instance, Snapshot, Volume
from snapkeep.lab.ebs_model.store.tags import flat
from snapkeep.lab.ebs_model.store.world_state import WorldState

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount

Data = Mapping[str, Any]
TOP = (
    "version account seed start regions quotas speeds latency events faults clock_skew keys encryption_by_default instances "
    "volumes history images recycle_bin block_public_access"
)  # fmt: skip
SECTIONS = {
    "keys": "region account alias description state denied",
    "instances": "name region account zone tags root_device",
    "volumes": "name count region account zone size_gib type tags key used_gib change_gib_per_day instance device deleted",
    "history": "volume every_hours count newest_hours_ago tags description copies",
    "images": "name region account volume disabled",
    "recycle_bin": "region account retention_days tags exclude_tags",
}
COPY_FIELDS = "region tags key description"
REQUIRED = {
    "keys": "region",
    "instances": "name region",
    "volumes": "name region size_gib",
    "history": "volume count",
    "images": "name region volume",
    "recycle_bin": "region retention_days",
}


class WorldFileError(ValueError):
    """Everything that is wrong with a world file."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def build(document: Data, clock: Clock | None) -> WorldState:
    """Given a world file's content, return the world. Raise WorldFileError."""
    errors = check(document)
    if errors:
        raise WorldFileError(errors)
    quotas = dict(document.get("quotas") or {})
    per_region = quotas.pop("regions", {})
    faults = dict(document.get("faults") or {})
    script = tuple(FaultRule(**rule) for rule in faults.pop("script", ()))
    more: dict[str, Any] = {"account": str(document["account"])} if "account" in document else {}
    if "regions" in document:
        more["regions"] = tuple(document["regions"])
    world = WorldState(
        clock=clock or VirtualClock(_moment(document.get("start", VIRTUAL_START))),
        seed=int(document.get("seed", 0)),
        quotas=quotas_from(quotas),
        region_quotas={region: quotas_from({**quotas, **given}) for region, given in per_region.items()},
        speeds=Speeds(**(document.get("speeds") or {})),
        latency=Latency(**(document.get("latency") or {})),
        faults=Faults(script=script, **faults),
        events=EventOptions(**(document.get("events") or {})),
        **more,
    )
    _Builder(world).build(document)
    return world


def _moment(value: Any) -> float:
    return seconds_of(datetime.fromisoformat(value) if isinstance(value, str) else value)


# Checking


def check(document: Data) -> list[str]:
    """Given a world file's content, return what is wrong with it, each with its path."""
    errors: list[str] = []
    _names(document, TOP, "", errors)
    if document.get("version") != 1:
        errors.append(f"version: is {document.get('version')!r}, must be 1")
    for section, known in SECTIONS.items():
        for index, entry in enumerate(document.get(section) or ()):
            path = f"{section}[{index}]"
            _names(entry, known, path, errors)
            errors.extend(f"{path}.{name}: is missing" for name in REQUIRED[section].split() if name not in entry)
            for number, copy in enumerate(entry.get("copies") or ()):
                _names(copy, COPY_FIELDS, f"{path}.copies[{number}]", errors)
    _check_settings(document, errors)
    _check_references(document, errors)
    return errors


def _names(entry: Data, known: str, path: str, errors: list[str]) -> None:
    for name in entry:
        if name not in known.split():
            where = f"{path}.{name}" if path else str(name)
            errors.append(f"{where}: is not known here; known are {', '.join(known.split())}")


def _check_settings(document: Data, errors: list[str]) -> None:
    kinds: dict[str, Callable[..., Any]] = {"speeds": Speeds, "latency": Latency, "events": EventOptions}
    for name, kind in kinds.items():
        _try(kind, document.get(name) or {}, name, errors)
    quotas = dict(document.get("quotas") or {})
    for region, given in quotas.pop("regions", {}).items():
        _try(Quotas, given, f"quotas.regions.{region}", errors)
    _try(Quotas, quotas, "quotas", errors)
    faults = dict(document.get("faults") or {})
    for index, rule in enumerate(faults.pop("script", ())):
        _try(FaultRule, rule, f"faults.script[{index}]", errors)
    _try(Faults, faults, "faults", errors)


def _try(kind: Callable[..., Any], given: Data, path: str, errors: list[str]) -> None:
    known = " ".join(field.name for field in fields(kind))  # type: ignore[arg-type]
    before = len(errors)
    _names(given, known, path, errors)
    if len(errors) == before:
        try:
            kind(**given)
        except (TypeError, ValueError) as error:
            errors.append(f"{path}: {error}")


def _check_references(document: Data, errors: list[str]) -> None:
    volumes_known = {entry.get("name") for entry in document.get("volumes") or ()}
    instances_known = {entry.get("name") for entry in document.get("instances") or ()}
    for index, entry in enumerate(document.get("volumes") or ()):
        if entry.get("instance") is not None and entry["instance"] not in instances_known:
            errors.append(f"volumes[{index}].instance: there is no instance named {entry['instance']!r}")
    for section in ("history", "images"):
        for index, entry in enumerate(document.get(section) or ()):
            if entry.get("volume") not in volumes_known:
                errors.append(f"{section}[{index}].volume: there is no volume named {entry.get('volume')!r}")


# Building


@dataclass(slots=True)
class _Moment:
    """One snapshot of the history, to be made in order of time over all volumes."""

    when: float
    volume: Volume
    entry: Data


class _Builder:
    def __init__(self, world: WorldState) -> None:
        self.world = world
        self.instances: dict[str, Instance] = {}
        self.volumes: dict[str, list[Volume]] = {}

    def build(self, document: Data) -> None:
        """Build every section, in the order in which they need each other."""
        for section, make in (("keys", self._key), ("instances", self._instance), ("volumes", self._volume)):
            for entry in document.get(section) or ():
                make(entry)
        for region, key in (document.get("encryption_by_default") or {}).items():
            account = self.world.region_account(region)
            account.encrypt_by_default = True
            account.default_key = self._key_arn(account, key) if isinstance(key, str) else ""
        self._history(document.get("history") or ())
        for entry in document.get("images") or ():
            self._image(entry)
        for entry in document.get("recycle_bin") or ():
            tags, excluded = (list((entry.get(name) or {}).items()) for name in ("tags", "exclude_tags"))
            self._account(entry).bin_rules.append(BinRule(int(entry["retention_days"]), tags, excluded))
        for region, state in (document.get("block_public_access") or {}).items():
            self.world.region_account(region).block_public_access = str(state)
        for region, seconds in (document.get("clock_skew") or {}).items():
            self.world.set_clock_skew(region, float(seconds))
        self._delete_volumes(document.get("volumes") or ())

    def _account(self, entry: Data) -> RegionAccount:
        return self.world.region_account(str(entry["region"]), str(entry.get("account") or self.world.account_id))

    def _key(self, entry: Data) -> None:
        account = self._account(entry)
        key = keys.make(self.world, account, str(entry.get("description") or ""), "CUSTOMER")
        key.state = str(entry.get("state") or "Enabled")
        key.denied = [str(pattern) for pattern in entry.get("denied") or ()]
        if key.state == "PendingDeletion":
            key.deletion_at = self.world.now() + 30 * SECONDS_PER_DAY
        if entry.get("alias"):
            account.aliases[str(entry["alias"])] = key.id

    def _key_arn(self, account: RegionAccount, reference: Any) -> str:
        if not reference:
            return ""
        name = keys.EBS_ALIAS if reference is True else str(reference)
        key = keys.resolve(self.world, account, name)
        if key is None:
            raise WorldFileError([f"key {name!r} is not in {account.region}"])
        return key.arn

    def _instance(self, entry: Data) -> None:
        account = self._account(entry)
        instance = Instance(
            seq=self.world.next_seq(),
            id=self.world.ids.resource("i"),
            owner_id=account.account_id,
            zone=str(entry.get("zone") or account.region + "a"),
            launched=self.world.now(),
            root_device=str(entry.get("root_device") or "/dev/xvda"),
            tags=flat({"Name": str(entry["name"]), **(entry.get("tags") or {})}),
        )
        account.instances[instance.id] = self.instances[str(entry["name"])] = instance

    def _volume(self, entry: Data) -> None:
        name, count = str(entry["name"]), int(entry.get("count") or 1)
        self.volumes[name] = [
            self._one_volume(entry, name if count == 1 else f"{name}-{number}") for number in range(1, count + 1)
        ]

    def _one_volume(self, entry: Data, name: str) -> Volume:
        account, now = self._account(entry), self.world.now()
        key_arn = self._key_arn(account, entry.get("key"))
        volume = Volume(
            seq=self.world.next_seq(),
            id=self.world.ids.resource("vol"),
            owner_id=account.account_id,
            zone=str(entry.get("zone") or account.region + "a"),
            size_gib=int(entry["size_gib"]),
            type=str(entry.get("type") or "gp3"),
            created=now,
            log=self.world.new_log(""),
            state="available",
            encrypted=bool(key_arn),
            key_arn=key_arn,
            tags=flat({"Name": name, **{key: str(value) for key, value in (entry.get("tags") or {}).items()}}),
            change_blocks_per_day=float(entry.get("change_gib_per_day") or 0) * BLOCKS_PER_GIB,
            changed_at=now,
        )
        volume.log.origin = volume.id
        used = int(float(entry.get("used_gib", entry["size_gib"])) * BLOCKS_PER_GIB)
        if used:
            volume.log.write(0, min(used, volume.size_gib * BLOCKS_PER_GIB))
        account.volumes[volume.id] = volume
        if entry.get("instance") is not None:
            instance = self.instances[str(entry["instance"])]
            device = str(entry.get("device") or (f"/dev/sd{chr(ord('f') + len(instance.volume_ids))}"))
            volume.zone = instance.zone
            volumes.attach(volume, instance, device, now)
        return volume

    def _history(self, entries: Any) -> None:
        now = self.world.now()
        moments: list[_Moment] = []
        for entry in entries:
            step = float(entry.get("every_hours") or 24) * 3600
            newest = now - float(entry.get("newest_hours_ago", entry.get("every_hours") or 24)) * 3600
            for volume in self.volumes[str(entry["volume"])]:
                times = [newest - step * number for number in range(int(entry["count"]))]
                moments.extend(_Moment(when, volume, entry) for when in times)
                volume.changed_at = min([volume.changed_at, *times])
                volume.created = min([volume.created, *times])
        for moment in sorted(moments, key=lambda moment: moment.when):
            self._past_snapshot(moment)

    def _past_snapshot(self, moment: _Moment) -> None:
        entry, volume = moment.entry, moment.volume
        account = self.world.region_account(volume.zone[:-1], volume.owner_id)
        call = Call(self.world, account, {}, "", moment.when)
        tags = {key: str(value) for key, value in (entry.get("tags") or {}).items()}
        snapshot = snapshots.pin(call, volume, str(entry.get("description") or ""), tags, "")
        self._complete(account, snapshot, moment.when + self.world.speeds.snapshot_base_seconds)
        for copy in entry.get("copies") or ():
            self._past_copy(account, snapshot, copy)

    def _past_copy(self, source_place: RegionAccount, source: Snapshot, entry: Data) -> None:
        account = self.world.region_account(str(entry["region"]), source.owner_id)
        call = Call(self.world, account, {}, "", source.completed_at)
        key_arn = self._key_arn(account, entry.get("key") or (True if source.encrypted else ""))
        origin = {"volume": source.volume_id, "region": source_place.region, "snapshot": source.id}
        tags = {key: str(value).format(**origin) for key, value in (entry.get("tags") or {}).items()}
        copy = copies.pin(call, source_place, source, key_arn, str(entry.get("description") or "").format(**origin), tags)
        self._complete(account, copy, source.completed_at + self.world.speeds.copy_base_seconds)
        account.last_copy[copy.log] = copy

    @staticmethod
    def _complete(account: RegionAccount, snapshot: Snapshot, when: float) -> None:
        snapshot.state, snapshot.due, snapshot.completed_at = COMPLETED, when, when
        account.add(snapshot)

    def _image(self, entry: Data) -> None:
        account = self._account(entry)
        for volume in self.volumes[str(entry["volume"])]:
            held = [snapshot for snapshot in account.by_volume.get(volume.id) if snapshot.state == COMPLETED]
            if not held:
                raise WorldFileError([f"image {entry['name']!r}: volume {entry['volume']!r} has no snapshot in its history"])
            newest = max(held, key=lambda snapshot: snapshot.start)
            image = Image(
                seq=self.world.next_seq(),
                id=self.world.ids.resource("ami"),
                owner_id=account.account_id,
                name=str(entry["name"]),
                created=self.world.now(),
                root_device="/dev/xvda",
                mappings=[("/dev/xvda", newest.id, newest.size_gib)],
                state="disabled" if entry.get("disabled") else "available",
            )
            account.images[image.id] = image
            account.image_uses.setdefault(newest.id, []).append(image.id)

    def _delete_volumes(self, entries: Any) -> None:
        for entry in entries:
            for volume in self.volumes[str(entry["name"])] if entry.get("deleted") else ():
                account = self._account(entry)
                if volume.instance_id:
                    volumes.detach(account, volume)
                volumes.remove(self.world, account, volume)
