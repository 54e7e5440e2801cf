"""The JSON must be the API's and must agree with itself, however odd the numbers."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.simulated import NOW, transactions

from core.blockchain_json.describe import describe
from core.detector.injected_anomalies import KINDS
from core.ordinary_traffic.behaviours import BEHAVIOURS
from core.transaction import tx_index
from data_ingestion.simulation.drafts import Draft, TransactionGenerator
from data_ingestion.simulation.rendering import LEAST_PRICE, random_hex, render

KEYS = [
    "hash", "ver", "vin_sz", "vout_sz", "size", "weight", "fee", "relayed_by", "lock_time",
    "tx_index", "double_spend", "time", "block_index", "block_height", "inputs", "out",
]  # fmt: skip


def rendered(draft: Draft, seed: int = 1) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(render(draft, NOW, 900_000, Random(seed)).json())
    return item


def measured(item: dict[str, Any]) -> tuple[int, int]:
    """Size and weight of the transaction, counted from its scripts as BIP 144 serialises them."""
    base = 10 + sum(2 for side in ("inputs", "out") if len(item[side]) > 252)
    base += sum(41 + len(i["script"]) // 2 for i in item["inputs"])
    scripts = [len(o["script"]) // 2 for o in item["out"]]
    base += sum(8 + (1 if length < 253 else 3) + length for length in scripts)
    witness = sum(len(i["witness"]) // 2 for i in item["inputs"])
    witness += 2 if witness else 0
    return base + witness, 4 * base + witness


def drafts(count: int) -> list[Draft]:
    generator = TransactionGenerator(seed=7, anomaly_every=0)
    return [generator.draft(NOW) for _ in range(count)]


def test_scripts_and_values_add_up_to_the_numbers_of_every_behaviour() -> None:
    seen = set()
    for draft in drafts(1_500):
        item = rendered(draft)
        spent = sum(i["prev_out"]["value"] for i in item["inputs"])
        paid = sum(o["value"] for o in item["out"])
        counted = (*measured(item), spent - paid, len(item["inputs"]), len(item["out"]))
        assert (*counted, spent, paid) == draft.numbers
        seen.add(draft.behaviour.name)
    assert {each.name for each in BEHAVIOURS if each.coinjoin is None} <= seen


def test_a_share_of_larger_payments_sells_a_token() -> None:
    larger = [d for d in drafts(3_000) if d.behaviour.sales and d.numbers[6] >= LEAST_PRICE]
    described = [describe(json.dumps(rendered(d, n)).encode()) for n, d in enumerate(larger)]
    share = sum(bool(each.token_sale) for each in described) / len(described)
    assert share == pytest.approx(larger[0].behaviour.sales, abs=0.06)
    others = [d for d in drafts(3_000) if not d.behaviour.sales]
    assert not any(describe(json.dumps(rendered(d)).encode()).token_sale for d in others)


@pytest.mark.parametrize("kind", KINDS)
def test_an_injected_anomaly_keeps_its_numbers_in_json(kind: str) -> None:
    draft = TransactionGenerator(seed=3, anomaly_every=0).anomaly(kind, NOW)
    item = rendered(draft)
    spent = [i["prev_out"]["value"] for i in item["inputs"]]
    paid = [o["value"] for o in item["out"]]
    named = (item["size"], item["weight"], item["fee"], item["vin_sz"], item["vout_sz"])
    assert (*named, sum(spent), sum(paid)) == draft.numbers
    assert (len(spent), len(paid)) == draft.numbers[3:5]
    assert min(spent + paid) >= 0


def test_the_keys_are_the_apis_in_its_order() -> None:
    signalling = next(t for t in map(rendered, drafts(50)) if "rbf" in t)
    assert list(signalling) == [*KEYS, "rbf"]
    assert list(signalling["inputs"][0]) == ["sequence", "witness", "script", "index", "prev_out"]
    assert set(signalling["out"][0]) == {
        "type", "spent", "value", "spending_outpoints", "n", "tx_index", "script", "addr",
    }  # fmt: skip


def test_the_shape_is_that_of_a_captured_answer(sample: Path) -> None:
    captured = sample / "blockchain_info" / "unconfirmed-transactions_2022-12-02_first3.json"
    real = json.loads(captured.read_text())["txs"][0]
    ours = next(t for t in map(rendered, drafts(50)) if "rbf" in t)
    assert [key for key in real if key != "rbf"] == KEYS
    assert {k: type(v) for k, v in real.items()} == {k: type(v) for k, v in ours.items()}
    for side, inner in (("inputs", "prev_out"), ("out", None)):
        theirs, mine = real[side][0], ours[side][0]
        assert set(theirs) == set(mine)
        if inner:
            assert set(theirs[inner]) == set(mine[inner])


def test_data_of_every_length_is_one_push_that_is_told_as_data() -> None:
    lengths = set()
    for draft in drafts(6_000):
        if draft.data_bytes:
            described = describe(render(draft, NOW, 900_000, Random(1)).json())
            assert described.op_return and described.burned_value == 0
            lengths.add((described.data_bytes or 0) - draft.data_bytes)
    assert lengths == {2, 3, 4}, "up to 75 bytes, to 255, and longer, since Bitcoin Core 30.0"


def test_replaceability_is_signalled_by_the_sequence() -> None:
    for item in map(rendered, drafts(100)):
        signals = any(spent["sequence"] < 0xFFFFFFFE for spent in item["inputs"])
        assert signals == item.get("rbf", False)


def test_a_confirmed_transaction_bears_its_blocks_height_and_time() -> None:
    signalling = next(transaction for transaction in transactions(20) if transaction.rbf)
    item = json.loads(signalling.json((900_001, NOW + 60)))
    assert (item["block_height"], item["block_index"]) == (900_001, 900_001)
    assert item["time"] == NOW + 60
    assert "rbf" not in item


def test_the_index_of_outputs_is_that_of_their_transaction() -> None:
    for item in map(rendered, drafts(50)):
        assert item["tx_index"] == tx_index(item["hash"])
        assert {output["tx_index"] for output in item["out"]} == {item["tx_index"]}
        assert [output["n"] for output in item["out"]] == list(range(len(item["out"])))


def test_random_hex_has_the_length_asked_for() -> None:
    assert [len(random_hex(n, Random(1))) for n in (-1, 0, 1, 519, 520, 521, 5_000)] == [
        0, 0, 2, 1_038, 1_040, 1_042, 10_000,
    ]  # fmt: skip
