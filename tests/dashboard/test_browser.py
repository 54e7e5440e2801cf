"""The page in Chromium: what a person sees and does."""

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable
from playwright.sync_api import Browser, Page, Request, Response, Route
from tests.support.casework_rows import add_mute
from tests.support.dashboard_api import FakeApi
from tests.support.dashboard_backend import Backend, make_services
from tests.support.dashboard_browser import WatchedPage, scroll_to, serving
from tests.support.delta_tables import scored, write
from tests.support.muted_lake import lasting

from core.casework import CaseworkStore
from core.lake import query
from dashboard import server

RULE_ALONE = "flagged_by = 'rule'"

pytestmark = pytest.mark.browser


@pytest.fixture
def watched(browser: Browser, backend: Backend) -> Iterator[WatchedPage]:
    with serving(backend.services(refresh_seconds=2)) as url:
        context = browser.new_context(
            viewport={"width": 1440, "height": 900},
            timezone_id="America/New_York",
            color_scheme="dark",
            reduced_motion="reduce",
        )
        watched = WatchedPage(context.new_page(), url)
        yield watched
        context.close()
        assert watched.errors == []
        assert watched.other_hosts == []


def counted(backend: Backend, where: str) -> int:
    table = DeltaTable(str(backend.lake / "scored_transactions"))
    return int(query(f"SELECT count(*) AS n FROM t WHERE {where}", t=table)["n"][0].as_py())


def drag(page: Page, figure: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box on a figure; places are shares of its width and height, from the top left."""
    scroll_to(page, figure)  # only then it is drawn
    drawn = "f => document.querySelector(`${f} .js-plotly-plot`)?.data?.length"
    page.wait_for_function(drawn, arg=figure)
    box = page.locator(f"{figure} .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * begin[0], box["y"] + box["height"] * begin[1])
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end[0], box["y"] + box["height"] * end[1], steps=5)
    page.mouse.up()


def test_filters_change_what_is_shown_and_the_url_restores_them(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open("/?range=24h")
    watched.wait_for_transactions(counted(backend, "TRUE"))
    page.click("#more-filters summary")
    page.fill("#value_min", "0.001")
    watched.wait_for_transactions(counted(backend, "output_value >= 100000"))
    page.fill("#fee_rate_max", "20")
    both = counted(backend, "output_value >= 100000 AND fee_rate <= 20")
    watched.wait_for_transactions(both)
    assert "value_min=0.001" in page.url and "fee_rate_max=20" in page.url
    page.reload()
    watched.wait_for_transactions(both)
    watched.wait_for("() => document.querySelector('#value_min').value === '0.001'")
    assert watched.text("#filter-count").strip() == "2"
    page.click("#reset")
    watched.wait_for("() => location.search === ''")
    watched.wait_for("() => document.querySelector('#value_min').value === ''")


def test_table_filters_and_panel_do_not_wait_for_the_charts(
    browser: Browser, backend: Backend
) -> None:
    with serving(backend.services(refresh_seconds=3_600)) as url:
        watched = WatchedPage(browser.new_page(), url)
        page, held = watched.page, list[Route]()
        page.route("**/plotly*/**", lambda route: held.append(route))
        watched.open("/?range=24h")
        page.wait_for_selector("#grid .ag-row")
        page.click("#more-filters summary")
        page.fill("#hash", backend.flagged[0])
        page.wait_for_selector("#drawer.open [data-feature]")
        assert page.locator(".js-plotly-plot").count() == 0
        (plotly,) = held
        plotly.continue_()
        watched.wait_for("() => document.querySelector('#timeline .js-plotly-plot')?.data?.length")
        page.close()


def test_a_figure_that_comes_before_its_graph_is_drawn(browser: Browser, backend: Backend) -> None:
    with serving(backend.services(refresh_seconds=3_600)) as url:
        watched = WatchedPage(browser.new_page(), url)
        watched.open("/?range=24h")
        watched.wait_for("() => document.querySelector('#timeline .js-plotly-plot')?.data?.length")
        watched.page.close()


def test_charts_come_though_their_library_is_not_answered_at_first(
    browser: Browser, backend: Backend
) -> None:
    with serving(backend.services(refresh_seconds=3_600)) as url:
        watched = WatchedPage(browser.new_page(), url)
        watched.page.route("**/plotly*/**", lambda route: route.abort(), times=1)
        watched.open("/?range=24h")
        watched.wait_for("() => document.querySelector('#timeline .js-plotly-plot')?.data?.length")
        watched.page.close()


def _is_refresh(answer: Response) -> bool:
    asked = answer.request.post_data or ""
    return answer.status == 200 and "..pill." in asked and '"shown"' in answer.text()


def test_a_refresh_without_news_sends_no_table_and_no_scatter(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h")
    page.wait_for_selector("#grid .ag-row")
    for _ in range(3):
        with page.expect_response(_is_refresh) as refresh:
            pass
        sent = refresh.value.json()["response"]
        assert not {"table-rows", "scatter-figure", "windows-figure"} & set(sent)
        assert "pill" in sent and "rate-note" in sent


def test_the_filters_in_force_are_seen_and_each_can_be_taken_away(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h&value_min=0.5&flagged=1&threshold=0.6")
    page.wait_for_selector("#chips .chip >> nth=2")
    assert "output value ≥ 0.5 BTC" in watched.text("#chips")
    page.click("#chips .chip:has-text('only flagged')")
    watched.wait_for("() => location.search === '?range=24h&threshold=0.6&value_min=0.5'")
    watched.wait_for("() => document.querySelectorAll('#chips .chip').length === 2")
    page.click("#nav-model")
    watched.wait_for("() => location.pathname.endsWith('/model')")
    page.click("#nav-activity")
    watched.wait_for("() => location.search === '?range=24h&threshold=0.6&value_min=0.5'")
    assert page.input_value("#value_min") == "0.5"


def test_a_span_of_time_and_a_bar_become_the_range(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h")
    page.wait_for_selector("#timeline .points path", state="attached")
    bars = "document.querySelector('#timeline .js-plotly-plot').data[0].x"
    first = page.evaluate(f"() => {bars}[0]")
    drag(page, "#timeline", (0.5, 0.7), (0.95, 0.8))
    watched.wait_for("() => location.search.includes('range=custom')")
    start, end = re.findall(r"(?:start|end)=([\dT:-]+)Z", page.url)
    within = f"event_time BETWEEN TIMESTAMP '{start}Z' AND TIMESTAMP '{end}Z'"
    count = counted(backend, within)
    assert 0 < count < len(backend.rows)
    watched.wait_for_transactions(count)
    watched.wait_for(f"first => {bars}[0] !== first", first)
    page.evaluate("""() => { const plot = document.querySelector('#timeline .js-plotly-plot');
        plot.emit('plotly_click', {points: [{curveNumber: 0, pointNumber: 9,
            x: plot.data[0].x[9], y: 1, data: plot.data[0], fullData: plot._fullData[0]}]}); }""")
    watched.wait_for("end => !location.search.includes(end)", end)


def test_a_whole_hash_finds_its_transaction_wherever_it_is(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open("/?range=15m")
    oldest = min(backend.rows.to_pylist(), key=lambda row: row["event_time"])["hash"]
    page.click("#more-filters summary")
    page.fill("#hash", oldest)
    page.wait_for_selector("#drawer.open [data-copy]")
    assert oldest in watched.text("#why")


def test_the_threshold_shows_what_it_flags(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h")
    handle = page.locator("#threshold [role=slider]")
    while (before := float(handle.get_attribute("aria-valuenow") or 0)) > 0.6:
        handle.press("ArrowLeft")
        watched.wait_for(
            "([s, v]) => document.querySelector(s).getAttribute('aria-valuenow') < v",
            ["#threshold [role=slider]", before],
        )
    watched.wait_for("() => /threshold=0.6(&|$)/.test(location.search)")
    expected = counted(backend, "anomaly_score >= 0.6 OR flagged_by IN ('rule', 'both')")
    watched.wait_for_start("#readout", f"0.600 for all: {expected} of")
    watched.wait_for_start("#flagged-number", f"{expected} ")
    then = counted(backend, "is_anomaly")
    assert then != expected
    more = counted(backend, "anomaly_score >= 0.6 AND NOT is_anomaly")
    assert f"{more:,} more and" in watched.text("#readout")
    page.click("#chips .chip:has-text('for all')")
    watched.wait_for("() => !location.search.includes('threshold')")
    watched.wait_for_start("#readout", f"As flagged then: {then} of")


def test_no_key_press_is_lost_on_a_slow_line(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h")
    handle = page.locator("#threshold [role=slider]")
    line = page.context.new_cdp_session(page)
    speed = {"offline": False, "latency": 300, "downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", speed)
    start = float(handle.get_attribute("aria-valuenow") or 0)
    for _ in range(12):
        handle.press("ArrowLeft")
        page.wait_for_timeout(130)  # a person's pace, so that answers come between two presses
    expected = f"{start - 0.012:.3f}".rstrip("0")
    watched.wait_for("t => new RegExp(`threshold=${t}(&|$)`).test(location.search)", expected)
    watched.wait_for_start("#readout", f"{float(expected):.3f} for all:")


def slow_line(page: Page) -> None:
    """From now on an answer takes two and a half seconds."""
    line = page.context.new_cdp_session(page)
    speed = {"offline": False, "latency": 2_500, "downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", speed)


def renew_every(page: Page, milliseconds: int) -> None:
    """Have what is renewed each fifteen seconds renewed sooner."""
    change = "ms => window.dash_clientside.set_props('slow', {interval: ms})"
    page.evaluate(change, milliseconds)


def test_answers_that_take_longer_than_a_refresh_are_shown(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open("/?range=24h")
    watched.wait_for_transactions(6_000)
    slow_line(page)
    write(backend.lake, "scored_transactions", scored(50, datetime.now(UTC), 5, seed=3))
    watched.wait_for_transactions(6_050)


def test_a_list_whose_answer_takes_longer_than_it_is_renewed_is_shown(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.page
    page.goto(f"{watched.url}/mutes")
    page.wait_for_selector("#mutes-list >> text=Nothing is muted")
    slow_line(page)
    renew_every(page, 500)
    store = CaseworkStore(f"{backend.lake}-casework", "simulated")
    add_mute(store, lasting(backend, pattern="version_3"))
    page.wait_for_selector("#mutes-list td")


def test_only_what_is_read_is_asked_for_again(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open(f"/?range=24h#{backend.flagged[0]}")
    page.wait_for_selector("#drawer.open [data-feature]")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []

    def note(request: Request) -> None:
        body = request.post_data or ""
        if '-slow.data"]' in body:
            asked.append(json.loads(body)["output"].strip(".").split(".")[0])

    page.on("request", note)
    renew_every(page, 200)
    for _ in range(9):
        page.wait_for_event("request", lambda request: "-slow.data" in (request.post_data or ""))
    assert set(asked) == {"why", "mark-state", "kin"}


IN_ROW = "document.activeElement.closest('.ag-row')?.getAttribute('row-id')"
"""The hash of the row that has the focus."""


def test_a_row_opens_why_and_the_keyboard_closes_it(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h")
    page.click("#grid .ag-row[row-index='0'] .ag-cell[col-id='pattern']")
    page.wait_for_selector("#drawer.open [data-feature='fee_rate']")
    hash = page.url.split("#")[1]
    assert hash in backend.flagged and hash in watched.text("#why")
    watched.wait_for("() => document.activeElement.id === 'drawer'")
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer.closed", state="attached")
    watched.wait_for(f"() => {IN_ROW} === '{hash}'")
    page.locator("#grid .ag-row[row-index='1'] .ag-cell[col-id='time']").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer.open [data-feature]")
    other = page.url.split("#")[1]
    assert other != hash
    watched.wait_for("() => document.activeElement.id === 'drawer'")
    page.keyboard.press("Tab")
    watched.wait_for("() => document.activeElement.closest('.drawer-head')")
    page.click(".close")
    watched.wait_for(f"() => {IN_ROW} === '{other}'")


def test_the_panel_closes_at_once_though_the_server_does_not_answer(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open(f"/?range=24h#{backend.flagged[0]}")
    page.wait_for_selector("#drawer.open .actions")
    page.wait_for_selector("#grid .ag-row")
    page.route("**/_dash-update-component", lambda _: None)
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer.closed", state="attached")
    watched.wait_for(f"() => {IN_ROW}")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer.open")


def test_keys_and_buttons_walk_from_flag_to_flag(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h")
    page.click("#grid .ag-row[row-index='0'] .ag-cell[col-id='pattern']")
    page.wait_for_selector("#drawer.open .actions")
    first = page.url.split("#")[1]
    page.keyboard.press("j")
    page.wait_for_url(lambda url: not url.endswith(first))
    second = page.url.split("#")[1]
    assert second in backend.flagged
    page.wait_for_selector(f"#why >> text={second}")
    page.click("[aria-label='Previous flagged transaction']")
    page.wait_for_url(f"**#{first}")
    page.keyboard.press("k")
    page.wait_for_selector(".toast.shown >> text=No further flagged transaction")


def test_the_panel_stands_beside_the_table_and_copies_what_it_says(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open(f"/?range=24h#{backend.flagged[0]}")
    page.wait_for_selector("#drawer.open .actions")
    edges = """() => [document.querySelector('#transactions').getBoundingClientRect().right,
        document.querySelector('#drawer').getBoundingClientRect().left]"""
    watched.wait_for(f"() => {{ const [a, b] = ({edges})(); return a <= b }}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = "navigator.clipboard.readText()"
    for name, part in {"JSON": "output_value", "explanation": "illicit", "link": "?range"}.items():
        page.click(f".actions >> text=copy {name}")
        watched.wait_for(f"async part => (await {copied}).includes(part)", part)
    assert page.evaluate(copied) == page.url


def test_the_flags_are_in_sight_without_scrolling(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h")
    page.wait_for_selector("#grid .ag-row.anomalous")
    box = page.locator("#grid .ag-row[row-index='4']").first.bounding_box()
    assert box is not None and box["y"] + box["height"] < 900


def test_a_phone_shows_cards_with_the_flags_before_the_charts(watched: WatchedPage) -> None:
    page = watched.page
    page.set_viewport_size({"width": 390, "height": 844})
    watched.open("/?range=24h")
    page.wait_for_selector("#grid .transaction-card >> text=flagged by")
    assert page.locator("#grid .ag-cell[col-id='score']").count() == 0
    table, chart = (page.locator(each).bounding_box() for each in ("#transactions", "#timeline"))
    assert table is not None and chart is not None and table["y"] < chart["y"]
    page.set_viewport_size({"width": 1440, "height": 900})
    page.wait_for_selector("#grid .ag-cell[col-id='score']")
    assert page.locator("#grid .transaction-card").count() == 0


def test_the_table_is_one_stop_of_the_tab_key(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h")
    page.locator("#grid .ag-row[row-index='0'] .ag-cell[col-id='time']").focus()
    page.keyboard.press("ArrowDown")
    here = "document.activeElement.closest('.ag-row').getAttribute('row-index')"
    watched.wait_for(f"() => {here} === '1'")
    page.keyboard.press("Tab")
    watched.wait_for("() => !document.activeElement.closest('.ag-cell')")


def test_new_rows_wait_while_somebody_reads_the_table(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open("/?range=24h&order=newest")
    watched.wait_for_transactions(6_000)
    page.hover("#grid .ag-row[row-index='1']")
    shown = "#grid .ag-row[row-index='0'] code"
    before = watched.text(shown)
    write(backend.lake, "scored_transactions", scored(30, datetime.now(UTC), 2, seed=3))
    watched.wait_for_transactions(6_030)
    page.wait_for_selector("#show-new >> text=30 new")
    assert watched.text(shown) == before
    page.click("#show-new")
    watched.wait_for("([s, t]) => document.querySelector(s).innerText !== t", [shown, before])
    assert page.locator("#show-new").is_hidden()


def test_a_link_to_a_transaction_opens_it(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open(f"/?range=24h#{backend.flagged[0]}")
    page.wait_for_selector("#drawer.open >> text=in block 914,233")
    watched.open(f"/?range=24h#{backend.flagged[2][:16]}")
    page.wait_for_selector(f"#drawer.open >> text={backend.flagged[2]}")
    assert "replaced by" in watched.text("#why .fate")
    assert backend.flagged[0] not in watched.text("#why")


def test_under_a_path_prefix_every_page_and_address_works(
    browser: Browser, backend: Backend
) -> None:
    with serving(backend.services(refresh_seconds=2, path_prefix="/bitcoin/")) as url:
        watched = WatchedPage(browser.new_page(), f"{url}/bitcoin")
        page = watched.open("/?range=24h")
        address = page.locator("#export").get_attribute("href") or ""
        assert address.startswith("/bitcoin/export.csv")
        page.click("#nav-model")
        page.wait_for_selector("#page-model >> text=20,000 simulated transactions")
        assert page.url == f"{url}/bitcoin/model?range=24h", "navigation keeps the view"
        assert watched.errors == [] and watched.other_hosts == []
        page.close()


def test_a_tab_left_open_over_an_upgrade_is_asked_to_reload(
    watched: WatchedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = watched.open("/?range=24h")
    assert page.locator("#reload").count() == 0
    monkeypatch.setattr(server, "page_version", lambda: "newer")
    page.click("#reload")
    watched.wait_for("() => document.documentElement.dataset.version === 'newer'")
    watched.wait_for_transactions(6_000)
    assert page.locator("#reload").count() == 0


def test_a_point_opens_why_and_a_brush_filters(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h")
    scroll_to(page, "#scatter")
    page.wait_for_selector("#scatter .points path")
    page.evaluate("""() => { const plot = document.querySelector('#scatter .js-plotly-plot');
        plot.emit('plotly_click', {points: [{curveNumber: 1, pointNumber: 0, x: 1, y: 1,
            data: plot.data[1], fullData: plot._fullData[1],
            customdata: plot.data[1].customdata[0]}]}); }""")
    page.wait_for_selector("#drawer.open [data-feature='fee_rate']")
    page.keyboard.press("Escape")
    drag(page, "#scatter", (0.2, 0.55), (0.6, 0.95))
    watched.wait_for("() => location.search.includes('fee_rate_max')")
    sides = dict(re.findall(r"(\w+)=([\d.]+)", page.url))
    count = counted(
        backend,
        f"output_value BETWEEN {float(sides['value_min']) * 1e8}"
        f" AND {float(sides['value_max']) * 1e8} AND fee_rate BETWEEN"
        f" {sides['fee_rate_min']} AND {sides['fee_rate_max']}",
    )
    assert 0 < count < len(backend.rows)
    watched.wait_for_transactions(count)


@pytest.mark.parametrize("address", ["/", "/try", "/watch", "/mutes"])
def test_an_input_has_one_frame(watched: WatchedPage, address: str) -> None:
    page = watched.page
    page.goto(f"{watched.url}{address}")
    page.wait_for_selector(".dash-input-container", state="attached")
    framed = page.evaluate("""() => [...document.querySelectorAll('.dash-input-container')]
        .filter(each => getComputedStyle(each).borderTopWidth !== '0px').length""")
    assert framed == 0


@pytest.mark.parametrize("axis", ["fee_rate", "times"])
def test_a_point_says_what_it_is(watched: WatchedPage, axis: str) -> None:
    page = watched.open(f"/?range=24h&axis={axis}")
    page.evaluate("document.getElementById('scatter').scrollIntoView()")
    page.wait_for_selector("#scatter .points path")
    page.evaluate("""() => window.Plotly.Fx.hover(
        document.querySelector('#scatter .js-plotly-plot'), [{curveNumber: 1, pointNumber: 0}])""")
    words = page.locator("#scatter .hoverlayer .hovertext").first.text_content() or ""
    number = r"[\d,]+(\.\d+)?"
    assert re.search(rf"{number} BTC, {number} sat/vB \({number} × market\)score 0\.\d\d\d", words)
    assert re.search(r"flagged by (the model|a rule|model and rule)[0-9a-f]{16}…", words)


def test_the_market_opens_why_and_is_an_axis_and_a_filter(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open("/?range=24h")
    scroll_to(page, "#market")
    page.wait_for_selector("#market .points path")
    page.evaluate("""() => { const plot = document.querySelector('#market .js-plotly-plot');
        const last = plot.data.length - 1;
        plot.emit('plotly_click', {points: [{curveNumber: last, pointNumber: 0, x: 1, y: 1,
            data: plot.data[last], fullData: plot._fullData[last],
            customdata: plot.data[last].customdata[0]}]}); }""")
    page.wait_for_selector("#drawer.open .market")
    assert "times what others paid then" in watched.text("#why")
    page.keyboard.press("Escape")
    page.click("#axis >> text=times the market")
    watched.wait_for("() => location.search.includes('axis=times')")
    page.click("#more-filters summary")
    page.fill("#times_max", "0.5")
    watched.wait_for_transactions(counted(backend, "fee_rate / market_fee_rate <= 0.5"))
    page.fill("#times_max", "")
    page.click("#flagged_by >> text=a rule")
    watched.wait_for("() => location.search.includes('flagged_by=rule')")
    watched.wait_for_start("#flagged-number", f"{counted(backend, RULE_ALONE)} ")


def test_times_are_the_viewers_and_utc_on_hover(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open(f"/?range=24h#{backend.flagged[0]}")
    page.wait_for_selector("#why time")
    row = backend.rows.slice(backend.rows["hash"].to_pylist().index(backend.flagged[0]), 1)
    at: datetime = row["event_time"][0].as_py()
    title = page.locator("#why time").get_attribute("title")
    assert title == f"{at:%Y-%m-%d %H:%M:%S} UTC"
    assert watched.text("#why time") != f"{at:%Y-%m-%d %H:%M:%S}"


def test_what_arrives_is_shown_without_losing_the_readers_place(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open("/?range=24h")
    watched.wait_for_transactions(6_000)
    drag(page, "#fee_rates", (0.3, 0.3), (0.6, 0.7))
    zoom = "document.querySelector('#fee_rates .js-plotly-plot')._fullLayout.yaxis.range"
    zoomed = page.evaluate(zoom)
    page.click("#grid .ag-row[row-index='2'] .ag-cell[col-id='pattern']")
    page.wait_for_selector("#drawer.open")
    page.evaluate("window.scrollTo(0, 400)")
    top = "document.querySelector('#scatter').getBoundingClientRect().top"
    before = page.evaluate(top)
    page.evaluate("document.querySelector('#grid .ag-body-viewport').scrollTop = 170")
    write(backend.lake, "scored_transactions", scored(50, datetime.now(UTC), 5, seed=3))
    watched.wait_for_transactions(6_050)
    assert page.evaluate(top) == pytest.approx(before, abs=1)
    assert page.evaluate("document.querySelector('#grid .ag-body-viewport').scrollTop") == 170
    colour = "e => getComputedStyle(e).backgroundColor"
    pointed_out = page.locator(f"#grid .ag-row[row-id='{page.url.split('#')[1]}']").first
    other = page.locator("#grid .ag-row[row-index='5']").first
    assert pointed_out.evaluate(colour) != other.evaluate(colour)
    assert page.evaluate(zoom) == zoomed
    assert page.evaluate(f"{zoom.rsplit('.', 1)[0]}.autorange") is False
    assert "open" in str(page.locator("#drawer").get_attribute("class"))


def test_small_numbers_of_the_table_keep_their_digits(watched: WatchedPage) -> None:
    watched.open()
    watched.page.wait_for_function("window.dashAgGridFunctions")
    rates = watched.page.evaluate(
        "[0, 0.14, 0.042, 15.46, 123456].map(window.dashAgGridFunctions.shortRate)"
    )
    assert rates == ["0", "0.14", "0.042", "15.5", "123k"]
    times = watched.page.evaluate(
        "[0, 0.004, 0.84, 2.26, 31.2].map(window.dashAgGridFunctions.shortTimes)"
    )
    assert times == ["0", "0.004", "0.84", "2.3", "31"]


def test_the_csv_is_of_what_is_filtered(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h&flagged=1")
    watched.wait_for("() => document.querySelector('#export').href.includes('flagged=1')")
    with page.expect_download() as started:
        page.click("#export")
    text = Path(started.value.path()).read_text()
    assert sorted(r["hash"] for r in csv.DictReader(io.StringIO(text))) == sorted(backend.flagged)


def test_a_transaction_is_tried_and_a_refusal_is_explained(watched: WatchedPage) -> None:
    page = watched.page
    page.goto(f"{watched.url}/try")
    page.fill("#try-fee", "500000")
    page.fill("#try-market_fee_rate", "3.5")
    page.click("#score-form")
    page.wait_for_selector("#answer [data-feature='fee_rate']")
    assert "Going fee rate 3.5 sat/vB: as you gave it." in watched.text("#answer")
    assert "anomaly" in watched.text("#answer") and "0.710" in watched.text("#answer")
    page.fill("#pasted", '{"hash": "x"}')
    page.click("#score-json")
    page.wait_for_selector("#answer >> text=fee: Field required")
    page.fill("#pasted", "not JSON")
    page.click("#score-json")
    page.wait_for_selector("#answer >> text=The body is not JSON.")


def test_an_example_fills_the_form_and_a_bare_hash_leads_to_its_transaction(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.page
    page.goto(f"{watched.url}/try")
    page.click("#example-400-inputs-into-one")
    watched.wait_for("() => document.querySelector('#try-inputs_count').value === '400'")
    page.click("#score-form")
    page.wait_for_selector("#answer >> text=236,976 weight units")
    page.fill("#pasted", backend.flagged[0])
    page.click("#score-json")
    page.click("#answer >> text=Look for it")
    page.wait_for_selector("#drawer.open [data-feature='fee_rate']")
    assert backend.flagged[0] in watched.text("#why")


def test_the_page_outlives_the_api_and_the_lake(watched: WatchedPage, backend: Backend) -> None:
    page = watched.open("/?range=24h")
    watched.wait_for_transactions(6_000)
    backend.api.stop()
    page.wait_for_selector("#notices >> text=The API does not answer.")
    away = backend.lake.with_name("away")
    shutil.move(backend.lake, away)
    page.wait_for_selector("#pill.bad")
    assert page.locator("#timeline .bars .point").count() > 5
    page.click("text=6h")
    watched.wait_for("() => location.search.includes('6h')")
    watched.wait_for_transactions(6_000)
    shutil.move(away, backend.lake)
    backend.api.start()
    watched.wait_for("() => document.querySelector('#notices').innerText === ''")
    write(backend.lake, "scored_transactions", scored(30, datetime.now(UTC), 3, seed=8))
    watched.wait_for_transactions(6_030)


def test_a_server_that_fails_or_is_away_is_told_until_it_answers_again(
    watched: WatchedPage,
) -> None:
    page = watched.open("/?range=24h")
    watched.wait_for_transactions(6_000)
    asked = "**/_dash-update-component*"
    page.route(asked, lambda route: route.abort())
    page.wait_for_selector("#halted >> text=Not connected")
    assert re.match(
        r"Not connected since \d\d:\d\d:\d\d: the server does not answer\. What is shown is from",
        watched.text("#halted-reason"),
    )
    assert not page.locator("#pill").is_visible()
    page.unroute(asked)
    page.wait_for_selector("#halted", state="hidden")
    assert page.locator("#pill").is_visible()
    page.route(asked, lambda route: route.fulfill(status=500, body="boom"))
    page.wait_for_selector("#halted >> text=Not refreshed")
    assert "the server has failed (500)" in watched.text("#halted-reason")
    page.unroute(asked)
    page.wait_for_selector("#halted-reason", state="hidden")
    watched.errors.clear()  # the browser reports each request that failed


def test_a_failure_of_what_was_pressed_once_is_not_told_for_ever(watched: WatchedPage) -> None:
    page = watched.open("/")
    page.click("#nav-try")
    asked = "**/_dash-update-component*"

    def fail(route: Route) -> None:
        if '"output":"answer.children"' in (route.request.post_data or ""):
            route.fulfill(status=413, body="too large")
        else:
            route.continue_()

    page.route(asked, fail)
    page.click("#score-form")
    page.wait_for_selector("#halted >> text=Not refreshed")
    page.click("#nav-activity")
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 20_001; }")
    page.wait_for_selector("#halted", state="hidden")
    assert page.locator("#pill").is_visible()
    watched.errors.clear()  # the browser reports the request that failed


def test_a_paused_page_says_since_when(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h")
    page.click("#pause")
    page.wait_for_selector("#halted >> text=Paused")
    assert "press Resume to go on" in watched.text("#halted-reason")
    page.click("#pause")
    page.wait_for_selector("#halted-reason", state="hidden")


def test_a_filter_that_nothing_can_pass_says_so_where_it_is_typed(watched: WatchedPage) -> None:
    page = watched.open("/?range=custom&start=2026-11-20T10:00:00Z&end=2026-11-20T09:00:00Z")
    page.wait_for_selector("#range-problem >> text=The end is not after the start")
    watched.wait_for_start("#timeline-empty", "The end is not after the start")
    watched.wait_for_start("#flagged-number", "0 ")
    page.click("#reset")
    watched.wait_for("() => document.querySelector('#range-problem').innerText === ''")
    page.click("#more-filters summary")
    page.fill("#fee_rate_min", "9")
    page.fill("#fee_rate_max", "3")
    page.wait_for_selector("#fee_rate-problem >> text=The least is above the most")
    page.fill("#fee_rate_max", "30")
    watched.wait_for("() => document.querySelector('#fee_rate-problem').innerText === ''")


def test_the_model_page_and_the_themes(watched: WatchedPage) -> None:
    page = watched.open("/")
    page.click("#theme")
    watched.wait_for("() => document.documentElement.dataset.theme === 'light'")
    page.click("text=Model")
    page.wait_for_selector("#page-model >> text=20,000 simulated transactions")
    page.wait_for_selector("#page-model >> text=0.310")
    page.reload()
    watched.wait_for("() => document.documentElement.dataset.theme === 'light'")


def test_nothing_overflows_at_any_width(watched: WatchedPage) -> None:
    page = watched.open("/?range=24h")
    page.click("#more-filters summary")
    outside = """() => [...document.querySelectorAll('.panel')].filter(
        e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1
    ).map(e => e.className)"""
    for width in (1920, 1440, 1024, 390, 320):
        watched.page.set_viewport_size({"width": width, "height": 844})
        watched.wait_for("w => document.documentElement.scrollWidth <= w", width)
        assert page.evaluate(outside) == []


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_the_whole_model_page_with_its_curve(
    watched: WatchedPage, width: int
) -> None:
    page = watched.page
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{watched.url}/model")
    page.wait_for_selector("#budget-curve .js-plotly-plot .point >> nth=8")
    wide = "e => e.scrollWidth > e.clientWidth + 1"
    selector = "#page-model .panel" + (", #page-model .budgets" if width == 390 else "")
    panels = f"[...document.querySelectorAll('{selector}')]"  # at 320 the table scrolls in itself
    assert page.evaluate(f"{panels}.filter({wide}).map(e => e.innerText)") == []
    watched.wait_for("w => document.documentElement.scrollWidth <= w", width)


def test_a_budget_is_seen_on_the_activity_page_and_proposed(watched: WatchedPage) -> None:
    page = watched.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{watched.url}/model")
    page.click(".budgets tr:has-text('1\u00a0%') button")
    page.wait_for_selector("#toast.shown >> text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "ALERT_BUDGET=0.01"
    page.click(".budgets tr:has-text('1\u00a0%') a")
    watched.wait_for_start("#readout", "0.550 for all:")


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_moves_when_dash_replaces_the_first_view(watched: WatchedPage, width: int) -> None:
    places = """() => [...document.querySelectorAll('.top, .panel, .number, .body, .grid')].filter(
        e => e.getClientRects().length).map(e => { const r = e.getBoundingClientRect();
        return [r.x, r.y, r.width, r.height] })"""
    page = watched.page
    page.set_viewport_size({"width": width, "height": 844})
    watched.open("/?range=24h")
    watched.wait_for_transactions(6_000)
    after = page.evaluate(places)
    page.route("**/_dash-component-suites/**", lambda route: route.fulfill(body=""))
    page.goto(f"{watched.url}/?range=24h")
    before = page.evaluate(places)
    watched.errors.clear()  # without its scripts the page reports that Dash is missing
    assert len(before) == len(after) > 20
    assert before == [pytest.approx(place, abs=1) for place in after]


def test_the_pipelines_tile_says_how_each_part_is(browser: Browser, backend: Backend) -> None:
    parts = dict.fromkeys(("producer", "stream", "API", "trainer"), backend.api.url)
    services = backend.services(parts=parts | {"trainer": "http://127.0.0.1:9"}, refresh_seconds=1)
    services.grafana_url = "http://localhost:3000/"
    write(backend.lake, "scored_transactions", scored(40, datetime.now(UTC), 30, seed=3))
    with serving(services) as url:
        watched = WatchedPage(browser.new_page(viewport={"width": 1440, "height": 900}), url)
        page = watched.open()
        page.wait_for_selector("#pill.waiting >> text=Trainer silent")
        services.recent.parts.urls = parts
        page.wait_for_selector("#pill.good >> text=Healthy")
        page.wait_for_selector("#pipeline-note >> text=arrive")
        rates = r"[\d.]+/s arrive, [\d.]+/s are scored"
        assert re.fullmatch(rf"95 % shown within [\d.]+ s; {rates}", watched.text("#pipeline-note"))
        page.click(".parts summary")
        names, words = (page.locator(f"#parts {each}").all_inner_texts() for each in ("dt", "dd"))
        assert names == ["source", "producer", "stream", "API", "trainer"]
        assert words[2].endswith("ago; 0 records wait") and words[4] == "trained 2 h ago"
        assert page.locator(".parts a").get_attribute("href") == "http://localhost:3000/"
        assert watched.errors == [] and watched.other_hosts == []
        page.close()


def test_an_empty_lake_says_what_it_waits_for(
    browser: Browser, tmp_path: Path, api: FakeApi
) -> None:
    with serving(make_services(tmp_path, api.url)) as url:
        watched = WatchedPage(browser.new_page(), url)
        page = watched.open()
        page.wait_for_selector("#pill.waiting >> text=Waiting for data")
        assert "waiting for the producer" in watched.text("#timeline-empty")
        write(tmp_path, "scored_transactions", scored(40, datetime.now(UTC), 30))
        page.wait_for_selector("#pill.good >> text=Healthy")
        assert watched.text(".badge.origin") == "simulated"
        watched.wait_for_transactions(40)
        assert watched.errors == [] and watched.other_hosts == []
        page.close()
