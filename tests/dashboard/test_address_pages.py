"""Addresses and relatives in Chromium: from the search to the page, from there to a panel."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.support.dashboard_backend import Backend
from tests.support.dashboard_browser import WatchedPage, serving
from tests.support.inside_lake import surround

pytestmark = pytest.mark.browser


@pytest.fixture
def address(backend: Backend) -> str:
    """An address beside the second flagged transaction; its relatives are flagged, too."""
    return surround(
        backend.lake, backend.rows.filter(backend.rows["is_anomaly"]).slice(0, 4).to_pylist()
    )


@pytest.fixture
def watched(browser: Browser, backend: Backend, address: str) -> Iterator[WatchedPage]:
    with serving(backend.services(refresh_seconds=3_600)) as url:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        watched = WatchedPage(context.new_page(), url)
        yield watched
        context.close()
        assert watched.errors == []
        assert watched.other_hosts == []


def test_a_whole_address_in_the_search_leads_to_its_page(
    watched: WatchedPage, address: str
) -> None:
    page = watched.open("/?range=24h")
    page.click("#more-filters summary")
    page.fill("#value_min", "0.001")
    watched.wait_for("() => location.search.includes('value_min')")
    page.fill("#hash", address)
    page.wait_for_selector("#page-address table")
    assert page.url.startswith(f"{watched.url}/address/{address}")
    assert page.locator("#page-activity").is_hidden()
    page.click("#nav-activity")
    page.wait_for_selector("#page-activity:not([hidden])")
    assert page.locator("#page-address").is_hidden()
    assert page.locator("#hash").input_value() == ""
    assert "value_min=0.001" in page.url and "hash=" not in page.url


def test_from_an_address_a_hash_opens_its_panel_and_an_address_in_it_its_page(
    watched: WatchedPage, backend: Backend, address: str
) -> None:
    page = watched.page
    page.goto(f"{watched.url}/address/{address}")
    page.click(f'#page-address a[href="#{backend.flagged[1]}"]')
    page.wait_for_selector("#drawer.open .inside")
    assert page.locator("#page-address").is_visible()
    page.wait_for_selector("#kin .inside")
    page.click("#further-hop")
    page.wait_for_selector("#kin ul ul")
    assert page.locator("#further-hop").is_hidden()
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer.closed", state="attached")
    page.goto(f"{watched.url}/address/{address}#{backend.flagged[1]}")
    page.wait_for_selector("#drawer.open .inside")
    page.click('#why .inside a[href="/address/1BoatSLRHtKNngkdXEeobR76b53LETtpyT"]')
    page.wait_for_selector("#page-address >> text=P2PKH")


def test_the_pages_fit_a_phone(browser: Browser, backend: Backend, address: str) -> None:
    with serving(backend.services(refresh_seconds=3_600)) as url:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(f"{url}/address/{address}")
        page.wait_for_selector("#page-address table")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(f"{url}/#{backend.flagged[1]}")
        page.wait_for_selector("#drawer.open .inside")
        assert page.evaluate("drawer.scrollWidth <= drawer.clientWidth")
        page.close()
