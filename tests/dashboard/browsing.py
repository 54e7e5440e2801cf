"""Chromium on a dashboard served by the same server as its door's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from local.screenshot import QUIET
from playwright.sync_api import Browser, Page, sync_playwright
from waitress.server import create_server

from dashboard.server import build
from dashboard.services import Desk

PATIENCE_MS = 60_000


@dataclass
class Watched:
    """A page with what must never happen on it: errors, failures, requests elsewhere."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc not in self.url:
            self.elsewhere.append(url)

    def open(self, path: str = "/") -> Page:
        """Go there and wait until the page has drawn itself."""
        self.page.goto(f"{self.url}{path}", wait_until="commit")
        self.page.wait_for_selector("#flagged-number .unit")
        self.page.wait_for_selector("#first", state="detached")
        return self.page

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def until(self, expression: str, argument: Any = None) -> None:
        """Wait until an expression of the page's own JavaScript holds."""
        self.page.wait_for_function(expression, arg=argument)

    def transactions(self, count: int) -> None:
        """Wait until the page says that so many transactions pass the filters."""
        self.begins("#rate-note", f"{count:,} ")

    def begins(self, selector: str, words: str) -> None:
        """Wait until what is shown there begins so."""
        test = "([s, w]) => document.querySelector(s)?.innerText.startsWith(w)"
        self.until(test, [selector, words])


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def serving(parts: Desk) -> Iterator[str]:
    """Serve a desk on a free port of the loopback."""
    server = create_server(build(parts).server, host="127.0.0.1", port=0, threads=8)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    parts.recent.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        parts.recent.stop()
        server.close()
        thread.join(timeout=10)
