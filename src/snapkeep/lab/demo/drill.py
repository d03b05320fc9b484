"""The scene of a drill: `ledger` is restored from its second copy, compared and removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from snapkeep.adapters.clock import WallClock
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.s3_documents import S3Documents
from snapkeep.adapters.stepfunctions_drills import StepFunctionsDrills
from snapkeep.domain.drills.ledger import DrillLedger
from snapkeep.domain.drills.run import DrillRun
from snapkeep.domain.policy.drill_rules import DrillRule, DrillSchedule
from snapkeep.domain.policy.model import PARAMETERS_POLICY, PolicySet
from snapkeep.domain.tag_names import DRILL, HOLD
from snapkeep.lab.demo.story import DR_REGION, DemoStuck
from snapkeep.lab.embedded_aws import EmbeddedAws
from snapkeep.usecases.drills.begin import BeginDrills
from snapkeep.usecases.drills.ledger_store import LedgerStore

TIMEOUT_SECONDS = 90.0
_LOOK_EVERY_SECONDS = 0.5
_RULE = DrillRule("ledger", (PARAMETERS_POLICY,), DR_REGION, DrillSchedule("0 4 * * ? *"), rto=timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class DemoDrill:
    """The result of the drill."""

    verdict: str
    checks: Mapping[str, str]
    compared: int
    """The number of blocks of the restored volume that were compared with the copy's."""
    seconds: float
    left: tuple[str, ...]
    """The volumes, snapshots and holds of the drill that still exist."""


def run_drill(
    aws: EmbeddedAws, client: Callable[[str, str], Any], system: str, volume_id: str, outputs: Mapping[str, str]
) -> DemoDrill:
    """Begin a drill of a volume, as `snapkeep drill run` does, and return its result. Raise DemoStuck."""
    began = time.monotonic()
    ec2, runs = client("ec2", DR_REGION), client("stepfunctions", DR_REGION)
    store = LedgerStore(S3Documents(client=client("s3", DR_REGION), bucket=outputs["ReportsBucketName"]))
    begin = BeginDrills(
        system=system,
        region=DR_REGION,
        policies=lambda: PolicySet(()),
        points=Ec2Reader(client=ec2, region=DR_REGION),
        ledger=store,
        runs=StepFunctionsDrills(client=runs, state_machine_arn=outputs["DrillStateMachineArn"]),
        clock=WallClock(),
    )
    begun = begin.begin(begin.choose(_RULE, [volume_id]).runs)
    if not begun:
        raise DemoStuck(f"no drill of {volume_id} was begun: it has no recovery point in {DR_REGION}")
    ledger = _ended(aws, store, began + TIMEOUT_SECONDS)
    evidence = store.evidence(ledger.ended[0].run)
    compared = evidence.run.proof.compared if evidence.run.proof else 0
    return DemoDrill(str(evidence.verdict), evidence.checks, compared, time.monotonic() - began, _left(ec2, evidence.run))


def _ended(aws: EmbeddedAws, store: LedgerStore, deadline: float) -> DrillLedger:
    """Return the ledger after the end of a drill. Its waits, of at least 15 seconds, are cut short."""
    while not (ledger := store.read()).ended:
        if time.monotonic() > deadline:
            raise DemoStuck(f"the drill did not end within {TIMEOUT_SECONDS:.0f} s")
        aws.admin("POST", "waits/end")
        time.sleep(_LOOK_EVERY_SECONDS)
    return ledger


def _left(ec2: Any, run: DrillRun) -> tuple[str, ...]:
    tagged = [{"Name": f"tag:{DRILL}", "Values": [run.id]}]
    volumes = [volume["VolumeId"] for volume in ec2.describe_volumes(Filters=tagged)["Volumes"]]
    snapshots = ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]
    (point,) = ec2.describe_snapshots(SnapshotIds=[run.point])["Snapshots"]
    holds = [tag["Key"] for tag in point["Tags"] if tag["Key"].startswith(HOLD)]
    return (*volumes, *(snapshot["SnapshotId"] for snapshot in snapshots), *holds)
