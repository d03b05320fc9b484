"""The demonstration from start to end: the embedded AWS, both stacks, the story, its runs, the facts, the checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from snapkeep.deploy.deployment import Deployment, DeploymentTarget
from snapkeep.deploy.progress import Watcher
from snapkeep.lab.demo.checks import DemoCheck, check_all
from snapkeep.lab.demo.drill import run_drill
from snapkeep.lab.demo.executions import PROTECT, RECEIVE, ExecutionFollower, FollowedExecution
from snapkeep.lab.demo.facts import DemoFacts, gather
from snapkeep.lab.demo.recovery import recover_set, write_content
from snapkeep.lab.demo.story import (
    DR_PARAMETERS,
    DR_REGION,
    LEDGER,
    PRIMARY_PARAMETERS,
    PRIMARY_REGION,
    SCRATCH,
    WORLD,
    DemoHistory,
    DemoStuck,
    Director,
)
from snapkeep.lab.embedded_aws import ACCOUNT_ID, EmbeddedAws, Server
from snapkeep.lab.embedded_aws.launch import local_servers

STORY_TIMEOUT_SECONDS = 240.0
_LOOK_EVERY_SECONDS = 0.5
_FIRE_EVERY_SECONDS = 3.0
_SCHEDULES = ("Digest", "Dispatch")
_QUEUE_TABLE = "QueueTableName"
_MACHINE = "StateMachineArn"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The result of the demonstration."""

    facts: DemoFacts
    checks: tuple[DemoCheck, ...]
    seconds: float
    server: Server | None = None
    """The server that is left running, if any."""

    @property
    def all_hold(self) -> bool:
        """Whether every check passed."""
        return all(check.holds for check in self.checks)


class Audience(Watcher, Protocol):
    """The audience of the demonstration: it watches the deployment, then the story."""

    def begin_story(self, story: DemoHistory) -> None:
        """Begin the story: from now on `show` is called."""

    def show(self, story: DemoHistory, runs: Sequence[FollowedExecution], messages: int) -> None:
        """Show the state of the story."""

    def end_story(self) -> None:
        """End the story: nothing is in progress."""


def play(audience: Audience, *, keep: bool = False) -> DemoResult:
    """Play the whole demonstration before an audience; return its result.

    Raise DemoStuck, or the errors of the deployment. Nothing is left behind; with `keep` the embedded AWS is left running,
    except after an error.
    """
    began = time.monotonic()
    audience.step("Starting the embedded AWS, with IAM enforced")
    with _embedded_aws(keep=keep) as aws:
        client = cache(aws.client)  # making a client parses the whole model of its service
        target = DeploymentTarget(client, PRIMARY_REGION, DR_REGION)
        deployed = Deployment(target, audience).deploy(PRIMARY_PARAMETERS, DR_PARAMETERS)
        outputs = {result.region: result.outputs for result in deployed.stacks}
        audience.step("Making volumes")
        director = Director(client)
        director.set_the_stage()
        write_content(aws, director.story)
        machines = {
            PROTECT: (PRIMARY_REGION, outputs[PRIMARY_REGION][_MACHINE]),
            RECEIVE: (DR_REGION, outputs[DR_REGION][_MACHINE]),
        }
        audience.begin_story(director.story)
        runs = _follow(aws, director, ExecutionFollower(client, machines), audience)
        audience.end_story()
        audience.step("Reading what is there in both regions")
        messages = aws.inbox()
        facts = gather(client, target.system, director.story, runs, messages, outputs[DR_REGION][_QUEUE_TABLE])
        audience.step("Drilling the recovery of ledger in the DR region: restored, compared block by block, removed")
        drill = run_drill(aws, client, target.system, director.story.volume_ids[LEDGER.name], outputs[DR_REGION])
        audience.step(f"The drill {drill.verdict} after {drill.seconds:.0f} seconds, {drill.compared} blocks were compared")
        audience.step("Taking the primary region away, and recovering the set orders in the DR region")
        recovery = recover_set(aws, client, director.story, outputs[DR_REGION]["ReportsBucketName"])
        audience.step(
            f"{recovery.attached} volumes attached after {recovery.seconds:.0f} seconds, {recovery.equal} with equal content"
        )
        facts = replace(facts, drill=drill, recovery=recovery)
        server = aws.server if keep else None
    return DemoResult(facts, tuple(check_all(facts)), time.monotonic() - began, server)


@contextmanager
def _embedded_aws(*, keep: bool) -> Iterator[EmbeddedAws]:
    aws = EmbeddedAws(world_document=WORLD)
    if keep:
        local_servers.start_detached(aws)
    else:
        aws.start()
    finished = False
    try:
        yield aws
        finished = True
    finally:
        if not (keep and finished):
            aws.stop()


def _follow(aws: EmbeddedAws, director: Director, follower: ExecutionFollower, audience: Audience) -> list[FollowedExecution]:
    """Carry out the story and show it, until nothing is in progress."""
    deadline = time.monotonic() + STORY_TIMEOUT_SECONDS
    schedules = _Schedules(aws)
    while True:
        all_made = director.advance()
        runs = follower.poll()
        messages = aws.inbox()
        audience.show(director.story, runs, len(messages))
        open_ends = _open_ends(director.story, runs, messages, all_made=all_made)
        if not open_ends:
            return runs
        if time.monotonic() > deadline:
            raise DemoStuck(f"the story did not end within {STORY_TIMEOUT_SECONDS:.0f} s; still open: {', '.join(open_ends)}")
        if all_made:
            schedules.fire_when_due()
        time.sleep(_LOOK_EVERY_SECONDS)


class _Schedules:
    """One-minute schedules that fire more often, so that the demonstration does not wait a minute for a digest."""

    def __init__(self, aws: EmbeddedAws, clock: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._clock = clock
        self._last_fired = clock()

    def fire_when_due(self) -> None:
        """Fire the schedules, if the last time was long enough ago."""
        if self._clock() - self._last_fired >= _FIRE_EVERY_SECONDS:
            for rule in _SCHEDULES:
                self._aws.admin("POST", "schedules/fire", {"account": ACCOUNT_ID, "rule": rule})
            self._last_fired = self._clock()


def _open_ends(
    story: DemoHistory, runs: Sequence[FollowedExecution], messages: Sequence[Mapping[str, Any]], *, all_made: bool
) -> list[str]:
    """Return descriptions of everything still in progress."""
    if not all_made:
        return ["snapshots to be made"]
    protected: dict[str, Any] = {snapshot_id: run for run in runs if run.machine == PROTECT for snapshot_id in run.snapshot_ids}
    received = {run.snapshot_ids[0] for run in runs if run.machine == RECEIVE}
    pending = [shot.label for shot in story.shots if shot.snapshot_id not in protected]
    pending += [f"{run.machine} {run.arn.rpartition(':')[2]}" for run in runs if not run.ended]
    pending += [
        f"the copy of {shot.label}"
        for shot in story.shots
        if shot.volume is not SCRATCH and shot.state == "completed" and shot.snapshot_id not in received
    ]
    notices = "".join(str(message["body"]) for message in messages)
    pending += [] if story.ledger_proved else ["another copy of ledger 1"]
    failed = {snapshot_id for run in protected.values() if run.status == "FAILED" for snapshot_id in run.snapshot_ids}
    failed |= {shot.snapshot_id for shot in story.shots_of(LEDGER)}
    return pending + [f"a message about {snapshot_id}" for snapshot_id in sorted(failed) if snapshot_id not in notices]
