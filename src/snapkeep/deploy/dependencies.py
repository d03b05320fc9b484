"""The functions' dependencies: pinned, taken from the running environment or from a package index."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path, PurePosixPath

from snapkeep.deploy.bytecode import RUNTIME_VERSION
from snapkeep.domain.errors import InvalidConfiguration

REQUIREMENTS = Path(__file__).with_name("functions-requirements.txt")

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")

_UTILITIES = (
    *("auth_alpha", "batch", "circuit_breaker", "data_classes", "data_masking", "feature_flags"),
    *("idempotency", "kafka", "metadata", "parameters", "parser", "streaming", "validation"),
)
"""Powertools' utilities that no function imports."""
LEFT_OUT = (
    "botocore/data/",  # rewritten, cut down
    "dateutil/zoneinfo/",  # a copy of the time zone database that nothing here asks for
    "aws_lambda_powertools/event_handler/",  # routers of HTTP requests
    *(f"aws_lambda_powertools/utilities/{name}/" for name in _UTILITIES),
    "urllib3/contrib/emscripten/",
)
"""Parts of the dependencies that no function imports; a test imports every handler from the package as it is built."""


_ABI = f"cp{RUNTIME_VERSION.replace('.', '')}"
_FOR_LAMBDA = ("--implementation", "cp", "--python-version", RUNTIME_VERSION, "--abi", _ABI, "--platform", "manylinux2014_x86_64")
"""The wheels of the templates' runtime, whatever Python runs pip. Their compiled parts are left out: any platform serves."""


class DependenciesMissing(InvalidConfiguration):
    """A pinned dependency is neither installed here nor available from a package index."""


def read_pins(requirements: Path = REQUIREMENTS) -> dict[str, str]:
    """Return the pinned versions of a requirements file with hashes, by name."""
    matches = (_PIN.match(line) for line in requirements.read_text(encoding="utf-8").splitlines())
    return {match["name"]: match["version"] for match in matches if match}


def copy_dependencies(target: Path, report: Callable[[str], None] = lambda _: None) -> Path:
    """Copy the pinned dependencies into an empty folder; return botocore's data folder that they came with.

    They are taken from this environment where it has these very versions, so that no network is needed; else they are
    downloaded. Raise DependenciesMissing when neither is possible.
    """
    installed = _installed(read_pins())
    if isinstance(installed, str):
        report(f"{installed}: downloading the pinned dependencies")
        return _download(target)
    for dist in installed:
        _copy_files(dist, target)
    return Path(str(distribution("botocore").locate_file("botocore/data")))


def is_needed(path: PurePosixPath) -> bool:
    """Return whether the package needs a file, by its path within site-packages."""
    text = path.as_posix()
    if path.is_absolute() or text.startswith("..") or path.suffix in (".c", ".pyc", ".pyi", ".so", ".pyd"):
        return False
    if any(part.endswith(".dist-info") for part in path.parts):
        return path.name.upper().startswith(("LICENSE", "NOTICE"))
    return not text.startswith(LEFT_OUT)


def _installed(pins: Mapping[str, str]) -> list[Distribution] | str:
    """Return the installed distributions with these versions, or a message that names the one that is not as pinned."""
    dists = []
    for name, version in pins.items():
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            return f"{name} is not installed"
        # The hashes of pins hold for downloads alone; an installed version is trusted as this environment is.
        if dist.version != version:
            return f"{name} {dist.version} is installed, {version} is pinned"
        if dist.files is None:
            return f"{name} was installed without a list of its files"
        dists.append(dist)
    return dists


def _download(target: Path) -> Path:
    """Install the pins into a folder beside the target with pip, copy the needed files; return botocore's data folder there."""
    staging = Path(tempfile.mkdtemp(prefix="dependencies-", dir=target.parent))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    # No source distribution: building one would run code of its own here.
    command += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile", "--target", str(staging)]
    command += [*_FOR_LAMBDA, "--requirement", str(REQUIREMENTS)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip of this interpreter
    if result.returncode != 0:
        shutil.rmtree(staging)
        raise DependenciesMissing(
            "the functions' dependencies are not installed as pinned, and pip could not get them: "
            f"{(result.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
    for dist in distributions(path=[str(staging)]):
        _copy_files(dist, target)
    return staging / "botocore" / "data"


def _copy_files(dist: Distribution, target: Path) -> None:
    for file in dist.files or ():
        if is_needed(file):
            destination = target / file
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(dist.locate_file(file)), destination)
