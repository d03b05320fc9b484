"""The functions' package: one folder and one zip for all functions of both stacks."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

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
    """The hash of the zip; the same sources, pins and byte-compiling interpreter give the same, whatever Python builds it."""
    bytes_zipped: int
    bytes_unzipped: int
    compiled_for: str
    """The version of Python that byte-compiled it, such as `3.13.1`; empty if it has no byte-compiled files."""

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "folder": str(self.folder), "zip_file": str(self.zip_file)}


def default_folder(*, run_here: bool = False) -> Path:
    """Return where the package is built: `build/functions` of a source checkout, else of the working directory.

    The templates' `CodeUri` names that folder, for the AWS CLI and SAM. A package that runs here too has a folder of its own: its
    byte-compiled files depend on this interpreter, and it must not take the place of one for AWS.
    """
    checkout = Path(snapkeep.__file__).parents[2]
    root = checkout if (checkout / "pyproject.toml").exists() else Path.cwd()
    return root / "build" / ("functions-here" if run_here else "functions")


def build_package(
    folder: Path | None = None, *, run_here: bool = False, report: Callable[[str], None] = lambda _: None
) -> Package:
    """Build a folder, and a zip of it beside it, unless they are up to date; return the package.

    The package for AWS has byte-compiled files of the Lambda runtime's version, or none where no such interpreter is available.
    `run_here` means those of this interpreter, with which the embedded AWS runs functions. Raise DependenciesMissing,
    UnknownOperation.
    """
    target = folder or default_folder(run_here=run_here)
    interpreter = sys.executable if run_here else bytecode.find_interpreter()
    if not interpreter:
        report(
            f"no python{bytecode.RUNTIME_VERSION} on PATH, so the package has no byte-compiled files: cold starts take longer. "
            f"Install Python {bytecode.RUNTIME_VERSION}."
        )
    compiled_for = bytecode.version_of(interpreter) if interpreter else ""
    fingerprint = _fingerprint(compiled_for)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may build or deploy at the same time
        known = _up_to_date(target, fingerprint)
        if known is not None:
            return known
        # Beside the target and not in /tmp: a rename within one file system takes the place of the former package at once.
        workshop = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            made = _build(workshop / target.name, report, interpreter, compiled_for)
            return _put_in_place(made, target, fingerprint)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)


def _build(target: Path, report: Callable[[str], None], interpreter: str, compiled_for: str) -> Package:
    target.mkdir()
    data = copy_dependencies(target, report)
    write_trimmed_data(data, target / "botocore" / "data", OPERATIONS)
    _copy_ourselves(target)
    if interpreter:
        bytecode.compile_folder(target, interpreter)
    zip_file = target.with_suffix(".zip")
    write_zip(target, zip_file)
    return Package(
        folder=target,
        zip_file=zip_file,
        sha256=hashlib.sha256(zip_file.read_bytes()).hexdigest(),
        bytes_zipped=zip_file.stat().st_size,
        bytes_unzipped=sum(path.stat().st_size for path in target.rglob("*") if path.is_file()),
        compiled_for=compiled_for,
    )


def _put_in_place(made: Package, target: Path, fingerprint: str) -> Package:
    """Move a built package to its place, whole."""
    placed = replace(made, folder=target, zip_file=target.with_suffix(".zip"))
    if target.exists():
        target.rename(made.folder.parent / "former")
    made.folder.rename(target)
    made.zip_file.replace(placed.zip_file)
    # The stamp last: without it a half-placed package is built again.
    _stamp(target).write_text(json.dumps({"fingerprint": fingerprint, **placed.as_data()}, indent=2), encoding="utf-8")
    return placed


def _up_to_date(target: Path, fingerprint: str) -> Package | None:
    """Return the present package if it was built from the same sources, pins and interpreters; else None."""
    stamp, zip_file = _stamp(target), target.with_suffix(".zip")
    if not (stamp.exists() and zip_file.exists() and target.is_dir()):
        return None
    facts = json.loads(stamp.read_text(encoding="utf-8"))
    # The zip's own hash too: it may have been damaged or replaced since it was built.
    if facts["fingerprint"] != fingerprint or hashlib.sha256(zip_file.read_bytes()).hexdigest() != facts["sha256"]:
        return None
    sizes = {name: int(facts[name]) for name in ("bytes_zipped", "bytes_unzipped")}
    return Package(target, zip_file, facts["sha256"], **sizes, compiled_for=facts["compiled_for"])


def _stamp(target: Path) -> Path:
    return target.with_suffix(".json")


def _fingerprint(compiled_for: str) -> str:
    """Return a digest of all that the package depends on: sources, the packaging itself, pins, the byte-compiling interpreter."""
    source = Path(snapkeep.__file__).parent
    files = [path for part in (*OUR_PARTS, "deploy") for path in sorted((source / part).rglob("*")) if path.is_file()]
    digest = hashlib.sha256(compiled_for.encode())
    for path in files:
        if "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def write_zip(folder: Path, zip_file: Path) -> None:
    """Write a zip of a folder's files that depends on names and contents alone: sorted, with fixed times and modes."""
    with zipfile.ZipFile(zip_file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            # Lambda compares the code's hash: equal sources must not look like a new version.
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
