"""`snapkeep policy`: check, push, show, diff, history, rollback, remove and schema of the policy document."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import AwsSettings, Json, Yes, argument, option, require_consent, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.output import print_json, printable, show_result, warn, write_lines
from snapkeep.cli.policy_files import parse_file, print_problems, read_policies, show_gaps
from snapkeep.cli.regions import known_partitions, require_region
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind, stack_name

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.domain.retention.comparison import Comparison
    from snapkeep.domain.retention.key_changes import FullCopies
    from snapkeep.policyfile.load import PolicyFile
    from snapkeep.usecases.policies import PolicyStore

app = typer.Typer(help="Check, push and show the policy document.", no_args_is_help=True)

_File = Annotated[Path, argument("FILE", "Policy document in YAML or JSON.")]


@app.command()
def check(
    files: Annotated[list[Path], argument("FILE", "Policy documents in YAML or JSON; - is standard input.")],
    *,
    region: Annotated[str, option("--region", "Primary region, to which no copy may go.", "REGION")] = "",
    json: Json = False,
) -> None:
    """Check documents, and list their errors and what they leave unprotected. Does not call AWS.

    Exits with status 1 if there are errors.
    """
    from snapkeep.policyfile.load import read_file  # noqa: PLC0415 - imports yaml

    partitions = known_partitions()
    if region:
        require_region(region, partitions)
    results = []
    for path in files:
        if len(files) > 1 and not json:
            typer.echo(printable(str(path)))
        results.append(_check_file(read_file(path), region, partitions, json=json))
    if json:
        print_json(results[0] if len(files) == 1 else {"files": results})
    exit_unless(not any(result["errors"] for result in results))


def _check_file(file: PolicyFile, region: str, partitions: Mapping[str, str], *, json: bool) -> dict[str, Any]:
    """Return the errors of a document, or itself; print them, unless as JSON."""
    from snapkeep.cli.views.locks import lock_note  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.cli.views.policy import summary_lines  # noqa: PLC0415
    from snapkeep.domain.policy.document import STANDARD_LIMITS, to_document  # noqa: PLC0415
    from snapkeep.domain.policy.problem import InvalidPolicy  # noqa: PLC0415

    try:
        document, policies = parse_file(file, region=region, limits=STANDARD_LIMITS, partitions=partitions)
    except InvalidPolicy as invalid:
        if not json:
            print_problems(invalid, file)
        errors = [{"line": file.line(problem.path), **problem._asdict()} for problem in invalid.problems]
        return {"file": file.name, "errors": errors}
    if not json:
        write_lines(summary_lines(policies, document.get("limits", ())))
        write_lines([lock_note(policies)])
    warnings = show_gaps(policies, file, json=json)
    if not json:
        typer.echo(f"no errors, {counted(len(warnings), 'warning')}" if warnings else "no errors")
    return {"file": file.name, "errors": [], "warnings": warnings, "document": to_document(policies)}


@app.command("from-dlm")
def from_dlm(
    file: Annotated[Path, argument("FILE", "JSON of `aws dlm get-lifecycle-policy`, or of its PolicyDetails.")],
    *,
    json: Json = False,
) -> None:
    """Print a Data Lifecycle Manager policy as a policy document, and on stderr each field without a counterpart.

    Does not call AWS.
    """
    from snapkeep.domain.policy.document import STANDARD_LIMITS, parse_document, to_document  # noqa: PLC0415
    from snapkeep.domain.policy.source import PolicySource, SourceKind  # noqa: PLC0415
    from snapkeep.policyfile.from_dlm import translate  # noqa: PLC0415
    from snapkeep.policyfile.load import load_data, read_file, yaml_text  # noqa: PLC0415 - imports yaml

    translation = translate(load_data(read_file(file).text))
    source = PolicySource(SourceKind.FILE, file=file.name)
    policies = parse_document(translation.document, region="", source=source, limits=STANDARD_LIMITS)
    document = to_document(policies)
    del document["limits"]  # DLM has none: those of the stacks' parameters stay in force
    if json:
        fields = [field._asdict() for field in translation.untranslated]
        print_json({"document": document, "untranslated": fields})
        return
    sys.stdout.write(yaml_text(document))
    warn(f"not translated: {field.field}: {field.text}" for field in translation.untranslated)


@app.command()
@with_aws_settings
def push(settings: AwsSettings, file: _File, *, yes: Yes = False, json: Json = False) -> None:
    """Put a document in force in all regions, after showing what it changes and leaves unprotected.

    The functions use it within a minute; no deployment is needed. Former
    versions are kept. A region that the document no longer copies to gets it
    too, and keeps every copy.
    """
    from snapkeep.cli.stack_limits import check_locks  # noqa: PLC0415
    from snapkeep.usecases.policies import stored_text  # noqa: PLC0415

    installed = _installed(settings)
    region = installed.settings.region
    read = read_policies(file, region=region, limits=installed.parameters_as_policies()[region].limits)
    check_locks(installed, read.policies)
    text, question = stored_text(read.document), f"Put {file.name} in force?"
    _put_in_force(installed, text, read.policies, question, file=read.file, yes=yes, json=json)


@app.command()
@with_aws_settings
def rollback(
    settings: AwsSettings,
    version: Annotated[int, argument("VERSION", "Version to restore; by default the newest usable one.", show_default=False)] = 0,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put a former version in force again, after showing what it changes."""
    from snapkeep.cli.stack_limits import check_locks  # noqa: PLC0415
    from snapkeep.usecases.policies import version_to_restore  # noqa: PLC0415

    installed = _installed(settings)
    restorable = version_to_restore(*installed.primary_document(), version)
    check_locks(installed, restorable.policies)
    stored = restorable.stored
    author = f" by {printable(stored.author)}" if stored.author else ""
    question = f"Put version {stored.version} of the document, of {stored.at:%Y-%m-%d %H:%M} UTC{author}, in force again?"
    _put_in_force(installed, restorable.stored.text, restorable.policies, question, yes=yes, json=json)


@app.command()
@with_aws_settings
def remove(settings: AwsSettings, *, yes: Yes = False, json: Json = False) -> None:
    """Put the stacks' parameters in force again, after showing what changes."""
    from snapkeep.cli.views.policy_fields import field_changes, field_lines  # noqa: PLC0415

    installed = _installed(settings)
    parameters = installed.parameters_as_policies()[installed.settings.region]
    before = installed.policies_in_force(parameters)
    warn(policy_set.problem for policy_set in before.values())
    if not json:
        write_lines(field_lines(field_changes(before[installed.settings.region], parameters)))
    comparisons, full = _compare(installed, before, installed.parameters_as_policies(list(before)))
    primary, *dr_regions = before
    deployed = [region for region in dr_regions if installed.stack_parameters(StackKind.DR, region)]
    stores = [installed.adapters.policy_store_of(region) for region in [*deployed, primary]]
    _print_comparisons(comparisons, full, json=json)
    require_consent("Put the stacks' parameters in force again?", yes=yes, json=json, otherwise="nothing was changed")
    for store in stores:
        store.remove()
    if json:
        print_json({"removed": [store.region for store in stores], **changes_as_data(comparisons, full)})
    else:
        sys.stdout.writelines(f"{store.region}: the stack's parameters are in force\n" for store in stores)


@app.command()
@with_aws_settings
def show(
    settings: AwsSettings,
    version: Annotated[int, argument("VERSION", "Version to print; by default what is in force.", show_default=False)] = 0,
    *,
    json: Json = False,
) -> None:
    """Print the policies in force, or those of a version, as a document.

    Exits with status 1 if the newest document cannot be used; the printed one
    is in force instead.
    """
    from snapkeep.policyfile.load import readable_yaml  # noqa: PLC0415 - imports yaml
    from snapkeep.usecases.policies import version_to_restore  # noqa: PLC0415

    installed = _installed(settings)
    if version:
        policies = version_to_restore(*installed.primary_document(), version).policies
    else:
        policies = installed.policies_in_force()[settings.region]
    if json:
        print_json(policies_as_data(policies))
    else:
        warn([policies.problem])
        sys.stdout.write(f"# {policies.source.label}\n{readable_yaml(policies)}")
    exit_unless(not policies.problem)


@app.command()
@with_aws_settings
def diff(
    settings: AwsSettings,
    document: Annotated[
        str, argument("FILE|VERSION", "Document or version; by default the one that rollback restores.", show_default=False)
    ] = "",
    *,
    json: Json = False,
) -> None:
    """Show what a document or a former version would change. Writes nothing."""
    from snapkeep.cli.stack_limits import documents_not_allowed, lock_problems, vaults_not_allowed  # noqa: PLC0415
    from snapkeep.cli.views.policy_fields import field_changes, field_lines  # noqa: PLC0415
    from snapkeep.usecases.policies import version_to_restore  # noqa: PLC0415

    installed = _installed(replace(settings, read_only=True))
    region, file = installed.settings.region, None
    if document and not document.isdecimal():
        limits = installed.parameters_as_policies()[region].limits
        file, _, policies = read_policies(Path(document), region=region, limits=limits)
    else:
        policies = version_to_restore(*installed.primary_document(), int(document or 0)).policies
    before = installed.policies_in_force(policies)
    warn([*(policy_set.problem for policy_set in before.values()), *map(str, lock_problems(installed, policies))])
    fields = field_changes(before[region], policies)
    comparisons, full = _compare(installed, before, dict.fromkeys(before, policies))
    warn([*vaults_not_allowed(installed, policies), *documents_not_allowed(installed, policies)])
    warnings = show_gaps(policies, file, json=json)
    if json:
        fields_data = [change._asdict() for change in fields]
        print_json({"warnings": warnings, "fields": fields_data, **changes_as_data(comparisons, full)})
        return
    about = policies.source.label
    typer.echo(printable(f"{about} against {before[region].source.label}, which is in force"))
    write_lines(field_lines(fields))
    _print_comparisons(comparisons, full, json=False)


@app.command()
@with_aws_settings
def history(settings: AwsSettings, *, json: Json = False) -> None:
    """List the versions of the document, newest first."""
    from snapkeep.cli.views.policy import history_lines, version_as_data  # noqa: PLC0415
    from snapkeep.usecases.policies import history as history_of  # noqa: PLC0415

    versions = history_of(*_installed(settings).primary_document())
    data = {"versions": [version_as_data(version) for version in versions]}
    show_result(data, history_lines(versions), json=json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a document, for editors."""
    from snapkeep.policyfile.schema import render_schema  # noqa: PLC0415

    sys.stdout.write(render_schema())


def _installed(settings: AwsSettings) -> InstalledSystem:
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need

    return InstalledSystem(settings)


def _put_in_force(
    installed: InstalledSystem,
    text: str,
    policies: PolicySet,
    question: str,
    *,
    file: PolicyFile | None = None,
    yes: bool,
    json: bool,
) -> None:
    """Show what the policies change and leave unprotected, ask, and push the text to every region of theirs or a former version.

    Policies of a stored version have no `file`.
    """
    from snapkeep.cli.stack_limits import documents_not_allowed, vaults_not_allowed  # noqa: PLC0415
    from snapkeep.cli.views.policy import dropped_line, pushed_line  # noqa: PLC0415
    from snapkeep.cli.views.policy_fields import field_changes, field_lines  # noqa: PLC0415
    from snapkeep.usecases.policies import push as push_to  # noqa: PLC0415

    dropped = installed.regions_dropped(policies)
    readable = [region for region in dropped if not region.problem]
    dropped_names = {region.region for region in dropped}
    regions = [region for region in installed.regions(policies) if region not in dropped_names]
    stores = _stores(installed, regions)
    before = installed.in_force_in(regions) | {region.region: region.policies for region in readable}
    warn(policy_set.problem for policy_set in before.values())
    fields = field_changes(before[installed.settings.region], policies)
    if not json:
        write_lines(field_lines(fields))
    comparisons, full = _compare(installed, before, dict.fromkeys(before, policies))
    _print_comparisons(comparisons, full, json=json)
    for region in dropped:
        typer.echo(printable(dropped_line(region)), err=json or bool(region.problem))
    warn([*vaults_not_allowed(installed, policies), *documents_not_allowed(installed, policies)])
    warnings = show_gaps(policies, file, json=json)
    require_consent(question, yes=yes, json=json, otherwise="nothing was changed")
    # The dropped regions come last: a failure there delays no other region.
    pushed = push_to([*stores, *(installed.adapters.policy_store_of(region.region) for region in readable)], text)
    if json:
        dropped_data = [{"region": region.region, "problem": region.problem} for region in dropped]
        pushed_data = [asdict(result) for result in pushed]
        fields_data = [change._asdict() for change in fields]
        changes_data = changes_as_data(comparisons, full)
        data = {"pushed": pushed_data, "dropped": dropped_data, "warnings": warnings, "fields": fields_data}
        print_json({**data, **changes_data})
    else:
        write_lines(pushed_line(result) for result in pushed)
    exit_unless(not any(result.overtaken for result in pushed) and len(readable) == len(dropped))


def _print_comparisons(comparisons: Sequence[tuple[str, Comparison]], full_copies: Sequence[FullCopies], *, json: bool) -> None:
    from snapkeep.cli.views.policy import comparison_lines, full_copy_lines  # noqa: PLC0415

    if not json:
        for region, comparison in comparisons:
            write_lines(comparison_lines(region, comparison))
        write_lines(full_copy_lines(full_copies))


def policies_as_data(policies: PolicySet) -> dict[str, Any]:
    """Return policies and where they come from as JSON values."""
    from snapkeep.domain.json_codec import to_object  # noqa: PLC0415
    from snapkeep.domain.policy.document import to_document  # noqa: PLC0415

    source = to_object(policies.source) | {"label": policies.source.label}
    return {"source": source, "problem": policies.problem, "document": to_document(policies)}


def changes_as_data(comparisons: Iterable[tuple[str, Comparison]], full_copies: Sequence[FullCopies]) -> dict[str, Any]:
    """Return what a document would change as JSON values."""
    from snapkeep.cli.views.policy import comparison_as_data, full_copies_as_data  # noqa: PLC0415

    changes = [{"region": region, **comparison_as_data(comparison)} for region, comparison in comparisons]
    return {"changes": changes, "full_copies": full_copies_as_data(full_copies)}


def _stores(installed: InstalledSystem, regions: Sequence[str]) -> list[PolicyStore]:
    """Return the stores of the regions, whose first is the primary's; the primary's store last.

    Raise WrongUse for a region without its stack.
    """
    settings = installed.settings
    primary, *dr_regions = regions
    for kind, region in [*((StackKind.DR, region) for region in dr_regions), (StackKind.PRIMARY, primary)]:
        if not installed.stack_parameters(kind, region):
            raise WrongUse(
                f"there is no stack {stack_name(settings.system, kind)} in {region}: deploy it before a policy needs it"
            )
    return [installed.adapters.policy_store_of(region) for region in [*dr_regions, primary]]


def _compare(
    installed: InstalledSystem, before: Mapping[str, PolicySet], policies: Mapping[str, PolicySet]
) -> tuple[list[tuple[str, Comparison]], list[FullCopies]]:
    """Return for each region what other policies would change, from one listing of each, and the full copies they cause."""
    from snapkeep.domain.retention.comparison import compare  # noqa: PLC0415
    from snapkeep.domain.retention.key_changes import full_copies  # noqa: PLC0415

    make_plans, now = installed.plan_maker(list(before)), datetime.now(UTC)
    current, proposed = make_plans(before, now), make_plans(policies, now)
    comparisons = [(new.region, compare(old, new)) for old, new in zip(current, proposed, strict=True)]
    return comparisons, full_copies(current, proposed)
