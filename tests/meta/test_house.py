"""The house stays as `docs/source-code.md` says: small rooms, arrows inward, nothing of a machine in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_MODULE = 400
MACHINE_PATHS = re.compile(r"/(root|home/[a-z]+|work)/|/tmp/bash|pypi-more|devpi|artifactory|nexus", re.IGNORECASE)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines()) for path in tracked("src/*.py", "tests/*.py", "bench/*.py")
    }
    assert lengths
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_arrows_point_inward() -> None:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout


def test_every_package_has_its_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one["type"] == "layers" and one["containers"] == ["snapkeep"]]
    packages = {path.parent.name for path in tracked("src/snapkeep/*/__init__.py") if path.parents[1].name == "snapkeep"}
    assert {name for layer in layers for name in layer.split(" | ")} == packages


def test_nothing_names_the_machine_that_it_was_written_on() -> None:
    found = []
    for path in tracked():
        if path.suffix in {".png", ".gz", ".zip", ".ico"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if MACHINE_PATHS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_every_function_module_works_only_when_it_is_called() -> None:
    """Importing a handler reads no environment and makes no client."""
    modules = sorted(path.stem for path in (ROOT / "src/snapkeep/functions").glob("*.py") if "def handler(" in path.read_text())
    assert len(modules) >= 8
    code = "import os; os.environ.clear()\n" + "\n".join(f"import snapkeep.functions.{name}" for name in modules)
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
