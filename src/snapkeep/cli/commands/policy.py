"""`snapkeep policy`: the policy document: check, push, show, history, rollback, remove, schema."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import AwsSettings, Json, Yes, require_consent, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse
from snapkeep.cli.output import print_json
from snapkeep.cli.policy_files import parse_file, print_problems, read_policies
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from snapkeep.cli.installed import Installed, RegionSeen
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.domain.retention.region_plan import Comparison
    from snapkeep.usecases.policies import PolicyStore, PushResult, ShowResult

app = typer.Typer(help="The policy document: what is in force, and what is to be.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The document, in YAML or JSON.")]


@app.command()
def check(
    file: _File,
    *,
    region: Annotated[str, typer.Option("--region", metavar="REGION", help="The primary region, which no copy may go to.")] = "",
    json: Json = False,
) -> None:
    """Check a document and say everything that is wrong with it, and what would be right. Asks nothing of AWS.

    Exit status 1 if it has errors.
    """
    from snapkeep.cli.views import policy as policy_view  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.domain.policy.document import STANDARD_LIMITS, InvalidPolicy, to_document  # noqa: PLC0415

    try:
        _, policies = parse_file(file, region=region, limits=STANDARD_LIMITS)
    except InvalidPolicy as invalid:
        if json:
            print_json({"file": str(file), "errors": [problem._asdict() for problem in invalid.problems]})
        else:
            print_problems(invalid, file)
        raise typer.Exit(NOT_ALL_RIGHT) from invalid
    if json:
        print_json({"file": str(file), "errors": [], "document": to_document(policies)})
    else:
        sys.stdout.writelines(line + "\n" for line in policy_view.summary_lines(policies))


@app.command()
@with_aws_settings
def push(
    settings: AwsSettings,
    file: _File,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show what a document would change, ask, and put it in force in all regions. No deployment is needed.

    The functions see it within a minute. The former versions are kept. A region that it does not copy to any more gets it too,
    and keeps every copy that it has.
    """
    from snapkeep.usecases.policies import stored_text  # noqa: PLC0415

    installed = _installed(settings)
    region = installed.settings.region
    document, policies = read_policies(file, region=region, limits=installed.parameters_as_policies()[region].limits)
    _put_in_force(installed, stored_text(document), policies, f"Put {file.name} in force?", yes=yes, json=json)


@app.command()
@with_aws_settings
def rollback(
    settings: AwsSettings,
    version: Annotated[
        int,
        typer.Argument(metavar="VERSION", help="Where to go back to. Default: the newest usable one.", show_default=False),
    ] = 0,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show what going back to a former version would change, ask, and put it in force again, as a new version."""
    from snapkeep.usecases.policies import version_to_restore  # noqa: PLC0415

    installed = _installed(settings)
    region = installed.settings.region
    found = version_to_restore(installed.store(region), installed.parameters_as_policies()[region], version)
    question = f"Put version {found.stored.version} of the document in force again?"
    _put_in_force(installed, found.stored.text, found.policies, question, yes=yes, json=json)


@app.command()
@with_aws_settings
def remove(
    settings: AwsSettings,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show what going back to the stacks' parameters would change, ask, and take the document out of force."""
    installed = _installed(settings)
    parameters = installed.parameters_as_policies()[installed.settings.region]
    before = installed.policies_in_force(parameters)
    _tell_broken(before)
    compared = _compare(installed, before, installed.parameters_as_policies(list(before)))
    stores = _stores_in_force(installed, before)
    _show_comparisons(compared, json=json)
    require_consent("Put the stacks' parameters in force again?", yes=yes, json=json, otherwise="nothing was changed")
    for store in stores:
        store.remove()
    if json:
        print_json({"removed": [store.region for store in stores], "changes": _changes_as_data(compared)})
    else:
        sys.stdout.writelines(f"{store.region}: the stack's parameters are in force\n" for store in stores)


@app.command()
@with_aws_settings
def show(
    settings: AwsSettings,
    *,
    json: Json = False,
) -> None:
    """Print what is in force, as a document, whether it was pushed or is what the stacks' parameters say.

    Exit status 1 if the newest document cannot be used: what is printed is then in force in its place.
    """
    from snapkeep.domain.policy.document import to_document  # noqa: PLC0415
    from snapkeep.policyfile.load import readable_yaml  # noqa: PLC0415 - imports yaml

    installed = _installed(settings)
    policies = installed.policies_in_force()[installed.settings.region]
    if json:
        print_json({"source": policies.source, "problem": policies.problem, "document": to_document(policies)})
    else:
        _tell_broken({settings.region: policies})
        sys.stdout.write(f"# {policies.source}\n{readable_yaml(policies)}")
    if policies.problem:
        raise typer.Exit(NOT_ALL_RIGHT)


@app.command()
@with_aws_settings
def history(
    settings: AwsSettings,
    *,
    json: Json = False,
) -> None:
    """List the versions that are kept, newest first, whether each can be used, and which is in force."""
    from snapkeep.usecases.policies import history as history_of  # noqa: PLC0415

    installed = _installed(settings)
    region = installed.settings.region
    versions = history_of(installed.store(region), installed.parameters_as_policies()[region])
    if json:
        print_json({"versions": [_version_as_data(one) for one in versions]})
        return
    sys.stdout.writelines(_version_line(one) + "\n" for one in versions)
    if all(one.stored.says_nothing for one in versions):
        sys.stdout.write("no document was ever pushed: the stacks' parameters are the policy\n")
    elif not any(one.in_force for one in versions):
        sys.stdout.write("none can be used: the stacks' parameters are the policy, and nothing is deleted\n")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a document, for completion and checks in an editor."""
    from snapkeep.policyfile.schema import render_schema  # noqa: PLC0415

    sys.stdout.write(render_schema())


def _installed(settings: AwsSettings) -> Installed:
    from snapkeep.cli.installed import Installed  # noqa: PLC0415 - imports what --help does not need

    return Installed(settings)


def _put_in_force(installed: Installed, text: str, policies: PolicySet, question: str, *, yes: bool, json: bool) -> None:
    from snapkeep.usecases.policies import push as push_to  # noqa: PLC0415

    dropped = installed.regions_dropped(policies)
    told = [one for one in dropped if not one.problem]
    left = {one.region for one in dropped}
    regions = [region for region in installed.regions(policies) if region not in left]
    stores = _stores(installed, regions)
    before = installed.in_force_in(regions) | {one.region: one.policies for one in told}
    _tell_broken(before)
    compared = _compare(installed, before, dict.fromkeys(before, policies))
    _show_comparisons(compared, json=json)
    for one in dropped:
        typer.echo(_dropped_line(one), err=json or bool(one.problem))
    require_consent(question, yes=yes, json=json, otherwise="nothing was changed")
    pushed = push_to([*stores, *(installed.store(one.region) for one in told)], text)
    if json:
        named = [{"region": one.region, "problem": one.problem} for one in dropped]
        print_json({"pushed": [asdict(one) for one in pushed], "dropped": named, "changes": _changes_as_data(compared)})
    else:
        sys.stdout.writelines(_pushed_line(one) + "\n" for one in pushed)
    if any(one.overtaken for one in pushed) or len(told) < len(dropped):
        raise typer.Exit(NOT_ALL_RIGHT)


def _dropped_line(one: RegionSeen) -> str:
    """Given a region that nothing is copied to any more, return what becomes of what is there."""
    if one.problem:
        return f"{one.problem}; nothing is copied there any more, and it goes by its former document until a push reaches it"
    return f"{one.region}: nothing is copied there any more; it is told so, and keeps every copy that it has"


def _show_comparisons(compared: Sequence[tuple[str, Comparison]], *, json: bool) -> None:
    from snapkeep.cli.views.policy import comparison_lines  # noqa: PLC0415

    if not json:
        for region, comparison in compared:
            sys.stdout.writelines(line + "\n" for line in comparison_lines(region, comparison))


def _changes_as_data(compared: Sequence[tuple[str, Comparison]]) -> list[dict[str, Any]]:
    from snapkeep.cli.views.policy import comparison_as_data  # noqa: PLC0415

    return [{"region": region, **comparison_as_data(comparison)} for region, comparison in compared]


def _stores(installed: Installed, regions: Sequence[str]) -> list[PolicyStore]:
    """Given regions, the primary first, return their stores, its own last. Raise WrongUse for a region without its stack."""
    from snapkeep.cli.installed import DR, PRIMARY  # noqa: PLC0415

    settings = installed.settings
    primary, *others = regions
    for kind, region in [*((DR, region) for region in others), (PRIMARY, primary)]:
        if not installed.stack_parameters(kind, region):
            raise WrongUse(f"there is no stack {settings.system}-{kind} in {region}: deploy it before a policy needs it")
    return [installed.store(region) for region in [*others, primary]]


def _stores_in_force(installed: Installed, before: Iterable[str]) -> list[PolicyStore]:
    """Given the regions that what is in force concerns, the primary first, return the stores of their stacks, its own last."""
    from snapkeep.cli.installed import DR  # noqa: PLC0415

    primary, *others = before
    return [installed.store(region) for region in [*(one for one in others if installed.stack_parameters(DR, one)), primary]]


def _tell_broken(in_force: Mapping[str, PolicySet]) -> None:
    for policies in in_force.values():
        if policies.problem:
            typer.echo(policies.problem, err=True)


def _compare(
    installed: Installed, before: Mapping[str, PolicySet], policies: Mapping[str, PolicySet]
) -> list[tuple[str, Comparison]]:
    from snapkeep.domain.retention.region_plan import compare  # noqa: PLC0415
    from snapkeep.usecases.retention.plan_regions import gather_all_facts, make_plans  # noqa: PLC0415

    settings, now, regions = installed.settings, datetime.now(UTC), list(before)
    readers = [installed.reader(region) for region in regions]
    guards = [installed.guards(region) for region in regions]
    facts = gather_all_facts(readers[0], readers[1:], installed.waiting(regions[1:]))
    then = make_plans(guards, facts, before, now, system=settings.system)
    after = make_plans(guards, facts, policies, now, system=settings.system)
    return [(one.region, compare(old, one)) for old, one in zip(then, after, strict=True)]


def _pushed_line(pushed: PushResult) -> str:
    if pushed.unchanged:
        return f"{pushed.region}: version {pushed.version} says this already"
    if pushed.overtaken:
        return f"{pushed.region}: version {pushed.version} is in force; somebody else pushed at the same time, see the history"
    return f"{pushed.region}: version {pushed.version} is in force"


def _version_line(shown: ShowResult) -> str:
    stored = shown.stored
    line = f"{stored.version:>4}  {stored.at:%Y-%m-%d %H:%M}  {_what_it_says(shown)}  {stored.author}"
    return line + "  (in force)" if shown.in_force else line


def _what_it_says(shown: ShowResult) -> str:
    if shown.stored.says_nothing:
        return "no document: the stacks' parameters"
    if shown.policies is None:
        return f"cannot be used: {counted(len(shown.problems), 'error')}, first: {shown.problems[0]}"
    return "policies " + ", ".join(policy.name for policy in shown.policies.policies)


def _version_as_data(shown: ShowResult) -> dict[str, Any]:
    problems: Sequence[Any] = shown.problems
    return {
        "version": shown.stored.version,
        "at": shown.stored.at,
        "author": shown.stored.author,
        "in_force": shown.in_force,
        "removed": shown.stored.says_nothing,
        "policies": [policy.name for policy in shown.policies.policies] if shown.policies else None,
        "errors": [problem._asdict() for problem in problems],
    }
