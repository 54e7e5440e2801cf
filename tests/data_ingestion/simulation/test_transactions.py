import gzip
import json
from pathlib import Path
from random import Random

import pytest
from tests.support.simulated import NOW, transactions

from data_ingestion.simulation.drafts import TransactionGenerator
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.transactions import Replay, from_item, replacement, tx_index


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


def lines(count: int) -> list[str]:
    """Transactions as they are recorded: without a time."""
    return [json.dumps(json.loads(t.json()) | {"time": None}) for t in transactions(count)]


def replayed(path: Path) -> list[tuple[str, int]]:
    replay, received, now = Replay(path), [], 100
    while (transaction := replay.next(now)) is not None:
        received.append((transaction.hash, transaction.time))
        now += 1
    return received


@pytest.mark.parametrize("name", ["recorded.jsonl", "recorded.jsonl.gz"])
def test_a_file_is_replayed_in_its_order_at_the_time_of_arrival(tmp_path: Path, name: str) -> None:
    recorded = lines(20)
    body = "\n".join(recorded).encode()
    (tmp_path / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    hashes = [json.loads(line)["hash"] for line in recorded]
    assert replayed(tmp_path / name) == [(h, 100 + n) for n, h in enumerate(hashes)]


def test_after_its_end_there_is_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "recorded.jsonl").write_text(lines(1)[0])
    replay = Replay(tmp_path / "recorded.jsonl")
    assert replay.next(1) is not None
    assert [replay.next(1), replay.next(1)] == [None, None]


def test_a_line_that_is_no_transaction_is_skipped_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = lines(2)
    wrong = ["{", "", "[1]", '{"hash":"ab"}', "null"]
    (tmp_path / "recorded.jsonl").write_text("\n".join([good[0], *wrong, good[1]]))
    assert len(replayed(tmp_path / "recorded.jsonl")) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"event=replay_line_skipped file=recorded.jsonl line={n}" for n in range(2, 7)
    ]


def test_a_missing_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Replay(tmp_path / "none.jsonl")
