"""The documents' examples work: policy documents, world files, commands with their options, links, navigation."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
import yaml

from snapkeep.cli.application import COMMANDS
from snapkeep.domain.policy.document import parse_document
from snapkeep.lab.ebs_model import VirtualClock, World

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")), *PAGES]
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:\.venv/bin/)?snapkeep ((?:[a-z]+)(?:[^`\n|]*))")
TESTS = re.compile(r"`(tests/[\w./-]*)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for match in BLOCK.finditer(document.read_text()):
            if match[2] == language:
                yield document.name, "\n".join(line.removeprefix(match[1]) for line in match[3].splitlines())


def examples(key: str) -> list[Any]:
    """Return the YAML blocks that are whole documents with `key` in them."""
    parameters: list[Any] = []
    for name, text in blocks("yaml"):
        data = yaml.safe_load(text)
        if isinstance(data, dict) and "version" in data and key in data:
            parameters.append(pytest.param(data, id=f"{name}-{len(parameters)}"))
    return parameters


def console_lines() -> list[Any]:
    parameters = []
    for language in ("console", "sh", "bash", "shell"):
        for name, text in blocks(language):
            for line in text.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").strip()
                if re.match(r"(\.venv/bin/)?snapkeep ", command):
                    words = command.partition("snapkeep ")[2].split(" #")[0]
                    parameters.append(pytest.param(words, id=f"{name}: {command}"))
    return parameters


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that a line without `snapkeep` names, and the command's own arguments."""
    lazy = next((known for known in COMMANDS if known.name == words[0]), None)
    assert lazy is not None, f"there is no command '{words[0]}'"
    module = __import__(lazy.module, fromlist=[lazy.attribute])
    command: Any = typer.main.get_command(getattr(module, lazy.attribute))
    rest = words[1:]
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("stack", ["dr", "primary"])
def test_the_aws_cli_example_names_a_bucket_for_the_template(stack: str) -> None:
    """A template of more than 51,200 bytes has to be in S3 (CloudFormation quotas): without a bucket the CLI refuses it."""
    lines = [line for _, text in blocks("console") for line in text.splitlines()]
    (deploy,) = [line for line in lines if line.startswith("$ aws cloudformation deploy") and f"build/{stack}.yaml" in line]
    assert "--s3-bucket" in deploy


@pytest.mark.parametrize("document", examples("policies"))
def test_a_policy_document_in_the_docs_is_valid(document: dict[str, Any]) -> None:
    assert parse_document(document).policies


@pytest.mark.parametrize("document", examples("volumes"))
def test_a_world_file_in_the_docs_makes_a_world(document: dict[str, Any]) -> None:
    assert World.from_document(document, clock=VirtualClock())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("policy check", "Missing parameter: files"),
        ("policy push a.yaml b.yaml", "b.yaml"),
        ("policy push a.yaml --forc", "--forc"),
        ("policy rollback newest", "valid integer"),
        ("local up --port x", "valid integer"),
    ],
)
def test_the_check_of_commands_notices_mistakes(wrong: str, words: str) -> None:
    command, arguments = command_of(wrong.split())
    with pytest.raises(Exception, match=words):
        command.make_context(wrong, arguments)


@pytest.mark.parametrize("line", console_lines())
def test_a_command_in_the_docs_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").touch()
    command, arguments = command_of(line.split())
    command.make_context(line, arguments)  # raises for an unknown option or argument


@pytest.mark.parametrize("row", re.findall(r"^\| `snapkeep ([^|]+?) \|", (ROOT / "README.md").read_text(), re.MULTILINE))
def test_a_command_in_the_readmes_table_exists(row: str) -> None:
    first, *rest = [name.strip("` ") for name in row.split(",")]
    for words in [first.split(), *(([first.split()[0], name] if " " in first else [name]) for name in rest)]:
        command, rest = command_of(words)
        assert rest == [], f"snapkeep {' '.join(words)}"
        assert command.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_exist(document: Path) -> None:
    broken = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_links_only_to_files_of_the_site(page: Path) -> None:
    outside = [
        link for link in LINK.findall(page.read_text()) if not (page.parent / link).resolve().is_relative_to(ROOT / "docs")
    ]
    assert outside == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_tests_that_a_document_names_exist(document: Path) -> None:
    assert [path for path in TESTS.findall(document.read_text()) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_a_document_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text()))
    assert named <= targets


def test_the_index_links_to_every_page() -> None:
    linked = set(LINK.findall((ROOT / "docs/index.md").read_text())) | {"index.md"}
    assert linked == {str(page.relative_to(ROOT / "docs")) for page in PAGES}


@pytest.mark.parametrize("image", sorted((ROOT / "docs/images").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_needs_no_other_host(image: Path) -> None:
    assert set(re.findall(r"https?://[^\s\"')]+", image.read_text())) == {"http://www.w3.org/2000/svg"}


def test_the_comparison_leaves_no_cell_open() -> None:
    table = (ROOT / "README.md").read_text().partition("## Comparison\n")[2].partition("\n## ")[0]
    products, *rows = [line[1:-1].split(" | ") for line in table.splitlines() if line.startswith("| ") and "**" not in line]
    assert {len(row) for row in rows} == {len(products)}
    assert [row for row in rows for cell in row if "?" in cell] == []


def test_every_page_is_in_the_navigation_once() -> None:
    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for child in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(child)

    navigation = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(pages(navigation)) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES)


def test_there_are_examples_to_check() -> None:
    assert examples("policies")
    assert examples("volumes")
    assert len(console_lines()) >= 5
