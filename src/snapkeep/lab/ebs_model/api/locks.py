"""LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots.

Sources: [EBS user guide: snapshot lock considerations], [EC2 API reference: LockSnapshot].
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.conditions.clock import iso, utc
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, PENDING, Lock, SnapshotRecord

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

# AWS does not document the error of a deletion of a locked snapshot: callers must match neither code nor message.
LOCKED_CODE = "OperationNotPermitted"
GOVERNANCE, COMPLIANCE = "governance", "compliance"
LONGEST_DAYS, LONGEST_COOL_OFF_HOURS = 36_500, 72


def state_of(lock: Lock, now: float) -> str:
    """Return a lock's state in the form of DescribeLockedSnapshots."""
    if lock.expires and now >= lock.expires:
        return "expired"
    if lock.mode == COMPLIANCE and now < lock.cool_off_ends:
        return "compliance-cooloff"
    return lock.mode


def refuse_if_locked(call: Call, snapshot: SnapshotRecord) -> None:
    """Raise an error if a lock protects a snapshot. The cool-off period protects it too."""
    lock = call.account.locks.get(snapshot.id)
    if lock is not None and state_of(lock, call.now) != "expired":
        raise ApiError(LOCKED_CODE, f"The snapshot {snapshot.id} is locked in {lock.mode} mode and can't be deleted.")


def lock_snapshot(call: Call) -> Response:
    """LockSnapshot: lock, or change a lock as far as its mode and state allow.

    Raise IncorrectState, or InvalidParameterCombination for a compliance lock that would end earlier.
    """
    snapshot = call.snapshot()
    if snapshot.state not in (PENDING, COMPLETED):
        raise ApiError("IncorrectState", f"The snapshot {snapshot.id} is in state {snapshot.state}.")
    mode, cool_off = _mode(call)
    starts = call.now if snapshot.state == COMPLETED else 0.0
    days, expires = _duration(call, starts)
    former = call.account.locks.get(snapshot.id)
    created = call.now
    if former is not None and state_of(former, call.now) == COMPLIANCE:
        ends, former_ends = (_end(each, call.now) for each in ((days, expires), (former.duration_days, former.expires)))
        if mode != COMPLIANCE or "CoolOffPeriod" in call.params or ends < former_ends:
            raise ApiError(
                "InvalidParameterCombination",
                f"The snapshot {snapshot.id} is locked in compliance mode: the lock can only be extended, "
                "and CoolOffPeriod must be omitted.",
            )
        created = former.created
    cool_off_ends = call.now + cool_off * 3600 if cool_off else 0.0
    lock = Lock(mode, created, days, starts, expires, cool_off, cool_off_ends)
    call.account.locks[snapshot.id] = lock
    world, account = call.world, call.account
    if expires:
        world.schedule(expires - account.skew_seconds, "lock expiry", account, snapshot.id)
    if cool_off:
        world.schedule(cool_off_ends - account.skew_seconds, "cool-off expiry", account, snapshot.id)
    _emit(world, account, snapshot, lock, "lockSnapshot", state_of(lock, call.now), call.now)
    return _rendered(snapshot, lock, call.now)


def _end(period: tuple[int, float], now: float) -> float:
    """Return the end of a lock with these days and this expiry; for a pending snapshot, as if it completed now."""
    days, expires = period
    return expires or now + days * SECONDS_PER_DAY


def _mode(call: Call) -> tuple[str, int]:
    mode, hours = call.params["LockMode"], call.params.get("CoolOffPeriod")
    if mode not in (GOVERNANCE, COMPLIANCE):
        raise ApiError("InvalidParameterValue", f"Value ({mode}) for parameter LockMode is invalid.")
    if hours is None:
        return mode, 0
    if mode == GOVERNANCE:
        raise ApiError("InvalidParameterCombination", "CoolOffPeriod can't be used with governance mode.")
    if not 1 <= int(hours) <= LONGEST_COOL_OFF_HOURS:
        raise ApiError("InvalidParameterValue", f"Value ({hours}) for parameter CoolOffPeriod is invalid: 1 to 72 hours.")
    return mode, int(hours)


def _duration(call: Call, starts: float) -> tuple[int, float]:
    """Return days and expiry; the expiry of a pending snapshot's duration is 0 until it completes."""
    days, until = call.params.get("LockDuration"), call.params.get("ExpirationDate")
    if (days is None) == (until is None):
        raise ApiError("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate.")
    if until is not None:
        moment = until if isinstance(until, datetime) else datetime.fromisoformat(str(until))
        expires = moment.timestamp()
        if expires < call.now + SECONDS_PER_DAY:
            raise ApiError("InvalidParameterValue", "ExpirationDate must be at least one day ahead.")
        return int((expires - call.now) // SECONDS_PER_DAY), expires
    if not 1 <= int(days or 0) <= LONGEST_DAYS:
        raise ApiError("InvalidParameterValue", f"Value ({days}) for parameter LockDuration is invalid: 1 to 36500 days.")
    return int(days or 0), starts + int(days or 0) * SECONDS_PER_DAY if starts else 0.0


def creation_ended(world: WorldState, account: RegionAccount, snapshot: SnapshotRecord) -> None:
    """Start the duration of a lock when its pending snapshot or copy completes; a failed creation cancels the lock."""
    lock = account.locks.get(snapshot.id)
    if lock is None:
        return
    now = world.now() + account.skew_seconds
    if snapshot.state == ERROR:
        del account.locks[snapshot.id]
        _emit(world, account, snapshot, lock, "lockSnapshot", lock.mode, now, failed=True)
        return
    lock.starts = now
    if not lock.expires:
        lock.expires = now + lock.duration_days * SECONDS_PER_DAY
        world.schedule(lock.expires - account.skew_seconds, "lock expiry", account, snapshot.id)


def unlock_snapshot(call: Call) -> Response:
    """UnlockSnapshot: governance, or compliance within the cool-off period.

    Raise SnapshotLockNotFound, or LOCKED_CODE after that period.
    """
    snapshot = call.snapshot()
    lock = call.account.locks.get(snapshot.id)
    if lock is None:
        raise ApiError("SnapshotLockNotFound", f"The snapshot {snapshot.id} is not locked.")
    if state_of(lock, call.now) == COMPLIANCE:
        raise ApiError(LOCKED_CODE, f"The snapshot {snapshot.id} is locked in compliance mode and can't be unlocked.")
    del call.account.locks[snapshot.id]
    return {"SnapshotId": snapshot.id}


def emit_expiry(world: WorldState, account: RegionAccount, snapshot_id: str, extra: Any) -> None:  # noqa: ARG001
    """End an expired lock, unless it was extended or removed."""
    lock, snapshot = account.locks.get(snapshot_id), account.snapshots.get(snapshot_id)
    now = world.now() + account.skew_seconds
    if lock is not None and snapshot is not None and state_of(lock, now) == "expired" and not lock.expired:
        lock.expired = True
        _emit(world, account, snapshot, lock, "lockDurationExpiry", "expired", now)


def emit_cool_off_end(world: WorldState, account: RegionAccount, snapshot_id: str, extra: Any) -> None:  # noqa: ARG001
    """Emit the event of the end of a cool-off period."""
    lock, snapshot = account.locks.get(snapshot_id), account.snapshots.get(snapshot_id)
    now = world.now() + account.skew_seconds
    if lock is not None and snapshot is not None and lock.cool_off_ends and now >= lock.cool_off_ends:
        _emit(world, account, snapshot, lock, "cooloffperiodExpiry", COMPLIANCE, now)


def _emit(
    world: WorldState,
    account: RegionAccount,
    snapshot: SnapshotRecord,
    lock: Lock,
    event: str,
    state: str,
    now: float,
    *,
    failed: bool = False,
) -> None:
    """Emit a lock event. AWS's page has the spelling `cooOffPeriod`."""
    detail = {
        "event": event,
        "result": "failed" if failed else "succeeded",
        "cause": "snapshot failed" if failed else "",
        "source": account.account_id,
        "lockState": state,
        "lockCreatedOn": iso(lock.created),
        "lockExpiresOn": iso(lock.expires) if lock.expires else "",
        "lockDuration": str(lock.duration_days),
        "lockStartDurationTime": iso(lock.starts) if lock.starts else "",
        "cooOffPeriod": str(lock.cool_off_hours),
        "coolOffPeriodExpiresOn": iso(lock.cool_off_ends) if lock.cool_off_ends else "",
    }
    events.emit_snapshot_notice(world, account, snapshot, world.arn_shape(), detail, started=now, ended=now)


def _rendered(snapshot: SnapshotRecord, lock: Lock, now: float) -> Response:
    answer: Response = {
        "SnapshotId": snapshot.id,
        "LockState": state_of(lock, now),
        "LockDuration": lock.duration_days,
        "LockCreatedOn": utc(lock.created),
    }
    if lock.expires:
        answer["LockExpiresOn"] = utc(lock.expires)
    if lock.starts:
        answer["LockDurationStartTime"] = utc(lock.starts)
    if lock.cool_off_hours:
        answer["CoolOffPeriod"] = lock.cool_off_hours
        answer["CoolOffPeriodExpiresOn"] = utc(lock.cool_off_ends)
    return answer


def describe_locked_snapshots(call: Call) -> Response:
    """DescribeLockedSnapshots: filter lock-state, SnapshotIds, pages of 5 to 1,000."""
    account, now = call.account, call.now
    ids = [call.own_snapshot(str(snapshot_id)).id for snapshot_id in call.params.get("SnapshotIds") or account.locks]
    pairs = [(account.snapshots[i], account.locks[i]) for i in ids if i in account.locks and i in account.snapshots]
    fields = {"lock-state": lambda pair: (state_of(pair[1], now),)}
    tests = tests_for(parsed(call.params.get("Filters")), fields, lambda pair: pair[0].tags)
    pairs = [pair for pair in pairs if all(test(pair) for test in tests)]
    chosen, token = page(pairs, lambda pair: pair[0].seq, call.params)
    rendered = [{"OwnerId": snapshot.owner_id, **_rendered(snapshot, lock, now)} for snapshot, lock in chosen]
    return {"Snapshots": rendered, **token}
