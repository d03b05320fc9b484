"""The Python that docs/embedded-aws.md shows runs as it stands there."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "embedded-aws.md").read_text(encoding="utf-8")


def test_the_embedded_aws_is_used_from_python_as_its_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)  # noqa: S102 - our own page
    assert "http://127.0.0.1:" in capsys.readouterr().out
