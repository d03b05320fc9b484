"""The conversion of a world to JSON-able data and back: `--state DIR` stores it between two runs.

Write logs and chains are shared between records: they are written once, and referenced by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.conditions.clock import VirtualClock, WorldClock
from snapkeep.lab.ebs_model.conditions.event_options import EventOptions
from snapkeep.lab.ebs_model.conditions.faults import FaultRule
from snapkeep.lab.ebs_model.conditions.latency import Latency
from snapkeep.lab.ebs_model.conditions.quotas import Quotas, Speeds
from snapkeep.lab.ebs_model.store.blocks import Chain, WriteLog
from snapkeep.lab.ebs_model.store.records import (
    PENDING,
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
from snapkeep.lab.ebs_model.store.region_account import RegionAccount
from snapkeep.lab.ebs_model.store.world_state import WorldState

if TYPE_CHECKING:
    import random

VERSION = 2
Data = dict[str, Any]
_STORES: dict[str, type[Any]] = {
    "volumes": VolumeRecord,
    "instances": InstanceRecord,
    "images": ImageRecord,
    "keys": Key,
    "locks": Lock,
    "tiering": TierChange,
    "sets": SnapshotSet,
}
_PLAIN = (
    "skew_seconds",
    "aliases",
    "image_uses",
    "block_public_access",
    "encrypt_by_default",
    "default_key",
    "archived_blocks",
    "vpcs",
    "subnets",
    "security_groups",
    "routes",
    "endpoints",
    "vpc_dns",
    "run_command",
    "interfaces",
    "key_pairs",
    "replacements",
    "subscriptions",
    "client_tokens",
)


class _Numbers:
    """Gives each shared object a number, in the order of first use."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def of(self, thing: Any) -> int:
        return self.numbers.setdefault(thing, len(self.numbers))


def save(world: WorldState) -> Data:
    """Return all of a world as JSON-able data, without its listeners."""
    logs, chains = _Numbers(), _Numbers()
    accounts = [_save_account(account, logs, chains) for account in world.region_accounts.values()]
    # A base may be known only from its descendants: numbering it may add logs while they are written.
    written: list[Data] = []
    saved_chains = [{"log": logs.of(chain.log), "data_key_id": chain.data_key_id} for chain in chains.numbers]
    while len(written) < len(logs.numbers):
        written.append(_save_log(list(logs.numbers)[len(written)], logs))
    return {
        "version": VERSION,
        "now": world.clock.now(),
        "started": world.started,
        "seed": world.seed,
        "account": world.account_id,
        "regions": list(world.regions),
        "quotas": asdict(world.quotas),
        "region_quotas": {region: asdict(quotas) for region, quotas in world.region_quotas.items()},
        "speeds": asdict(world.speeds),
        "latency": asdict(world.latency),
        "events": asdict(world.event_options),
        "faults": [{"rule": _differing(armed.rule), "matches": armed.matches} for armed in world.faults.armed],
        "random": {name: _save_random(dice) for name, dice in _dice(world).items()},
        "timers": [list(entry) for entry in sorted(world.timers)],
        "sequence": world.sequence,
        "throttle": {name: list(level) for name, level in world.throttle.levels.items()},
        "shared": world.shared_snapshots,
        "logs": written,
        "chains": saved_chains,
        "region_accounts": accounts,
    }


def _dice(world: WorldState) -> dict[str, random.Random]:
    return {
        "ids": world.ids.random,
        "world": world.random,
        "events": world.event_random,
        "faults": world.faults.random,
    }


def _save_random(dice: random.Random) -> list[Any]:
    version, internal, gauss = dice.getstate()
    return [version, list(internal), gauss]


def _differing(rule: FaultRule) -> Data:
    """Return the fields that differ from their defaults: infinity is not JSON."""
    return {field.name: value for field in fields(rule) if (value := getattr(rule, field.name)) != field.default}


def _save_log(log: WriteLog, logs: _Numbers) -> Data:
    return {
        "origin": log.origin,
        "data_key_id": log.data_key_id,
        "base": logs.of(log.base) if log.base is not None else -1,
        "base_generation": log.base_generation,
        "entries": [list(extent) for extent in log.entries],
        "marks": [list(mark) for mark in log.marks.items()],
    }


def _save_record(record: Any, logs: _Numbers, chains: _Numbers) -> Data:
    saved: Data = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        if isinstance(value, WriteLog):
            value = logs.of(value)
        elif isinstance(value, Chain):
            value = chains.of(value)
        elif isinstance(value, SnapshotRecord):
            value = _save_record(value, logs, chains)
        saved[field.name] = value
    return saved


def _save_account(account: RegionAccount, logs: _Numbers, chains: _Numbers) -> Data:
    saved: Data = {name: getattr(account, name) for name in _PLAIN}
    for name in (*_STORES, "bin"):
        saved[name] = {key: _save_record(record, logs, chains) for key, record in getattr(account, name).items()}
    saved["account"], saved["region"] = account.account_id, account.region
    saved["snapshots"] = [_save_record(snapshot, logs, chains) for snapshot in account.ordered(-1)]
    saved["bin_rules"] = [asdict(rule) for rule in account.bin_rules]
    saved["permissions"] = {key: list(grantees) for key, grantees in account.permissions.items()}
    saved["volume_chains"] = [[logs.of(log), chains.of(chain)] for log, chain in account.chains.items()]
    # A missing last copy has the same effect as a deleted one: the next copy is full. Only existing ones are saved.
    saved["last_copies"] = [copy.id for copy in account.last_copy.values() if copy.id in account.snapshots]
    return saved


def restore(data: Mapping[str, Any], clock: WorldClock | None) -> WorldState:
    """Return the saved world; without a clock, on a virtual one at the time of saving.

    Raise ValueError on a version that this model cannot read.
    """
    if data.get("version") != VERSION:
        raise ValueError(f"version of the state is {data.get('version')!r}: this model reads {VERSION}")
    world = WorldState(
        clock=clock or VirtualClock(data["now"]),
        seed=data["seed"],
        quotas=quotas_from(data["quotas"]),
        region_quotas={region: quotas_from(quotas) for region, quotas in data["region_quotas"].items()},
        speeds=Speeds(**data["speeds"]),
        latency=Latency(**data["latency"]),
        events=EventOptions(**data["events"]),
        account=data["account"],
        regions=tuple(data["regions"]),
    )
    world.started = world.faults.started = data["started"]
    for entry in data["faults"]:
        world.faults.add(FaultRule(**entry["rule"]), entry["matches"])
    for name, dice in _dice(world).items():
        version, internal, gauss = data["random"][name]
        dice.setstate((version, tuple(internal), gauss))
    world.sequence = data["sequence"]
    world.timers[:] = [tuple(entry) for entry in data["timers"]]
    world.throttle.levels = {name: (level[0], level[1]) for name, level in data["throttle"].items()}
    world.shared_snapshots = {region: dict(shared) for region, shared in data["shared"].items()}
    logs = _restore_logs(data["logs"])
    chains = [Chain(logs[entry["log"]], entry["data_key_id"]) for entry in data["chains"]]
    for saved in data["region_accounts"]:
        _restore_account(world, saved, logs, chains)
    return world


def quotas_from(data: Mapping[str, Any]) -> Quotas:
    """Return Quotas from its fields as read from JSON or YAML."""
    buckets = {action: (float(size), float(refill)) for action, (size, refill) in data.get("buckets", {}).items()}
    return Quotas(**{**data, "buckets": buckets})


def _restore_logs(saved: list[Data]) -> list[WriteLog]:
    made: dict[int, WriteLog] = {}

    def log(number: int) -> WriteLog:
        if number not in made:
            data = saved[number]
            base = log(data["base"]) if data["base"] >= 0 else None
            restored = WriteLog(data["origin"], data["data_key_id"], base, data["base_generation"])
            marks = dict(data["marks"])
            for position, (first, end) in enumerate(data["entries"], 1):
                restored.write(first, end - first, marks.get(position))
            made[number] = restored
        return made[number]

    return [log(number) for number in range(len(saved))]


def _restore_record(kind: type[Any], data: Data, logs: list[WriteLog], chains: list[Chain]) -> Any:
    values = dict(data)
    for name in ("log", "altered"):
        if values.get(name) is not None:
            values[name] = logs[values[name]]
    for name in ("tags", "billing"):
        if name in values:
            values[name] = tuple(values[name])
    chain = chains[values.pop("chain")] if values.get("chain") is not None else None
    if "members" in values:
        values["members"] = [tuple(entry) for entry in values["members"]]
    if kind is BinnedSnapshot:
        values["snapshot"] = _restore_record(SnapshotRecord, values["snapshot"], logs, chains)
    record = kind(**values)
    if chain is not None:
        record.chain = chain
        chain.add(record)
    return record


def _restore_account(world: WorldState, data: Data, logs: list[WriteLog], chains: list[Chain]) -> None:
    account = world.region_account(data["region"], data["account"])
    for name in _PLAIN:
        setattr(account, name, data[name])
    stores: dict[str, type[Any]] = {**_STORES, "bin": BinnedSnapshot}
    for name, kind in stores.items():
        records = {key: _restore_record(kind, record, logs, chains) for key, record in data[name].items()}
        setattr(account, name, records)
    for saved in data["snapshots"]:
        _restore_snapshot(account, _restore_record(SnapshotRecord, saved, logs, chains))
    for binned in account.bin.values():
        if binned.snapshot.source_id:
            account.copies_by_log.setdefault(binned.snapshot.log, {})[binned.snapshot] = None
    account.bin_rules = [
        BinRule(rule["retention_days"], _pairs(rule["tags"]), _pairs(rule["exclude_tags"])) for rule in data["bin_rules"]
    ]
    account.permissions = {key: dict.fromkeys(grantees) for key, grantees in data["permissions"].items()}
    account.chains = {logs[log]: chains[chain] for log, chain in data["volume_chains"]}
    for copy_id in data["last_copies"]:
        copy = account.snapshots[copy_id]
        account.last_copy[copy.log] = copy
    members = {id(s.chain): s.chain for s in (*account.snapshots.values(), *(b.snapshot for b in account.bin.values()))}
    account.stored_blocks = sum(chain.stored_blocks for chain in members.values() if chain is not None)


def _pairs(entries: list[list[str]]) -> list[tuple[str, str]]:
    return [(entry[0], entry[1]) for entry in entries]


def _restore_snapshot(account: RegionAccount, snapshot: SnapshotRecord) -> None:
    account.add(snapshot)
    if snapshot.source_id:
        if snapshot.state != "error":
            account.copies_by_log.setdefault(snapshot.log, {})[snapshot] = None
        if snapshot.state == PENDING:
            account.copies_in_flight[snapshot.id] = snapshot
    elif snapshot.state == PENDING:
        account.pending_creates += 1
