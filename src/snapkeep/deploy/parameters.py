"""Parameters of a stack, checked against its template before anything changes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from snapkeep.domain.errors import InvalidConfiguration

DR_REGION = "DRRegion"
RETENTION = "Retention"
LIMITS = ("MaxDeletions", "MaxDeletionSharePercent", "DeletionsTimesUsual")
SUFFIX = "FunctionNameSuffix"
TAG_KEY = "tagKeyValue"
COPY_KEY, STACK_KEY = "DRKmsKey", "KmsKeyArn"
LONGEST_SHOWN = 80


class InvalidParameters(InvalidConfiguration):
    """Parameters that a template does not take; the message names each, and what would be right."""


def check_parameters(template: Mapping[str, Any], parameters: Mapping[str, str], stack: str) -> None:
    """Raise InvalidParameters, naming everything that is wrong with a stack's parameters, if its template does not take them."""
    declared = template.get("Parameters", {})
    problems = [problem for name, value in parameters.items() for problem in _problems(declared, name, value)]
    problems += [
        f"{name} has no value and no default"
        for name, rule in declared.items()
        if name not in parameters and "Default" not in rule
    ]
    if problems:
        raise InvalidParameters(f"stack {stack}: " + "; ".join(problems))


def check_suffix(suffix: str) -> None:
    """Raise InvalidParameters if no stack can have a name with the system's suffix (botocore: CreateChangeSet)."""
    if not re.fullmatch(r"[A-Za-z0-9-]*", suffix):
        raise InvalidParameters(f"{SUFFIX} is '{suffix}'; the stacks are named with it, so letters, digits and '-' are right")


def check_regions(region: str, dr_region: str) -> None:
    """Raise InvalidParameters if both regions are the same: a disaster of the region would take the copies too."""
    if region == dr_region:
        raise InvalidParameters(f"{DR_REGION} is {dr_region}, and so is the primary region; name another region")


def check_key(name: str, value: str, account_id: str, region: str) -> None:
    """Raise InvalidParameters for the ARN of a KMS key in another account or region: the functions' roles allow no other."""
    # An id or an alias names no account and no region; the functions check it before they use it.
    if not value.startswith("arn:"):
        return
    _, _, _, key_region, key_account, _ = value.split(":", 5)
    if (key_region, key_account) != (region, account_id):
        raise InvalidParameters(
            f"{name} is a key of account {key_account} in {key_region}; a key of this account, {account_id}, in {region} is right"
        )


def _problems(declared: Mapping[str, Any], name: str, value: str) -> list[str]:
    rule = declared.get(name)
    if rule is None:
        near = difflib.get_close_matches(name, declared, n=1, cutoff=0.5)
        return [f"{name} is not a parameter" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(declared)}")]
    checks = (_number_problem, _values_problem, _length_problem, _pattern_problem)
    problems = (check(name, value, rule) for check in checks)
    # One problem for each value: the others follow from the first.
    return [problem for problem in problems if problem][:1]


def _shown(value: str) -> str:
    """Return a value for a message of one line: of a long list, its beginning."""
    return value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}… ({len(value)} characters)"


def _number_problem(name: str, value: str, rule: Mapping[str, Any]) -> str:
    if rule.get("Type") != "Number":
        return ""
    least, most = rule.get("MinValue"), rule.get("MaxValue")
    expected = _range(least, most)
    if not re.fullmatch(r"-?\d+", value):  # CloudFormation takes 7.5 and 1e2 for a Number; what the stacks use them for does not
        return f"{name} is '{_shown(value)}'; {expected} is right"
    too_small = least is not None and int(value) < int(least)
    too_large = most is not None and int(value) > int(most)
    return f"{name} is {value}; {expected} is right" if too_small or too_large else ""


def _range(least: Any, most: Any) -> str:
    if least is not None and most is not None:
        return f"a whole number from {least} to {most}"
    if least is not None:
        return f"a whole number of {least} or more"
    return f"a whole number of {most} or less" if most is not None else "a whole number"


def _values_problem(name: str, value: str, rule: Mapping[str, Any]) -> str:
    allowed = [str(item).lower() if isinstance(item, bool) else str(item) for item in rule.get("AllowedValues", ())]
    return f"{name} is '{_shown(value)}'; one of {', '.join(allowed)} is right" if allowed and value not in allowed else ""


def _length_problem(name: str, value: str, rule: Mapping[str, Any]) -> str:
    otherwise = ""
    if "MinLength" in rule and len(value) < int(rule["MinLength"]):
        otherwise = f"{rule['MinLength']} or more characters"
    if "MaxLength" in rule and len(value) > int(rule["MaxLength"]):
        otherwise = f"at most {rule['MaxLength']} characters"
    return f"{name} is '{_shown(value)}'; right is: {_described(rule, otherwise)}" if otherwise else ""


def _pattern_problem(name: str, value: str, rule: Mapping[str, Any]) -> str:
    pattern = rule.get("AllowedPattern")
    if not pattern or re.fullmatch(pattern, value):
        return ""
    return f"{name} is '{_shown(value)}'; right is: {_described(rule, f'what matches {pattern}')}"


def _described(rule: Mapping[str, Any], otherwise: str) -> str:
    """Return a template's description of a parameter's values, as a part of a sentence."""
    description = str(rule.get("ConstraintDescription", "")).removesuffix(".") or otherwise
    # "A whole number" begins small; "ARN of a key" does not.
    return description[:1].lower() + description[1:] if description[1:2].islower() or description[1:2] == " " else description
