"""Calls of other principals become notices with principal, address, time, object and the recovery points that they touch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from snapkeep.domain.errors import AwsUnavailable, InvalidEvent
from snapkeep.domain.json_codec import from_json
from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.retention.placed_holds import PlacedHold
from snapkeep.domain.signals import GRAVEST, LISTED_CALLS, SEVERAL, OwnNames, SignalRecord, signal_of
from snapkeep.domain.sweep.memory import KeptSnapshot, SweepMemory
from snapkeep.domain.system import FUNCTIONS
from snapkeep.usecases.ports import Notice
from snapkeep.usecases.signals import NotifySignals
from support.calls import ACCOUNT, MALLORY, REQUESTS, SNAPSHOT, called
from support.templates import FUNCTION, STACKS, resources

NOW = datetime(2026, 11, 30, 2, 1, tzinfo=UTC)
OWN = OwnNames("snapkeep-primary", frozenset(FUNCTIONS), "/snapkeep")
OTHERS: dict[str, dict[str, Any]] = {
    "CreateTags": {"resourcesSet": {"items": [{"resourceId": SNAPSHOT}]}, "tagSet": {"items": [{"key": "Name", "value": "x"}]}},
    "DeleteStack": {"stackName": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/snapkeep-primary2/1"},
    "DisableRule": {"name": "nightly"},
    "DeleteRule": {"name": "snapkeep-primary2-SnapshotEnded-1ABCDEF"},
    "RemoveTargets": {"rule": "nightly", "ids": ["1"]},
    "PutFunctionConcurrency": {"functionName": "website"},
    "PutParameter": {"name": "/website/policy"},
    "DeleteParameter": {"name": "/snapkeep2/policy"},
    "DeleteParameters": {"names": ["/website/policy"]},
}


def origin(snapshot_id: str = SNAPSHOT) -> Origin:
    return Origin("us-east-1", "vol-1", snapshot_id, NOW)


def snapshot(snapshot_id: str = SNAPSHOT, system: str = "snapkeep") -> Snapshot:
    return Snapshot(
        snapshot_id,
        "us-east-1",
        SnapshotState.COMPLETED,
        NOW,
        origin(snapshot_id),
        1,
        tags={"snapkeep:managed": system},
        kms_key_id="arn:aws:kms:us-east-1:123456789012:key/key-1",
    )


@dataclass
class Region:
    """The region's snapshots, the last sweep and the queue of notices in one."""

    present: list[Snapshot] = field(default_factory=lambda: [snapshot(), snapshot("snap-2"), snapshot("snap-3", "snapkeep2")])
    memory: SweepMemory | None = None
    unreachable: bool = False
    added: list[Notice] = field(default_factory=list)
    holds: list[PlacedHold] = field(default_factory=list)
    kept: dict[str, SignalRecord] = field(default_factory=dict)
    holding: bool = False

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        self._reach()
        return {one.id: one for one in self.present if one.id in snapshot_ids}

    def managed_snapshots(self, system: str) -> Iterable[Snapshot]:
        self._reach()
        return [one for one in self.present if one.tags["snapkeep:managed"] == system]

    def _reach(self) -> None:
        if self.unreachable:
            raise AwsUnavailable("down")

    def load(self) -> SweepMemory | None:
        return self.memory

    def add(self, notice: Notice) -> None:
        self.added.append(notice)

    def put(self, name: str, content: str, content_type: str) -> str:
        assert content_type == "application/json"
        self._reach()
        self.kept[name] = from_json(SignalRecord, json.loads(content))
        return name

    def now(self) -> datetime:
        return NOW

    def place(self, hold: PlacedHold) -> None:
        if self.unreachable:
            raise AwsUnavailable("down")
        if hold.id not in [one.id for one in self.holds]:
            self.holds.append(hold)

    def all(self) -> list[PlacedHold]:
        return self.holds

    def release(self, hold_id: str) -> bool:
        raise AssertionError(f"no signal releases {hold_id}")

    def notified(self, *events: Mapping[str, Any]) -> list[Notice]:
        signals = [signal for event in events if (signal := signal_of(event, OWN)) is not None]
        case = NotifySignals(
            system="snapkeep",
            region="us-east-1",
            reader=self,
            last_sweep=self,
            notices=self,
            history=self,
            clock=self,
            hold_store=(lambda: self) if self.holding else None,
        )
        case.run(signals)
        return self.added


@pytest.mark.parametrize("request_name", REQUESTS)
def test_each_listed_call_is_one_notice_with_its_points(request_name: str) -> None:
    (notice,) = Region().notified(called(request_name))
    assert notice.subject.startswith(request_name.split(" ", maxsplit=1)[0])
    assert f"by {MALLORY} from 203.0.113.5, first at 2026-11-30 02:00:00 UTC" in notice.detail
    one = (
        request_name in ("DeleteSnapshot", "UnlockSnapshot", "LockSnapshot", "ModifySnapshotAttribute") or "Tags" in request_name
    )
    assert notice.detail.endswith("touches 1 recovery point" if one else "touches 2 recovery points")


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_refused_call_is_notified_as_an_attempt(request_name: str) -> None:
    (notice,) = Region().notified(called(request_name, errorCode="AccessDenied", requestParameters=None))
    assert notice.detail.startswith(f"attempt, AccessDenied; by {MALLORY}")


@pytest.mark.parametrize("request_name", OTHERS)
def test_calls_on_resources_of_others_are_no_signals(request_name: str) -> None:
    assert signal_of(called(request_name, requestParameters=OTHERS[request_name]), OWN) is None


@pytest.mark.parametrize("name", ["TagSnapshots", "TagSnapshots:live", "123456789012:function:TagSnapshots:live"])
def test_a_function_is_known_by_each_of_its_names(name: str) -> None:
    arn = f"arn:aws:lambda:us-east-1:{name}" if name.startswith("1") else name
    for function in (name, arn):
        assert signal_of(called("PutFunctionConcurrency", requestParameters={"functionName": function}), OWN) is not None


@pytest.mark.parametrize("name", ["/snapkeep/holds/1", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/snapkeep/policy"])
def test_every_parameter_of_the_system_is_recognised(name: str) -> None:
    assert signal_of(called("DeleteParameter", requestParameters={"name": name}), OWN) is not None


@pytest.mark.parametrize("stack", STACKS)
def test_every_function_of_the_templates_is_recognised(stack: str) -> None:
    assert set(resources(stack, FUNCTION)) <= set(FUNCTIONS)


def test_there_is_no_function_that_the_templates_do_not_have() -> None:
    assert set(FUNCTIONS) == {name for stack in STACKS for name in resources(stack, FUNCTION)}


@pytest.mark.parametrize(
    ("memory", "text"),
    [
        (SweepMemory(NOW, (KeptSnapshot(SNAPSHOT, origin(), "gold"),)), "touches 1 recovery point"),
        (SweepMemory(NOW, ()), "of 1 call it is not known which recovery points are touched"),
        (None, "of 1 call it is not known which recovery points are touched"),
    ],
)
def test_a_deleted_snapshot_is_known_by_the_last_sweep(memory: SweepMemory | None, text: str) -> None:
    (notice,) = Region(present=[], memory=memory).notified(called("DeleteSnapshot"))
    assert notice.detail.endswith(text)


@pytest.mark.parametrize("request_name", sorted(set(OTHERS) - {"CreateTags"} | {"StopLogging", "UnlockRule"}))
def test_calls_on_the_system_are_signals_also_before_its_first_point(request_name: str) -> None:
    (notice,) = Region(present=[]).notified(called(request_name))
    assert notice.detail.endswith("touches 0 recovery points")


def test_snapshots_of_others_are_no_signal() -> None:
    deleted = Region(present=[], memory=SweepMemory(NOW, (), (SNAPSHOT,)))
    assert deleted.notified(called("DeleteSnapshot")) == []
    assert Region(present=[snapshot(system="snapkeep2")]).notified(called("UnlockSnapshot"), called("DisableKey")) == []


@pytest.mark.parametrize("request_name", ["DeleteTags", "DeleteTags of all"])
def test_a_snapshot_that_lost_its_tag_by_the_call_counts(request_name: str) -> None:
    stripped = replace(snapshot(), tags={})
    (notice,) = Region(present=[stripped]).notified(called(request_name))
    assert notice.detail.endswith("of 1 call it is not known which recovery points are touched")
    known = SweepMemory(NOW, (KeptSnapshot(SNAPSHOT, origin(), "gold"),))
    (notice,) = Region(present=[stripped], memory=known).notified(called(request_name))
    assert notice.detail.endswith("touches 1 recovery point")
    assert Region(present=[stripped], memory=SweepMemory(NOW, (), (SNAPSHOT,))).notified(called(request_name)) == []
    assert Region(present=[stripped]).notified(called("CreateTags")) == [], "its policy alone is changed, and it is not managed"


def test_tags_of_a_volume_touch_the_points_of_the_volume() -> None:
    def tagged(volume_id: str) -> dict[str, Any]:
        tags = {"items": [{"key": "snapkeep:policy", "value": "short"}]}
        parameters = {"resourcesSet": {"items": [{"resourceId": volume_id}]}, "tagSet": tags}
        return called("CreateTags", requestParameters=parameters)

    (notice,) = Region().notified(tagged("vol-1"), tagged("vol-2"), tagged("i-1"))
    assert notice.detail.endswith("touches 2 recovery points")


def test_a_notice_of_several_calls_counts_each_point_once() -> None:
    later, first = (called("StopLogging", eventTime=f"2026-11-30T02:00:{second}Z") for second in ("30", "10"))
    (notice,) = Region().notified(later, first)
    assert "first at 2026-11-30 02:00:10 UTC" in notice.detail
    assert notice.detail.endswith("touches 2 recovery points")


def test_a_region_that_cannot_be_read_hides_no_signal() -> None:
    (notice,) = Region(unreachable=True).notified(called("ScheduleKeyDeletion"))
    assert notice.detail.endswith("of 1 call it is not known which recovery points are touched")


def test_ten_thousand_calls_of_one_principal_are_one_notice() -> None:
    ids = [f"snap-{number:017x}" for number in range(10_000)]
    region = Region(present=[snapshot(one) for one in ids])
    (notice,) = region.notified(*(called("DeleteSnapshot", requestParameters={"snapshotId": one}) for one in ids))
    assert notice.count == 10_000
    assert notice.subject == f"DeleteSnapshot {ids[0]} and 9999 more"
    assert notice.detail.endswith("touches 10,000 recovery points")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"detail": None},
        {"detail": []},
        called("DeleteSnapshot", eventTime="yesterday"),
        called("DeleteSnapshot", eventTime=None),
        called("DeleteSnapshot", eventName=7),
    ],
)
def test_an_event_that_cannot_be_read_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        signal_of(event, OWN)


def test_a_record_without_an_identity_is_still_a_signal() -> None:
    (notice,) = Region().notified(called("StopLogging", userIdentity=None, sourceIPAddress=None))
    assert "by not known from not known" in notice.detail


LESSER = sorted({call.name for call in LISTED_CALLS} - GRAVEST - {"DeleteRule"})


@pytest.mark.parametrize("request_name", sorted(GRAVEST))
def test_one_of_the_gravest_holds_everything_if_the_stack_enables_it(request_name: str) -> None:
    region = Region(holding=True)
    region.notified(called(request_name), called(request_name))
    (hold,) = region.holds
    assert hold.covers_everything
    assert f"{request_name} by {MALLORY}" in hold.reason
    asked_for_nothing = Region()
    asked_for_nothing.notified(called(request_name))
    assert asked_for_nothing.holds == []


def test_several_other_calls_hold_everything_and_fewer_do_not() -> None:
    for number in (SEVERAL - 1, SEVERAL):
        region = Region(holding=True)
        region.notified(*(called(name) for name in LESSER[:number]))
        assert len(region.holds) == (number == SEVERAL)


def test_attempts_and_calls_of_no_concern_hold_nothing() -> None:
    region = Region(holding=True, present=[snapshot(system="snapkeep2")])
    region.notified(
        called("UnlockSnapshot"),
        *(called(name, errorCode="AccessDenied") for name in ("DeleteSnapshot", "StopLogging", "DeleteStack")),
    )
    assert region.holds == []


def test_a_hold_that_cannot_be_placed_is_notified() -> None:
    region = Region(holding=True, unreachable=True)
    kinds = [notice.kind for notice in region.notified(called("StopLogging"))]
    assert kinds == ["Signal", "AwsUnavailable"]


def test_a_signal_is_kept_with_its_principal_objects_and_points_once() -> None:
    region, events = Region(), [called("DeleteSnapshot"), called("DeleteSnapshot", eventTime="2026-11-30T01:59:00Z")]
    region.notified(*events)
    region.notified(*events)
    ((name, record),) = region.kept.items()
    assert name.startswith("signals/2026/11/30/015900Z-DeleteSnapshot-")
    assert (record.region, record.call, record.calls, record.principal) == ("us-east-1", "DeleteSnapshot", 2, MALLORY)
    assert (record.objects, record.object_count, record.points, record.unknown) == ((SNAPSHOT,), 1, 2, 0)
    assert (record.address, record.error) == ("203.0.113.5", "")


def test_a_bucket_that_does_not_answer_loses_no_notice() -> None:
    region = Region(unreachable=True)
    assert len(region.notified(called("StopLogging"))) == 1
    assert region.kept == {}
