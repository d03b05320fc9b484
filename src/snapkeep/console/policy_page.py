"""The page of policies: those in force, their history, and a document to try, which is checked, compared and simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from snapkeep.cli.commands.policy import changes_as_data, policies_as_data
from snapkeep.cli.errors import WrongUse
from snapkeep.cli.policy_files import gaps_as_data, parse_file
from snapkeep.cli.views.policy import comparison_lines, full_copy_lines, version_as_data
from snapkeep.cli.views.policy_fields import field_changes, field_lines
from snapkeep.console.page import Context, PageData, Query
from snapkeep.console.reading import Reading
from snapkeep.domain.model import Volume
from snapkeep.domain.policy.gaps import policy_gaps
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.retention.comparison import Comparison, compare
from snapkeep.domain.retention.key_changes import FullCopies, full_copies
from snapkeep.policyfile.load import PolicyFile, readable_yaml

Simulator: TypeAlias = Callable[[Sequence[Volume], Mapping[str, PolicySet], str], str]
"""Returns a page about volumes of a primary region under policies, by their names."""


def policies_context(reading: Reading, query: Query) -> Context:
    """Return the policies, their versions, and what `document` or `version` in a query would change."""
    text = query.get("document", "") or _text_of_version(reading, query.get("version", ""))
    context: Context = {
        "in_force": reading.policies,
        "versions": [version_as_data(version) for version in reading.versions],
        "document": text,
        "problems": [],
        "warnings": [],
        "changes": None,
    }
    if text and not reading.policies:
        context["problems"] = ["no region was read: nothing can be compared"]
    elif text:
        file = PolicyFile("the document", text)
        try:
            proposed = _parsed(file, reading)
        except InvalidPolicy as invalid:
            context["problems"] = [f"{file.place(problem.path)}: {problem}" for problem in invalid.problems]
        else:
            context["warnings"] = [f"{file.place(gap.path)}: {gap.text}" for gap in policy_gaps(proposed, reading.at)]
            context |= _changes(reading, proposed)
    return context


def _text_of_version(reading: Reading, number: str) -> str:
    """Return the document of a version as YAML; empty where there is none that can be used."""
    known = {str(version.stored.version): version.policies for version in reading.versions}
    policies = known.get(number)
    return readable_yaml(policies) if policies else ""


def _parsed(file: PolicyFile, reading: Reading) -> PolicySet:
    """Return the policies of a document. Raise InvalidPolicy."""
    return parse_file(file, region=reading.status.region, limits=_in_force(reading).limits)[1]


def _changes(reading: Reading, proposed: PolicySet) -> Context:
    compared, full = _compared(reading, proposed)
    return {
        "changes": [(region, list(comparison_lines(region, comparison))) for region, comparison in compared],
        "full_copies": list(full_copy_lines(full)),
        "not_compared": sorted({*proposed.copy_regions, *reading.unread}.difference(reading.policies)),
        "fields": list(field_lines(field_changes(_in_force(reading), proposed))),
    }


def _compared(reading: Reading, proposed: PolicySet) -> tuple[list[tuple[str, Comparison]], list[FullCopies]]:
    after = reading.make_plans(dict.fromkeys(reading.policies, proposed), reading.at)
    compared = [(new.region, compare(old, new)) for old, new in zip(reading.plans, after, strict=True)]
    return compared, full_copies(reading.plans, after)


def _diff_data(reading: Reading, query: Query) -> Any:
    """Return what a tried document changes; None where none is tried. Raise InvalidPolicy or WrongUse."""
    text = query.get("document", "") or _text_of_version(reading, query.get("version", ""))
    if not text:
        return None
    file = PolicyFile("the document", text)
    proposed = _parsed(file, reading)
    warnings = gaps_as_data(policy_gaps(proposed, reading.at), file)
    fields = [change._asdict() for change in field_changes(_in_force(reading), proposed)]
    return {"warnings": warnings, "fields": fields, **changes_as_data(*_compared(reading, proposed))}


def _in_force(reading: Reading) -> PolicySet:
    """Return the policies of the primary region, or of another that was read. Raise WrongUse where none was."""
    if not reading.policies:
        raise WrongUse("no region was read: nothing can be compared")
    return next(iter(reading.policies.values()))


POLICIES: PageData = {
    "snapkeep policy show --json": lambda reading, _: policies_as_data(_in_force(reading)),
    "snapkeep policy history --json": lambda reading, _: {"versions": [version_as_data(each) for each in reading.versions]},
    "snapkeep policy diff FILE --json": _diff_data,
}
"""The commands that print the page's data, and what returns the same."""


def simulated_things(reading: Reading, query: Query) -> tuple[Sequence[Volume], Mapping[str, PolicySet], str]:
    """Return what is simulated: the volumes, the policies in force and those of a tried document, by name, and the region.

    Raise InvalidPolicy or WrongUse.
    """
    if not reading.policies or not reading.status.primary_known:
        raise WrongUse(f"{reading.status.region} was not read: there are no volumes to simulate")
    policies = {"in force": _in_force(reading)}
    if text := query.get("document", ""):
        policies["the document"] = _parsed(PolicyFile("the document", text), reading)
    return [volume.volume for volume in reading.status.volumes], policies, reading.status.region
