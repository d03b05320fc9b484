"""The functions' package: one folder and one zip for all functions of both stacks."""

from __future__ import annotations

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import snapkeep
from snapkeep.deploy import bytecode
from snapkeep.deploy.dependencies import copy_dependencies
from snapkeep.deploy.models import write_trimmed_data
from snapkeep.deploy.operations import OPERATIONS

OUR_PARTS = ("domain", "usecases", "adapters", "functions", "reports")
"""The packages of ours that run in AWS; the command line, the model and the simulator stay at home."""

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Package:
    """A built package."""

    folder: Path
    zip_file: Path
    sha256: str
    """Of the zip; the same sources, pins and interpreters give the same."""
    bytes_zipped: int
    bytes_unzipped: int
    compiled_for: tuple[str, ...]
    """Versions of Python that it holds byte-compiled files for, such as `3.13`."""


def default_folder() -> Path:
    """Return where the package is built: `build/functions` of a source checkout, else of the working directory.

    The templates' `CodeUri` names that folder, for the AWS CLI and SAM.
    """
    checkout = Path(snapkeep.__file__).parents[2]
    root = checkout if (checkout / "pyproject.toml").exists() else Path.cwd()
    return root / "build" / "functions"


def build_package(
    folder: Path | None = None, *, run_here: bool = False, report: Callable[[str], None] = lambda _: None
) -> Package:
    """Given where to build, build the folder and beside it a zip of it; return what was built.

    `run_here` adds byte-compiled files for this interpreter too: the embedded AWS runs functions with it. Raise
    DependenciesMissing, UnknownOperation.
    """
    target = folder or default_folder()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    data = copy_dependencies(target, report)
    write_trimmed_data(data, target / "botocore" / "data", OPERATIONS)
    _copy_ourselves(target)
    versions = _compile(target, run_here=run_here, report=report)
    zip_file = target.with_suffix(".zip")
    write_zip(target, zip_file)
    return Package(
        folder=target,
        zip_file=zip_file,
        sha256=hashlib.sha256(zip_file.read_bytes()).hexdigest(),
        bytes_zipped=zip_file.stat().st_size,
        bytes_unzipped=sum(path.stat().st_size for path in target.rglob("*") if path.is_file()),
        compiled_for=versions,
    )


def write_zip(folder: Path, zip_file: Path) -> None:
    """Given a folder, write a zip of its files that depends on names and contents alone: sorted, with fixed times and modes."""
    with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _FIXED_TIME)
            entry.external_attr = _FILE_MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def _copy_ourselves(target: Path) -> None:
    source = Path(snapkeep.__file__).parent
    ours = target / source.name
    ours.mkdir()
    shutil.copyfile(source / "__init__.py", ours / "__init__.py")
    for part in OUR_PARTS:
        shutil.copytree(source / part, ours / part, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def _compile(target: Path, *, run_here: bool, report: Callable[[str], None]) -> tuple[str, ...]:
    interpreters = {bytecode.RUNTIME_VERSION: bytecode.find_interpreter()}
    if run_here:
        interpreters[sys.version_info[:2]] = sys.executable
    compiled = []
    for version, interpreter in sorted(interpreters.items()):
        name = ".".join(map(str, version))
        if not interpreter:
            if not run_here:
                report(
                    f"no python{name} here, so the package holds no byte-compiled files: cold starts take longer. "
                    f"Install Python {name} and build again."
                )
            continue
        bytecode.compile_folder(target, interpreter)
        compiled.append(name)
    return tuple(compiled)
