"""The lean listing reads what botocore reads, over botocore's own clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore.exceptions import ClientError, ResponseStreamingError
from botocore.parsers import create_parser

from snapkeep.adapters.ec2_lean_listing import parse_page, read_lean
from snapkeep.adapters.ec2_reader import Ec2Reader, snapshot_from

ITEM = """<item><snapshotId>snap-{n}</snapshotId><volumeId>vol-{n}</volumeId><status>completed</status>
<startTime>2026-11-{day:02}T01:02:03.456Z</startTime><completionTime>2026-11-23T01:09:03.000Z</completionTime><progress>100%</progress>
<ownerId>123456789012</ownerId><volumeSize>{n}</volumeSize><description>nightly &amp; kept</description><encrypted>{encrypted}</encrypted>
<kmsKeyId>arn:aws:kms:us-east-1:123456789012:key/k</kmsKeyId><storageTier>standard</storageTier><transferType>standard</transferType>
<fullSnapshotSizeInBytes>524288</fullSnapshotSizeInBytes><statusMessage/>
<tagSet><item><key>Name</key><value>db {n}</value></item><item><value/><key>Empty</key></item></tagSet></item>"""
PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?><DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    "<requestId>r</requestId><snapshotSet>{items}</snapshotSet>{token}</DescribeSnapshotsResponse>"
)
THROTTLED = b"<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors></Response>"


def page(*numbers: int, token: str = "") -> bytes:
    items = "".join(ITEM.format(n=n, day=n, encrypted="true" if n % 2 else "false") for n in numbers)
    return PAGE.format(items=items, token=f"<nextToken>{token}</nextToken>" if token else "").encode()


class Server(ThreadingHTTPServer):
    """Answers requests in order, and then not at all."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.asked: list[dict[str, list[str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        assert "Authorization" in self.headers
        self.server.asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        status, content = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(*answers: tuple[int, bytes]) -> Iterator[tuple[Server, Any]]:
    """A server with its answers, and a client of it that reads lean."""
    session = botocore.session.Session()
    read_lean(session)
    session.set_credentials("testing", "testing")
    with Server(*answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, session.create_client("ec2", region_name="us-east-1", endpoint_url=server.url)
        finally:
            server.shutdown()
            thread.join()


def test_a_page_is_read_as_botocore_reads_it() -> None:
    content = page(1, 2, 3, token="more")
    shape = botocore.session.Session().get_service_model("ec2").operation_model("DescribeSnapshots").output_shape
    theirs = create_parser("ec2").parse({"status_code": 200, "headers": {}, "body": content}, shape)
    ours = parse_page(content)
    assert ours["NextToken"] == theirs["NextToken"]
    assert [snapshot_from(item, "us-east-1") for item in ours["Snapshots"]] == [
        snapshot_from(item, "us-east-1") for item in theirs["Snapshots"]
    ]


def test_a_tag_without_a_value_has_an_empty_one() -> None:
    bare = page(1).replace(b"<key>Name</key><value>db 1</value>", b"<key>Name</key>")
    assert snapshot_from(parse_page(bare)["Snapshots"][0], "us-east-1").tags == {"Name": "", "Empty": ""}


def test_texts_that_recur_are_held_once() -> None:
    first, second = parse_page(page(1, 2))["Snapshots"]
    assert first["KmsKeyId"] is second["KmsKeyId"]
    assert first["Tags"][0]["Key"] is second["Tags"][0]["Key"]


def test_the_reader_follows_all_pages_with_filters() -> None:
    with serving((200, page(1, 2, token="t1")), (200, page(3))) as (server, client):
        snapshots = Ec2Reader(client=client, region="us-east-1").snapshots_of_volumes(["vol-1"])
    assert [snapshot.id for snapshot in snapshots] == ["snap-1", "snap-2", "snap-3"]
    first, second = server.asked
    assert first["Filter.1.Name"] == ["volume-id"]
    assert first["Filter.1.Value.1"] == ["vol-1"]
    assert first["Owner.1"] == ["self"]
    assert second["NextToken"] == ["t1"]


def test_errors_are_botocores() -> None:
    refused = THROTTLED.replace(b"RequestLimitExceeded", b"UnauthorizedOperation")
    with serving((403, refused)) as (_, client), pytest.raises(ClientError, match="UnauthorizedOperation"):
        client.describe_snapshots()


def test_an_answer_that_was_cut_off_is_an_error_of_botocore() -> None:
    with pytest.raises(ResponseStreamingError):
        parse_page(b"<DescribeSnapshotsResponse><snapshotSet><item>")


def test_other_operations_are_read_by_botocore() -> None:
    volumes = b"<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId></item></volumeSet></DescribeVolumesResponse>"
    with serving((200, volumes)) as (_, client):
        assert client.describe_volumes()["Volumes"] == [{"VolumeId": "vol-1"}]


def test_the_owner_of_a_snapshot_is_read_by_id_for_all_owners() -> None:
    absent = THROTTLED.replace(b"RequestLimitExceeded", b"InvalidSnapshot.NotFound")
    with serving((200, page(1)), (400, absent)) as (server, client):
        reader = Ec2Reader(client=client, region="us-east-1")
        assert [reader.owner_of("snap-1"), reader.owner_of("snap-2")] == ["123456789012", ""]
    first, second = server.asked
    assert (first["SnapshotId.1"], second["SnapshotId.1"]) == (["snap-1"], ["snap-2"])
    assert not {"Owner.1", "MaxResults"} & first.keys()
