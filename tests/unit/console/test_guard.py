"""Requests that do not come from the console's own pages are refused."""

import socket

import pytest
from starlette.testclient import TestClient

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import WrongUse
from snapkeep.console.guard import HEADERS, VisitorGuard
from snapkeep.console.server import serve
from support.several_regions import PRIMARY, Account

HERE = "http://127.0.0.1:8470"


def test_without_the_token_every_page_is_refused(stranger: TestClient) -> None:
    for address in ("/", "/now", "/now.json", "/coverage.csv", "/news", "/static/console.css", "/?token=wrong"):
        answer = stranger.get(address)
        assert answer.status_code == 401, address
        assert "snapkeep console" in answer.text


def test_a_part_of_the_token_is_refused(stranger: TestClient, guard: VisitorGuard) -> None:
    for part in ("", guard.token[:-1], f"{guard.token}x"):
        assert stranger.get(f"/now?token={part}").status_code == 401, part
        assert stranger.get("/now", headers={"cookie": f"{guard.cookie}={part}"}).status_code == 401, part


def test_the_printed_address_moves_the_token_into_a_cookie(stranger: TestClient, guard: VisitorGuard) -> None:
    answer = stranger.get(f"/coverage?token={guard.token}&q=a%20b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/coverage?q=a+b")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert stranger.get("/static/console.css").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:8470"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
    ids=str,
)
def test_other_hosts_origins_and_sites_are_refused(browser: TestClient, headers: dict[str, str], status: int) -> None:
    assert browser.get("/now", headers=headers).status_code == status


def test_requests_of_its_own_pages_are_served(browser: TestClient) -> None:
    own = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert browser.get("/static/console.js", headers=own).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(browser: TestClient, method: str) -> None:
    assert browser.request(method, "/now").status_code == 405


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd", "/static/..%2fserver.py"]
)
def test_files_outside_of_the_folder_are_not_found(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_every_answer_forbids_content_from_other_origins(browser: TestClient, stranger: TestClient) -> None:
    for answer in (browser.get("/static/console.css"), stranger.get("/elsewhere")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_a_port_in_use_is_one_line(account: Account) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WrongUse, match=f"--port {port}: address already in use; 0 takes a free one"):
            serve(AwsSettings(PRIMARY, "", read_only=True), port, open_browser=False)
