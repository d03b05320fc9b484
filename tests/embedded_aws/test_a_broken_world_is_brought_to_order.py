"""An account with two years of history, lost events, failed copies and an unreachable region: sweeps alone repair it.

Deployed, under IAM. Each stage checks the report that a sweep kept and `snapkeep status`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from snapkeep.adapters.clock import WallClock
from snapkeep.cli import common
from snapkeep.cli.commands.status import app as status_app
from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.domain.sweep.findings import FindingKind
from snapkeep.domain.sweep.report import Handling
from snapkeep.lab.embedded_aws import EmbeddedAws
from support.deployment import DR, PRIMARY, REGIONS, Installation, Quiet
from support.embedded import FAST_WORLD
from support.stacks import wait_for

pytestmark = pytest.mark.xdist_group("broken-world")

ACCOUNT = "300000000002"
VOLUMES = [f"disk-{number}" for number in range(1, 5)]
OLD_EACH, KEPT_EACH, COPIES_EACH, COPIES_THAT_FAIL = 10, 4, 2, 2
HISTORY = OLD_EACH * len(VOLUMES)
HOURS_BETWEEN = 1_752
"""A fifth of a year: ten snapshots reach two years back."""
WORLD = {
    **FAST_WORLD,
    "account": ACCOUNT,
    "block_public_access": dict.fromkeys(REGIONS.values(), "block-all-sharing"),
    "volumes": [{"name": name, "region": PRIMARY, "size_gib": 1, "used_gib": 0.002, "tags": {"Name": name}} for name in VOLUMES],
    "history": [
        {
            "volume": name,
            "every_hours": HOURS_BETWEEN,
            "count": OLD_EACH,
            "newest_hours_ago": HOURS_BETWEEN,
            "tags": {"by": "cron"},
        }
        for name in VOLUMES
    ],
}
# One attempt for each copy: a failure is final, and a sweep retries it on request.
COMMON = {"DigestQuietSeconds": "0", "MaxDeletionSharePercent": "100"}
PRIMARY_STACK = COMMON | {"Retention": str(KEPT_EACH)}
DR_STACK = COMMON | {"Retention": str(COPIES_EACH), "CopyAttempts": "1"}


class BrokenWorld:
    """Actions on the world, and its state from outside."""

    def __init__(self, installed: Installation) -> None:
        self.installed = installed
        self.aws = installed.aws

    def lose(self, event: str) -> None:
        self.aws.admin("POST", "faults", {"kind": "event_lost", "event": event})

    def snapshots(self, region: str = PRIMARY) -> list[dict[str, Any]]:
        pages = self.installed.client("ec2", region).get_paginator("describe_snapshots").paginate(OwnerIds=["self"])
        return [snapshot for page in pages for snapshot in page["Snapshots"]]

    def tags(self, region: str = PRIMARY) -> dict[str, dict[str, str]]:
        return {
            snapshot["SnapshotId"]: {tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", [])}
            for snapshot in self.snapshots(region)
        }

    def managed(self, region: str = PRIMARY) -> list[str]:
        return [snapshot for snapshot, tags in self.tags(region).items() if "snapkeep:managed" in tags]

    def snapshot_all_volumes(self) -> list[str]:
        """Make a snapshot of every volume, and wait until all have completed."""
        volumes = self.installed.client("ec2").describe_volumes()["Volumes"]
        made = [self.installed.snapshot(volume["VolumeId"]) for volume in volumes]
        wait_for(lambda: {snapshot["State"] for snapshot in self.snapshots() if snapshot["SnapshotId"] in made} == {"completed"})
        return made

    def runs(self, stack: str) -> list[str]:
        """Return the statuses of a stack's runs: those that events start, or a sweep in their place."""
        machine = self.installed.outputs[stack]["StateMachineArn"]
        client = self.installed.client("stepfunctions", REGIONS[stack])
        return sorted(execution["status"] for execution in client.list_executions(stateMachineArn=machine)["executions"])

    def dispatch_as_each_minute(self) -> None:
        self.aws.admin("POST", "schedules/fire", {"account": ACCOUNT, "rule": "DispatchSchedule"})

    def status(self) -> tuple[int, dict[str, Any]]:
        """Return the exit status of `snapkeep status --json`, and what it printed."""
        result = CliRunner().invoke(status_app, ["--json", "--region", PRIMARY, "--endpoint-url", self.aws.endpoint_url])
        assert result.stdout, result.stderr
        return result.exit_code, json.loads(result.stdout)

    def state(self) -> dict[str, object]:
        """Return everything that a sweep could change: tags in both regions, the queue, and runs."""
        return {
            "tags": {region: self.tags(region) for region in (PRIMARY, DR)},
            "runs": {stack: self.runs(stack) for stack in REGIONS},
            "queue": self.queue(),
        }

    def queue(self) -> list[str]:
        items = self.installed.client("dynamodb", DR).scan(TableName="snapkeep-queue")["Items"]
        return sorted(json.dumps(entry, sort_keys=True) for entry in items if "snap-" in json.dumps(entry))

    @contextmanager
    def tried_again_once(self, stack: str) -> Iterator[None]:
        """The sweep of a stack retries its region for minutes; here it retries once."""
        client = self.installed.client("stepfunctions", REGIONS[stack])
        arn = self.installed.outputs[stack]["SweepStateMachineArn"]
        deployed = client.describe_state_machine(stateMachineArn=arn)["definition"]
        changed = json.loads(deployed)
        for retrier in changed["States"]["Sweep"]["Retry"]:
            retrier |= {"MaxAttempts": 1, "MaxDelaySeconds": 1}
        client.update_state_machine(stateMachineArn=arn, definition=json.dumps(changed))
        yield
        client.update_state_machine(stateMachineArn=arn, definition=deployed)


def kinds(report: dict[str, Any], handling: Handling) -> Counter[str]:
    """Return the number of findings of each kind that were handled so."""
    kinds: Counter[str] = Counter()
    for item in report["items"]:
        if item["handling"] == handling:
            kinds[item["kind"]] += item["times"]
    return kinds


@pytest.fixture(scope="module")
def world() -> Iterator[BrokenWorld]:
    with EmbeddedAws(world_document=WORLD) as aws:
        clients: dict[tuple[str, str], Any] = {}

        def client(service: str, region: str) -> Any:
            return clients.setdefault((service, region), aws.client(service, region, ACCOUNT))

        deployed = Deployment(DeploymentTarget(client, PRIMARY, DR), Quiet()).deploy(PRIMARY_STACK, DR_STACK)  # type: ignore[arg-type]
        outputs = {result.region: dict(result.outputs) for result in deployed.stacks}
        yield BrokenWorld(Installation(aws, ACCOUNT, {stack: outputs[region] for stack, region in REGIONS.items()}))


@pytest.fixture(autouse=True)
def the_command_runs_here(monkeypatch: pytest.MonkeyPatch, world: BrokenWorld) -> None:
    """`snapkeep status` runs in this process as this account's root, and retries an unreachable region without a wait."""
    secret = world.aws.server.secret
    session = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key=secret, region_name=PRIMARY)
    monkeypatch.setattr(common, "_session", lambda profile: session)
    monkeypatch.setattr(WallClock, "pause", lambda clock, seconds: None)


def test_sweeps_repair_a_broken_world_and_report_each_stage(world: BrokenWorld) -> None:
    history = world.tags()
    assert len(history) == HISTORY
    history_is_shown_and_left_alone(world, history)
    lost_snapshots_are_protected_while_the_dr_region_is_out_of_reach(world)
    copies_that_failed_unseen_are_told_and_made_again(world)
    assert history.items() <= world.tags().items(), "no consent was given yet"
    history_is_adopted_with_consent(world, history)
    all_is_well_and_stays_so(world)


def history_is_shown_and_left_alone(world: BrokenWorld, history: dict[str, dict[str, str]]) -> None:
    shown = world.installed.sweep("primary")
    assert shown["outcome"] == "PARTIAL"
    assert kinds(shown, Handling.NOTED) == {FindingKind.ADOPTABLE: HISTORY}
    assert kinds(shown, Handling.NEEDS_ATTENTION) == {FindingKind.RPO_MISSED: len(VOLUMES)}
    assert kinds(shown, Handling.REPAIRED) == {}
    code, status = world.status()
    assert (code, status["healthy"]) == (1, False)
    assert status["totals"]["no_snapshot"] == len(VOLUMES)
    assert world.tags() == history
    assert world.snapshots(DR) == []


def lost_snapshots_are_protected_while_the_dr_region_is_out_of_reach(world: BrokenWorld) -> None:
    world.lose("createSnapshot")
    made = world.snapshot_all_volumes()
    assert world.managed() == []
    world.aws.admin("DELETE", "faults")
    world.aws.admin("POST", "regions/away", {"region": DR})

    sweep = world.installed.sweep("primary")
    assert sweep["outcome"] == "PARTIAL"
    assert kinds(sweep, Handling.REPAIRED) == {FindingKind.UNHANDLED: len(VOLUMES)}
    assert kinds(sweep, Handling.NEEDS_ATTENTION) == {FindingKind.OUT_OF_REACH: 1, FindingKind.RPO_MISSED: len(VOLUMES)}
    wait_for(lambda: sorted(world.managed()) == sorted(made))
    wait_for(lambda: all(snapshot_id in json.dumps(world.queue()) for snapshot_id in made))
    code, status = world.status()
    assert code == 1
    assert [DR in problem for problem in status["problems"]] == [True]
    the_dr_region_that_is_out_of_reach_is_told_by_its_own_sweep(world)


def the_dr_region_that_is_out_of_reach_is_told_by_its_own_sweep(world: BrokenWorld) -> None:
    before = world.queue()
    with world.tried_again_once("dr"):
        sweep = world.installed.sweep("dr")
    assert (sweep["outcome"], sweep["items"]) == ("FAILED", [])
    assert sweep["broken"].startswith("AwsUnavailable: describe_snapshots in us-east-2"), sweep["broken"]
    (notice,) = [
        message for message in world.aws.inbox(account_id=ACCOUNT) if message["subject"].startswith(f"FAILED snapkeep {DR}")
    ]
    assert notice["subject"] == f"FAILED snapkeep {DR}: could not be done"
    assert sweep["broken"] in notice["body"]
    assert world.queue() == before, "entries of the unreachable region keep waiting"
    code, status = world.status()
    assert (code, status["healthy"]) == (1, False)
    assert [DR in problem for problem in status["problems"]] == [True]


def copies_that_failed_unseen_are_told_and_made_again(world: BrokenWorld) -> None:
    world.lose("copySnapshot")
    world.aws.admin("POST", "faults", {"kind": "copy_fails", "times": COPIES_THAT_FAIL, "message": "Internal error"})
    world.aws.admin("POST", "regions/back", {"region": DR})
    world.dispatch_as_each_minute()
    good = len(VOLUMES) - COPIES_THAT_FAIL
    ended = {"error": COPIES_THAT_FAIL, "completed": good}
    wait_for(lambda: Counter(snapshot["State"] for snapshot in world.snapshots(DR)) == ended)
    world.aws.admin("DELETE", "faults")
    # No function noticed an end.
    wait_for(lambda: world.status()[1]["totals"]["copies_running"] == len(VOLUMES))

    received = world.installed.sweep("dr")
    assert received["outcome"] == "PARTIAL"
    assert kinds(received, Handling.REPAIRED) == {
        FindingKind.COPY_UNSEEN: len(VOLUMES),
        FindingKind.FAILED_COPY: COPIES_THAT_FAIL,
    }
    assert kinds(received, Handling.NEEDS_ATTENTION) == {FindingKind.COPY_FAILED: COPIES_THAT_FAIL}
    assert [snapshot["State"] for snapshot in world.snapshots(DR)] == ["completed"] * good
    code, status = world.status()
    assert (code, status["totals"]["copies_failed"]) == (1, COPIES_THAT_FAIL)

    sweep = world.installed.sweep("primary")
    assert kinds(sweep, Handling.NEEDS_ATTENTION) == {FindingKind.COPY_FAILED: COPIES_THAT_FAIL}
    again = world.installed.sweep("primary", retry_failed=True)
    assert kinds(again, Handling.REPAIRED) == {FindingKind.COPY_FAILED: COPIES_THAT_FAIL}
    wait_for(lambda: world.runs("dr") == ["SUCCEEDED"] * COPIES_THAT_FAIL)
    # Runs that waited for a failed copy were answered; no run waits any more.
    wait_for(lambda: world.runs("primary") == ["FAILED"] * COPIES_THAT_FAIL + ["SUCCEEDED"] * good)
    code, status = world.status()
    assert (code, status["healthy"]) == (0, True)
    assert (status["totals"]["protected"], status["totals"]["copies_running"]) == (len(VOLUMES), 0)


def history_is_adopted_with_consent(world: BrokenWorld, history: dict[str, dict[str, str]]) -> None:
    adopted = world.installed.sweep("primary", adopt=True)
    assert adopted["outcome"] == "OK"
    assert kinds(adopted, Handling.REPAIRED) == {FindingKind.ADOPTABLE: HISTORY}
    assert len(world.snapshots()) == HISTORY + len(VOLUMES), "to adopt is not to delete"
    after = world.tags()
    assert all(after[snapshot_id].items() >= tags.items() for snapshot_id, tags in history.items()), "no tag of theirs was lost"

    past = HISTORY + len(VOLUMES) - KEPT_EACH * len(VOLUMES)
    swept = world.installed.sweep("primary")
    assert kinds(swept, Handling.REPAIRED)[FindingKind.PAST_RETENTION] == past
    per_volume = Counter(snapshot["VolumeId"] for snapshot in world.snapshots())
    assert list(per_volume.values()) == [KEPT_EACH] * len(VOLUMES)


def all_is_well_and_stays_so(world: BrokenWorld) -> None:
    before = world.state()
    for stack in ("dr", "primary"):
        report = world.installed.sweep(stack)
        assert (report["outcome"], report["items"]) == ("OK", [])
    assert world.state() == before
    code, status = world.status()
    assert (code, status["healthy"], status["problems"]) == (0, True, [])
