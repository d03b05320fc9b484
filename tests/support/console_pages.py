"""Pages of the console as tests read them."""

from __future__ import annotations

import html
import re

from starlette.testclient import TestClient

from snapkeep.console.reading import Readings

HOSTILE = '<script>alert(1)</script>\x1b[31m\u202e=cmd"'
"""A tag's value with markup, a terminal's code, a change of direction and a formula."""


def renew(readings: Readings) -> None:
    readings._begun = None
    readings.renew()
    readings.wait()


def shown(browser: TestClient, readings: Readings, address: str) -> str:
    readings.renew()
    readings.wait()
    answer = browser.get(address)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())
