"""Validators of other people's making have nothing to say about the templates and definitions, but what is argued."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from support import tools
from support.asl import INFRA, definition, definition_names

TEMPLATES = ("primary", "dr", "drill", "vault")
EXCEPTIONS = tools.ROOT / "docs" / "scanner-exceptions.yaml"
pytestmark = pytest.mark.xdist_group("validators")


def template(name: str) -> Path:
    return INFRA / f"{name}.yaml"


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All slow validators at once."""
    # SAM wants the folder that the functions' CodeUri names, if only an empty one.
    (tools.ROOT / "build" / "functions").mkdir(parents=True, exist_ok=True)
    # Short names: checkov takes a path of forty characters for a secret.
    files = [argument for name in TEMPLATES for argument in ("--file", template(name).name)]
    processes = {
        "checkov": tools.start(
            tools.CHECKOV, *files, "--framework", "cloudformation", "--output", "json", "--quiet", "--skip-download", folder=INFRA
        ),
        "cfn-lint": tools.start(tools.CFN_LINT, *map(template, TEMPLATES)),
    } | {name: tools.start(tools.SAM, "validate", "--lint", "--template", template(name)) for name in TEMPLATES}
    yield processes
    for process in processes.values():
        process.kill()
        process.wait()


def test_cfn_lint_finds_nothing(started: dict[str, subprocess.Popen[str]]) -> None:
    status, printed, complained = tools.finish(started["cfn-lint"])
    assert (status, printed) == (0, ""), printed + complained


@pytest.mark.parametrize("name", definition_names())
def test_asl_validator_finds_nothing(name: str, tmp_path: Path) -> None:
    filled = tmp_path / f"{name}.json"
    filled.write_text(json.dumps(definition(name)), encoding="utf-8")
    status, printed, complained = tools.finish(tools.start(tools.ASL_VALIDATOR, "--json-path", filled))
    assert status == 0, printed + complained


@pytest.mark.parametrize("name", TEMPLATES)
def test_sam_finds_nothing(name: str, started: dict[str, subprocess.Popen[str]]) -> None:
    status, printed, complained = tools.finish(started[name])
    assert status == 0, printed + complained


class Finding(NamedTuple):
    check: str
    template: str
    resource: str


@pytest.fixture(scope="module")
def findings(started: dict[str, subprocess.Popen[str]]) -> list[Finding]:
    """Return the findings of checkov. Its exit status is 1 when it finds anything at all, argued or not."""
    status, printed, complained = tools.finish(started["checkov"])
    assert status in (0, 1), complained
    report = json.loads(printed)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    return [
        Finding(failed["check_id"], Path(failed["file_path"]).stem, failed["resource"])
        for failed in report["results"]["failed_checks"]
    ]


def exceptions() -> list[dict[str, Any]]:
    argued: list[dict[str, Any]] = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))["checkov"]
    return argued


def excuses(exception: dict[str, Any], pattern: str, finding: Finding) -> bool:
    return bool(finding.check == exception["check"] and fnmatchcase(f"{finding.template}/{finding.resource}", pattern))


def test_checkov_finds_nothing_that_is_not_argued(findings: list[Finding]) -> None:
    patterns = [(exception, pattern) for exception in exceptions() for pattern in exception["resources"]]
    unexcused = [finding for finding in findings if not any(excuses(one, pattern, finding) for one, pattern in patterns)]
    assert unexcused == []


def test_every_exception_is_still_needed_and_argued(findings: list[Finding]) -> None:
    for exception in exceptions():
        assert len(exception["why"]) > 60, f"{exception['check']} is not argued"
        for pattern in exception["resources"]:
            assert any(excuses(exception, pattern, finding) for finding in findings), f"stale: {exception['check']} {pattern}"
