"""The embedded AWS's process: it starts, keeps its state, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from snapkeep.lab.commands.local import local_app
from snapkeep.lab.demo import stage
from snapkeep.lab.embedded_aws import EmbeddedAws, EmbeddedAwsError
from snapkeep.lab.embedded_aws.launch import local_servers
from support.stacks import Builder, wait_for

SLEEPING = "import time\ndef handler(event, context):\n    print('busy', flush=True)\n    time.sleep(60)\n"
OWNER = """
import signal, time
from snapkeep.lab.embedded_aws import EmbeddedAws
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
aws = EmbeddedAws()
aws.start()
print(aws.endpoint_url, aws.server.pid, aws._directory, flush=True)
time.sleep(120)
"""


def session_members(leader: int) -> list[int]:
    """The processes of a session, as Linux lists them."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                members.append(int(entry.name))
    return members


def busy(aws: EmbeddedAws) -> Builder:
    """Let a function run in a worker process."""
    build = Builder(aws, "123456789012")
    build.function("Sleeping", SLEEPING, Timeout=60)
    build.client("lambda").invoke(FunctionName="Sleeping", InvocationType="Event", Payload=b"{}")
    wait_for(lambda: len(session_members(aws.server.pid)) > 1)
    return build


def test_state_is_saved_while_a_caller_waits_for_a_function(tmp_path: Path) -> None:
    aws = EmbeddedAws(state_dir=tmp_path / "state")
    aws.start()
    build = busy(aws)
    build.client("sns").create_topic(Name="kept")
    with ThreadPoolExecutor() as callers:
        waiting = callers.submit(build.client("lambda").invoke, FunctionName="Sleeping")
        wait_for(lambda: len(session_members(aws.server.pid)) > 2)
        aws.stop()
    assert waiting.done()
    with EmbeddedAws(state_dir=tmp_path / "state") as again:
        assert len(Builder(again, "123456789012").client("sns").list_topics()["Topics"]) == 1


def test_stop_ends_the_server_and_busy_workers_and_removes_files() -> None:
    aws = EmbeddedAws()
    aws.start()
    busy(aws)
    pid, directory = aws.server.pid, aws._directory
    aws.stop()
    assert session_members(pid) == []
    assert directory is not None
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_every_process_ends_with_the_parent(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None
        endpoint_url, pid, directory = owner.stdout.readline().split()
        owner.send_signal(number)
    assert endpoint_url.startswith("http://127.0.0.1:")
    wait_for(lambda: not session_members(int(pid)))
    assert not Path(directory).exists()


def test_workers_end_when_the_server_is_killed(tmp_path: Path) -> None:
    aws = EmbeddedAws()
    aws.start()
    build = Builder(aws, "123456789012")
    build.function("Idle", "def handler(event, context):\n    return 1\n")
    build.invoke("Idle", {})
    pid = aws.server.pid
    assert len(session_members(pid)) > 1
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not session_members(pid))
    aws.stop()


def test_a_start_that_fails_says_why(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("- not a mapping")
    with pytest.raises(EmbeddedAwsError, match="a world is an object"):
        EmbeddedAws(world_file=world).start()


def test_a_restart_restores_the_state(tmp_path: Path) -> None:
    with EmbeddedAws(state_dir=tmp_path / "state") as aws:
        build = Builder(aws, "123456789012")
        volume_id = build.volume(3, Name="kept")
        topic = build.client("sns").create_topic(Name="kept")["TopicArn"]
    with EmbeddedAws(state_dir=tmp_path / "state") as aws:
        build = Builder(aws, "123456789012")
        (volume,) = build.client("ec2").describe_volumes()["Volumes"]
        assert (volume["VolumeId"], volume["Size"]) == (volume_id, 3)
        assert [listed["TopicArn"] for listed in build.client("sns").list_topics()["Topics"]] == [topic]


def test_a_kept_server_outlives_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with stage._embedded_aws(keep=True) as aws:
        server = aws.server
    assert [status.server.pid for status in local_servers.statuses()] == [server.pid]
    assert [stopped.pid for stopped in local_servers.down(server.port)] == [server.pid]
    assert session_members(server.pid) == []


def test_a_killed_server_has_saved_its_state(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with EmbeddedAws(state_dir=state) as aws:
        build = Builder(aws, "123456789012")
        topic = build.client("sns").create_topic(Name="kept")["TopicArn"]
        volume_id = build.volume(3)
        wait_for(lambda: saved(state / "ministack" / "sns.json", topic) and saved(state / "world.json", volume_id))
        os.kill(aws.server.pid, signal.SIGKILL)
    with EmbeddedAws(state_dir=state) as aws:
        build = Builder(aws, "123456789012")
        assert [listed["TopicArn"] for listed in build.client("sns").list_topics()["Topics"]] == [topic]
        assert [volume["VolumeId"] for volume in build.client("ec2").describe_volumes()["Volumes"]] == [volume_id]


def saved(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


def test_administration_shows_the_world_and_adds_faults(embedded: EmbeddedAws, account_id: str) -> None:
    build = Builder(embedded, account_id)
    volume_id = build.volume()
    embedded.admin("POST", "faults", {"kind": "snapshot_fails", "volume_id": volume_id, "times": 1})
    snapshot_id = build.client("ec2").create_snapshot(VolumeId=volume_id)["SnapshotId"]
    assert build.completed(snapshot_id)["State"] == "error"
    (place,) = [place for place in embedded.admin("GET", "world")["places"] if place["account_id"] == account_id]
    assert (place["volumes"], place["errors"]) == (1, 1)
    with pytest.raises(EmbeddedAwsError, match="unknown kind of fault"):
        embedded.admin("POST", "faults", {"kind": "meteor"})


def test_the_clock_can_be_put_forward(embedded_alone: EmbeddedAws) -> None:
    before = embedded_alone.admin("GET", "health")["now"]
    assert embedded_alone.admin("POST", "clock", {"seconds": 1.5})["now"] >= before + 1.5


def test_an_unreachable_region_refuses_until_it_is_reachable_again(account_id: str) -> None:
    with EmbeddedAws() as aws:
        aws.admin("POST", "regions/away", {"region": "us-east-2"})
        with pytest.raises(EmbeddedAwsError, match="region"):
            aws.admin("POST", "regions/away", {})
        client = aws.client("ec2", "us-east-2", account_id, Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError, match="Unavailable"):
            client.describe_volumes()
        aws.admin("POST", "regions/back", {"region": "us-east-2"})
        assert client.describe_volumes()["Volumes"] == []


def test_up_status_and_down_of_a_detached_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    command = CliRunner()
    assert command.invoke(local_app, ["status"]).exit_code == 1
    up = json.loads(command.invoke(local_app, ["up", "--detach", "--port", "0", "--json"]).stdout)
    try:
        assert up["environment"]["AWS_ENDPOINT_URL"] == up["endpoint_url"]
        shown = json.loads(command.invoke(local_app, ["status", "--json"]).stdout)
        assert [status["server"]["pid"] for status in shown] == [up["pid"]]
        assert up["endpoint_url"] in command.invoke(local_app, ["status"]).stdout
    finally:
        down = command.invoke(local_app, ["down", "--json"])
    assert [server["pid"] for server in json.loads(down.stdout)["stopped"]] == [up["pid"]]
    assert session_members(up["pid"]) == []
    assert command.invoke(local_app, ["status"]).exit_code == 1
