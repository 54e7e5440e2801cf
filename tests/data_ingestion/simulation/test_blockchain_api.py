import json
from collections.abc import Callable
from typing import Any

import pytest

from data_ingestion.simulation.answers import Answer, Manner
from data_ingestion.simulation.blockchain_api import PAGE_LENGTH, BlockchainApi
from data_ingestion.simulation.faults import CANNED, PAGE, Fault
from data_ingestion.simulation.network import Network

NOW = 1_800_000_000.0


@pytest.fixture
def network(network_of: Callable[..., Network]) -> Network:
    made = network_of()
    made.burst(150, NOW)
    return made


@pytest.fixture
def api(network: Network) -> BlockchainApi:
    return BlockchainApi(network)


def read(answer: Answer) -> Any:
    assert answer.content_type.startswith("application/json")
    return json.loads(answer.body)


def struck(api: BlockchainApi, name: str, path: str = PAGE, **how: Any) -> Answer:
    return api.answer(path, Fault(name=name, **how), NOW)


def test_a_page_holds_the_newest_hundred(api: BlockchainApi, network: Network) -> None:
    txs = read(api.answer(PAGE, None, NOW))["txs"]
    assert [t["hash"] for t in txs] == [t.hash for t in network.newest(PAGE_LENGTH)]
    assert {t["block_height"] for t in txs} == {None}


def test_the_latest_block_leads_to_its_transactions(api: BlockchainApi, network: Network) -> None:
    latest = read(api.answer("/latestblock", None, NOW))
    assert list(latest) == ["hash", "time", "block_index", "height", "txIndexes"]
    for name in (latest["hash"], latest["height"]):
        block = read(api.answer(f"/rawblock/{name}", None, NOW))
        assert [t["tx_index"] for t in block["tx"]] == latest["txIndexes"]


def test_a_transaction_is_found_before_and_after_it_is_mined(
    api: BlockchainApi, network: Network
) -> None:
    name = network.newest(1)[0].hash
    assert read(api.answer(f"/rawtx/{name}", None, NOW))["block_height"] is None
    block = network.mine(NOW)
    assert read(api.answer(f"/rawtx/{name}", None, NOW))["block_height"] == block.height


@pytest.mark.parametrize("path", ["/", "/rawtx/", "/rawtx/ab", "/rawblock/1", "/charts", "/rawtx"])
def test_what_is_unknown_is_a_404_in_the_sources_words(api: BlockchainApi, path: str) -> None:
    answer = api.answer(path, None, NOW)
    assert answer.status == 404
    assert read(answer)["error"] == "not-found-or-invalid-arg"


@pytest.mark.parametrize("name", CANNED)
def test_a_bad_day_has_the_reported_answers(api: BlockchainApi, name: str) -> None:
    answer = struck(api, name, retry_after=7)
    assert (answer.status, answer.body) == (CANNED[name].status, CANNED[name].body)
    assert answer.retry_after == 7
    assert ("html" in answer.content_type) == (
        name not in ("too-many-requests-text", "server-error")
    )


def test_an_empty_page_is_empty(api: BlockchainApi) -> None:
    assert read(struck(api, "empty-page")) == {"txs": []}


def test_a_repeated_page_is_the_one_before(api: BlockchainApi, network: Network) -> None:
    before = api.answer(PAGE, None, NOW)
    network.burst(10, NOW)
    assert struck(api, "repeated-page").body == before.body
    assert api.answer(PAGE, None, NOW).body != before.body


@pytest.mark.parametrize("path", [PAGE, "/latestblock", "/rawblock"])
def test_a_changed_schema_lacks_what_a_client_looks_for(
    api: BlockchainApi, network: Network, path: str
) -> None:
    target = f"{path}/{network.chain.height}" if path == "/rawblock" else path
    right, wrong = read(api.answer(target, None, NOW)), read(struck(api, "changed-schema", target))
    wanted = {PAGE: "txs", "/latestblock": "hash", "/rawblock": "tx"}[path]
    assert wanted in right
    assert wanted not in wrong


def test_changed_items_cannot_become_transactions(api: BlockchainApi) -> None:
    for item in read(struck(api, "changed-items"))["txs"]:
        assert "hash" not in item
        assert "size" not in item
        assert "txid" in item


def test_a_burst_outgrows_the_page(api: BlockchainApi, network: Network) -> None:
    known = set(network.waiting)
    txs = read(struck(api, "burst", size=400))["txs"]
    assert not known & {t["hash"] for t in txs}
    assert len(set(network.waiting) - known) >= 400 - PAGE_LENGTH


def test_a_reorganisation_changes_the_newest_block(api: BlockchainApi, network: Network) -> None:
    for _ in range(3):
        network.mine(NOW)
    before = network.chain.main[-1]
    latest = read(struck(api, "reorganisation", "/latestblock"))
    assert latest["height"] == before.height + 1
    assert not network.chain.is_main(before)


@pytest.mark.parametrize("name", ["slow", "truncated", "timeout"])
def test_a_bad_delivery_is_of_the_right_answer(api: BlockchainApi, name: str) -> None:
    answer = struck(api, name, seconds=3)
    assert answer.manner is Manner(name)
    assert answer.seconds == 3
    assert len(read(answer)["txs"]) == PAGE_LENGTH
