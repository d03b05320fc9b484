"""The policies' documentation: each example loads, each key is described, and its output of commands is true."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from snapkeep.cli.commands.policy import app
from snapkeep.domain.policy.fields import COPY, DOCUMENT, LIMITS, POLICY, SELECT
from snapkeep.domain.policy.model import Limits
from snapkeep.domain.policy.parameters import from_parameters
from snapkeep.domain.policy.retention_fields import RETENTION
from snapkeep.domain.policy.shapes import Field
from snapkeep.policyfile.schema import make_schema
from support.policy_text import load_text

PAGE = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
FIELDS = [field for shape in (DOCUMENT, POLICY, SELECT, RETENTION, COPY, LIMITS) for field in shape.fields]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_loads_and_its_schema_agrees(example: str) -> None:
    assert load_text(example, region="us-east-1").policies
    jsonschema.validate(yaml.safe_load(example), make_schema())


def test_the_first_example_decides_as_the_parameters_defaults_do() -> None:
    defaults = from_parameters("none", "us-east-2", 7, 1, "", 24, Limits(), region="us-east-1")
    assert load_text(EXAMPLES[0], name=defaults.source) == defaults


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_each_key_of_the_document_is_documented(field: Field) -> None:
    assert re.search(rf"(^|[`{{ ]){field.name}[`:]", PAGE, re.MULTILINE)


def test_the_page_shows_the_real_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = EXAMPLES[1].replace("keep_daily: 14,", "keep_dayly: 14,", 1).replace("copy_within: 4h", "copy_within: 6h")
    Path("wrong.yaml").write_text(wrong, encoding="utf-8")
    printed = CliRunner().invoke(app, ["check", "wrong.yaml"]).output.splitlines()
    shown = PAGE.split("$ snapkeep policy check wrong.yaml\n")[1].split("```")[0].splitlines()
    assert len(printed) == len(shown)
    for line, expected in zip(printed, shown, strict=True):
        start, _, end = expected.partition("…")
        assert line.startswith(start)
        assert line.endswith(end)


def test_each_policy_command_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"snapkeep policy ([\w-]+)", PAGE))
    registered = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert named == registered
