"""A fast parser of DescribeSnapshots pages for botocore's clients, for listings of a whole region.

Parsing by botocore itself takes several times as long for a page of 1,000 snapshots as the signed request and its parsing with
ElementTree. Texts that recur on thousands of snapshots (tags, states, keys) are stored once. Everything else is botocore's own:
signatures, retries, timeouts, proxies, certificates, errors, and the answers of all other operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from sys import intern
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from botocore.exceptions import ResponseStreamingError
from botocore.parsers import ResponseParserFactory

if TYPE_CHECKING:
    from botocore.session import Session

PAGE_SHAPE = "DescribeSnapshotsResult"
"""The shape of the answer in botocore's model (ec2 2016-11-15)."""
CLIENT_FAULT = 400
RECURRING = [
    *("OwnerId", "VolumeId", "Progress", "Description", "KmsKeyId", "TransferType"),
    *("OutpostArn", "AvailabilityZone", "StorageTier"),
]
"""Text fields whose values many snapshots share."""

Read = Callable[[ET.Element], Any]
"""Returns the value of a field's element in boto3's form."""


def read_lean(session: Session) -> None:
    """Use the fast parser in all clients that a session makes from now on."""
    session.register_component("response_parser_factory", LeanParserFactory())


class LeanParserFactory(ResponseParserFactory):
    """A factory of botocore's parsers, with the fast one for EC2."""

    def create_parser(self, protocol_name: str) -> Any:
        """Return the parser of a protocol."""
        parser: Any = super().create_parser(protocol_name)
        return _LeanParser(parser) if protocol_name == "ec2" else parser


class _LeanParser:
    """EC2's parser, with fast parsing of DescribeSnapshots pages."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        """Return the answer of an operation in boto3's form; pages of snapshots have only the fields that Snapkeep reads."""
        status = response["status_code"]
        if shape is None or shape.name != PAGE_SHAPE or status >= CLIENT_FAULT:
            return self._parser.parse(response, shape)
        return parse_page(response["body"]) | {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": response["headers"]}}


def parse_page(content: bytes) -> dict[str, Any]:
    """Return the snapshots and NextToken of a DescribeSnapshots answer under boto3's names.

    Raise botocore's ResponseStreamingError for an incomplete answer.
    """
    try:
        root = ET.fromstring(content)  # noqa: S314 - AWS's answer to a signed request
    except ET.ParseError as error:
        raise ResponseStreamingError(error=error) from error
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
    """Return, for each element that Snapkeep reads, its name in boto3 and its reader."""
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
        "completionDurationMinutes": ("CompletionDurationMinutes", lambda field: int(field.text or "")),
        "tagSet": ("Tags", tags),
        **{name[0].lower() + name[1:]: (name, _recurring) for name in RECURRING},
    }
    return {namespace + element: known for element, known in readers.items()}


def _recurring(field: ET.Element) -> str:
    return intern(field.text or "")


def _moment(field: ET.Element) -> datetime:
    return datetime.fromisoformat(field.text or "")
