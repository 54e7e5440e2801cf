import gzip
import json
from pathlib import Path

import pytest

from data_ingestion.simulation.emitted import from_item, tx_index


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


def test_a_time_that_is_known_is_kept() -> None:
    item = {"hash": "ab", "time": 1_700_000_000, "inputs": [], "out": []}
    assert from_item(item, 5).time == 1_700_000_000
    assert from_item(item | {"time": None}, 5).time == 5


def test_an_item_without_outputs_is_refused() -> None:
    with pytest.raises(KeyError):
        from_item({"hash": "ab", "inputs": []}, 5)
