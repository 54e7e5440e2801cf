import gzip
import json
from pathlib import Path
from random import Random

import pytest
from tests.support.simulated import NOW, transactions

from core.transaction import tx_index
from data_ingestion.simulation.drafts import TransactionGenerator
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.transactions import from_item, replacement


def test_the_index_is_that_of_every_recorded_transaction(sample: Path) -> None:
    with gzip.open(sample / "mempool_2024.jsonl.gz", "rt") as lines:
        for line, _ in zip(lines, range(300), strict=False):
            item = json.loads(line)
            assert tx_index(item["hash"]) == item["tx_index"]


def test_a_recorded_transaction_comes_out_as_it_went_in(sample: Path) -> None:
    with gzip.open(sample / "mempool_2024.jsonl.gz", "rt") as lines:
        for line, _ in zip(lines, range(300), strict=False):
            item = json.loads(line)
            assert json.loads(from_item(item, 5).json()) == item | {"time": 5}


def test_a_recorded_time_is_kept() -> None:
    item = {"hash": "ab", "time": 1_700_000_000, "inputs": [], "out": []}
    assert from_item(item, 5).time == 1_700_000_000
    assert from_item(item | {"time": None}, 5).time == 5


def test_an_item_without_outputs_is_refused() -> None:
    with pytest.raises(KeyError):
        from_item({"hash": "ab", "inputs": []}, 5)


def test_a_replacement_spends_the_same_coins_and_pays_more() -> None:
    rng, replaced = Random(1), 0
    for old in transactions(100):
        new = replacement(old, NOW + 60, rng)
        if new is None:
            continue
        replaced += 1
        before, after = json.loads(old.json()), json.loads(new.json())
        assert after["hash"] != before["hash"]
        assert after["fee"] > before["fee"]
        coins = [
            [(i["prev_out"]["tx_index"], i["prev_out"]["n"]) for i in item["inputs"]]
            for item in (before, after)
        ]
        assert coins[0] == coins[1]
        spent = sum(i["prev_out"]["value"] for i in after["inputs"])
        assert spent - sum(o["value"] for o in after["out"]) == after["fee"] == new.fee
        assert {o["tx_index"] for o in after["out"]} == {after["tx_index"]}
    assert replaced > 30


def test_an_output_that_cannot_afford_the_fee_is_not_replaced() -> None:
    generator, rng = TransactionGenerator(1, 0), Random(1)
    drafts = (generator.draft(NOW) for _ in range(200))
    poor = next(d for d in drafts if d.behaviour.name == "token transfer")
    assert replacement(render(poor, 1, 1, rng), 2, rng) is None


def test_a_replacement_in_a_quiet_market_pays_what_relaying_costs_not_a_satoshi_a_byte() -> None:
    rng = Random(1)
    old = next(t for t in transactions(50) if t.weight < 600 and replacement(t, NOW, rng))
    item = json.loads(old.json())
    item["inputs"][0]["prev_out"]["value"] -= old.fee - 70
    quiet = from_item(item | {"fee": 70}, NOW)
    raises = [new.fee - 70 for _ in range(200) if (new := replacement(quiet, NOW, rng))]
    assert min(raises) >= 0.3 * 70 + old.weight / 40 - 1
    assert max(raises) <= 2 * 70 + old.weight / 40 + 1
