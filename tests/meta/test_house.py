"""Modules stay short, imports point inward, and no file names the machine on which it was written."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 400
MACHINE_PATHS = re.compile(r"/(root|home/[a-z]+|work)/|/tmp/bash|pypi-more|devpi|artifactory|nexus", re.IGNORECASE)


def tracked(*patterns: str) -> list[Path]:
    """Return the project's files that match any pattern; in an unpacked archive, all files but those that .gitignore names."""
    if not (ROOT / ".git").exists():
        ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line]
        return [
            path
            for pattern in patterns or ("*",)
            for path in sorted(ROOT.rglob(pattern))
            if path.is_file() and not any(fnmatch(part, name) for part in path.relative_to(ROOT).parts for name in ignored)
        ]
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines()) for path in tracked("src/*.py", "tests/*.py", "bench/*.py")
    }
    assert lengths
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_classes_that_functions_make_are_records() -> None:
    rooms = [f"src/snapkeep/{room}/*.py" for room in ("domain", "usecases", "adapters", "functions")]
    slow = re.compile(r"^from dataclasses import .*\bdataclass\b", re.MULTILINE)
    sources = {path.relative_to(ROOT): path.read_text() for path in tracked(*rooms)}
    assert any("from snapkeep.domain.records import dataclass" in source for source in sources.values())
    assert [str(path) for path, source in sources.items() if slow.search(source)] == []


def test_the_audit_prints_its_help_and_audits_nothing() -> None:
    ran = subprocess.run([ROOT / "tools/audit", "--help"], check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("Usage: ")
    assert "== requirements" not in ran.stdout


def test_imports_point_inward() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout


def test_every_package_is_in_a_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [
        contract["layers"] for contract in contracts if contract["type"] == "layers" and contract["containers"] == ["snapkeep"]
    ]
    packages = {path.parent.name for path in tracked("src/snapkeep/*/__init__.py") if path.parents[1].name == "snapkeep"}
    assert {name for layer in layers for name in layer.split(" | ")} == packages


def test_no_file_names_a_machines_paths_or_hosts() -> None:
    mentions = []
    for path in tracked():
        if path.suffix in {".png", ".gz", ".zip", ".ico"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if MACHINE_PATHS.search(line):
                mentions.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert mentions == []


def test_the_benchmarks_import_what_there_is() -> None:
    names = sorted(path.stem for path in (ROOT / "bench").glob("*.py"))
    assert len(names) > 10
    command = [sys.executable, "-c", f"import {', '.join(names)}"]
    ran = subprocess.run(command, cwd=ROOT / "bench", check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_importing_a_handler_needs_no_environment() -> None:
    modules = sorted(path.stem for path in (ROOT / "src/snapkeep/functions").glob("*.py") if "def handler(" in path.read_text())
    assert len(modules) >= 8
    code = "import os; os.environ.clear()\n" + "\n".join(f"import snapkeep.functions.{name}" for name in modules)
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
