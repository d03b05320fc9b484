"""The lean listing reads what botocore reads, retries what passes, and raises what botocore raises."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import botocore.session
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import create_parser

from snapkeep.adapters.ec2_lean_listing import ATTEMPTS, ATTEMPTS_WITHOUT_ANSWER, LeanEc2Client, parse_page
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


class Http:
    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, list[str]]] = []

    def send(self, request: Any) -> Any:
        assert "Authorization" in request.headers
        self.asked.append(parse_qs(request.body.decode() if isinstance(request.body, bytes) else request.body))
        status, content = self.answers.pop(0)
        return SimpleNamespace(status_code=status, content=content)


def lean(http: Http, pauses: list[float] | None = None) -> LeanEc2Client:
    client: Any = SimpleNamespace(
        meta=SimpleNamespace(endpoint_url="https://ec2.us-east-1.amazonaws.com", region_name="us-east-1"),
        describe_volumes="its own",
    )
    pauses = pauses if pauses is not None else []
    return LeanEc2Client(
        client=client,
        credentials=Credentials("a", "s"),
        pause=pauses.append,
        http=http,
        dice=random.Random(1),  # type: ignore[arg-type]
    )


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


def test_the_reader_follows_all_pages_with_filters_in_the_query_protocol() -> None:
    http = Http((200, page(1, 2, token="t1")), (200, page(3)))
    reader = Ec2Reader(client=lean(http), region="us-east-1")  # type: ignore[arg-type]
    assert [snapshot.id for snapshot in reader.snapshots_of_volumes(["vol-1"])] == ["snap-1", "snap-2", "snap-3"]
    first, second = http.asked
    assert first["Filter.1.Name"] == ["volume-id"]
    assert first["Filter.1.Value.1"] == ["vol-1"]
    assert first["Owner.1"] == ["self"]
    assert second["NextToken"] == ["t1"]


def test_throttling_is_waited_out_with_jitter() -> None:
    pauses: list[float] = []
    http = Http((503, THROTTLED), (503, THROTTLED), (200, page(1)))
    assert len(lean(http, pauses).describe_snapshots(MaxResults=1000)["Snapshots"]) == 1
    assert len(pauses) == 2
    assert len(set(pauses)) == 2


def test_throttling_without_end_is_raised_as_botocore_names_it() -> None:
    http = Http(*[(503, THROTTLED)] * ATTEMPTS)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        lean(http).describe_snapshots()
    assert http.answers == []


def test_a_refusal_is_not_tried_again() -> None:
    http = Http((403, THROTTLED.replace(b"RequestLimitExceeded", b"UnauthorizedOperation")))
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        lean(http).describe_snapshots()
    assert len(http.asked) == 1


def test_everything_else_is_the_clients_own() -> None:
    assert lean(Http()).describe_volumes == "its own"


def test_a_parameter_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="RestorableByUserIds"):
        lean(Http()).describe_snapshots(RestorableByUserIds=["self"])


def test_a_region_that_does_not_answer_is_given_up_soon() -> None:
    class Away:
        asked = 0

        def send(self, request: Any) -> Any:
            self.asked += 1
            raise EndpointConnectionError(endpoint_url="https://ec2.us-east-1.amazonaws.com")

    away, pauses = Away(), list[float]()
    with pytest.raises(EndpointConnectionError):
        lean(away, pauses).describe_snapshots()  # type: ignore[arg-type]
    assert away.asked == ATTEMPTS_WITHOUT_ANSWER
    assert sum(pauses) < 3


def test_the_owner_of_a_snapshot_is_read_by_id_for_all_owners() -> None:
    http = Http((200, page(1)), (400, THROTTLED.replace(b"RequestLimitExceeded", b"InvalidSnapshot.NotFound")))
    reader = Ec2Reader(client=lean(http), region="us-east-1")  # type: ignore[arg-type]
    assert reader.owner_of("snap-1") == "123456789012"
    assert reader.owner_of("snap-2") == ""
    first, second = http.asked
    assert (first["SnapshotId.1"], second["SnapshotId.1"]) == (["snap-1"], ["snap-2"])
    assert not {"Owner.1", "MaxResults"} & first.keys()
