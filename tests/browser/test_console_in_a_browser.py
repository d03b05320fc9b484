"""Every page of the console in Chromium: both themes, three widths, the keyboard, and what happens while a page is open."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from browser.conftest import Visitor, scrolling_tables
from snapkeep.console.pages import PAGES
from snapkeep.lab.demo.console_world import DR_REGION
from snapkeep.lab.embedded_aws import EmbeddedAws

pytestmark = pytest.mark.xdist_group("browser")  # one world, and one browser

WIDTHS = (390, 1000, 1900)
THEMES = ("light", "dark")
LISTED = ["/reports", *(f"/{page.name}" for page in PAGES if page.listed)]


@pytest.mark.parametrize("theme", THEMES)
def test_every_page_is_accessible_at_every_width(visitor: Visitor, theme: str) -> None:
    visitor.page.emulate_media(color_scheme=theme)
    visitor.open("/recover?q=orders-db")
    addresses = [str(link.get_attribute("href")) for link in visitor.page.locator("main table a").all()][:2]
    for page, links in ((addresses[0], 'a[href^="/snapshot"]'), ("/proofs", 'a[href^="/drill"]')):
        visitor.open(page)
        addresses.append(str(visitor.page.locator(links).first.get_attribute("href")))
    for width in WIDTHS:
        visitor.page.set_viewport_size({"width": width, "height": 900})
        for path in [*LISTED, "/recover?q=orders", *addresses, "/nowhere"]:
            visitor.open(path)
            violations = Axe().run(visitor.page).response["violations"]
            found = [(rule["id"], [node["target"] for node in rule["nodes"]][:3]) for rule in violations]
            assert not found, f"{path} at {width} in {theme}: {found}"
            overflow = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{path} at {width} is {overflow} pixels too wide"
            overlapping = "[...document.querySelectorAll('th, td')].filter(cell => cell.scrollWidth > cell.clientWidth)"
            cells = visitor.page.evaluate(f"{overlapping}.map(cell => cell.innerText)")
            assert not cells, f"{path} at {width} has text in the next cell: {cells}"
            for names in visitor.page.locator(".lanes").all():
                box = names.bounding_box()
                assert box, f"{path} at {width} does not name the regions of its time line"
                assert 0 <= box["x"] < width - box["width"]
            if (width, path) == (1000, "/signals"):
                assert not scrolling_tables(visitor.page)
    assert [fault for fault in visitor.faults if "404" not in fault] == []


def test_pages_fit_on_paper(visitor: Visitor) -> None:
    """Tables were cut at the edge of the paper, and dark pages printed dark."""
    visitor.page.emulate_media(media="print", color_scheme="dark")
    visitor.page.set_viewport_size({"width": 760, "height": 1000})
    for path in ("/now", "/coverage", "/proofs"):
        visitor.open(path)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 760, path
        assert visitor.page.evaluate("getComputedStyle(document.querySelector('.wide')).backgroundColor") == "rgb(255, 255, 255)"


def test_a_volume_is_found_by_keyboard_and_shown_at_a_moment(visitor: Visitor) -> None:
    page = visitor.page
    page.keyboard.press("/")
    page.keyboard.type("orders-db")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("^orders-db")).first.click()
    page.wait_for_selector(".timeline")
    newest = page.locator("#forecast dd").first.inner_text()
    page.locator("input[type=range]").focus()
    page.keyboard.press("Home")
    page.locator("#forecast dd").first.filter(has_not_text=newest).wait_for()
    assert "at=" in page.url
    assert page.locator("#forecast dt", has_text="Price").count()
    page.reload()
    assert page.locator("#forecast dd").first.inner_text() != newest
    assert visitor.faults == []


def test_the_page_of_the_search_renews_itself_until_somebody_types(visitor: Visitor) -> None:
    """It did not, because its field has the focus: recoveries of others did not appear."""
    visitor.open("/recover")
    field = visitor.page.locator("main input[type=search]")
    field.evaluate("field => { field.dataset.old = 'yes' }")
    visitor.page.locator("main input[type=search]:not([data-old])").wait_for()
    visitor.page.keyboard.type("orders")
    assert field.input_value() == "orders"
    assert visitor.faults == []


def test_a_region_that_goes_away_is_shown_on_the_open_page(visitor: Visitor, aws: EmbeddedAws) -> None:
    chip = visitor.page.locator(".chips", has_text=f"{DR_REGION} not read")
    assert chip.count() == 0
    aws.admin("POST", "regions/away", {"region": DR_REGION})
    try:
        chip.wait_for()
        assert "could not be read" in visitor.page.locator("main").inner_text()
        assert visitor.page.locator(".calm").count() == 0
    finally:
        aws.admin("POST", "regions/back", {"region": DR_REGION})
    chip.wait_for(state="detached")


def test_a_page_says_that_the_console_has_ended(visitor: Visitor) -> None:
    assert not visitor.page.locator("#lost").is_visible()
    visitor.console.process.terminate()
    visitor.page.locator("#lost").wait_for()


def test_another_browser_without_the_token_sees_nothing(visitor: Visitor) -> None:
    browser = visitor.page.context.browser
    assert browser is not None
    stranger = browser.new_context().new_page()
    answer = stranger.goto(f"{visitor.console.address}/now")
    assert answer is not None
    assert answer.status == 401
    assert urlsplit(stranger.url).query == ""
