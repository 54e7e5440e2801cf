import json
from typing import Any

import pytest
from tests.support.simulated import NOW, small_network

from data_ingestion.simulation.blockchain_api import PAGE_LENGTH, BlockchainApi
from data_ingestion.simulation.faults import CANNED, PAGE, Fault
from data_ingestion.simulation.http_server import Answer, Delivery
from data_ingestion.simulation.network import Network


@pytest.fixture
def network() -> Network:
    network = small_network()
    network.burst(150, NOW)
    return network


@pytest.fixture
def api(network: Network) -> BlockchainApi:
    return BlockchainApi(network)


def read(answer: Answer) -> Any:
    assert answer.content_type.startswith("application/json")
    return json.loads(answer.body)


def faulty(api: BlockchainApi, name: str, path: str = PAGE, **options: Any) -> Answer:
    return api.answer(path, Fault(name=name, **options), NOW)


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
def test_an_unknown_path_is_the_apis_404(api: BlockchainApi, path: str) -> None:
    body = b'{"error":"not-found-or-invalid-arg","message":"Item not found or argument invalid"}'
    answer = api.answer(path, None, NOW)
    assert (answer.status, answer.body) == (404, body)


@pytest.mark.parametrize("name", CANNED)
def test_a_canned_fault_has_the_reported_answer(api: BlockchainApi, name: str) -> None:
    answer = faulty(api, name, retry_after=7)
    assert (answer.status, answer.body) == (CANNED[name].status, CANNED[name].body)
    assert answer.retry_after == 7
    assert ("html" in answer.content_type) == (
        name not in ("too-many-requests-text", "server-error")
    )


def test_an_empty_page_is_empty(api: BlockchainApi) -> None:
    assert read(faulty(api, "empty-page")) == {"txs": []}


def test_a_repeated_page_is_the_one_before(api: BlockchainApi, network: Network) -> None:
    before = api.answer(PAGE, None, NOW)
    network.burst(10, NOW)
    assert faulty(api, "repeated-page").body == before.body
    assert api.answer(PAGE, None, NOW).body != before.body


@pytest.mark.parametrize("path", [PAGE, "/latestblock", "/rawblock"])
def test_a_changed_schema_lacks_what_a_client_looks_for(
    api: BlockchainApi, network: Network, path: str
) -> None:
    target = f"{path}/{network.chain.height}" if path == "/rawblock" else path
    right, wrong = read(api.answer(target, None, NOW)), read(faulty(api, "changed-schema", target))
    wanted = {PAGE: "txs", "/latestblock": "hash", "/rawblock": "tx"}[path]
    assert wanted in right
    assert wanted not in wrong


def test_changed_items_cannot_become_transactions(api: BlockchainApi) -> None:
    for item in read(faulty(api, "changed-items"))["txs"]:
        assert "hash" not in item
        assert "size" not in item
        assert "txid" in item


def test_a_burst_outgrows_the_page(api: BlockchainApi, network: Network) -> None:
    before = set(network.waiting)
    txs = read(faulty(api, "burst", size=400))["txs"]
    assert not before & {t["hash"] for t in txs}
    assert len(set(network.waiting) - before) >= 400 - PAGE_LENGTH


def test_a_reorganisation_changes_the_newest_block(api: BlockchainApi, network: Network) -> None:
    for _ in range(3):
        network.mine(NOW)
    before = network.chain.main[-1]
    latest = read(faulty(api, "reorganisation", "/latestblock"))
    assert latest["height"] == before.height + 1
    assert not network.chain.is_main(before)


@pytest.mark.parametrize("name", ["slow", "truncated", "timeout"])
def test_a_bad_delivery_is_of_the_right_answer(api: BlockchainApi, name: str) -> None:
    answer = faulty(api, name, seconds=3)
    assert answer.delivery is Delivery(name)
    assert answer.seconds == 3
    assert len(read(answer)["txs"]) == PAGE_LENGTH
