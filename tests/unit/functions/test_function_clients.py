"""The functions' clients: how they read moments, and how often they ask."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.utils import parse_timestamp

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.errors import AwsUnavailable
from snapkeep.domain.model import Origin
from snapkeep.functions import clients, sweep, verify
from snapkeep.functions.clients import PATIENT, Clients, moment_in
from snapkeep.functions.composition import Composition
from snapkeep.functions.environment import Environment
from snapkeep.usecases.recovery.verify import PORTION
from support.templates import FUNCTION, resources

PAGE = b"""<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><snapshotSet><item>
<snapshotId>snap-1</snapshotId><startTime>2026-11-20T01:02:03.004Z</startTime></item></snapshotSet></DescribeSnapshotsResponse>"""


NOW = datetime(2026, 11, 23, tzinfo=UTC)


class EmptyBody:
    """An answer without content."""

    def stream(self) -> list[bytes]:
        return []


class Body:
    """An answer's content, as urllib3 hands it on."""

    def stream(self) -> list[bytes]:
        return [PAGE]


@pytest.fixture(autouse=True)
def some_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T01:02:03.004Z",
        "2026-11-20T01:02:03Z",
        "2026-11-20T01:02:03.5+02:00",
        "2026-11-20T01:02:03",
        "Fri, 20 Nov 2026 01:02:03 GMT",
        1_795_136_523,
        1_795_136_523.004,
        "1795136523",
    ],
)
def test_a_moment_is_read_as_botocore_reads_it(value: object) -> None:
    assert moment_in(value) == parse_timestamp(value)


def test_an_invalid_timestamp_is_refused_as_botocore_refuses_it() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        moment_in("yesterday")


def test_a_client_reads_its_answers_so(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(clients, "moment_in", lambda value: read.append(value) or moment_in(value))
    client = Clients(region="us-east-1").get("ec2")
    client.meta.events.register("before-send.ec2", lambda request, **_: AWSResponse(request.url, 200, {}, Body()))
    answer = client.describe_snapshots()
    assert read == ["2026-11-20T01:02:03.004Z"]
    assert answer["Snapshots"][0]["StartTime"] == datetime(2026, 11, 20, 1, 2, 3, 4000, tzinfo=UTC)


def test_a_sweep_slows_down_when_it_is_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def composition(config: object) -> None:
        asked.append(config)
        raise InterruptedError

    monkeypatch.setattr(sweep, "composition", composition)
    with pytest.raises(InterruptedError):
        sweep.handler({"step": "repair", "sweep": "one"}, None)
    assert asked == [PATIENT]
    patient = Clients(region="us-east-1", config=PATIENT)
    assert patient.get("ec2").meta.config.retries == {"mode": "adaptive", "total_max_attempts": 4}
    assert patient.get("ec2", once=True).meta.config.retries["total_max_attempts"] == 1


def test_a_portion_and_an_unanswered_call_of_read_blocks_fit_into_verify() -> None:
    made = Clients(region="us-east-2")
    waited = {service: made.get(service).meta.config for service in ("lambda", "s3", "ec2")}
    assert waited["lambda"].retries["total_max_attempts"] == 1
    assert resources("primary", FUNCTION)["ReadBlocks"]["Timeout"] < waited["lambda"].read_timeout
    call = timedelta(seconds=waited["lambda"].read_timeout + waited["lambda"].connect_timeout)
    assert PORTION + call < timedelta(seconds=resources("dr", FUNCTION)["Verify"]["Timeout"])
    for service in ("s3", "ec2"):
        assert (waited[service].read_timeout, waited[service].retries["total_max_attempts"]) == (20, 4)


def test_verify_reads_through_clients_that_repeat_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def composition(*config: object) -> None:
        asked.append(config)
        raise InterruptedError

    monkeypatch.setattr(verify, "composition", composition)
    with pytest.raises(InterruptedError):
        verify._use_case()
    assert asked == [()]


def test_a_cold_start_of_verify_loads_no_sweep() -> None:
    look = "import sys, snapkeep.functions.verify; print([name for name in sys.modules if '.sweep' in name])"
    loaded = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


@pytest.mark.parametrize("call", ["copy", "delete"])
def test_a_copy_or_deletion_that_is_not_answered_is_sent_once(call: str) -> None:
    made = Clients(region="us-east-2")
    parts = Composition(Environment({"AWS_REGION": "us-east-2"}), made)
    sent: list[str] = []

    def unavailable(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.url)
        return AWSResponse(request.url, 503, {}, EmptyBody())

    made.get("ec2", once=True).meta.events.register("before-send.ec2", unavailable)
    made.get("ec2").meta.events.register("before-send.ec2", unavailable)
    request = CopyRequest(Origin("us-east-1", "vol-1", "snap-1", NOW), "gold", "us-east-2", "", NOW, 8, encrypted=False)
    calls = {"copy": lambda: parts.copier.start_copy(request), "delete": lambda: parts.deleter.delete("snap-1")}
    with pytest.raises(AwsUnavailable):
        calls[call]()
    assert len(sent) == 1
