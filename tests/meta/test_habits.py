"""Habits of the product that no linter knows: data instead of prose, one reader of the environment, steps instead of states."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import snapkeep
from snapkeep.domain.model import Action, Reason, Verdict
from snapkeep.domain.retention.deletion import DeletionKind, deletion_orders
from snapkeep.domain.sweep.report import SweepReport
from snapkeep.functions import sweep_metrics
from snapkeep.functions.environment import Environment, Variable
from snapkeep.usecases.sweep.shared import complete
from support.lineages import snapshot
from support.planted_bugs import planted, read_bug
from support.templates import STACKS, template

PRODUCT = Path(snapkeep.__file__).parent
NOW = datetime(2026, 11, 23, tzinfo=UTC)
REPORT = SweepReport("id", "snapkeep", "primary", "us-east-1", NOW, NOW)
PROSE = {"text", "cause", "reasons", "label", "why", "advice", "problem", "broken", "summary"}
PROSE_NAMES = {"cause", "causes", "reason", "reasons", "label", "why"}
READING = {"startswith", "endswith", "partition", "find", "index", "removeprefix", "match", "search", "fullmatch", "splitlines"}
ENUMS = (".fault.why",)
"""Attributes of these names that hold a member of an enum."""
READS_AWS_WORDS = {"naming_keys"}
"""EC2 says nothing but a message about a copy that failed."""
READS_ENVIRONMENT = {"functions/composition.py", "deploy/bytecode.py"}
"""Besides the commands, which take defaults from it as the AWS CLI does."""
ENVIRONMENTS = {"environ", "getenv", "environb"}
GIVEN_BY_LAMBDA = {"AWS_REGION"}
MAKES_ENTRIES = {"domain/copies/entry.py"}
REPLACES_BY_NAME = {"domain/policy/document.py": "limits", "domain/records.py": "record"}
"""Limits come from a document, by the names of its keys; `records` makes `replace` itself."""


def product(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the tree of each module of some rooms; without rooms, of the whole product."""
    for path in sorted(PRODUCT.rglob("*.py")):
        name = str(path.relative_to(PRODUCT))
        if name.startswith(rooms or ("",)) and (rooms or not name.startswith("lab/")):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    return ((ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call))


# No prose is read


def is_prose(node: ast.AST) -> bool:
    return any(
        (isinstance(part, ast.Attribute) and part.attr in PROSE) or (isinstance(part, ast.Name) and part.id in PROSE_NAMES)
        for part in ast.walk(node)
    )


def has_words(nodes: list[ast.expr]) -> bool:
    constants = [part.value for node in nodes for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return any(isinstance(value, str) and value for value in constants)


def readings_of_prose(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            found = has_words(sides) and any(is_prose(side) for side in sides)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            key = node.args[:1] if node.func.attr == "get" else []
            found = any(is_prose(part) for part in key)
            found |= node.func.attr in READING and any(is_prose(part) for part in (node.func.value, *node.args))
        else:
            found = isinstance(node, ast.Subscript) and not ast.unparse(node.slice).endswith(ENUMS) and is_prose(node.slice)
        if found:
            yield f"line {node.lineno}: {ast.unparse(node)}"  # type: ignore[attr-defined]


def test_no_decision_reads_a_text() -> None:
    read = {}
    for name, tree in product("domain", "usecases", "functions", "reports"):
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.FunctionDef)
                and node.name not in READS_AWS_WORDS
                and (lines := list(readings_of_prose(node)))
            ):
                read[f"{name}: {node.name}"] = lines
    assert read == {}


def verdict(rule: str, text: str) -> Verdict:
    return Verdict(snapshot("2026-11-22T03:00", 1), Action.DELETE, (Reason(rule, text),))


@pytest.mark.parametrize("text", ["duplicate", "second copy", "failed copy", "beyond last 3", ""])
def test_a_reworded_text_changes_no_kind(text: str) -> None:
    [second, retained] = deletion_orders([verdict("duplicate", text), verdict("last", text)])
    assert (second.kind, retained.kind) == (DeletionKind.SECOND_COPY, DeletionKind.RETENTION)
    report = complete(REPORT, [second, retained], [], NOW)
    expected = complete(REPORT, deletion_orders([verdict("duplicate", "a"), verdict("last", "a")]), [], NOW)
    assert [item.kind for item in report.items] == [item.kind for item in expected.items]
    assert sweep_metrics.report_lines(report) == sweep_metrics.report_lines(expected)


# One reader of the environment


def test_only_the_outermost_modules_read_the_environment() -> None:
    reading = set()
    for name, tree in product():
        for node in ast.walk(tree):
            imported = isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} & ENVIRONMENTS
            used = isinstance(node, ast.Attribute) and node.attr in ENVIRONMENTS
            if imported or used:
                reading.add(name)
    assert {name for name in reading if not name.startswith("cli/")} == READS_ENVIRONMENT


def test_the_functions_read_the_environment_once_and_whole() -> None:
    [composition] = [tree for name, tree in product("functions/composition.py")]
    uses = [node for node in ast.walk(composition) if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENTS]
    whole = [
        node for called, node in calls(composition) if called == "Environment" and ast.unparse(node.args[0]) == "dict(os.environ)"
    ]
    assert (len(uses), len(whole)) == (1, 1)


def test_the_names_of_variables_are_written_out_in_one_module() -> None:
    for name, tree in product("domain", "usecases", "adapters", "functions", "reports"):
        reads = [node for called, node in calls(tree) if called == "Variable" or called.endswith("variables.get")]
        looked_up = [
            node.slice
            for node in ast.walk(tree)
            if isinstance(node, ast.Subscript)
            and ast.unparse(node.value).endswith("variables")
            and isinstance(node.ctx, ast.Load)
        ]
        names = [read.args[0] for read in reads] + looked_up
        if name != "functions/environment.py":
            assert names == [], f"{name} reads a variable"
            assert "SNAPKEEP" not in ast.unparse(tree), f"{name} names a variable"
            continue
        unwritten = [ast.unparse(node) for node in names if not isinstance(node, ast.Constant)]
        assert unwritten == ["self._name"]
        assert len(names) > 20


def test_every_variable_that_the_functions_read_is_set_by_a_template() -> None:
    read = {value._name for value in vars(Environment).values() if isinstance(value, Variable)}
    [source] = [tree for name, tree in product("functions/environment.py")]
    read |= {node.args[0].value for called, node in calls(source) if called == "self.variables.get" and is_constant(node.args[0])}  # type: ignore[attr-defined]
    written = set()
    for stack in STACKS:
        functions = [
            template(stack)["Globals"]["Function"],
            *(each["Properties"] for each in template(stack)["Resources"].values() if "Properties" in each),
        ]
        written |= {variable for each in functions for variable in (each.get("Environment") or {}).get("Variables", {})}
    assert read - written == GIVEN_BY_LAMBDA
    assert len(read) > 20


def is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


# Steps instead of states


def test_nothing_but_a_step_moves_an_entry() -> None:
    rooms = ("domain", "usecases", "functions", "adapters", "cli", "lab/simulator")
    for name, tree in product(*rooms):
        aliases = [
            alias.asname
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name == "replace" and alias.asname != "replace"  # exported, as `records` does
        ]
        assert not any(aliases), f"{name} hides `replace` behind another name"
        if name in MAKES_ENTRIES:
            continue
        for called, node in calls(tree):
            assert called != "QueueEntry", f"{name}:{node.lineno} makes an entry without `requested`"
            assert not called.endswith(("._after", "object.__setattr__")), (
                f"{name}:{node.lineno} goes round the steps of an entry"
            )
            if called.split(".")[-1] != "replace":
                continue
            for keyword in node.keywords:
                allowed = keyword.arg is not None or REPLACES_BY_NAME.get(name) == ast.unparse(node.args[0])
                assert allowed, f"{name}:{node.lineno} replaces fields that it does not name"
                value = ast.unparse(keyword.value)
                assert keyword.arg != "state" or value.startswith(("SnapshotState.", "StepState.", "RecoveryState.")), (
                    f"{name}:{node.lineno} changes a state without a step"
                )


# The product does not know the laboratory


LOADS_BY_NAME = {"cli/application.py": ["lazy.module"]}
LOADERS = ("import_module", "__import__", "run_module", "exec", "eval")


def test_only_the_table_of_commands_names_the_laboratory() -> None:
    for name, tree in product():
        loaded = [ast.unparse(node.args[0]) for called, node in calls(tree) if called.split(".")[-1] in LOADERS]
        assert loaded == LOADS_BY_NAME.get(name, []), f"{name} loads a module by name"
        if name not in LOADS_BY_NAME:
            parts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.Import | ast.ImportFrom))
            code = "\n".join(ast.unparse(node) for node in parts)
            assert not re.search(r"snapkeep[.\w]*\.lab\b|snapkeep import lab", code), f"{name} names the laboratory"


@pytest.mark.parametrize(
    "command", importlib.import_module("snapkeep.cli.application").COMMANDS, ids=lambda command: command.name
)
def test_a_command_is_loaded_from_a_room_of_commands(command: object) -> None:
    assert re.fullmatch(r"snapkeep\.(cli|lab)\.commands\.\w+", command.module)  # type: ignore[attr-defined]


# One name, one meaning


def test_a_class_name_has_one_meaning_and_is_a_noun() -> None:
    defined: dict[str, list[str]] = {}
    for path in sorted(PRODUCT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined.setdefault(node.name, []).append(str(path.relative_to(PRODUCT)))
    assert {name: paths for name, paths in defined.items() if len(paths) > 1 and not name.startswith("_")} == {}
    assert [name for name in defined if re.fullmatch(r"_?[A-Z][a-z]+ed", name)] == []


# The planted bugs stand where the code is


@pytest.mark.parametrize("bug", planted("planted_bugs*"), ids=lambda path: path.stem)
def test_a_planted_bug_fits_its_file(bug: Path) -> None:
    story = read_bug(bug)
    assert (PRODUCT / story["file"]).read_text(encoding="utf-8").count(story["find"]) == 1
