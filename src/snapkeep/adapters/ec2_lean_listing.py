"""An EC2 client whose DescribeSnapshots reads pages with a lean parser: for listings of a whole region.

Parsing a page of 1,000 snapshots takes botocore several times as long as the request takes to sign, send and read with
ElementTree; nothing else of the client changes. Texts that recur on thousands of snapshots (tags, states, keys) are held once.
Requests are signed by botocore, and errors are botocore's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from sys import intern
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.httpsession import URLLib3Session

from snapkeep.adapters.aws_errors import SERVER_FAULT, THROTTLED, code_of

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_ec2 import EC2Client

OPERATION = "DescribeSnapshots"
API_VERSION = "2016-11-15"
ATTEMPTS = 8
ATTEMPTS_WITHOUT_ANSWER = 3
"""A person waits for the answer: an unreachable region is reported soon."""
READ_SECONDS = 60
LONGEST_PAUSE_SECONDS = 20.0
CLIENT_FAULT = 400
LISTS = {"OwnerIds": "Owner", "SnapshotIds": "SnapshotId"}
RECURRING = [
    *("OwnerId", "VolumeId", "Progress", "Description", "KmsKeyId", "TransferType"),
    *("OutpostArn", "AvailabilityZone", "StorageTier"),
]
"""Fields of text that many snapshots share."""

Read = Callable[[ET.Element], Any]
"""Returns the value of a field's element as boto3 has it."""


class LeanEc2Client:
    """An EC2 client, with `describe_snapshots` replaced; everything else is the client's own."""

    def __init__(
        self,
        *,
        client: EC2Client,
        credentials: Credentials,
        pause: Callable[[float], None],
        http: Any = None,
        dice: random.Random | None = None,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._pause = pause
        self._http = http or URLLib3Session(timeout=READ_SECONDS)
        self._dice = dice or random.Random()  # noqa: S311 - jitter of retries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_snapshots(self, **query: Any) -> dict[str, Any]:
        """Return a page as boto3 does, without the fields that we never read.

        `query` may have OwnerIds, SnapshotIds, Filters, MaxResults and NextToken.

        After retries with back-off and full jitter, raise ClientError, or what botocore raises when AWS is unreachable.
        """
        body = urlencode(list(_fields(query)))
        for attempt in range(ATTEMPTS):
            try:
                return self._page(body)
            except (ClientError, HTTPClientError, NoConnectionError) as error:
                if attempt + 1 >= _attempts(error):
                    raise
                self._pause(self._dice.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.5 * 2**attempt)))
        raise AssertionError("the loop above returns or raises")

    def _page(self, body: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest("POST", self._client.meta.endpoint_url + "/", data=body, headers=headers)
        SigV4Auth(self._credentials.get_frozen_credentials(), "ec2", self._client.meta.region_name).add_auth(request)
        answer = self._http.send(request.prepare())
        if answer.status_code >= CLIENT_FAULT:
            raise _error(answer.content, answer.status_code)
        return parse_page(answer.content)


def parse_page(content: bytes) -> dict[str, Any]:
    """Return the snapshots and NextToken of a DescribeSnapshots answer as boto3 names them."""
    root = ET.fromstring(content)  # noqa: S314 - AWS's answer to a signed request
    namespace = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    readers = _readers(namespace)
    page: dict[str, Any] = {"Snapshots": [_snapshot(item, readers) for item in root.iterfind(f"{namespace}snapshotSet/*")]}
    token = root.findtext(f"{namespace}nextToken")
    if token:
        page["NextToken"] = token
    return page


def _snapshot(item: ET.Element, readers: Mapping[str, tuple[str, Read]]) -> dict[str, Any]:
    snapshot: dict[str, Any] = {}
    for field in item:
        known = readers.get(field.tag)
        if known:
            name, read = known
            snapshot[name] = read(field)
    return snapshot


@cache
def _readers(namespace: str) -> dict[str, tuple[str, Read]]:
    """Return for each element that we read its name in boto3 and its reader."""
    names_of_tags = {f"{namespace}key": "Key", f"{namespace}value": "Value"}

    def tags(field: ET.Element) -> list[dict[str, str]]:
        return [{names_of_tags[part.tag]: intern(part.text or "") for part in tag} for tag in field]

    readers: dict[str, tuple[str, Read]] = {
        "snapshotId": ("SnapshotId", lambda field: field.text or ""),
        "status": ("State", _recurring),
        "statusMessage": ("StateMessage", _recurring),
        "startTime": ("StartTime", _moment),
        "completionTime": ("CompletionTime", _moment),
        "restoreExpiryTime": ("RestoreExpiryTime", _moment),
        "encrypted": ("Encrypted", lambda field: field.text == "true"),
        "volumeSize": ("VolumeSize", lambda field: int(field.text or "")),
        "tagSet": ("Tags", tags),
        **{name[0].lower() + name[1:]: (name, _recurring) for name in RECURRING},
    }
    return {namespace + element: known for element, known in readers.items()}


def _recurring(field: ET.Element) -> str:
    return intern(field.text or "")


def _moment(field: ET.Element) -> datetime:
    return datetime.fromisoformat(field.text or "")


def _fields(query: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return a query's form fields in EC2's query protocol: lists are numbered from 1, their names singular."""
    yield "Action", OPERATION
    yield "Version", API_VERSION
    for name, value in query.items():
        if name == "Filters":
            for number, condition in enumerate(value, 1):
                yield f"Filter.{number}.Name", condition["Name"]
                for position, pattern in enumerate(condition["Values"], 1):
                    yield f"Filter.{number}.Value.{position}", pattern
        elif name in LISTS:
            yield from ((f"{LISTS[name]}.{number}", item) for number, item in enumerate(value, 1))
        elif name in ("MaxResults", "NextToken"):
            yield name, str(value)
        else:
            raise TypeError(f"describe_snapshots does not support {name} here")


def _attempts(error: Exception) -> int:
    """Return how often a request that fails so is tried: once, unless the same request may succeed later."""
    if not isinstance(error, ClientError):
        return ATTEMPTS_WITHOUT_ANSWER
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return ATTEMPTS if code_of(error) in THROTTLED or status >= SERVER_FAULT else 1


def _error(content: bytes, status: int) -> ClientError:
    try:
        root = ET.fromstring(content)  # noqa: S314 - AWS's answer to a signed request
        code, message = root.findtext(".//Code") or "", root.findtext(".//Message") or ""
    except ET.ParseError:
        code, message = str(status), content[:200].decode(errors="replace")
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, OPERATION)  # type: ignore[typeddict-item]
