"""The operator's pages name every error, every alarm, and every field of Data Lifecycle Manager's policies."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape

from snapkeep.deploy.templates import read_template
from snapkeep.domain import errors

PAGES = Path(__file__).parents[2] / "docs/operating"
INFRA = Path(__file__).parents[2] / "src/snapkeep/infra"
ALARM = "AWS::CloudWatch::Alarm"
MEMBERS_OF_OTHER_TABLES = {"EventSource", "Actions", "PolicyLanguage", "ResourceType"}
"""Event-based policies, and what tells the two kinds of policies apart."""


def first_cells(page: str, heading: str) -> str:
    section = (PAGES / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return "\n".join(line.split(" | ")[0] for line in section.splitlines() if line.startswith("| "))


def test_every_error_has_its_row() -> None:
    named = set(re.findall(r"`(\w+)`", first_cells("troubleshooting.md", "By error")))
    known = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.SnapkeepError)}
    assert known - {"SnapkeepError"} <= named


def test_every_alarm_has_its_row() -> None:
    named = set(re.findall(r"\w+Alarm", first_cells("../operations.md", "Alarms")))
    templates = [read_template(path) for path in INFRA.glob("*.yaml")]
    made = {name for template in templates for name, each in template["Resources"].items() if each["Type"] == ALARM}
    assert made == named


def structure(shape: Shape) -> StructureShape | None:
    while isinstance(shape, ListShape):
        shape = shape.member
    return shape if isinstance(shape, StructureShape) else None


def members(shape: Shape) -> dict[str, Shape]:
    named = structure(shape)
    return dict(named.members) if named else {}


@pytest.fixture(scope="module")
def policy_details() -> Shape:
    model = botocore.session.get_session().get_service_model("dlm")
    return model.shape_for("PolicyDetails")


def test_the_dlm_page_names_every_field_of_a_policy(policy_details: Shape) -> None:
    fields = members(policy_details)
    named = "\n".join(first_cells("from-dlm.md", heading) for heading in ("Snapshot policies", "Default policies"))
    expected = set(fields) - MEMBERS_OF_OTHER_TABLES
    expected |= set(members(fields["Schedules"])) - {"Name"}
    expected |= set(members(members(fields["Schedules"])["CrossRegionCopyRules"]))
    expected |= set(members(fields["Parameters"])) | set(members(fields["Exclusions"]))
    assert {name for name in expected if not re.search(rf"\b{name}\b", named)} == set()


def test_the_dlm_page_names_no_unknown_field(policy_details: Shape) -> None:
    known: set[str] = {"PolicyDetails"}

    def collect(shape: Shape) -> None:
        for name, member in members(shape).items():
            if name not in known:
                known.add(name)
            collect(member)

    collect(policy_details)
    named = "\n".join(first_cells("from-dlm.md", heading) for heading in ("Snapshot policies", "Default policies"))
    assert set(re.findall(r"\b([A-Z][A-Za-z]+)\b", "\n".join(re.findall(r"`([^`]*)`", named)))) <= known


def test_the_page_of_aws_backup_names_every_field_of_a_rule() -> None:
    model = botocore.session.get_session().get_service_model("backup")
    expected = {
        name for kind in ("BackupRule", "Lifecycle", "CopyAction", "BackupSelection") for name in model.shape_for(kind).members
    }
    named = first_cells("from-aws-backup.md", "Backup plans")
    assert {name for name in expected - {"RuleName", "RuleId", "SelectionName"} if not re.search(rf"\b{name}\b", named)} == set()
