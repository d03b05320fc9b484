"""The doctor's checks are documented, and the templates name the version that they belong to."""

from __future__ import annotations

import re
from pathlib import Path

from snapkeep import __version__
from snapkeep.deploy.doctor.results import Check
from snapkeep.deploy.doctor.subjects import VERSION_OUTPUT
from snapkeep.deploy.templates import INFRA, read_template
from support.templates import STACKS

ROOT = Path(__file__).parents[2]


def test_every_check_is_documented() -> None:
    page = (ROOT / "docs/operating/troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.split("## The doctor")[1].splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(check.value for check in Check)


def test_the_templates_name_this_version() -> None:
    for kind in STACKS:
        assert read_template(INFRA / f"{kind}.yaml")["Outputs"][VERSION_OUTPUT]["Value"] == __version__


def test_the_security_page_supports_this_version() -> None:
    minor = ".".join(__version__.split(".")[:2])
    assert f"| the latest minor version ({minor}) | yes |" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
