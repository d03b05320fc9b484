"""The facts of a demonstration without a failure, which tests show, and break on purpose."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from snapkeep.domain.model import Origin, Snapshot, SnapshotState
from snapkeep.domain.tag_names import CHECK, PROOF, WRONG
from snapkeep.domain.tags import format_time, tags_for_copy, tags_for_snapshot
from snapkeep.lab.demo.drill import DemoDrill
from snapkeep.lab.demo.executions import PROTECT, RECEIVE, FollowedExecution, StepStatus
from snapkeep.lab.demo.facts import DemoFacts, Ending, Fate, ShotFacts, VolumeFacts
from snapkeep.lab.demo.recovery import BLOCKS, DemoRecovery
from snapkeep.lab.demo.story import (
    CAST,
    DR_REGION,
    LEDGER,
    MAIL,
    ORDERS,
    ORDERS_INDEX,
    ORDERS_LOG,
    PRIMARY_REGION,
    SCRATCH,
    VAULT,
    WEB,
    DemoVolume,
)

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEPT_AND_COPIED, KEPT, DELETED = "kept and copied", "kept", "deleted"
FATES = {
    WEB: (DELETED, DELETED, KEPT, KEPT_AND_COPIED, KEPT_AND_COPIED),
    ORDERS: (KEPT_AND_COPIED,),
    ORDERS_LOG: (KEPT_AND_COPIED,),
    ORDERS_INDEX: (KEPT_AND_COPIED,),
    LEDGER: (KEPT_AND_COPIED,),
    MAIL: (KEPT_AND_COPIED, "failed"),
    VAULT: (KEPT,),
    SCRATCH: ("untouched",),
}


DRILL = DemoDrill("PASSED", {"proved": "passed", "removed": "passed"}, BLOCKS, 12.0, ())


def snapshot_id(member: DemoVolume, number: int) -> str:
    return f"snap-{CAST.index(member)}{number:016x}"


def volume_id(member: DemoVolume) -> str:
    return f"vol-{CAST.index(member):017x}"


def origin(member: DemoVolume, number: int) -> Origin:
    return Origin(PRIMARY_REGION, volume_id(member), snapshot_id(member, number), BEGAN + timedelta(seconds=number))


def source(member: DemoVolume, number: int, fate: str) -> Ending:
    made = origin(member, number)
    if fate == DELETED:
        return Ending(Fate.DELETED, made.snapshot_id, ("beyond last 3",))
    tags = tags_for_snapshot("snapkeep", "default", made) if fate in (KEPT, KEPT_AND_COPIED) else {}
    state = SnapshotState.ERROR if fate == "failed" else SnapshotState.COMPLETED
    snapshot = Snapshot(made.snapshot_id, PRIMARY_REGION, state, made.start_time, made, member.size_gib, tags)
    kind = {"failed": Fate.FAILED, "untouched": Fate.UNTOUCHED}.get(fate, Fate.KEPT)
    return Ending(kind, made.snapshot_id, ("newest; last 1 of 3",), snapshot)


def copy(member: DemoVolume, number: int, fate: str) -> Ending:
    made, copy_id = origin(member, number), f"snap-c{CAST.index(member)}{number:015x}"
    if fate == KEPT_AND_COPIED:
        tags = {**tags_for_copy("snapkeep", "default", made), PROOF: f"PROVED sample:300 {format_time(made.start_time)}"}
        copied = Snapshot(copy_id, DR_REGION, SnapshotState.COMPLETED, made.start_time, made, member.size_gib, tags, is_copy=True)
        return Ending(Fate.KEPT, copy_id, ("newest; last 1 of 2",), copied)
    if fate in ("failed", "untouched"):
        return Ending(Fate.ABSENT)
    return Ending(Fate.DELETED, copy_id, ("beyond last 2",))


def run(
    machine: str, members: list[tuple[DemoVolume, int]], status: str = "SUCCEEDED", outcome: str = "MANAGED", error: str = ""
) -> FollowedExecution:
    ids = [f"arn:aws:ec2::{PRIMARY_REGION}:snapshot/{snapshot_id(*member)}" for member in members]
    detail = (
        {"source": ids[0], "snapshot_id": ids[0]} if machine == RECEIVE else {"snapshots": [{"snapshot_id": arn} for arn in ids]}
    )
    name = "-".join(f"{member.name}-{number}" for member, number in members)
    arn = f"arn:aws:states:{PRIMARY_REGION}:123456789012:execution:snapkeep-{machine}:{name}"
    steps = {"TagSnapshots": StepStatus.DONE} if machine == PROTECT else {"TagSnapshotCopy": StepStatus.DONE}
    return FollowedExecution(arn, machine, status, {"detail": detail}, steps, {"tagged": {"outcome": outcome}}, error)


def good_facts() -> DemoFacts:
    volumes = tuple(
        VolumeFacts(
            member,
            volume_id(member),
            tuple(
                ShotFacts(f"{member.name} {number}", source(member, number, fate), copy(member, number, fate))
                for number, fate in enumerate(FATES[member], 1)
            ),
        )
        for member in CAST
    )
    copied = [(WEB, number) for number in range(1, 6)] + [(LEDGER, 1), (ORDERS, 1), (ORDERS_LOG, 1), (ORDERS_INDEX, 1), (MAIL, 1)]
    runs = [run(PROTECT, [(WEB, number)]) for number in range(1, 6)]
    runs += [
        run(PROTECT, [(ORDERS, 1), (ORDERS_LOG, 1), (ORDERS_INDEX, 1)]),
        run(PROTECT, [(MAIL, 1)]),
        run(PROTECT, [(LEDGER, 1)]),
    ]
    runs += [run(PROTECT, [(SCRATCH, 1)], outcome="VOLUME_NOT_TAGGED")]
    runs += [run(PROTECT, [(MAIL, 2)], "FAILED", error="ProblemsFound"), run(PROTECT, [(VAULT, 1)], "FAILED", error="CopyFailed")]
    runs += [run(RECEIVE, [shot]) for shot in copied] + [run(RECEIVE, [(VAULT, 1)], "FAILED", error="CopyFailed")]
    messages = tuple(
        {
            "subject": f"snapkeep: {kind} in us-east-1",
            "body": f"{kind} in us-east-1\n\nCause: …\n  {snapshot_id(*about)}",
            "region": PRIMARY_REGION,
        }
        for kind, about in (("SnapshotFailed", (MAIL, 2)), ("CopyFailed", (VAULT, 1)), ("CopyDiffers", (LEDGER, 1)))
    )
    queue = tuple(
        {
            "pk": f"{PRIMARY_REGION}#{snapshot_id(*shot)}#{DR_REGION}",
            "state": "FAILED" if shot[0] is VAULT else "DONE",
            "cause": "",
        }
        for shot in [*copied, (VAULT, 1)]
    )
    wrong = copy(LEDGER, 2, KEPT_AND_COPIED).snapshot
    assert wrong is not None
    found = {**wrong.tags, CHECK: WRONG, PROOF: "DIFFERS sample:300 2026-03-01T12:00:00.000Z"}
    return DemoFacts(
        "snapkeep",
        volumes,
        tuple(runs),
        messages,
        queue,
        "UnauthorizedOperation",
        drill=DRILL,
        recovery=DemoRecovery(4.0, 3, 3),
        wrong_copies=(replace(wrong, origin=origin(LEDGER, 1), tags=found),),
    )


def with_ending(
    facts: DemoFacts, member: DemoVolume, number: int, *, source: Ending | None = None, copy: Ending | None = None
) -> DemoFacts:
    """Return the same facts, except for one snapshot or its copy."""

    def changed(volume: VolumeFacts) -> VolumeFacts:
        if volume.member is not member:
            return volume
        shots = list(volume.shots)
        shot = shots[number - 1]
        shots[number - 1] = replace(shot, source=source or shot.source, copy=copy or shot.copy)
        return replace(volume, shots=tuple(shots))

    return replace(facts, volumes=tuple(map(changed, facts.volumes)))
