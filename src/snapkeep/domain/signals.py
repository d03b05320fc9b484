"""Signals: calls of other principals that can weaken the protection of recovery points, as CloudTrail records them. Pure.

Sources: EventBridge user guide, "AWS service events delivered via AWS CloudTrail" (a rule needs a trail that records management
events); CloudTrail user guide, "CloudTrail record contents".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.events import detail_of, text_of
from snapkeep.domain.plural import counted
from snapkeep.domain.records import dataclass
from snapkeep.domain.tag_names import MANAGED, PREFIX
from snapkeep.domain.tags import parse_time


class Concern(StrEnum):
    """The kind of object that a call concerns. It decides how the affected recovery points are counted."""

    SNAPSHOT = "snapshot"
    """The managed snapshots that the call names."""
    TAGS = "tags"
    """The managed snapshots, and the points of the volumes, whose tags the call changes."""
    KEY = "key"
    """The points that a KMS key encrypts."""
    REGION = "region"
    """A protection of every point in the region, whatever the call names. This is also true of all members below."""
    STACK = "stack"
    RULE = "rule"
    FUNCTION = "function"
    PARAMETER = "parameter"


OF_SINGLE_POINTS = frozenset({Concern.SNAPSHOT, Concern.TAGS, Concern.KEY})
"""Concerns of calls that are no signals if they affect no recovery point."""


@dataclass(frozen=True, slots=True)
class ListedCall:
    """A call that becomes a signal, with its concern and the request parameter that names the objects."""

    source: str
    name: str
    concern: Concern
    parameter: str = ""
    """Case is ignored: CloudTrail records newer calls of EC2 with the API's own spelling."""


_EC2, _KMS, _RBIN = "ec2.amazonaws.com", "kms.amazonaws.com", "rbin.amazonaws.com"
LISTED_CALLS = (
    ListedCall(_EC2, "DeleteSnapshot", Concern.SNAPSHOT, "snapshotId"),
    ListedCall(_EC2, "UnlockSnapshot", Concern.SNAPSHOT, "snapshotId"),
    ListedCall(_EC2, "LockSnapshot", Concern.SNAPSHOT, "snapshotId"),
    ListedCall(_EC2, "ModifySnapshotAttribute", Concern.SNAPSHOT, "snapshotId"),
    ListedCall(_EC2, "DisableSnapshotBlockPublicAccess", Concern.REGION),
    ListedCall(_EC2, "CreateTags", Concern.TAGS, "resourceId"),
    ListedCall(_EC2, "DeleteTags", Concern.TAGS, "resourceId"),
    ListedCall(_KMS, "ScheduleKeyDeletion", Concern.KEY, "keyId"),
    ListedCall(_KMS, "DisableKey", Concern.KEY, "keyId"),
    ListedCall(_KMS, "PutKeyPolicy", Concern.KEY, "keyId"),
    ListedCall(_RBIN, "DeleteRule", Concern.REGION, "identifier"),
    ListedCall(_RBIN, "UnlockRule", Concern.REGION, "identifier"),
    ListedCall("cloudformation.amazonaws.com", "DeleteStack", Concern.STACK, "stackName"),
    ListedCall("events.amazonaws.com", "DisableRule", Concern.RULE, "name"),
    ListedCall("events.amazonaws.com", "DeleteRule", Concern.RULE, "name"),
    ListedCall("events.amazonaws.com", "RemoveTargets", Concern.RULE, "rule"),
    ListedCall("lambda.amazonaws.com", "PutFunctionConcurrency", Concern.FUNCTION, "functionName"),
    ListedCall("ssm.amazonaws.com", "PutParameter", Concern.PARAMETER, "name"),
    ListedCall("ssm.amazonaws.com", "DeleteParameter", Concern.PARAMETER, "name"),
    ListedCall("ssm.amazonaws.com", "DeleteParameters", Concern.PARAMETER, "names"),
    ListedCall("cloudtrail.amazonaws.com", "StopLogging", Concern.REGION, "name"),
    ListedCall("cloudtrail.amazonaws.com", "DeleteTrail", Concern.REGION, "name"),
)
GRAVEST = frozenset({"DeleteSnapshot", "UnlockSnapshot", "ScheduleKeyDeletion", "DeleteStack", "StopLogging"})
"""Calls of which one is enough to put the system on hold, if the stack enables this."""
SEVERAL = 3
"""The number of other calls in one batch of the queue that puts the system on hold."""
_BY_NAME = {(call.source, call.name): call for call in LISTED_CALLS}
_API_VERSION = re.compile(r"20\d{6}(v\d+)?$")
"""Lambda's event names end in the API's version: `PutFunctionConcurrency20171031`."""


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The names of this stack's resources that a call can weaken."""

    stack: str
    functions: frozenset[str]
    parameters: str
    """The path of the system's parameters: policy document, bucket, holds."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A listed call of another principal."""

    call: str
    principal: str
    """The ARN of the caller, or else its type (`Root`, an AWS service)."""
    address: str
    """An IP address, or the name of the AWS service that called on behalf of the caller."""
    at: datetime
    concern: Concern
    objects: tuple[str, ...]
    """The ids or names in the request; none if CloudTrail records none, as for many refused calls."""
    error: str = ""
    """The error code of a failed call, which was an attempt; empty otherwise."""
    of_management: bool = False
    """Whether the call changes the tag of managed snapshots: then the snapshot's current tags do not show whether it was
    managed."""

    @property
    def attempt(self) -> bool:
        """Whether the call was an attempt: it failed."""
        return bool(self.error)


MOST_OBJECTS = 20
"""The number of objects that a record names; it has the number of all."""


@dataclass(frozen=True, slots=True)
class SignalRecord:
    """Similar calls of one principal that were notified together."""

    region: str
    call: str
    principal: str
    address: str
    first_at: datetime
    calls: int
    error: str = ""
    """The error code of failed calls, which were attempts; empty otherwise."""
    objects: tuple[str, ...] = ()
    """The first ids or names in the requests."""
    object_count: int = 0
    points: int | None = None
    """The number of affected recovery points, as far as it is known; None if it is known for no call."""
    unknown: int = 0
    """The number of calls for which it is not known."""

    @property
    def subject(self) -> str:
        """The call and its objects in words."""
        more = f" and {self.object_count - 1} more" if self.object_count > 1 else ""
        return f"{self.call} {self.objects[0] if self.objects else '(the record names no object)'}{more}"

    @property
    def detail(self) -> str:
        """The principal, the time and the affected recovery points, in words."""
        attempt = f"attempt, {self.error}; " if self.error else ""
        touched = [] if self.points is None else [f"touches {counted(self.points, 'recovery point')}"]
        if self.unknown:
            touched.append(f"of {counted(self.unknown, 'call')} it is not known which recovery points are touched")
        at = f"{self.first_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{attempt}by {self.principal} from {self.address}, first at {at}; {', '.join(touched)}"


def record_of(region: str, group: Sequence[tuple[Signal, int | None]]) -> SignalRecord:
    """Return the record of similar signals, each given with the number of points that it affects, None if not known."""
    first = min((signal for signal, _ in group), key=lambda signal: signal.at)
    objects = list(dict.fromkeys(name for signal, _ in group for name in signal.objects))
    known = [touched for _, touched in group if touched is not None]
    # Calls on single snapshots add up; other calls of one kind concern the same points.
    points = sum(known) if first.concern in (Concern.SNAPSHOT, Concern.TAGS) else max(known, default=0)
    return SignalRecord(
        region=region,
        call=first.call,
        principal=first.principal,
        address=first.address,
        first_at=first.at,
        calls=len(group),
        error=first.error,
        objects=tuple(objects[:MOST_OBJECTS]),
        object_count=len(objects),
        points=points if known else None,
        unknown=len(group) - len(known),
    )


def signal_for_hold(signals: Iterable[Signal]) -> Signal | None:
    """Return the signal that puts the system on hold: one of the gravest, or the first of several; None without one.

    Attempts do not count.
    """
    succeeded = [signal for signal in signals if not signal.attempt]
    gravest = next((signal for signal in succeeded if signal.call in GRAVEST), None)
    return gravest or (succeeded[0] if len(succeeded) >= SEVERAL else None)


def signal_of(event: Mapping[str, Any], own: OwnNames) -> Signal | None:
    """Return the signal in an event of a rule for listed calls; None if the call concerns nothing of this system.

    EC2 has to show whether a snapshot, a volume or a key belongs to it. Raise InvalidEvent if the event cannot be read.
    """
    detail = detail_of(event)
    source, name = text_of(detail, "eventSource"), _API_VERSION.sub("", text_of(detail, "eventName"))
    call = _BY_NAME.get((source, name))
    if call is None:  # the event pattern lists sources and calls separately: elbv2 has a DeleteRule too
        return None
    try:
        at = parse_time(text_of(detail, "eventTime"))
    except ValueError as error:
        raise InvalidEvent(f"eventTime: {error}") from error
    identity = detail.get("userIdentity")
    identity = identity if isinstance(identity, Mapping) else {}
    parameters = detail.get("requestParameters") or {}
    objects = tuple(dict.fromkeys(_values(parameters, call.parameter.lower()))) if call.parameter else ()
    signal = Signal(
        name,
        str(identity.get("arn") or identity.get("invokedBy") or identity.get("type") or "not known"),
        str(detail.get("sourceIPAddress") or "not known"),
        at,
        call.concern,
        objects,
        str(detail.get("errorCode") or ""),
    )
    if call.concern is Concern.TAGS:
        keys = list(_values(parameters.get("tagSet") if isinstance(parameters, Mapping) else None, "key"))
        # DeleteTags without tags deletes all (EC2 API reference). CloudTrail leaves out parameters that are too long.
        if keys and not any(key.startswith(PREFIX) for key in keys):
            return None
        signal = replace(signal, of_management=not keys or MANAGED in keys)
    if objects and not _may_be_ours(call.concern, objects, own):
        return None
    return signal


def _may_be_ours(concern: Concern, objects: tuple[str, ...], own: OwnNames) -> bool:
    match concern:
        case Concern.STACK:
            return any(name == own.stack or f":stack/{own.stack}/" in name for name in objects)
        case Concern.RULE:
            # CloudFormation names the rules of a stack: `<stack>-<logical id>-<random>`.
            return any(name.startswith(f"{own.stack}-") for name in objects)
        case Concern.FUNCTION:
            return any(_function_in(name) in own.functions for name in objects)
        case Concern.PARAMETER:
            return any(name.rpartition(":parameter")[2].startswith(f"{own.parameters}/") for name in objects)
        case _:
            return True


def _function_in(name: str) -> str:
    """Return the name of a function, given its name, ARN or partial ARN (Lambda API reference: PutFunctionConcurrency)."""
    return name.rsplit("function:", maxsplit=1)[-1].split(":", maxsplit=1)[0]


def _values(data: Any, key: str) -> Iterator[str]:
    """Return the texts under a key (in lower case) at any depth, so that neither nesting nor spelling matters."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            if name.lower() == key:
                yield from (str(item) for item in (value if isinstance(value, list) else [value]))
            else:
                yield from _values(value, key)
    elif isinstance(data, list):
        for item in data:
            yield from _values(item, key)
