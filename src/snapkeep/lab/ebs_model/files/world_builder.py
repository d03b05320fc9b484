"""The builder of a world from a world file: keys, instances, volumes, their history and its copies, images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import attachments, copies, keys, snapshots, volumes
from snapkeep.lab.ebs_model.api.images import billing_of, find_image
from snapkeep.lab.ebs_model.api.instances import new_instance
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.files.world_file_checks import WorldFileError
from snapkeep.lab.ebs_model.requests.call import Call
from snapkeep.lab.ebs_model.store.blocks import BLOCKS_PER_GIB
from snapkeep.lab.ebs_model.store.content import ContentFaults, plant
from snapkeep.lab.ebs_model.store.public_images import PUBLIC_IMAGES, PUBLIC_LINUX
from snapkeep.lab.ebs_model.store.records import COMPLETED, BinRule, ImageRecord, InstanceRecord, SnapshotRecord, VolumeRecord
from snapkeep.lab.ebs_model.store.tags import flat
from snapkeep.lab.ebs_model.store.world_state import WorldState

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount

Data = Mapping[str, Any]


@dataclass(slots=True)
class _PlannedSnapshot:
    """One snapshot of the history, which is made in order of time over all volumes."""

    when: float
    volume: VolumeRecord
    entry: Data


class WorldBuilder:
    """Builds a world file's sections into a world."""

    def __init__(self, world: WorldState) -> None:
        self.world = world
        self.instances: dict[str, InstanceRecord] = {}
        self.volumes: dict[str, list[VolumeRecord]] = {}
        self.faulty_copies: dict[tuple[str, int], tuple[SnapshotRecord, Data]] = {}

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
        for region, codes in (document.get("subscriptions") or {}).items():
            self.world.region_account(region).subscriptions.extend(map(str, codes))
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
        params: dict[str, Any] = {
            "ImageId": str(entry.get("image") or PUBLIC_LINUX),
            "InstanceType": str(entry.get("type") or "t3.micro"),
            "Placement": {"AvailabilityZone": str(entry.get("zone") or account.region + "a")},
        }
        call = Call(self.world, account, params, "", self.world.now())
        image = find_image(call, params["ImageId"])
        instance = new_instance(call, image, self.world.ids.resource("r"))
        instance.state, instance.started = "running", call.now
        instance.root_device = str(entry.get("root_device") or image.root_device)
        instance.tags = flat({"Name": str(entry["name"]), **(entry.get("tags") or {})})
        instance.details.update(entry.get("details") or {})
        instance.attributes.update(entry.get("attributes") or {})
        self.instances[str(entry["name"])] = instance

    def _volume(self, entry: Data) -> None:
        name, count = str(entry["name"]), int(entry.get("count") or 1)
        self.volumes[name] = [
            self._one_volume(entry, name if count == 1 else f"{name}-{number}") for number in range(1, count + 1)
        ]

    def _one_volume(self, entry: Data, name: str) -> VolumeRecord:
        account, now = self._account(entry), self.world.now()
        key_arn = self._key_arn(account, entry.get("key"))
        volume = VolumeRecord(
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
            attachments.attach(volume, instance, device, now)
            if device == instance.root_device:
                instance.root_volume_ids.append(volume.id)
                volume.billing = _billing(instance)
        return volume

    def _history(self, entries: Any) -> None:
        now = self.world.now()
        moments: list[_PlannedSnapshot] = []
        for entry in entries:
            step = float(entry.get("every_hours") or 24) * 3600
            newest = now - float(entry.get("newest_hours_ago", entry.get("every_hours") or 24)) * 3600
            for volume in self.volumes[str(entry["volume"])]:
                times = [newest - step * number for number in range(int(entry["count"]))]
                moments.extend(_PlannedSnapshot(when, volume, entry) for when in times)
                volume.changed_at = min([volume.changed_at, *times])
                volume.created = min([volume.created, *times])
        for moment in sorted(moments, key=lambda moment: moment.when):
            self._past_snapshot(moment)
        for copy, content in self.faulty_copies.values():
            try:
                plant(copy, ContentFaults(**content))
            except ValueError as error:
                raise WorldFileError([f"content of {copy.id}: {error}"]) from error

    def _past_snapshot(self, moment: _PlannedSnapshot) -> None:
        entry, volume = moment.entry, moment.volume
        account = self.world.region_account(volume.zone[:-1], volume.owner_id)
        call = Call(self.world, account, {}, "", moment.when)
        place = {"volume": volume.id, "instance": volume.instance_id, "device": volume.device}
        tags = {key: str(value).format(**place) for key, value in (entry.get("tags") or {}).items()}
        snapshot = snapshots.pin(call, volume, str(entry.get("description") or ""), tags, "")
        self._complete(account, snapshot, moment.when + self.world.speeds.snapshot_base_seconds)
        for copy in entry.get("copies") or ():
            self._past_copy(account, snapshot, copy, place)

    def _past_copy(self, source_place: RegionAccount, source: SnapshotRecord, entry: Data, place: Mapping[str, str]) -> None:
        account = self.world.region_account(str(entry["region"]), source.owner_id)
        call = Call(self.world, account, {}, "", source.completed_at)
        key_arn = self._key_arn(account, entry.get("key") or (True if source.encrypted else ""))
        started = datetime.fromtimestamp(source.start, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        origin = {**place, "region": source_place.region, "snapshot": source.id, "start": started}
        tags = {key: str(value).format(**origin) for key, value in (entry.get("tags") or {}).items()}
        copy = copies.pin(call, source_place, source, key_arn, str(entry.get("description") or "").format(**origin), tags)
        if entry.get("content"):
            # The history is built in order of time, so that the newest copy of a volume is the last one.
            self.faulty_copies[source.volume_id, id(entry)] = copy, entry["content"]
        self._complete(account, copy, source.completed_at + self.world.speeds.copy_base_seconds)
        account.last_copy[copy.log] = copy

    @staticmethod
    def _complete(account: RegionAccount, snapshot: SnapshotRecord, when: float) -> None:
        snapshot.state, snapshot.due, snapshot.completed_at = COMPLETED, when, when
        account.add(snapshot)

    def _image(self, entry: Data) -> None:
        account = self._account(entry)
        for volume in self.volumes[str(entry["volume"])]:
            completed = [snapshot for snapshot in account.by_volume.get(volume.id) if snapshot.state == COMPLETED]
            if not completed:
                raise WorldFileError([f"image {entry['name']!r}: volume {entry['volume']!r} has no snapshot in its history"])
            newest = max(completed, key=lambda snapshot: snapshot.start)
            image = ImageRecord(
                seq=self.world.next_seq(),
                id=self.world.ids.resource("ami"),
                owner_id=account.account_id,
                name=str(entry["name"]),
                created=self.world.now(),
                root_device="/dev/xvda",
                mappings=[{"DeviceName": "/dev/xvda", "Ebs": _settings_of(newest)}],
                state="disabled" if entry.get("disabled") else "available",
                details={**PUBLIC_IMAGES[PUBLIC_LINUX].details, **(entry.get("details") or {})},
            )
            account.images[image.id] = image
            account.image_uses.setdefault(newest.id, []).append(image.id)

    def _delete_volumes(self, entries: Any) -> None:
        for entry in entries:
            for volume in self.volumes[str(entry["name"])] if entry.get("deleted") else ():
                account = self._account(entry)
                if volume.instance_id:
                    attachments.detach(account, volume)
                volumes.remove(self.world, account, volume)


def _billing(instance: InstanceRecord) -> tuple[str, ...]:
    """Return the billing details that an instance gives to its root volume, like an AMI."""
    details = {"PlatformDetails": "", "UsageOperation": "", **instance.details}
    return billing_of(ImageRecord(0, "", "", "", 0.0, "", [], details=details))


def _settings_of(snapshot: SnapshotRecord) -> dict[str, Any]:
    return {"DeleteOnTermination": True, "SnapshotId": snapshot.id, "VolumeSize": snapshot.size_gib, "VolumeType": "gp3"}
