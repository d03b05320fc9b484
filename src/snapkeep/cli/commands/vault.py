"""`snapkeep vault`: the vault in another account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snapkeep.cli.errors import WrongUse
from snapkeep.cli.output import print_json
from snapkeep.cli.policy_files import read_policies
from snapkeep.cli.regions import known_partitions

app = typer.Typer(help="Prepare and use the vault in another account.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Prepare and use the vault in another account."""


@app.command("key-policy")
def key_policy(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Policy document in YAML or JSON.")],
    name: Annotated[
        str, typer.Argument(metavar="VAULT", help="Name of a vault; by default all of them.", show_default=False)
    ] = "",
) -> None:
    """Print, as JSON, what the key of each copy rule for a vault must allow. Does not call AWS.

    Add the statements to the policies of these keys in the production account.
    """
    from snapkeep.domain.policy.document import STANDARD_LIMITS  # noqa: PLC0415 - --help needs none of these
    from snapkeep.domain.vault.key_policy import key_policy_statements  # noqa: PLC0415

    _, policies = read_policies(file, region="", limits=STANDARD_LIMITS)
    vaults = [vault for vault in policies.vaults if name in ("", vault.name)]
    if not vaults:
        names = ", ".join(vault.name for vault in policies.vaults) or "there is none"
        raise WrongUse(f"{file} has no vault {name}: {names}" if name else f"{file} has no vaults")
    partitions = known_partitions()
    keys = []
    for vault in vaults:
        rules = [policy.copy_rule(vault.from_region) for policy in policies.policies if policy.vault == vault.name]
        keys.append(
            {
                "vault": vault.name,
                "region": vault.from_region,
                "keys": sorted({rule.kms_key for rule in rules if rule is not None}),
                "statements": key_policy_statements(vault, partitions.get(vault.from_region, "aws")),
            }
        )
    print_json({"vaults": keys})
