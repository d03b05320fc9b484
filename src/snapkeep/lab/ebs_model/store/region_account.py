"""An account in a region: its resources, and the indexes that keep large worlds fast."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter
from sys import intern
from typing import Any

from snapkeep.lab.ebs_model.conditions.quotas import Quotas
from snapkeep.lab.ebs_model.store.blocks import Chain, WriteLog
from snapkeep.lab.ebs_model.store.records import (
    BinnedSnapshot,
    BinRule,
    ImageRecord,
    InstanceRecord,
    Key,
    Lock,
    SnapshotRecord,
    SnapshotSet,
    TierChange,
    VolumeRecord,
)
from snapkeep.lab.ebs_model.store.tags import FlatTags, as_dict

_seq = attrgetter("seq")
COMPACT_AT = 1024

IndexEntry = SnapshotRecord | dict[SnapshotRecord, None]
"""Most index entries have one snapshot: they need no set."""


def members_of(bucket: IndexEntry | None) -> Iterable[SnapshotRecord]:
    """Return the snapshots of an index entry."""
    if bucket is None:
        return ()
    return (bucket,) if isinstance(bucket, SnapshotRecord) else bucket


class SnapshotIndex:
    """Snapshots by a text."""

    __slots__ = ("buckets",)

    def __init__(self) -> None:
        self.buckets: dict[str, IndexEntry] = {}

    def add(self, text: str, snapshot: SnapshotRecord) -> None:
        """Put a snapshot under a text."""
        bucket = self.buckets.get(text)
        if bucket is None:
            self.buckets[text] = snapshot
        elif isinstance(bucket, SnapshotRecord):
            self.buckets[text] = {bucket: None, snapshot: None}
        else:
            bucket[snapshot] = None

    def remove(self, text: str, snapshot: SnapshotRecord) -> None:
        """Remove a snapshot from under a text."""
        bucket = self.buckets.get(text)
        if bucket is snapshot:
            del self.buckets[text]
        elif isinstance(bucket, dict):
            bucket.pop(snapshot, None)
            if not bucket:
                del self.buckets[text]

    def size(self, text: str) -> int:
        """Return the number of snapshots under a text."""
        bucket = self.buckets.get(text)
        if bucket is None:
            return 0
        return 1 if isinstance(bucket, SnapshotRecord) else len(bucket)

    def get(self, text: str) -> Iterable[SnapshotRecord]:
        """Return the snapshots under a text."""
        return members_of(self.buckets.get(text))


class RegionAccount:
    """The resources of one account in one region."""

    def __init__(self, account_id: str, region: str, quotas: Quotas) -> None:
        self.account_id = account_id
        self.region = region
        self.name = f"{account_id}/{region}"
        self.quotas = quotas
        self.skew_seconds = 0.0
        self.snapshots: dict[str, SnapshotRecord] = {}
        self.by_volume = SnapshotIndex()
        self.by_tag: dict[str, SnapshotIndex] = {}
        self.by_state: dict[str, dict[SnapshotRecord, None]] = {"pending": {}, "error": {}}
        self.copies_in_flight: dict[str, SnapshotRecord] = {}
        self.pending_creates = 0
        self._order: list[SnapshotRecord] = []
        self._removed = 0
        self.volumes: dict[str, VolumeRecord] = {}
        self.instances: dict[str, InstanceRecord] = {}
        self.images: dict[str, ImageRecord] = {}
        self.image_uses: dict[str, list[str]] = {}
        self.keys: dict[str, Key] = {}
        self.aliases: dict[str, str] = {}
        self.locks: dict[str, Lock] = {}
        self.tiering: dict[str, TierChange] = {}
        self.bin: dict[str, BinnedSnapshot] = {}
        self.bin_rules: list[BinRule] = []
        self.permissions: dict[str, dict[str, None]] = {}
        self.sets: dict[str, SnapshotSet] = {}
        self.vpcs: dict[str, dict[str, Any]] = {}
        self.subnets: dict[str, dict[str, Any]] = {}
        self.security_groups: dict[str, dict[str, Any]] = {}
        self.routes: dict[str, list[dict[str, Any]]] = {}
        """Added routes, by route table."""
        self.endpoints: dict[str, dict[str, Any]] = {}
        """VPC endpoints, by id."""
        # Changed EnableDnsSupport and EnableDnsHostnames, by VPC.
        self.vpc_dns: dict[str, dict[str, bool]] = {}
        # Systems Manager's resources: names of documents, and commands in instances, the newest last.
        self.run_command: dict[str, list[Any]] = {"documents": [], "commands": []}
        self.interfaces: dict[str, dict[str, Any]] = {}
        self.key_pairs: dict[str, dict[str, Any]] = {}
        self.replacements: dict[str, dict[str, Any]] = {}
        """Tasks that replace a root volume, by id."""
        self.subscriptions: list[str] = []
        """Product codes of AWS Marketplace that the account has accepted."""
        self.client_tokens: dict[str, list[Any]] = {}
        """Action and token: a digest of the parameters, and the answer's ids."""
        self.block_public_access = "unblocked"
        self.encrypt_by_default = False
        self.default_key = ""
        self.chains: dict[WriteLog, Chain] = {}
        self.copies_by_log: dict[WriteLog, dict[SnapshotRecord, None]] = {}
        self.last_copy: dict[WriteLog, SnapshotRecord] = {}
        self.stored_blocks = 0
        self.archived_blocks = 0

    def add(self, snapshot: SnapshotRecord) -> None:
        """Add a snapshot, and index it."""
        self.snapshots[snapshot.id] = snapshot
        if self._order and self._order[-1].seq > snapshot.seq:
            self._order.insert(bisect_right(self._order, snapshot.seq, key=_seq), snapshot)
        else:
            self._order.append(snapshot)
        self.by_volume.add(snapshot.volume_id, snapshot)
        if snapshot.state in self.by_state:
            self.by_state[snapshot.state][snapshot] = None
        if snapshot.tags:
            self._index_tags(snapshot)

    def remove(self, snapshot: SnapshotRecord) -> None:
        """Remove a snapshot, and its index entries."""
        del self.snapshots[snapshot.id]
        self._removed += 1
        if self._removed > COMPACT_AT and self._removed * 2 > len(self._order):
            self._order = [kept for kept in self._order if self.snapshots.get(kept.id) is kept]
            self._removed = 0
        self.by_volume.remove(snapshot.volume_id, snapshot)
        if snapshot.state in self.by_state:
            self.by_state[snapshot.state].pop(snapshot, None)
        if snapshot.tags:
            self._unindex_tags(snapshot)

    def set_state(self, snapshot: SnapshotRecord, state: str) -> None:
        """Change the state of a snapshot."""
        if snapshot.state in self.by_state:
            self.by_state[snapshot.state].pop(snapshot, None)
        snapshot.state = state
        if state in self.by_state:
            self.by_state[state][snapshot] = None

    def set_tags(self, snapshot: SnapshotRecord, tags: FlatTags) -> None:
        """Change the tags of a snapshot."""
        if snapshot.id in self.snapshots:
            self._unindex_tags(snapshot)
            snapshot.tags = tags
            self._index_tags(snapshot)
        else:
            snapshot.tags = tags

    def ordered(self, after: int) -> Iterator[SnapshotRecord]:
        """Return the snapshots made after an order number, oldest first."""
        order, living = self._order, self.snapshots
        start = bisect_right(order, after, key=_seq) if after >= 0 else 0
        for index in range(start, len(order)):
            snapshot = order[index]
            if living.get(snapshot.id) is snapshot:
                yield snapshot

    def _index_tags(self, snapshot: SnapshotRecord) -> None:
        tags = snapshot.tags
        for index in range(0, len(tags), 2):
            by_value = self.by_tag.get(tags[index])
            if by_value is None:
                by_value = self.by_tag[intern(tags[index])] = SnapshotIndex()
            by_value.add(tags[index + 1], snapshot)

    def _unindex_tags(self, snapshot: SnapshotRecord) -> None:
        tags = snapshot.tags
        for index in range(0, len(tags), 2):
            self.by_tag[tags[index]].remove(tags[index + 1], snapshot)

    def tagged(self, resource_id: str) -> SnapshotRecord | VolumeRecord | ImageRecord | InstanceRecord | dict[str, Any] | None:
        """Return a resource that can have tags, including one in Recycle Bin; None if it does not exist."""
        binned = self.bin.get(resource_id)
        resource = (
            self.snapshots.get(resource_id)
            or self.volumes.get(resource_id)
            or self.images.get(resource_id)
            or self.instances.get(resource_id)
            or (binned.snapshot if binned else None)
        )
        return resource or self.records().get(resource_id)

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the resources that are stored in the form of answers, by id."""
        by_id = {record["KeyPairId"]: record for record in self.key_pairs.values()}
        return {
            **self.vpcs,
            **self.subnets,
            **self.security_groups,
            **self.endpoints,
            **self.interfaces,
            **self.replacements,
            **by_id,
        }


def dict_of_tags(resource: SnapshotRecord | VolumeRecord | ImageRecord | InstanceRecord | dict[str, Any]) -> dict[str, str]:
    """Return the tags of a resource."""
    if isinstance(resource, dict):
        return {str(tag["Key"]): str(tag["Value"]) for tag in resource["Tags"]}
    return as_dict(resource.tags)
