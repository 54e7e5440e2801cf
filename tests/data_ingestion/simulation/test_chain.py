import json
from random import Random
from typing import Any

import pytest
from tests.support.simulated import NOW, transactions

from data_ingestion.simulation.chain import Block, Chain, coinbase, merkle_root, subsidy


def chain(history: int = 10_000) -> Chain:
    return Chain(900_000, history, Random(3))


def read(block: Block, on: Chain) -> dict[str, Any]:
    body = b"".join(block.json(on.next_hash(block), on.is_main(block)))
    item: dict[str, Any] = json.loads(body)
    return item


def test_the_merkle_root_is_that_of_a_real_block() -> None:
    """Block 170: the first payment, with its coinbase."""
    hashes = (
        "b1fea52486ce0c62bb442b530a3f0132b826c74e473d1f2c220bfa78111c5082",
        "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16",
    )
    root = "7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff"
    assert merkle_root(hashes) == root
    assert merkle_root([*hashes, hashes[0]]) == merkle_root([*hashes, hashes[0], hashes[0]])


@pytest.mark.parametrize(
    ("height", "reward"), [(0, 50 * 10**8), (209_999, 50 * 10**8), (210_000, 25 * 10**8)]
)
def test_the_subsidy_halves(height: int, reward: int) -> None:
    assert subsidy(height) == reward


def test_a_coinbase_pays_subsidy_and_fees_from_nothing() -> None:
    item = json.loads(coinbase(900_001, NOW, 12_345, Random(1)).json((900_001, NOW)))
    assert (item["fee"], len(item["inputs"])) == (0, 1)
    spent = item["inputs"][0]["prev_out"]
    assert (spent["value"], spent["n"], spent["tx_index"]) == (0, 4_294_967_295, 0)
    assert sum(output["value"] for output in item["out"]) == subsidy(900_001) + 12_345


def test_a_coinbase_weighs_what_its_scripts_do() -> None:
    item = json.loads(coinbase(900_001, NOW, 0, Random(1)).json((900_001, NOW)))
    spent = item["inputs"][0]
    base = 10 + 41 + len(spent["script"]) // 2
    base += sum(9 + len(output["script"]) // 2 for output in item["out"])
    witness = 2 + len(spent["witness"]) // 2
    assert (item["size"], item["weight"]) == (base + witness, 4 * base + witness)


def test_a_block_lists_what_it_confirms_after_its_coinbase() -> None:
    on, txs = chain(), transactions(5)
    item = read(on.extend(txs, NOW), on)
    assert [t["hash"] for t in item["tx"][1:]] == [t.hash for t in txs]
    assert item["n_tx"] == 6
    assert item["fee"] == sum(t.fee for t in txs)
    assert {t["block_height"] for t in item["tx"]} == {item["height"]} == {900_001}
    assert item["mrkl_root"] == merkle_root([t["hash"] for t in item["tx"]])
    assert list(item) == [
        "hash", "ver", "prev_block", "mrkl_root", "time", "bits", "next_block", "fee", "nonce",
        "n_tx", "size", "block_index", "main_chain", "height", "weight", "tx",
    ]  # fmt: skip


def test_blocks_name_the_one_before_and_the_one_after() -> None:
    on = chain()
    blocks = [on.extend(transactions(1, n), NOW + n) for n in range(3)]
    items = [read(block, on) for block in blocks]
    assert [item["prev_block"] for item in items[1:]] == [block.hash for block in blocks[:2]]
    assert [item["next_block"] for item in items] == [[blocks[1].hash], [blocks[2].hash], []]


def test_blocks_are_found_by_hash_and_height_only() -> None:
    on = chain()
    block = on.extend([], NOW)
    assert on.find(block.hash) is on.find("900001") is block
    assert [on.find(text) for text in ("900000", "900002", "", "-1", "²", "9" * 70)] == [None] * 6


def test_an_orphan_is_still_found_by_its_hash() -> None:
    on = chain()
    on.extend([], NOW)
    orphan = on.extend([], NOW)
    assert on.fork(1) == [orphan]
    rival, child = on.extend([], NOW + 1), on.extend([], NOW + 2)
    assert (on.find(orphan.hash), on.find("900002")) == (orphan, rival)
    assert read(orphan, on)["main_chain"] is False
    assert read(rival, on)["main_chain"] is True
    assert read(orphan, on)["next_block"] == []
    assert read(rival, on)["next_block"] == [child.hash]


def test_the_first_block_is_never_forked_off() -> None:
    on = chain()
    first = on.extend([], NOW)
    on.extend([], NOW)
    assert len(on.fork(9)) == 1
    assert list(on.main) == [first]


def test_memory_is_bounded_by_the_history() -> None:
    on = chain(history=1_000)
    blocks = [on.extend(transactions(99, n), NOW + n) for n in range(15)]
    assert sum(len(block.transactions) for block in on.main) <= 1_000
    assert on.find(blocks[0].hash) is None
    assert on.find(str(blocks[-10].height)) is blocks[-10]


def test_the_newest_blocks_stay_however_large() -> None:
    on = chain(history=10)
    blocks = [on.extend(transactions(20, n), NOW + n) for n in range(5)]
    assert list(on.main) == blocks[-3:]
