"""An AWS in a process of its own that holds a hundred thousand snapshots and their copies, for bench_sweep.py.

EC2 is the model, behind its client, so that each request takes its latency in virtual time; answers come as the XML that EC2
sends, and the queue's table as DynamoDB's JSON, so that the caller parses what a function parses. The caller is in
another process: its memory and its processor time are its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserFactory

from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.model import Origin
from snapkeep.domain.tag_names import POLICY, RECORD
from snapkeep.domain.tags import description_of_copy, tags_for_copy, tags_for_snapshot
from snapkeep.functions.clients import moment_in
from snapkeep.lab.ebs_model import ASSUMED_LATENCY, Quotas, Speeds, World
from snapkeep.lab.ebs_model.client import METHODS
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.embedded_aws.wire.ec2_xml import answer_document, error_document
from snapkeep.lab.embedded_aws.wire.models import operation_model

PRIMARY, DR, SYSTEM, POLICY_NAME = "us-east-1", "us-east-2", "snapkeep", "gold"
SNAPSHOTS_PER_VOLUME = 20
DAY, HOUR = 86_400.0, 3_600.0
UNLIMITED = Quotas(
    copies_per_destination=10**9,
    snapshots_per_region=10**9,
    pending_snapshots=10**9,
    snapshots_per_volume=10**9,
    seconds_between_snapshots=0,
    throttling=False,
)
OTHER_TAGS = {"Name": "data", "Team": "storage", RECORD: "0" * 16}
"""The users' own tags, and the recovery record's."""
TABLE_PAGE_BYTES = 1_000_000
"""A Query answers at most 1 MB (DynamoDB developer guide: Query)."""
TABLE_PAGE_SECONDS = 0.2
"""An assumption, as `ASSUMED_LATENCY` is one: DynamoDB documents no latency of a full page."""

# Faults: each at one volume in so many, and always at its newest snapshot.
WRONG_EVERY = 500
NO_RUN, NO_COPY, END_UNSEEN, TAGS_LOST = 0, 1, 2, 3
"""No event arrived; the copy was deleted; the end of the copy was not noticed; the copy lost a tag."""


@dataclass(slots=True)
class Account:
    """The world, and what the queue's table knows of it."""

    world: World
    volumes: list[str]
    done: list[QueueEntry] = field(default_factory=list)
    known: list[QueueEntry] = field(default_factory=list)
    """Entries of copies with which something is wrong."""

    def call(self, action: str, region: str, **params: Any) -> dict[str, Any]:
        return self.world.call("ec2", action, params, region=region)

    def pass_time(self, seconds: float) -> None:
        self.world.clock.advance(seconds)  # type: ignore[attr-defined]


def build(snapshots: int) -> Account:
    """Return an account with so many snapshots of the last days, and their copies in the DR region."""
    world = World(quotas=UNLIMITED, speeds=Speeds(volume_create_seconds=0), latency=ASSUMED_LATENCY)
    account = Account(world, [])
    for _ in range(snapshots // SNAPSHOTS_PER_VOLUME):
        volume_id = account.call("CreateVolume", PRIMARY, AvailabilityZone=PRIMARY + "a", Size=8)["VolumeId"]
        world.write(volume_id, 0, 10, region=PRIMARY)
        account.volumes.append(volume_id)
    for region in (PRIMARY, DR):
        account.call("EnableSnapshotBlockPublicAccess", region, State="block-all-sharing")
    for age in reversed(range(SNAPSHOTS_PER_VOLUME)):
        _a_day(account, newest=age == 0)
        if age:
            account.pass_time(DAY - HOUR)
    account.pass_time(HOUR)
    # From here on EC2 throttles as it does; the quota for snapshots grows with the fleet (Service Quotas).
    world.set_quotas(Quotas(snapshots_per_region=2 * snapshots))
    return account


def _a_day(account: Account, *, newest: bool) -> None:
    """Make a snapshot of each volume, and an hour later its copy."""
    made: list[tuple[int, Origin]] = []
    for number, volume_id in enumerate(account.volumes):
        account.world.write(volume_id, number % 1000, 1, region=PRIMARY)
        start = utc(account.world.now())
        wrong = number % WRONG_EVERY if newest else -1
        tags = tags_for_snapshot(SYSTEM, POLICY_NAME, Origin(PRIMARY, volume_id, "", start)) | OTHER_TAGS
        answer = account.call("CreateSnapshot", PRIMARY, VolumeId=volume_id, **_tagged({} if wrong == NO_RUN else tags))
        if wrong != NO_RUN:
            made.append((wrong, Origin(PRIMARY, volume_id, answer["SnapshotId"], start)))
    account.pass_time(HOUR)
    for wrong, origin in made:
        _copy(account, wrong, origin)


def _copy(account: Account, wrong: int, origin: Origin) -> None:
    tags = tags_for_copy(SYSTEM, POLICY_NAME, origin) | OTHER_TAGS
    sent = {key: value for key, value in tags.items() if wrong != TAGS_LOST or key != POLICY}
    named = {"SourceRegion": PRIMARY, "SourceSnapshotId": origin.snapshot_id, "Description": description_of_copy(origin)}
    copy_id = account.call("CopySnapshot", DR, **named, **_tagged(sent))["SnapshotId"]
    if wrong == NO_COPY:
        account.call("DeleteSnapshot", DR, SnapshotId=copy_id)
    asked_at = origin.start_time + timedelta(minutes=1)
    request = CopyRequest(origin, POLICY_NAME, DR, "", asked_at + timedelta(hours=4), 8, encrypted=False, tags=tags)
    state = EntryState.RUNNING if wrong == END_UNSEEN else EntryState.DONE
    entry = QueueEntry(request, state, asked_at, asked_at, attempts=1, copy_id=copy_id)
    (account.known if wrong in (NO_COPY, END_UNSEEN) else account.done).append(entry)


def _tagged(tags: Mapping[str, str]) -> dict[str, Any]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": pairs}]} if pairs else {}


class _Written:
    """Takes what a queue writes into its table."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def put_item(self, *, Item: Mapping[str, Any], **_: Any) -> None:  # noqa: N803 - DynamoDB's name
        self.items.append(json.dumps(Item))


def table_pages(entries: list[QueueEntry]) -> list[bytes]:
    """Return DynamoDB's answers to a Query for all entries."""
    written = _Written()
    queue = DynamoDbQueue(client=written, table="queue", region=DR)  # type: ignore[arg-type]
    for entry in entries:
        queue.insert(entry)
    pages: list[list[str]] = [[]]
    size = 0
    for item in written.items:
        if size + len(item) > TABLE_PAGE_BYTES:
            pages.append([])
            size = 0
        pages[-1].append(item)
        size += len(item)
    last = len(pages) - 1
    return [_page(items, "" if number == last else str(number + 1)) for number, items in enumerate(pages)]


def _page(items: list[str], after: str) -> bytes:
    more = f',"LastEvaluatedKey":{{"pk":{{"S":"{after}"}}}}' if after else ""
    return f'{{"Items":[{",".join(items)}],"Count":{len(items)}{more}}}'.encode()


def serve(pipe: Connection, snapshots: int) -> None:
    """Build the account, send its counts, and answer requests until None is received."""
    account = build(snapshots)
    pages = table_pages(account.done)
    clients = {region: account.world.client("ec2", region) for region in (PRIMARY, DR)}
    counts = {region: len(account.world.region_account(region).snapshots) for region in (PRIMARY, DR)}
    pipe.send(
        {
            "now": account.world.now(),
            "volumes": len(account.volumes),
            "snapshots": counts,
            "table pages": len(pages),
            "known": account.known,
        }
    )
    for target, action, params in iter(pipe.recv, None):
        status = 200
        if target == "table":
            body = pages[int(params.get("ExclusiveStartKey", {"pk": {"S": "0"}})["pk"]["S"])]
            account.pass_time(TABLE_PAGE_SECONDS)
        else:
            try:
                body = answer_document(action, clients[target].send(action, params), "request")
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                body = error_document(error.response["Error"]["Code"], error.response["Error"]["Message"], "request")
        pipe.send((status, body, account.world.now()))


PARSERS = ResponseParserFactory()
PARSERS.set_parser_defaults(timestamp_parser=moment_in)
"""As the functions' clients read answers."""


class Wire:
    """The way to that process, and its time: a `Clock` that has come as far as the last answer."""

    def __init__(self, pipe: Connection, now: float = 0.0) -> None:
        self._pipe = pipe
        self.seconds = now

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    def ask(self, target: str, action: str, params: dict[str, Any]) -> tuple[int, bytes]:
        self._pipe.send((target, action, params))
        status, body, self.seconds = self._pipe.recv()
        return status, body


class Ec2OverTheWire:
    """EC2's client as boto3's is: what it answers was parsed by botocore. It counts its requests."""

    def __init__(self, wire: Wire, region: str) -> None:
        self._wire = wire
        self._region = region
        self._parser = PARSERS.create_parser("ec2")
        self.calls: list[tuple[str, bool]] = []
        """Each request's method, and whether it asks who else can read a snapshot."""

    def __getattr__(self, method: str) -> Any:
        action = METHODS["ec2"][method]
        shape = operation_model("ec2", action).output_shape

        def call(**params: Any) -> Any:
            looks = "RestorableByUserIds" in params or "attribute" in method or "public_access" in method
            self.calls.append((method, looks))
            status, body = self._wire.ask(self._region, action, params)
            answer = self._parser.parse({"body": body, "headers": {}, "status_code": status}, shape)
            if status >= 300:
                raise ClientError(answer, action)
            return answer

        return call


class TableOverTheWire:
    """DynamoDB's client for one Query, likewise."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._parser = PARSERS.create_parser("json")
        self.pages = 0

    def query(self, **request: Any) -> Any:
        self.pages += 1
        status, body = self._wire.ask("table", "Query", request)
        shape = operation_model("dynamodb", "Query").output_shape
        return self._parser.parse({"body": body, "headers": {}, "status_code": status}, shape)
