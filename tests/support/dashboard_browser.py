"""Chromium on a dashboard that is served as its door serves it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from local.screenshot import QUIET
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dashboard.server import web_server
from dashboard.services import Services

TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


@dataclass
class WatchedPage:
    """A page, with the errors and the requests to other hosts that must never happen on it."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    other_hosts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._record_request(request.url))

    def _record_request(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc not in self.url:
            self.other_hosts.append(url)

    def open(self, path: str = "/") -> Page:
        """Go there and wait until the page has drawn itself."""
        self.page.goto(f"{self.url}{path}", wait_until="commit")
        self.page.wait_for_selector("#flagged-number .unit")
        self.page.wait_for_selector("#first-view", state="detached")
        return self.page

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def wait_for(self, expression: str, argument: Any = None) -> None:
        """Wait until a JavaScript expression holds."""
        self.page.wait_for_function(expression, arg=argument)

    def wait_for_transactions(self, count: int) -> None:
        """Wait until the page says that this many transactions pass the filters."""
        self.wait_for_start("#rate-note", f"{count:,} ")

    def wait_for_start(self, selector: str, text: str) -> None:
        """Wait until an element's text starts like this."""
        test = "([s, t]) => document.querySelector(s)?.innerText.startsWith(t)"
        self.wait_for(test, [selector, text])


def scroll_to(page: Page, selector: str) -> None:
    """Have an element in view. It may be another one by then: Dash first draws a place for it."""
    in_view = """selector => {
        const element = document.querySelector(selector);
        element?.scrollIntoView({block: "nearest"});
        const box = element?.getBoundingClientRect();
        return box && box.bottom > 0 && box.top < innerHeight;
    }"""
    page.wait_for_function(in_view, arg=selector)


@contextmanager
def chromium() -> Iterator[Browser]:
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        yield browser
        browser.close()


@contextmanager
def serving(services: Services, silent_seconds: float = 30) -> Iterator[str]:
    """Serve a dashboard on a free port of the loopback."""
    server = web_server(services, "127.0.0.1", 0, silent_seconds)

    def close() -> None:
        server.close()
        for channel in list(server.active_channels.values()):
            channel.handle_close()

    thread = Thread(target=server.run, daemon=True)
    thread.start()
    services.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        services.stop()
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(close)  # on the server's own thread, which reads its sockets
        thread.join(timeout=10)
