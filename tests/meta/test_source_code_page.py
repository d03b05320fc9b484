"""`docs/source-code.md` names files, functions, states and classes that exist."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from snapkeep.usecases.sweep.dr import DrSweep
from snapkeep.usecases.sweep.primary import PrimarySweep
from support.templates import FUNCTION, STACKS, resources

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/snapkeep"
PAGE = (ROOT / "docs/source-code.md").read_text()
CHANGES = (
    "a retention word",
    "a retention word that is not a calendar period",
    "a notification channel",
    "an archive tier",
    "a stack parameter",
    "a sweep finding",
    "a quota of the model",
    "a column of `snapkeep plan`",
    "a second copy in one region",
    "a new command",
    "a cross-account copy",
    "another queue",
    "a field in a deletion's log line",
    "an AWS call",
    "a method of proof",
    "a step of `snapkeep recover`",
    "a check of `snapkeep doctor`",
    "a tag on snapshots",
    "a word of the copy rules",
)
"""The facts that a newcomer must find."""
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    lines = [line for line in section(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


NAMES = rows("One function, four names")


def lambda_functions() -> dict[str, str]:
    """Return each Lambda function's module, by the name that the console shows without a suffix."""
    modules = {}
    for stack in STACKS:
        for function in resources(stack, FUNCTION).values():
            name = function["FunctionName"]["Fn::Sub"].removesuffix("${FunctionNameSuffix}")
            modules[name] = function["Handler"].split(".")[-2]
    return modules


def states_of_functions() -> dict[str, set[tuple[str, str]]]:
    """Return the states, with their state machines, that invoke each Lambda function."""
    states: dict[str, set[tuple[str, str]]] = {}

    def collect(definition: dict[str, Any], machine: str) -> None:
        for name, state in definition["States"].items():
            if "lambda:invoke" in state.get("Resource", ""):
                arguments = state.get("Parameters") or state["Arguments"]
                function = arguments["FunctionName"].removeprefix("${").removesuffix("Arn}")
                states.setdefault(function, set()).add((name, machine))
            if "ItemProcessor" in state:
                collect(state["ItemProcessor"], machine)

    for path in (SOURCE / "infra/statemachines").glob("*.asl.json"):
        collect(json.loads(path.read_text()), path.name.removesuffix(".asl.json"))
    return states


FILE_ENDINGS = (".py", ".yaml", ".md", ".json", ".j2", ".css")
SWEEPS = {"PrimarySweep": PrimarySweep, "DrSweep": DrSweep}
"""Names that functions/sweep.py imports for the type checker alone: a cold start needs one of them."""


def use_cases_made_by(module: str) -> set[str]:
    made = get_type_hints(import_module(f"snapkeep.functions.{module}").build, localns=SWEEPS)["return"]
    return {
        f"{kind.__module__.removeprefix('snapkeep.').replace('.', '/')}.py: {kind.__name__}" for kind in get_args(made) or [made]
    }


def test_every_lambda_function_has_its_row_and_module() -> None:
    assert {row[0]: row[2].strip("`") for row in NAMES} == lambda_functions()


def test_rows_name_the_states_that_invoke_the_function() -> None:
    invoked = states_of_functions()
    for function, states, *_ in NAMES:
        listed: set[tuple[str, str]] = set()
        if not states.startswith("none"):
            [names, machines] = re.fullmatch(r"(.+) \((.+)\)", states).groups()  # type: ignore[union-attr]
            listed = {(name, machine) for name in names.split(", ") for machine in machines.split(", ")}
        assert listed == invoked.get(function, set()), function


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row[0])
def test_a_row_names_the_use_case_that_its_module_makes(row: list[str]) -> None:
    named = {re.sub(r"`", "", use_case) for use_case in row[3].split("; ") if not use_case.startswith("none")}
    made = {use_case for use_case in use_cases_made_by(row[2].strip("`")) if use_case.startswith("usecases/")}
    assert named == made


def test_every_known_change_has_its_row() -> None:
    assert set(CHANGES) <= {row[0] for row in rows("Where a change goes")}


def homes_of(symbol: str) -> set[str]:
    """Return the files of the source that define a symbol: a class, a function or a constant, or a template's section."""
    defined = re.compile(rf"^(class |def |){symbol}\b(\(|:| =|$)", re.MULTILINE)
    paths = [*SOURCE.rglob("*.py"), *(SOURCE / "infra").glob("*.yaml")]
    return {str(path.relative_to(SOURCE)) for path in paths if defined.search(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("row", rows("Where a change goes"), ids=lambda row: row[0])
def test_the_file_to_open_first_defines_what_the_row_names(row: list[str]) -> None:
    symbol = re.search(r"\([^`)]*`(\w+)`", row[1])
    assert symbol, "the row names nothing that its file defines"
    assert homes_of(symbol[1]) == set(PATH.findall(row[1].partition("(")[0]))


def test_every_symbol_of_a_row_is_defined() -> None:
    table = " ".join(" ".join(row) for row in rows("Where a change goes"))
    symbols = {name.split(".")[-1] for name in re.findall(r"`([A-Za-z_][\w.]*)`", table) if not name.endswith(FILE_ENDINGS)}
    assert len(symbols) > 50
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*") if path.suffix in (".py", ".yaml"))
    defined = set(re.findall(r"^\s*(?:(?:class|def) (\w+)|(\w+)(?=: | = |:$))", source, re.MULTILINE))
    assert symbols - {name for names in defined for name in names} == set()


@pytest.mark.parametrize("document", ["docs/source-code.md", "docs/design.md", "CONTRIBUTING.md"])
def test_every_path_on_the_page_exists(document: str) -> None:
    paths = PATH.findall((ROOT / document).read_text())
    assert paths
    assert [path for path in paths if not any((base / path).exists() for base in (SOURCE, ROOT))] == []


def test_the_tree_shows_every_folder_of_the_product() -> None:
    tree = PAGE.partition("```\n")[2].partition("```")[0]
    shown = set(re.findall(r"^ +([a-z_]+)/ ", tree, re.MULTILINE))
    rooms = {path.parent for path in SOURCE.glob("*/__init__.py")} | {path.parent for path in SOURCE.glob("domain/*/__init__.py")}
    rooms |= {path.parent for folder in ("usecases", "lab") for path in (SOURCE / folder).glob("*/__init__.py")}
    assert {room.name for room in rooms} <= shown | {"infra"}


def test_unit_tests_lie_in_folders_named_after_rooms() -> None:
    unit = ROOT / "tests/unit"
    packages = [path.parent.relative_to(SOURCE) for path in SOURCE.rglob("__init__.py")]
    rooms = {str(package) for package in packages}
    shared = {package.name for package in packages if package.parts[:1] in (("domain",), ("usecases",))}
    folders = {str(path.parent.relative_to(unit)) for path in unit.rglob("test_*.py")}
    assert folders - rooms - shared == {"locks", "notify", "protect"}
