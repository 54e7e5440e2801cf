"""Take a picture of a dashboard page in Chromium.

    python local/screenshot.py URL OUT [WIDTH HEIGHT [THEME]]

It waits until the page is drawn; THEME is light or dark.
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SETTLE_MS = 2_500


def take(url: str, out: Path, width: int, height: int, theme: str) -> None:
    """Write what a browser window of that size shows of the page, as PNG."""
    executable = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        try:
            scheme = "light" if theme == "light" else "dark"
            viewport = {"width": width, "height": height}
            page = browser.new_page(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(url)
            page.wait_for_load_state("networkidle")
            page.wait_for_selector("#first-view", state="detached", timeout=120_000)
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=out)
        finally:
            browser.close()


def main() -> None:
    """Read the arguments, take the picture, print its path."""
    url, out, *rest = sys.argv[1:]
    width, height = (int(each) for each in rest[:2]) if len(rest) >= 2 else (1440, 900)
    take(url, Path(out), width, height, rest[2] if len(rest) > 2 else "dark")
    print(out)


if __name__ == "__main__":
    main()
