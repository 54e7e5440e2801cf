"""The network lives by the times it is told: nothing here waits."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.network import Network

NOW = 1_800_000_000.0
NetworkOf = Callable[..., Network]


def mined(network: Network) -> set[str]:
    hashes: list[str] = network.truth.report()["mined"]
    assert len(hashes) == len(set(hashes)), "mined once"
    return set(hashes)


def recording(path: Path, network: Network, count: int) -> list[str]:
    """Write the network's next transactions as a file to replay; the hashes in their order."""
    network.burst(count, NOW)
    items = [json.loads(t.json()) | {"time": None} for t in network.waiting.values()]
    lines = "".join(json.dumps(item) + "\n" for item in items).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return [item["hash"] for item in items]


def test_it_starts_with_a_block_of_history(network_of: NetworkOf) -> None:
    network = network_of(simulator_first_block=1_000)
    assert len(network.chain.main[-1].transactions) == 1_001
    assert network.waiting == {}


def test_a_later_start_begins_higher_than_an_earlier_one_ended(network_of: NetworkOf) -> None:
    network = network_of()
    before = network.chain.height
    network.advance(NOW + 30)
    assert before > 1_000_000
    assert network.chain.height == before, "a block every 75 seconds at most"


def test_transactions_arrive_at_the_rate_that_is_set(network_of: NetworkOf) -> None:
    network = network_of(simulator_rate=20, simulator_block_seconds=1_000)
    for second in range(200):
        network.advance(NOW + second)
    arrived = len(network.truth.report()["emitted"]) - 50
    assert 0.75 * 4_000 < arrived < 1.25 * 4_000


def test_more_arrive_at_the_days_peak_than_at_night(network_of: NetworkOf) -> None:
    network, counts = network_of(simulator_rate=30), []
    for hour in (24 + 3, 24 + 15):  # 03:00 and 15:00 UTC of the next day; a minute of traffic each
        before = len(network.truth.report()["emitted"])
        network.advance(NOW - NOW % 86_400 + hour * 3_600)
        counts.append(len(network.truth.report()["emitted"]) - before)
    assert 1.3 < counts[1] / counts[0] < 1.7, "1.2 times the mean against 0.8 times"


def test_the_same_seed_and_clock_repeat_the_same_network(network_of: NetworkOf) -> None:
    reports = []
    for steps in (50, 10):
        network = network_of(seed=8, simulator_block_seconds=20)
        for step in range(1, steps + 1):
            network.advance(NOW + step * 50 / steps)
        reports.append(network.truth.report()["emitted"][:300])
    assert reports[0] == reports[1]


def test_everything_that_was_emitted_is_mined_or_waits_or_was_replaced(
    network_of: NetworkOf,
) -> None:
    network = network_of(simulator_rate=50, simulator_block_seconds=5)
    for second in range(60):
        network.advance(NOW + second)
        if second % 20 == 10:
            network.burst(400, NOW + second)
    report = network.truth.report()
    assert len(report["replaced"]) > 3
    assert len(report["blocks"]) > 8
    known = mined(network) | set(network.waiting) | set(report["replaced"])
    assert set(report["emitted"]) <= known
    assert not mined(network) & set(report["replaced"])


def test_a_full_block_is_mined_at_once(network_of: NetworkOf) -> None:
    network = network_of(simulator_block_transactions=100)
    network.burst(100, NOW)
    network.advance(NOW)
    assert len(network.waiting) < 2
    assert len(network.chain.main[-1].transactions) == 101


def test_the_highest_fee_rate_is_mined_first(network_of: NetworkOf) -> None:
    network = network_of()
    network.burst(50, NOW)
    rates = [t.fee / t.weight for t in network.mine(NOW).transactions[1:]]
    assert rates == sorted(rates, reverse=True)


def test_the_newest_come_first(network_of: NetworkOf) -> None:
    network = network_of()
    network.burst(5, NOW)
    network.inject("zero_fee", NOW)
    newest = network.newest(3)
    assert newest[0].origin == "zero_fee"
    assert [t.hash for t in newest] == list(network.waiting)[:-4:-1]
    assert len(network.newest(100)) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_an_injected_anomaly_is_labelled(network_of: NetworkOf, kind: str) -> None:
    network = network_of()
    name = network.inject(kind, NOW).hash
    assert network.truth.report()["injected"] == {name: kind}
    assert name in network.waiting


def test_a_replaced_transaction_is_marked_and_never_mined(network_of: NetworkOf) -> None:
    network = network_of(simulator_block_seconds=1_000, simulator_rate=50)
    for second in range(1, 60):
        network.advance(NOW + second)
    old, new = next(iter(network.truth.report()["replaced"].items()))
    found = network.find(old)
    assert found is not None
    assert json.loads(found[0].json())["double_spend"] is True
    assert old not in network.waiting
    assert network.find(new) is not None


def test_what_was_there_before_the_last_block_is_not_replaced(network_of: NetworkOf) -> None:
    network = network_of()
    for second in range(100):
        network.mine(NOW + second)
        network.reorganise(1, NOW + second)
        network.burst(20, NOW + second)
    assert network.truth.report()["replaced"] == {}


def test_no_coin_is_spent_twice_but_by_a_replacement(network_of: NetworkOf) -> None:
    network = network_of(simulator_first_block=2_000)
    coins = [
        (spent["prev_out"]["tx_index"], spent["prev_out"]["n"])
        for transaction in network.chain.main[-1].transactions[1:]
        for spent in json.loads(transaction.json())["inputs"]
    ]
    assert len(coins) == len(set(coins))


def test_a_reorganisation_loses_nothing_and_says_what_it_orphaned(network_of: NetworkOf) -> None:
    network = network_of()
    for round_ in range(3):
        network.burst(100, NOW + round_)
        network.mine(NOW + round_)
    height, before = network.chain.height, mined(network)
    branch = network.reorganise(2, NOW + 4)
    assert [block.height for block in branch] == [height - 1, height, height + 1]
    orphans = [b for b in network.truth.report()["blocks"] if not b["main_chain"]]
    assert [block["height"] for block in orphans] == [height - 1, height]
    coinbases = {block["hashes"][0] for block in orphans}
    assert before - coinbases <= mined(network) | set(network.waiting)
    assert 0 < len(network.waiting) < 40, "some of the orphaned wait again"


def test_time_that_passed_in_sleep_is_not_made_up_for(network_of: NetworkOf) -> None:
    network = network_of()
    network.advance(NOW + 86_400)
    assert 50 < len(network.truth.report()["emitted"]) < 1_000


@pytest.mark.parametrize("name", ["recorded.jsonl", "recorded.jsonl.gz"])
def test_a_replayed_file_is_mined_to_its_last_transaction(
    network_of: NetworkOf, tmp_path: Path, name: str
) -> None:
    hashes = recording(tmp_path / name, network_of(seed=2), 300)
    network = network_of(simulator_replay=tmp_path / name, simulator_rate=200)
    for second in range(1, 10):
        network.advance(NOW + second)
    assert network.ended
    assert set(hashes) <= mined(network)
    assert network.truth.report()["emitted"][50:] == hashes
    blocks = len(network.chain.main)
    network.advance(NOW + 10_000)
    assert len(network.chain.main) == blocks, "nothing is left, no empty block follows"


def test_a_file_that_is_not_there_is_said_at_the_start(
    network_of: NetworkOf, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        network_of(simulator_replay=tmp_path / "none.jsonl")


def test_the_recorded_month_is_mined_whole(network_of: NetworkOf, sample: Path) -> None:
    network = network_of(simulator_replay=sample / "mempool_2024.jsonl.gz", simulator_rate=5_000)
    for second in range(1, 10):
        network.advance(NOW + second)
    assert len(mined(network)) == 50 + 8_131 + len(network.chain.main)
