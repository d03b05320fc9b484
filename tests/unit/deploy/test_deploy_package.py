"""The functions' package: complete, reproducible, and with no more of botocore's models than is used."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

import snapkeep
from snapkeep.deploy import bytecode, dependencies, package
from snapkeep.deploy.dependencies import DependenciesMissing, copy_dependencies, read_pins
from snapkeep.deploy.models import UnknownOperation, trim_service
from snapkeep.deploy.operations import OPERATIONS
from snapkeep.deploy.package import Package, build_package, write_zip
from support.permissions import PERMISSIONS, own_calls_of

SOURCE = Path(snapkeep.__file__).parent
ONLY_AT_HOME = {
    ("stepfunctions", "DescribeExecution"),  # `explain`
    ("s3", "HeadBucket"),  # `recover list` and others that read a journal
    ("ssm", "DeleteParameter"),  # `hold release`
    *(  # `recover`, as well
        ("ec2", operation)
        for operation in (
            "AttachVolume",
            "CreateReplaceRootVolumeTask",
            "DescribeKeyPairs",
            "DescribeNetworkInterfaces",
            "DescribeReplaceRootVolumeTasks",
            "DetachVolume",
            "ModifyInstanceAttribute",
            "StopInstances",
        )
    ),
}
LOCAL_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def put_runtime_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the version of this interpreter be the runtime's, and PATH hold one of it."""
    (folder / "bin").mkdir(exist_ok=True)
    link = folder / "bin" / f"python{LOCAL_VERSION}"
    if not link.exists():
        link.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(folder / "bin"))
    monkeypatch.setattr(bytecode, "RUNTIME_VERSION", LOCAL_VERSION)


def words_used(folder: Path) -> Iterator[str]:
    """Every attribute and every text in the code: what could name an operation of a client."""
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build_package(tmp_path_factory.mktemp("build") / "functions", run_here=True)


def test_the_listed_operations_are_those_that_the_adapters_call() -> None:
    used = {word for part in ("adapters", "functions") for word in words_used(SOURCE / part)}
    session = botocore.session.get_session()
    called = {
        (service, operation)
        for service in OPERATIONS
        for operation in session.get_service_model(service).operation_names
        if xform_name(operation) in used
    }
    listed = {(service, operation) for service, operations in OPERATIONS.items() for operation in operations}
    assert called - ONLY_AT_HOME == listed


def test_whatever_a_function_may_call_its_package_can_call() -> None:
    """A permission for a rare day (a broken document: the last good one is read) is of no use without the operation."""
    services = {"states": "stepfunctions"}
    operations = {"DeleteMessage": "DeleteMessageBatch", "ListBucket": "ListObjectsV2", "InvokeFunction": "Invoke"}
    allowed = {
        tuple(action.split(":")) for stack in PERMISSIONS for name in PERMISSIONS[stack] for action in own_calls_of(stack, name)
    }
    needed = {(services.get(prefix, prefix), operations.get(name, name)) for prefix, name in allowed}
    assert needed
    assert {(service, name) for service, name in needed if name not in OPERATIONS.get(service, ())} == set()


def test_a_packaged_function_can_read_the_last_good_document(built: Package) -> None:
    code = f"""
import sys; sys.path[:0] = [{str(built.folder)!r}]
import botocore.session
from snapkeep.adapters.ssm_policies import SsmPolicyStore
client = botocore.session.Session().create_client("ssm", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
pages = iter([{{"Parameters": [], "NextToken": "more"}}, {{"Parameters": [
    {{"Version": 3, "Value": "good", "LastModifiedDate": None}}]}}])
client.meta.events.register("before-call", lambda **_: (type("Answer", (), {{"status_code": 200}}), next(pages)))
print(*[(kept.version, kept.text) for kept in SsmPolicyStore(client=client, name="/policy", region="eu-west-1").history()])
"""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    assert ran.stdout == "(3, 'good')\n", ran.stderr


def test_every_service_of_a_functions_clients_is_listed() -> None:
    files = [*(SOURCE / "functions").glob("*.py"), SOURCE / "adapters" / "regional.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    asked = set(re.findall(r"""clients?\.get\(\s*["']([a-z0-9-]+)["']""", text))
    assert asked
    assert asked == set(OPERATIONS)


def test_an_isolated_interpreter_imports_every_handler_and_makes_every_client(built: Package) -> None:
    handlers = sorted(
        set(re.findall(r"Handler: (\S+)\.handler", "".join(p.read_text() for p in (SOURCE / "infra").glob("*.yaml"))))
    )
    assert handlers
    code = f"""
import sys; sys.path[:0] = [{str(built.folder)!r}]
import importlib, botocore.session
for name in {handlers!r}:
    assert callable(importlib.import_module(name).handler)
session = botocore.session.Session()
for service in {sorted(OPERATIONS)!r}:
    client = session.create_client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    print(service, *sorted(client.meta.service_model.operation_names), client.meta.endpoint_url)
print({{module.__file__.startswith({str(built.folder)!r}) for module in list(sys.modules.values())
       if getattr(module, "__file__", None) and module.__name__.split(".")[0] in ("botocore", "urllib3", "snapkeep")}})
"""
    lines = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    ).stdout.splitlines()
    assert lines[-1] == "{True}"
    for line, (service, operations) in zip(lines, sorted(OPERATIONS.items()), strict=False):
        name, *found, endpoint = line.split()
        assert (name, found) == (service, sorted(operations))
        real = botocore.session.Session().create_client(
            service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        assert endpoint == real.meta.endpoint_url


def test_a_packaged_function_has_its_own_time_zones(built: Package) -> None:
    code = f"""
import sys; sys.path[:0] = [{str(built.folder)!r}]
import zoneinfo
assert zoneinfo.TZPATH == (), zoneinfo.TZPATH
from datetime import datetime, UTC
from snapkeep.domain.policy.periods import local_times
print(*local_times([datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)], "Europe/Berlin"), sep="\\n")
"""
    ran = subprocess.run(
        [sys.executable, "-s", "-S", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=built.folder,
        env={"PYTHONTZPATH": ""},
    )
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["2026-07-01 02:00:00+02:00", "2026-12-01 01:00:00+01:00"]


def test_the_package_holds_nothing_that_was_compiled_for_a_processor(built: Package) -> None:
    with zipfile.ZipFile(built.zip_file) as archive:
        compiled = [
            name for name in archive.namelist() if archive.read(name).startswith((b"\x7fELF", b"\xcf\xfa\xed\xfe", b"MZ"))
        ]
        names = archive.namelist()
    assert compiled == []
    assert [name for name in names if Path(name).suffix in {".so", ".pyd", ".dylib", ".dll"}] == []
    assert "markupsafe/_native.py" in names


def test_the_package_has_no_module_that_functions_do_not_need(built: Package) -> None:
    assert {path.name for path in (built.folder / "snapkeep").iterdir() if path.is_dir() and path.name != "__pycache__"} == set(
        package.OUR_PARTS
    )


def test_a_zip_is_independent_of_times_modes_and_order(tmp_path: Path) -> None:
    zips = []
    for names, moment, mode in ((("a", "b"), 0, 0o600), (("b", "a"), 10**9, 0o755)):
        folder = tmp_path / f"from-{moment}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (moment, moment))
        write_zip(folder, tmp_path / f"{moment}.zip")
        zips.append((tmp_path / f"{moment}.zip").read_bytes())
    assert zips[0] == zips[1]


def test_byte_compiled_files_are_trusted_whatever_the_sources_times_are(built: Package) -> None:
    tag = f"cpython-{sys.version_info[0]}{sys.version_info[1]}"
    with zipfile.ZipFile(built.zip_file) as archive:
        compiled = [name for name in archive.namelist() if name.endswith(f".{tag}.pyc")]
        assert len(compiled) > 100
        flags = {archive.read(name)[4:8] for name in compiled}
    assert flags == {b"\x01\x00\x00\x00"}, "PEP 552: hash-based, not checked"


def test_the_package_has_byte_compiled_files_of_one_version(built: Package) -> None:
    names = [path.name for path in built.folder.rglob("*.pyc")]
    assert len(names) > 100
    assert {name.split(".", 1)[1] for name in names} == {f"{sys.implementation.cache_tag}.pyc"}


@pytest.mark.slow
def test_the_package_for_aws_is_the_same_whatever_python_builds_it(
    built: Package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_runtime_on_path(monkeypatch, tmp_path)
    with monkeypatch.context() as other:
        other.setattr(sys, "version", "3.99.0")
        other.setattr(sys, "executable", "/usr/bin/python3.99")
        other.setenv("PYTHONOPTIMIZE", "2")
        again = build_package(tmp_path / "elsewhere" / "functions")
    assert (again.sha256, again.compiled_for) == (built.sha256, platform.python_version())
    monkeypatch.setattr(package, "_build", None)
    assert build_package(tmp_path / "elsewhere" / "functions") == again, "another Python takes what one has built"


@pytest.mark.slow
def test_without_the_runtimes_python_nothing_is_byte_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_runtime_on_path(monkeypatch, tmp_path)
    monkeypatch.setattr(bytecode, "RUNTIME_VERSION", "3.99")
    (tmp_path / "bin" / "python3.99").symlink_to(tmp_path / "bin" / f"python{LOCAL_VERSION}")  # another version than it is named
    said: list[str] = []
    built = build_package(tmp_path / "functions", report=said.append)
    assert built.compiled_for == ""
    assert list(built.folder.rglob("*.pyc")) == []
    assert [text for text in said if "byte" in text] == [
        "no python3.99 on PATH, so the package has no byte-compiled files: cold starts take longer. Install Python 3.99."
    ]
    put_runtime_on_path(monkeypatch, tmp_path)
    assert build_package(tmp_path / "functions").compiled_for, "an installed interpreter is used at the next build"


def test_the_running_python_byte_compiles_if_it_is_of_the_runtimes_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(bytecode, "RUNTIME_VERSION", LOCAL_VERSION)
    assert bytecode.find_interpreter() == sys.executable


def test_downloaded_wheels_are_those_of_the_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def refuse(command: list[str], **_: Any) -> Any:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "no network")

    monkeypatch.setattr(dependencies, "_installed", lambda pins: f"{len(pins)} are missing")
    monkeypatch.setattr(dependencies.subprocess, "run", refuse)
    with pytest.raises(DependenciesMissing, match="no network"):
        copy_dependencies(tmp_path / "functions")
    (command,) = commands
    runtimes = set(re.findall(r"Runtime: python(\S+)", "".join(path.read_text() for path in (SOURCE / "infra").glob("*.yaml"))))
    assert runtimes == {command[command.index("--python-version") + 1]}
    assert command[command.index("--abi") + 1] == "cp" + runtimes.pop().replace(".", "")


def test_a_trimmed_model_keeps_only_shapes_that_its_operations_need() -> None:
    model = {
        "metadata": {"serviceId": "Toy"},
        "operations": {
            "Wanted": {"input": {"shape": "In"}, "errors": [{"shape": "Bad"}], "documentation": "long prose"},
            "Other": {"input": {"shape": "Huge"}},
        },
        "shapes": {
            "In": {"type": "structure", "members": {"shape": {"shape": "Text"}, "documentation": {"shape": "Text"}}},
            "Text": {"type": "string", "documentation": "prose"},
            "Bad": {"type": "structure", "members": {}},
            "Huge": {"type": "structure", "members": {}},
        },
    }
    trimmed = trim_service(model, ["Wanted"])
    assert list(trimmed["operations"]) == ["Wanted"]
    assert set(trimmed["shapes"]) == {"In", "Text", "Bad"}
    assert set(trimmed["shapes"]["In"]["members"]) == {"shape", "documentation"}, "members that are named like keywords stay"
    assert "prose" not in json.dumps(trimmed)


def test_an_operation_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownOperation, match="Toy has no operation Nope"):
        trim_service({"metadata": {"serviceId": "Toy"}, "operations": {}, "shapes": {}}, ["Nope"])


def test_the_pins_are_those_of_the_development_environment() -> None:
    checkout = SOURCE.parents[1]
    assert read_pins().items() <= read_pins(checkout / "requirements" / "dev.txt").items()


def test_only_the_pinned_version_is_packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pins = tmp_path / "requirements.txt"
    pins.write_text("botocore==1.0.0 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(dependencies, "REQUIREMENTS", pins)
    monkeypatch.setattr(dependencies, "read_pins", lambda: read_pins(pins))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (tmp_path / "functions").mkdir()
    said: list[str] = []
    with pytest.raises(DependenciesMissing, match="not installed as pinned"):
        copy_dependencies(tmp_path / "functions", said.append)
    assert "1.0.0 is pinned" in said[0]
    assert list((tmp_path / "functions").iterdir()) == []


@pytest.mark.slow
def test_only_damaged_packages_are_built_again(built: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in built.folder.parent.iterdir():
        (shutil.copytree if part.is_dir() else shutil.copyfile)(part, tmp_path / part.name)
    first = replace(built, folder=tmp_path / "functions", zip_file=tmp_path / "functions.zip")
    builds: list[Path] = []
    real = package._build

    def counted(target: Path, *rest: Any, **options: Any) -> Package:
        builds.append(target)
        return real(target, *rest, **options)

    monkeypatch.setattr(package, "_build", counted)
    assert build_package(tmp_path / "functions", run_here=True) == first
    assert builds == []
    first.zip_file.write_bytes(b"damaged")
    assert build_package(tmp_path / "functions", run_here=True) == first
    assert len(builds) == 1
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"functions", "functions.json", "functions.lock", "functions.zip"}, "no workshop is left"


def test_a_package_for_this_machine_does_not_replace_one_for_aws() -> None:
    assert package.default_folder().name == "functions"
    assert package.default_folder(run_here=True) != package.default_folder()
    assert package.default_folder(run_here=True).with_suffix(".zip") != package.default_folder().with_suffix(".zip")
