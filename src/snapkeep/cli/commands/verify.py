"""`snapkeep verify`: prove that copies equal their sources, block by block, or estimate time and price."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, argument, option, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.executions import ended_execution
from snapkeep.cli.output import make_console, print_json, write_lines
from snapkeep.domain.errors import AwsUnavailable, ProofNotFound
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.model import Snapshot
    from snapkeep.domain.recovery.methods import Method
    from snapkeep.domain.recovery.proof import Proof

app = typer.Typer(help="Prove that copies equal their sources, block by block.")

PATIENCE_HOURS = 12.0


@app.command()
@with_aws_settings
def verify(
    settings: AwsSettings,
    snapshots: Annotated[list[str] | None, argument("SNAPSHOT", "Copies, or their sources.")] = None,
    *,
    volume: Annotated[str, option("--volume", "The newest copy of this source volume.", "VOLUME")] = "",
    policy: Annotated[str, option("--policy", "The newest copy of each volume of a policy.", "NAME")] = "",
    in_region: Annotated[str, option("--in", "The copies in this DR region.", "REGION")] = "",
    structure: Annotated[bool, option("--structure", "Compare the lists of blocks alone.")] = False,
    sample: Annotated[int | None, option("--sample", "Compare N blocks too (default: 300).", "N")] = None,
    subset: Annotated[str, option("--subset", "Compare part n of t parts.", "n/t")] = "",
    changed: Annotated[bool, option("--changed", "Compare changes since a full proof.")] = False,
    full: Annotated[bool, option("--full", "Compare every block.")] = False,
    budget: Annotated[float, option("--budget", "Spend at most this on each copy.", "USD", min=0.0, show_default=False)] = 0.0,
    estimate: Annotated[bool, option("--estimate", "Print blocks, time and price; read nothing.")] = False,
    json: Json = False,
) -> None:
    """Compare copies with their sources, wait for the proofs, and print them.

    Exits with status 1 unless every copy is proved.
    """
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.views.verify import estimates_as_data, lines_of_estimates, lines_of_proof  # noqa: PLC0415
    from snapkeep.usecases.recovery.choose_copies import choose_copies  # noqa: PLC0415

    if bool(snapshots) + bool(volume) + bool(policy) != 1:
        raise WrongUse("name snapshots, or give --volume or --policy")
    method = _method(structure=structure, sample=sample, subset=subset, changed=changed, full=full)
    installed = InstalledSystem(settings)
    region = in_region or installed.dr_region
    listed = installed.adapters.reader_of(region).all_snapshots()
    copies = choose_copies(listed, settings.system, snapshots or (), volume, policy)
    missing = set(snapshots or ()) - {name for copy in copies for name in (copy.id, copy.origin.snapshot_id)}
    if missing or not copies:
        named = ", ".join(sorted(missing)) or volume or f"policy {policy}"
        raise WrongUse(f"{region} has no completed copy of {named}")
    if estimate:
        if json:
            print_json(estimates_as_data(copies, method))
        else:
            write_lines(lines_of_estimates(copies, method))
        return
    proofs = _proofs(installed, region, copies, method, budget, quiet=json)
    if json:
        print_json({"proofs": [to_object(proof) for proof in proofs]})
    else:
        write_lines(line for proof in proofs for line in lines_of_proof(proof))
    exit_unless(all(proof.proved for proof in proofs))


def _method(*, structure: bool, sample: int | None, subset: str, changed: bool, full: bool) -> Method:
    """Return the method of the options. Raise WrongUse for more than one, or a number that no proof has."""
    from snapkeep.domain.recovery.methods import (  # noqa: PLC0415
        DEFAULT_SAMPLE,
        FULL,
        STRUCTURE,
        Method,
        MethodKind,
        parse_part,
    )

    blocks = DEFAULT_SAMPLE if sample is None else sample
    if structure + (sample is not None and not changed) + bool(subset) + changed + full > 1:
        raise WrongUse("--structure, --sample, --subset, --changed, --full: choose one")
    try:
        if subset:
            return parse_part(subset)
        if changed:
            return Method(MethodKind.CHANGED, sample=blocks)
        if structure or full:
            return STRUCTURE if structure else FULL
        return Method(MethodKind.SAMPLE, sample=blocks)
    except ValueError as error:
        raise WrongUse(str(error)) from error


def _proofs(
    installed: InstalledSystem, region: str, copies: list[Snapshot], method: Method, budget: float, *, quiet: bool
) -> list[Proof]:
    """Start the comparisons, wait for their ends, and return their proofs. Raise AwsUnavailable where there is none."""
    from snapkeep.adapters.s3_proofs import S3Proofs  # noqa: PLC0415 - imports botocore
    from snapkeep.adapters.stepfunctions_verifications import StepFunctionsVerifications  # noqa: PLC0415
    from snapkeep.domain.recovery.proof import pair_of  # noqa: PLC0415

    settings, outputs = installed.settings, installed.stack_outputs(StackKind.DR, region)
    client = settings.client("stepfunctions", region)
    machine = StepFunctionsVerifications(client=client, state_machine_arn=outputs["VerifyStateMachineArn"])
    store = S3Proofs(client=settings.client("s3", region), bucket=outputs["ReportsBucketName"])
    now = datetime.now(UTC)
    runs = {copy.id: machine.start(copy.id, method, f"{copy.id}-{now:%Y%m%dT%H%M%S}", budget) for copy in copies}
    proofs = []
    with nullcontext() if quiet else make_console(stderr=True).status(f"Comparing {counted(len(copies), 'copy')}"):
        for copy in copies:
            execution = ended_execution(client, runs[copy.id], hours=PATIENCE_HOURS)
            try:
                proof = store.proof(pair_of(copy), method)
            except ProofNotFound:
                proof = None
            if proof is None or proof.ended_at < execution["startDate"]:  # an earlier one
                cause = f"{execution.get('error', execution['status'])}: {execution.get('cause', '')}"
                raise AwsUnavailable(f"the comparison of {copy.id} ended without a proof: {cause}; see {runs[copy.id]}")
            proofs.append(proof)
    return proofs
