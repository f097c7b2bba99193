"""The page at ``/``: served with a policy that lets it run its own blocks and nothing else."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask

from backend.app import create_app
from backend.http.context import EXTENSION
from backend.settings import Settings
from tests.conftest import Api

MAX_BYTES = 16 * 1024
ADDRESS_ATTRIBUTES = {"href", "src", "srcset", "action", "formaction", "poster", "data"}


class Page(HTMLParser):
    """What a browser would find: inline blocks, their attributes, and all others'."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.blocks: dict[str, list[str]] = {"script": [], "style": []}
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.blocks:
            self.blocks[self.cdata_elem].append(data)


def policy_of(header: str) -> dict[str, list[str]]:
    """Sources by directive."""
    directives = (part.split() for part in header.split(";"))
    return {name: sources for name, *sources in directives}


def source_of(block: str) -> str:
    """How a policy names an inline block."""
    return f"'sha256-{b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"


@pytest.fixture
def site_dir(tmp_path: Path) -> Path:
    """A folder with a page that a test may change."""
    (tmp_path / "index.html").write_text("<style>a {}</style><script>first()</script>")
    return tmp_path


@pytest.fixture
def other_app(settings: Settings, site_dir: Path) -> Iterator[Flask]:
    """The service with the page of ``site_dir``."""
    found = create_app(replace(settings, site_dir=site_dir))
    yield found
    found.extensions[EXTENSION].stop()


def test_it_is_served_to_everybody_and_runs_only_its_own_blocks(api: Api) -> None:
    answer = Api(api.client, None).get("/")

    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    page = Page(answer.text)
    assert [len(blocks) for blocks in page.blocks.values()] == [1, 1]
    assert policy_of(answer.headers["Content-Security-Policy"]) == {
        "default-src": ["'none'"],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "script-src": [source_of(block) for block in page.blocks["script"]],
        "style-src": [source_of(block) for block in page.blocks["style"]],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }


def test_a_browser_that_has_it_gets_the_same_policy(api: Api) -> None:
    first = api.get("/")

    again = api.get("/", if_none_match=first.headers["ETag"])

    assert again.status_code == 304
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


def test_a_changed_page_has_its_own_hashes(other_app: Flask, site_dir: Path) -> None:
    client, page = other_app.test_client(), site_dir / "index.html"
    before = policy_of(client.get("/").headers["Content-Security-Policy"])

    page.write_text("<script>second()</script>")
    after = policy_of(client.get("/").headers["Content-Security-Policy"])

    assert before["script-src"] == [source_of("first()")]
    assert before["style-src"] == [source_of("a {}")]
    assert after["script-src"] == [source_of("second()")]
    assert after["style-src"] == ["'none'"]


def test_a_missing_page_is_not_found(other_app: Flask, site_dir: Path) -> None:
    (site_dir / "index.html").unlink()

    answer = other_app.test_client().get("/")

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_it_is_small_and_names_no_address_elsewhere(api: Api) -> None:
    html = api.get("/").text
    attributes = Page(html).attributes

    assert len(html.encode()) < MAX_BYTES
    assert not re.search(r"[a-z]+:(?=//)|[\"'`(]//|@import|url\(", html)
    addresses = {value for _, name, value in attributes if name in ADDRESS_ATTRIBUTES}
    assert addresses <= {"/api/docs", "data:,"}


def test_nothing_of_it_needs_what_the_policy_forbids(api: Api) -> None:
    """Style attributes, event attributes and markup made from text."""
    html = api.get("/").text

    names = {name for _, name, _ in Page(html).attributes}
    assert not {name for name in names if name == "style" or name.startswith("on")}
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", html
    )
