"""A value that functions, EventBridge or Lambda would refuse later is refused by the template's parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.templates import FUNCTION, STACKS, resources, template

ENVIRONMENT_BYTES = 4096
"""The size limit of a function's environment variables together (Lambda developer guide: quotas)."""
RANGE = re.compile(r"A whole number (?:of \w+ )?from (\d+) to (\d+)\.")
LONGEST_SUFFIX = 20
LONGEST_LITERALS = 60
"""More than what a pattern has beside its counted parts, such as `arn:aws-us-gov:kms:us-gov-west-1:`."""
LONGEST_REFERENCE = 150
"""More than the ARN or URL of any resource of the stacks has."""


def whole_numbers(stack: str) -> Iterator[tuple[str, dict[str, Any], int, int]]:
    for name, parameter in template(stack)["Parameters"].items():
        match = RANGE.match(parameter["ConstraintDescription"])
        if match:
            yield name, parameter, int(match[1]), int(match[2])


def numbers_to(most: int) -> set[int]:
    """Return every number of five digits at most, and above those the numbers about each power of ten and the largest."""
    around = {number + more for number in (most, *(10**digits for digits in range(5, 9))) for more in range(-2, 3)}
    return {*range(min(most + 2, 100_000)), *around}


@pytest.mark.parametrize("stack", STACKS)
def test_numbers_of_functions_are_whole_and_within_their_range(stack: str) -> None:
    """AllowedPattern works on strings alone (CloudFormation user guide: parameters), and a Number takes 7.5 and 1e2."""
    in_environment = str(template(stack)["Globals"]) + str(resources(stack, FUNCTION))
    checked = set()
    for name, parameter, least, most in whole_numbers(stack):
        if f"{{'Ref': '{name}'}}" not in in_environment:
            continue
        checked.add(name)
        assert parameter["Type"] == "String", name
        tried = numbers_to(most)
        taken = {number for number in tried if re.fullmatch(parameter["AllowedPattern"], str(number))}
        assert taken == {number for number in tried if least <= number <= most}, name
        refused = ["", "7.5", "1e2", "07", "+7", "-1", " 7", "7 ", "7\n", "seven"]
        assert [text for text in refused if re.fullmatch(parameter["AllowedPattern"], text)] == [], name
    assert checked >= {"MaxDeletions", "MaxDeletionSharePercent", "DigestQuietSeconds"}
    assert ("Retention" in checked) == (stack != "vault"), "a vault keeps by its document alone"


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("schedule", "taken"),
    [
        ("rate(1 hour)", True),
        ("rate(6 hours)", True),
        ("rate(10 minutes)", True),
        ("rate(1 day)", True),
        ("cron(15 5 * * ? *)", True),
        ("rate(1 hours)", False),
        ("rate(6 hour)", False),
        ("rate(10 minute)", False),
        ("rate(0 hours)", False),
        ("rate(01 hour)", False),
    ],
)
def test_a_rate_is_singular_for_one_alone(stack: str, schedule: str, taken: bool) -> None:
    """ "If the value is equal to 1, then the unit must be singular" (EventBridge user guide: rate expressions)."""
    pattern = template(stack)["Parameters"]["SweepSchedule"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, schedule)) is taken


@pytest.mark.parametrize("stack", STACKS)
def test_the_longest_parameters_fit_into_a_functions_environment(stack: str) -> None:
    shared = template(stack)["Globals"]["Function"]["Environment"]["Variables"]
    for name, properties in resources(stack, FUNCTION).items():
        variables = shared | properties.get("Environment", {}).get("Variables", {})
        assert sum(len(key) + _longest(stack, value) for key, value in variables.items()) <= ENVIRONMENT_BYTES, name


def _longest(stack: str, value: Any) -> int:
    """Return the length of the longest text that a variable can become."""
    if isinstance(value, str):
        return len(value)
    parameter = template(stack)["Parameters"].get(value.get("Ref", ""))
    if parameter is None:
        return len(value["Fn::Sub"]) + LONGEST_SUFFIX if isinstance(value.get("Fn::Sub"), str) else LONGEST_REFERENCE
    if "AllowedValues" in parameter:
        return max(len(str(allowed)) for allowed in parameter["AllowedValues"])
    if match := RANGE.match(parameter["ConstraintDescription"]):
        return len(match[2])
    if "MaxLength" in parameter:
        return int(parameter["MaxLength"])
    pattern = parameter.get("AllowedPattern", "")
    assert ")*" not in pattern, "a pattern that repeats needs MaxLength"
    return sum(int(number) for number in re.findall(r"\{(?:\d+,)?(\d+)\}", pattern)) + LONGEST_LITERALS
