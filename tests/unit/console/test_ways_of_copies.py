"""The page of copies shows how each copy in the queue is made, and what is spent on time-based ones."""

import json
from dataclasses import replace

from starlette.testclient import TestClient

from snapkeep.console.reading import Readings
from support.console_pages import shown, text_of
from support.several_regions import DOCUMENT, NEAR, Account

POLICY = DOCUMENT["policies"][0]
AUTO = {"region": NEAR, "retention": {"keep_last": 1}, "completion": "auto", "copy_budget": "5 USD/month"}


def test_the_page_of_copies_shows_ways_and_budgets(account: Account, browser: TestClient, readings: Readings) -> None:
    document = json.dumps({**DOCUMENT, "policies": [{**POLICY, "copies": [AUTO]}]})
    account.documents = dict.fromkeys(account.documents, document)
    account.queue(account.snapshot(), NEAR)
    (entry,) = account.waiting[NEAR]
    account.waiting[NEAR] = [replace(entry, request=replace(entry.request, completion="auto"))]
    page = text_of(shown(browser, readings, "/copies"))
    assert "chosen when it starts" in page
    assert f"Time-based copies by gold to {NEAR}: 0.00 of 5.00 USD spent in " in page
