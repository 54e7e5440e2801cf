import gzip
import json
from pathlib import Path
from random import Random

import pytest

from data_ingestion.simulation.generated import Generated
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.replay import Replay


def lines(count: int) -> list[str]:
    """Transactions as they are recorded: without a time."""
    rng, source = Random(1), Generated(1, 0)
    made = [json.loads(render(source.draft(1.8e9), 1, 1, rng).json()) for _ in range(count)]
    return [json.dumps(item | {"time": None}) for item in made]


def replayed(path: Path) -> list[tuple[str, int]]:
    source, found, now = Replay(path), [], 100
    while (transaction := source.next(now)) is not None:
        found.append((transaction.hash, transaction.time))
        now += 1
    return found


@pytest.mark.parametrize("name", ["recorded.jsonl", "recorded.jsonl.gz"])
def test_a_file_is_replayed_in_its_order_at_the_time_of_arrival(tmp_path: Path, name: str) -> None:
    recorded = lines(20)
    body = "\n".join(recorded).encode()
    (tmp_path / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    hashes = [json.loads(line)["hash"] for line in recorded]
    assert replayed(tmp_path / name) == [(h, 100 + n) for n, h in enumerate(hashes)]


def test_after_its_end_there_is_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "recorded.jsonl").write_text(lines(1)[0])
    source = Replay(tmp_path / "recorded.jsonl")
    assert source.next(1) is not None
    assert [source.next(1), source.next(1)] == [None, None]


def test_a_line_that_is_no_transaction_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = lines(2)
    wrong = ["{", "", "[1]", '{"hash":"ab"}', "null"]
    (tmp_path / "recorded.jsonl").write_text("\n".join([good[0], *wrong, good[1]]))
    assert len(replayed(tmp_path / "recorded.jsonl")) == 2
    assert [record.getMessage()[-6:] for record in caplog.records] == [
        f"line={n}" for n in range(2, 7)
    ]


def test_a_file_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Replay(tmp_path / "none.jsonl")
