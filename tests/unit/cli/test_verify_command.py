"""The command `verify` over copies in the model: estimates read no block, and only a complete proof is called one."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.s3_proofs import S3Proofs
from snapkeep.cli.commands.verify import app
from snapkeep.domain.json_codec import from_json
from snapkeep.domain.recovery.methods import Method
from support.proving import DR, SYSTEM, ProvingWorld, to_the_end


class Bucket:
    """An S3 client over a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803 - boto3's
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}


class Account:
    """Both stacks as the command sees them. An execution of Verify runs when it is started."""

    def __init__(self, world: ProvingWorld) -> None:
        self.world, self.bucket = world, Bucket()
        self.dr_region = DR
        self.settings = SimpleNamespace(system=SYSTEM, client=lambda service, region: self.bucket if service == "s3" else self)
        self.adapters = SimpleNamespace(
            reader_of=lambda region: Ec2Reader(client=world.world.client("ec2", region), region=region)
        )
        self.executions: dict[str, dict[str, Any]] = {}
        self.clock = AwsTime()
        self.calls: Counter[str] = Counter()
        self.broken = False
        world.world.subscribe(lambda event: None)

    def stack_outputs(self, kind: str, region: str) -> dict[str, str]:
        return {
            "VerifyStateMachineArn": "arn:aws:states:us-east-2:1:stateMachine:snapkeep-verify",
            "ReportsBucketName": "reports",
        }

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: A002, N803 - boto3's
        self.calls["start"] += 1
        asked = json.loads(input)
        if self.broken:
            self.executions[name] = {"status": "FAILED", "error": "AwsRefused", "cause": "no", "startDate": self.clock.now()}
            return {"executionArn": f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"}
        use_case = self.world.use_case(proofs=S3Proofs(client=self.bucket, bucket="reports"), clock=self.clock)  # type: ignore[arg-type]
        began = self.clock.now()
        method = from_json(Method, asked["method"])
        proof = to_the_end(use_case, use_case.begin(asked["copy"], method, asked.get("budget_usd", 0.0)))
        self.executions[name] = {"status": "SUCCEEDED" if proof.proved else "FAILED", "startDate": began}
        return {"executionArn": f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return self.executions[executionArn.rpartition(":")[2]]


class AwsTime:
    """The clock of AWS, in milliseconds; the clock of the machine may differ from it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        now = datetime.now(UTC) + self.ahead
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = Account(ProvingWorld(written=30))
    monkeypatch.setattr("snapkeep.cli.installed_system.InstalledSystem", lambda settings: made)
    return made


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["--region", "us-east-1", *arguments])


def test_a_copy_is_proved_by_its_id_and_by_its_sources(account: Account) -> None:
    copy = account.world.new_copy()
    for name in (copy.id, copy.origin.snapshot_id):
        result = verify(name)
        assert result.exit_code == 0, result.output
        assert "PROVED: equal to its source" in result.output
        assert "sample:300: 30 blocks listed in the source, 30 in the copy, 30 compared, 60 reads, $0.000182" in result.output


def test_a_copy_that_differs_is_shown_with_its_blocks_and_fails(account: Account) -> None:
    copy = account.world.new_copy()
    account.world.plant(copy, wrong=(3,), missing=(7,))
    result = verify(copy.id, "--full")
    assert result.exit_code == 1
    assert "DIFFERS: different from its source" in result.output
    assert "block 3 at byte 1572864: other content" in result.output
    assert "block 7 at byte 3670016: missing in the copy" in result.output
    assert "PROVED" not in result.output
    assert "finds" not in result.output


def test_an_incomplete_comparison_is_never_called_a_proof(account: Account) -> None:
    result = verify(account.world.new_copy().id, "--full", "--budget", "0.00001")
    assert result.exit_code == 1
    assert "INCOMPLETE: not compared to the end: its budget is spent" in result.output
    assert "finds" not in result.output
    assert "root" not in result.output


def test_json_has_the_whole_proof(account: Account) -> None:
    copy = account.world.new_copy()
    (proof,) = json.loads(verify("--volume", account.world.volume_id, "--full", "--json").stdout)["proofs"]
    assert (proof["verdict"], proof["pair"]["copy_id"], proof["method"]["kind"]) == ("PROVED", copy.id, "full")
    assert (proof["compared"], len(proof["root"])) == (30, 64)


def test_a_policy_s_newest_copies_are_compared(account: Account) -> None:
    account.world.new_copy()
    newest = account.world.new_copy()
    (proof,) = json.loads(verify("--policy", "gold", "--structure", "--json").stdout)["proofs"]
    assert proof["pair"]["copy_id"] == newest.id


def test_an_estimate_starts_nothing_and_shows_time_and_cost(account: Account) -> None:
    copy = account.world.new_copy()
    result = verify(copy.id, "--full", "--estimate")
    assert result.exit_code == 0
    assert "2048 blocks of each side, 0.0 minutes at least, $0.012290" in result.output
    data = json.loads(verify(copy.id, "--sample", "100", "--estimate", "--json").stdout)
    assert (data["method"], data["total"]["reads"], data["copies"][0]["copy_id"]) == ("sample:100", 200, copy.id)
    assert account.calls == {}


def test_an_execution_that_leaves_no_proof_is_an_error_with_its_cause(account: Account) -> None:
    copy = account.world.new_copy()
    verify(copy.id)
    account.broken = True
    result = verify(copy.id)
    assert result.exit_code != 0
    assert "ended without a proof: AwsRefused: no" in str(result.exception)


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_clock_of_this_machine_decides_nothing(account: Account, hours: int) -> None:
    account.clock.ahead = timedelta(hours=hours)
    copy = account.world.new_copy()
    assert verify(copy.id).exit_code == 0
    account.broken = True
    assert "ended without a proof" in str(verify(copy.id).exception)


def test_a_named_snapshot_without_a_copy_is_not_passed_over(account: Account) -> None:
    copy = account.world.new_copy()
    result = verify(copy.id, "snap-0123456789abcdef0")
    assert result.exit_code != 0
    assert f"{DR} has no completed copy of snap-0123456789abcdef0" in str(result.exception) + result.output
    assert account.calls == {}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--volume", "vol-1", "--policy", "gold"),
        ("snap-1", "--full", "--structure"),
        ("snap-1", "--subset", "3/2"),
        ("snap-1", "--sample", "0"),
        ("snap-1",),
    ],
)
def test_wrong_use_names_the_right_use_and_starts_nothing(account: Account, arguments: tuple[str, ...]) -> None:
    result = verify(*arguments)
    assert result.exit_code != 0
    assert str(result.exception) or result.output
    assert account.calls == {}
