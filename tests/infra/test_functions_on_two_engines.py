"""The deployed functions over the model of EBS, their state machines on two independent engines: both end alike.

The calls of every function in the scenario are held against the grants of its role.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest

from snapkeep.domain import tag_names as tagnames
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.recovery.methods import FULL, Method, MethodKind
from snapkeep.lab.ebs_model import ContentFaults, Faults
from snapkeep.lab.ebs_model.conditions.faults import FaultRule
from support.asl import definition
from support.calls import HOLDING, calls_by_others
from support.drilled_system import DRILLED, once_around, volumes_are_drilled
from support.earlier_version import EARLIER, IN_USE, an_execution_of_an_earlier_version_deletes
from support.first_engine import first_engine
from support.permissions import PERMISSIONS, own_calls_of
from support.policy_stories import one_copy_of_three_snapshots, push, snapshots_that_are_locked, snapshots_that_are_made
from support.real_system import REGIONS, EngineMaker, RealSystem
from support.second_engine import second_engine
from support.shared_copies import WITH_VAULT, copies_are_shared

pytestmark = pytest.mark.xdist_group("functions_on_two_engines")

ENGINES: dict[str, EngineMaker] = {"first": first_engine, "second": second_engine}
AT_ONCE = {"primary": {"DigestQuietSeconds": 0}, "dr": {"DigestQuietSeconds": 0}}
LOCKING = dict.fromkeys(("primary", "dr"), AT_ONCE["dr"] | {"MaxLockDays": 7, "AllowComplianceLocks": "yes"})
SHORT_RETRIES = {"DigestQuietSeconds": 0, "CopyAttempts": 2, "CopyRetryDelaySeconds": 30}


@dataclass(frozen=True)
class Story:
    """Something that happens to a system, and how its runs must end."""

    happens: Callable[[RealSystem], object]
    ends: dict[tuple[str, str, str], int]
    """State machine, status and error -> how many runs end so."""
    kept: tuple[int, int]
    """Snapshots in the primary and copies in the DR region at the end: beside the newest copy, the newest proved one (INV-27)."""
    published: dict[str, int] = field(default_factory=dict)
    """Errors that are notified -> messages."""
    parameters: dict[str, dict[str, Any]] = field(default_factory=lambda: AT_ONCE)
    faults: Faults | None = None


def four_snapshots(system: RealSystem) -> None:
    volume_id = system.make_volume(encrypted=True, Name="database")
    for _ in range(4):
        system.protect(volume_id)


def one_snapshot(system: RealSystem) -> str:
    return system.protect(system.make_volume(Name="database"))


def a_bad_and_a_good_snapshot(system: RealSystem) -> None:
    volume_id = system.make_volume()
    system.protect(volume_id)
    system.protect(volume_id)


def a_set_of_two(system: RealSystem) -> None:
    ec2 = system.ec2("primary")
    mappings = [{"DeviceName": name, "Ebs": {"VolumeSize": 8}} for name in ("/dev/xvda", "/dev/xvdb")]
    made = ec2.run_instances(
        ImageId="ami-0abcdef1234567890", InstanceType="t3.micro", MinCount=1, MaxCount=1, BlockDeviceMappings=mappings
    )
    system.advance(5)
    ec2.create_snapshots(InstanceSpecification={"InstanceId": made["Instances"][0]["InstanceId"]})
    system.settle()


def the_same_event_twice(system: RealSystem) -> None:
    events: list[dict[str, Any]] = []
    system.world.subscribe(events.append)
    system.protect(system.make_attached_volume())
    (created,) = [event for event in events if event["detail"]["event"] == "createSnapshot"]
    system.advance(7_200)  # by then another policy may govern the volume: retention looks at it again
    system.start("protect", created)
    system.settle()


def an_entry_of_the_queue_is_lost(system: RealSystem) -> None:
    events: list[dict[str, Any]] = []
    system.world.subscribe(events.append)
    snapshot_id = one_snapshot(system)
    table = boto3.resource("dynamodb", region_name=REGIONS["dr"]).Table(system.table)
    table.delete_item(Key={"pk": f"{REGIONS['primary']}#{snapshot_id}#{REGIONS['dr']}"})
    (created,) = [event for event in events if event["detail"]["event"] == "createSnapshot"]
    system.start("protect", created)
    system.settle()


def a_copy_loses_its_policys_tag(system: RealSystem) -> None:
    def untag(event: dict[str, Any]) -> None:
        if event["detail"]["event"] == "copySnapshot":
            copy_id = event["detail"]["snapshot_id"].rpartition("/")[2]
            system.ec2("dr").delete_tags(Resources=[copy_id], Tags=[{"Key": tagnames.POLICY}])

    system.world.subscribe(untag)
    one_snapshot(system)
    (copy,) = system.kept("dr")
    assert tagnames.POLICY in {tag["Key"] for tag in copy["Tags"]}


def a_policy_document_that_cannot_be_read(system: RealSystem) -> None:
    push("{policies")
    system.invoke("primary", "MakeSnapshots", {})
    four_snapshots(system)


def another_dispatcher_is_at_work(system: RealSystem) -> None:
    table = boto3.resource("dynamodb", region_name=REGIONS["dr"]).Table(system.table)
    lease = {"pk": "lease#dispatch", "holder": "another", "expires_at": "2999-01-01T00:00:00.000Z", "again": False}
    table.put_item(Item=lease)
    system.invoke("dr", "Dispatch", {})
    assert table.get_item(Key={"pk": "lease#dispatch"})["Item"]["again"] is True
    table.delete_item(Key={"pk": "lease#dispatch"})
    one_snapshot(system)


def copies_are_compared(system: RealSystem) -> None:
    def compare(method: Method) -> str:
        copy_id = str(system.kept("dr")[-1]["SnapshotId"])
        system.start("verify", {"copy": copy_id, "method": to_object(method)})
        system.settle()
        return copy_id

    volume_id = system.make_volume()
    system.world.write(volume_id, 0, 3, region=REGIONS["primary"])
    system.protect(volume_id)
    compare(FULL)
    system.protect(volume_id)
    wrong = compare(Method(MethodKind.CHANGED))
    system.world.plant(wrong, ContentFaults(wrong=(1,)), region=REGIONS["dr"])
    compare(FULL)
    system.settle(300)


def requested_copy(system: RealSystem) -> Any:
    """Return the copy that TagSnapshots requests of a snapshot whose event was lost."""
    made = system.ec2("primary").create_snapshot(VolumeId=system.make_volume())
    system.settle()
    detail = {
        "event": "createSnapshot",
        "result": "succeeded",
        "cause": "",
        "snapshot_id": f"arn:aws:ec2::{REGIONS['primary']}:snapshot/{made['SnapshotId']}",
        "source": f"arn:aws:ec2::{REGIONS['primary']}:volume/{made['VolumeId']}",
    }
    detail |= dict.fromkeys(("startTime", "endTime"), "2026-01-01T00:00:00.000Z")
    event = {"source": "aws.ec2", "detail-type": "EBS Snapshot Notification", "region": REGIONS["primary"], "detail": detail}
    (copy,) = system.invoke("primary", "TagSnapshots", {"execution": "ended", "event": event})["copies"]
    return copy


def a_copy_fails_before_its_execution_waits(system: RealSystem) -> None:
    copy = requested_copy(system)
    system.invoke("primary", "CopySnapshotToDR", {"execution": "run", "copies": [copy]})
    system.settle()
    system.invoke("primary", "CopySnapshotToDR", {"execution": "run", "token": "an unknown token", "copy": copy})
    system.settle()


def nobody_waits_for_a_copy_that_cannot_be_made(system: RealSystem) -> None:
    """As when time-outs have passed; and one more asks for the copy at the moment when the first is answered."""
    copy = requested_copy(system)

    def ask(token: str) -> None:
        system.invoke("primary", "CopySnapshotToDR", {"execution": "ended", "token": token, "copy": copy})

    def another_asks() -> None:
        system.when_answering = bool
        ask("another unknown token")

    system.when_answering = another_asks
    ask("an unknown token")
    system.settle()


def with_a_key(
    prepare: Callable[[RealSystem, str], object], then: Callable[[RealSystem], object] = one_snapshot
) -> Callable[[RealSystem], object]:
    """Return the story of a failure that something done to the copies' key causes."""

    def happens(system: RealSystem) -> None:
        kms = system.world.client("kms", REGIONS["dr"], caller="person")
        prepare(system, kms.list_keys()["Keys"][0]["KeyArn"])
        then(system)

    return happens


def disable(system: RealSystem, key_arn: str) -> None:
    system.world.client("kms", REGIONS["dr"], caller="person").disable_key(KeyId=key_arn)


def fault(kind: str, **given: Any) -> Faults:
    return Faults(script=(FaultRule(kind, **given),))


def good(protected: int, received: int) -> dict[tuple[str, str, str], int]:
    return {("protect", "SUCCEEDED", ""): protected, ("receive", "SUCCEEDED", ""): received}


GOOD = good(1, 1)
KEY = {"primary": {**AT_ONCE["primary"], "DRKmsKey": "<the key>"}, "dr": SHORT_RETRIES}
THROTTLED = {"code": "RequestLimitExceeded", "message": "Request limit exceeded.", "http_status": 503}
STORIES = {
    "snapshots are copied and the oldest go": Story(
        four_snapshots,
        good(4, 4),
        (2, 2),  # two copies: of one, the former stays or goes by whether the last is proved before its plan
        parameters={"primary": {"Retention": 2}, "dr": {"Retention": 2}},
    ),
    "a volume is not included": Story(
        one_snapshot, {("protect", "SUCCEEDED", ""): 1}, (1, 0), parameters={"primary": {"tagKeyValue": "Backup"}}
    ),
    "a snapshot fails": Story(
        a_bad_and_a_good_snapshot,
        {**GOOD, ("protect", "FAILED", "ProblemsFound"): 1},
        (2, 1),
        {"SnapshotFailed": 1},
        faults=fault("snapshot_fails", times=1, message="the disk was on fire"),
    ),
    "EC2 throttles": Story(
        one_snapshot, GOOD, (1, 1), faults=fault("api_error", action="DescribeSnapshots", times=4, **THROTTLED)
    ),
    "a set of volumes": Story(a_set_of_two, good(1, 2), (2, 2)),
    "a copy fails late, for its key": Story(
        with_a_key(lambda system, key: system.world.deny_key(key)),
        {
            ("protect", "FAILED", "CopyFailed"): 1,
            ("receive", "SUCCEEDED", ""): 1,
            ("receive", "FAILED", "CopyFailed"): 1,
        },
        (1, 0),
        {"CopyFailed": 2},
        KEY,
    ),
    "a copy's key is disabled": Story(
        with_a_key(disable), {("protect", "FAILED", "CopyFailed"): 1}, (1, 0), {"CopyFailed": 1}, KEY
    ),
    "a copy fails once": Story(
        one_snapshot, good(1, 2), (1, 1), parameters={"dr": SHORT_RETRIES}, faults=fault("copy_fails", times=1)
    ),
    "a snapshot cannot be deleted": Story(
        four_snapshots,
        {
            ("protect", "SUCCEEDED", ""): 3,
            ("protect", "FAILED", "NotDeleted"): 1,
            ("receive", "SUCCEEDED", ""): 4,
        },
        (2, 2),
        {"NotDeleted": 1},
        {"primary": {"Retention": 2, "DigestQuietSeconds": 0}},
        fault("api_error", action="DeleteSnapshot", region="us-east-1", times=1, code="InvalidSnapshot.InUse", http_status=400),
    ),
    "a deletion is not allowed": Story(
        four_snapshots,
        {
            ("protect", "SUCCEEDED", ""): 3,
            ("protect", "FAILED", "NotDeleted"): 1,
            ("receive", "SUCCEEDED", ""): 3,
            ("receive", "FAILED", "NotDeleted"): 1,
        },
        (2, 2),
        {"NotDeleted": 2},
        {"primary": {"Retention": 2, "DigestQuietSeconds": 0}, "dr": {"DigestQuietSeconds": 0}},
        Faults(
            script=tuple(
                FaultRule(
                    "api_error", action="DeleteSnapshot", region=region, times=1, code="UnauthorizedOperation", http_status=403
                )
                for region in REGIONS.values()
            )
        ),
    ),
    "no execution waits for a copy that cannot be made": Story(
        with_a_key(disable, nobody_waits_for_a_copy_that_cannot_be_made),
        {},
        (1, 0),
        {"CopyFailed": 1},
        KEY,
        fault("event_lost", event="createSnapshot"),
    ),
    "a copy fails before its execution waits for it": Story(
        with_a_key(disable, a_copy_fails_before_its_execution_waits),
        {},
        (1, 0),
        {},
        KEY,
        fault("event_lost", event="createSnapshot"),
    ),
    "the same event comes twice": Story(the_same_event_twice, good(2, 1), (1, 1)),
    "an entry of the queue is lost": Story(an_entry_of_the_queue_is_lost, good(2, 1), (1, 1)),
    "a copy loses a tag": Story(a_copy_loses_its_policys_tag, GOOD, (1, 1)),
    "a policy document cannot be read": Story(
        a_policy_document_that_cannot_be_read,
        good(4, 4),
        (4, 4),
        {"InvalidPolicy": 2},
        {"primary": {"Retention": 2, "DigestQuietSeconds": 0}, "dr": {"DigestQuietSeconds": 0}},
    ),
    "one snapshot of a day is copied": Story(one_copy_of_three_snapshots, good(3, 1), (3, 1)),
    "snapshots are locked": Story(snapshots_that_are_locked, GOOD, (1, 1), {"InvalidPolicy": 2}, LOCKING),
    "snapshots are made": Story(snapshots_that_are_made, good(3, 4), (4, 4)),
    "copies are compared, and one differs": Story(
        copies_are_compared,
        {("protect", "SUCCEEDED", ""): 2, ("receive", "SUCCEEDED", ""): 3, ("verify", "FAILED", "CopyDiffers"): 1},
        (2, 3),
        {"CopyDiffers": 1},
        {"primary": {"Retention": 3, "DigestQuietSeconds": 0}, "dr": {"Retention": 3, "DigestQuietSeconds": 0}},
    ),
    "volumes are drilled": Story(volumes_are_drilled, {**GOOD, **DRILLED}, (1, 1), {"DrillFailed": 1, "InvalidPolicy": 1}),
    "an execution of an earlier version deletes": Story(
        an_execution_of_an_earlier_version_deletes, *EARLIER, faults=fault("api_error", times=1, **IN_USE)
    ),
    "calls by others are notified": Story(calls_by_others, GOOD, (1, 1), {"Signal": 2}, HOLDING),
    "copies are shared with a vault": Story(copies_are_shared, good(2, 2), (2, 2), {"InvalidPolicy": 1}, WITH_VAULT),
    "another dispatcher is at work": Story(another_dispatcher_is_at_work, GOOD, (1, 1)),
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a story on one engine."""

    ends: dict[tuple[str, str, str], int]
    kept: tuple[int, int]
    published: dict[str, int]
    calls: dict[tuple[str, str], frozenset[str]]
    states: tuple[tuple[str, ...], ...]


@cache
def outcome_of(engine_name: str, name: str) -> Outcome:
    """Return the outcome of a story on an engine; each runs once."""
    story = STORIES[name]
    parameters = {stack: dict(values) for stack, values in story.parameters.items()}
    system = RealSystem(parameters=parameters, faults=story.faults)
    if story.parameters is KEY:
        made = system.world.client("kms", REGIONS["dr"], caller="person").create_key(Description="of the copies")
        parameters["primary"]["DRKmsKey"] = made["KeyMetadata"]["Arn"]
    with system.started(ENGINES[engine_name]):
        story.happens(system)
        subjects = [subject.split(": ")[1].split(" ")[0] for stack in REGIONS for subject in system.published(stack)]
        return Outcome(
            dict(
                Counter(
                    (machine, run.status, run.error)
                    for machine, run in system.runs
                    if (machine, run.status) != ("verify", "SUCCEEDED")  # each copy that arrives has one
                )
            ),
            (len(system.kept("primary")), len(system.kept("dr"))),
            dict(Counter(subjects)),
            {function: frozenset(calls) for function, calls in system.calls.items()},
            tuple(
                sorted(
                    once_around(state for state in run.states if state in definition(machine)["States"])
                    for machine, run in system.runs
                )
            ),
        )


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("engine_name", ENGINES)
def test_each_story_ends_as_it_must(engine_name: str, name: str) -> None:
    story, outcome = STORIES[name], outcome_of(engine_name, name)
    assert outcome.ends == story.ends
    assert outcome.kept == story.kept
    assert outcome.published == story.published


@pytest.mark.parametrize("name", STORIES)
def test_both_engines_go_the_same_ways(name: str) -> None:
    assert outcome_of("first", name).states == outcome_of("second", name).states


ELSEWHERE = {"Sweep", "CountSnapshots"}  # the sweep's stories are; CountSnapshots has the permissions of DeleteOldSnapshots
CALLED = [(stack, function) for stack in REGIONS for function in PERMISSIONS[stack] if function not in ELSEWHERE]


@pytest.mark.parametrize(("stack", "function"), CALLED)
def test_a_function_calls_exactly_what_its_role_grants(stack: str, function: str) -> None:
    outcomes = [outcome_of(engine_name, name) for engine_name in ENGINES for name in STORIES]
    called = frozenset().union(*(outcome.calls.get((stack, function), frozenset()) for outcome in outcomes))
    assert called == own_calls_of(stack, function)
