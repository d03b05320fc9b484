"""docs/ebs-model.md is true: its tests exist, its world file loads, its words are the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.conditions.faults import KINDS
from snapkeep.lab.ebs_model.files.world_file_checks import COPY_FIELDS, SECTIONS, TOP

ROOT = Path(__file__).parents[4]
DOCUMENT = (ROOT / "docs" / "ebs-model.md").read_text()
TESTS = "\n".join(
    path.read_text()
    for folder in ("tests/unit/lab/ebs_model", "tests/contract/ebs", "tests/property")
    for path in (ROOT / folder).glob("test_*.py")
)


def rows() -> list[list[str]]:
    table = DOCUMENT.split("| behaviour |")[1].split("\n\n")[0]
    return [line.strip("|").split(" | ") for line in table.splitlines()[2:]]


def test_every_behaviour_names_its_source_and_tests_that_exist() -> None:
    assert len(rows()) > 40
    for row in rows():
        assert len(row) == 3, row
        names = re.findall(r"`(test_\w+|Test\w+)`", row[2])
        assert names, row
        for name in names:
            assert re.search(rf"^(def {name}\(|{name} = )", TESTS, re.MULTILINE), f"{name} is in the table, and no test"


def test_the_world_file_of_the_page_loads_and_shows_every_field() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    document = yaml.safe_load(block)
    world = World.from_document(document)
    assert len(world.region_account("us-east-1").volumes) == 22
    assert len(world.region_account("us-east-2").snapshots) == 30
    assert set(TOP.split()) == set(document)
    # The example leaves out the obvious (an account other than the world's own).
    shown = {name for section in SECTIONS for entry in document[section] for name in entry}
    assert set(" ".join(SECTIONS.values()).split()) - shown <= {"account", "root_device"}
    copies = [copy for entry in document["history"] for copy in entry.get("copies", ())]
    assert set(COPY_FIELDS.split()) - {name for copy in copies for name in copy} <= {"description"}


def test_every_kind_of_fault_is_named() -> None:
    assert all(f"`{kind}`" in DOCUMENT for kind in KINDS)


def test_the_code_example_of_the_page_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)  # noqa: S102 - our own page
    client = names["ec2"]
    answer = client.describe_snapshots(SnapshotIds=[names["snapshot_id"]])  # type: ignore[attr-defined]
    assert answer["Snapshots"][0]["State"] == "completed"


def test_every_known_disagreement_names_a_test_and_a_source() -> None:
    known = json.loads((ROOT / "tests/contract/ebs/disagreements.json").read_text())
    for entries in known.values():
        for name, entry in entries.items():
            assert f"def {name}(" in TESTS
            assert entry["does"]
            assert entry["source"]
