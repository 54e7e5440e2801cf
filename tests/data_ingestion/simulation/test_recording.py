"""A file of recorded transactions: in its order, as it is, and its first ones as history."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.simulated import transactions

from data_ingestion.simulation.chain import coinbase
from data_ingestion.simulation.recording import Replay


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


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[:40] + bytes(9) + b[49:]])
def test_a_packed_file_that_is_damaged_ends_there(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "damaged.gz"
    path.write_bytes(damage(gzip.compress("\n".join(lines(50)).encode())))
    assert len(replayed(path)) < 50
    assert "event=replay_file_cut file=damaged.gz reason=" in caplog.text


def test_a_missing_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Replay(tmp_path / "none.jsonl")


def write(path: Path, items: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def items(count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(count)]


def block(height: int, of: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A recorded block: its coinbase transaction first."""
    reward = json.loads(coinbase(height, 5, 0, Random(height)).json())
    return [item | {"block_height": height} for item in (reward, *of)]


def test_the_history_is_the_first_transactions_and_the_rest_follows(tmp_path: Path) -> None:
    recorded = items(20)
    replay = Replay(write(tmp_path / "recorded.jsonl", recorded))
    (history,) = replay.history(8, 100)
    assert history.reward is None
    hashes = [item["hash"] for item in recorded]
    assert [t.hash for t in history.transactions] == hashes[:8]
    follows = replay.next(101)
    assert follows is not None
    assert follows.hash == hashes[8]


@pytest.mark.parametrize(("lines_of_file", "taken"), [(20, 10), (7, 3), (1, 0), (0, 0)])
def test_at_most_half_of_the_file_is_history(
    tmp_path: Path, lines_of_file: int, taken: int
) -> None:
    replay = Replay(write(tmp_path / "recorded.jsonl", items(lines_of_file)))
    assert sum(len(b.transactions) for b in replay.history(3_000, 100)) == taken


def test_recorded_blocks_become_blocks_with_their_own_coinbase(tmp_path: Path) -> None:
    recorded = items(40)
    blocks = [block(700_001, recorded[:3]), block(700_002, []), block(700_003, recorded[3:])]
    replay = Replay(write(tmp_path / "recorded.jsonl", sum(blocks, [])))
    history = replay.history(10, 100)
    rewards = [b.reward.hash if b.reward else None for b in history]
    assert rewards == [b[0]["hash"] for b in blocks]
    assert [len(b.transactions) for b in history] == [3, 0, 4]


def test_the_level_multiplies_fees_and_the_inputs_carry_it(tmp_path: Path) -> None:
    recorded = items(30)
    path = write(tmp_path / "recorded.jsonl", recorded)
    replay = Replay(path, level=lambda now: 2.5 if now < 200 else 0.1)
    for number, before in enumerate(recorded):
        replayed_one = replay.next(100 if number < 15 else 200)
        assert replayed_one is not None
        after = json.loads(replayed_one.json())
        level = 2.5 if number < 15 else 0.1
        assert 0 <= after["fee"] - level * before["fee"] < 1
        assert replayed_one.fee == after["fee"]
        assert after["out"] == before["out"]
        values = [spent["prev_out"]["value"] for spent in after["inputs"]]
        assert sum(values) - sum(output["value"] for output in after["out"]) == after["fee"]
        assert min(values) >= 0


def test_a_level_of_1_changes_no_byte(tmp_path: Path) -> None:
    recorded = items(10)
    replay = Replay(write(tmp_path / "recorded.jsonl", recorded))
    for item in recorded:
        replayed_one = replay.next(5)
        assert replayed_one is not None
        assert json.loads(replayed_one.json()) == item | {"time": 5}
