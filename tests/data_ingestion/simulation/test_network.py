"""The network follows the times passed to it: nothing here waits."""

import gzip
import json
import logging
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from tests.support.simulated import NOW, small_network

from core.detector.injected_anomalies import KINDS
from core.ordinary_traffic.market_paths import from_rate
from data_ingestion.simulation.network import Network


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


def test_it_starts_with_a_block_of_history() -> None:
    network = small_network(simulator_first_block=1_000)
    assert len(network.chain.main[-1].transactions) == 1_001
    assert network.waiting == {}


def test_a_later_start_begins_higher_than_an_earlier_one_ended() -> None:
    network = small_network()
    before = network.chain.height
    network.advance(NOW + 30)
    assert before > 1_000_000
    assert network.chain.height == before, "a block every 75 seconds at most"


def test_transactions_arrive_at_the_rate_that_is_set() -> None:
    network = small_network(simulator_rate=20, simulator_block_seconds=1_000)
    for second in range(200):
        network.advance(NOW + second)
    arrived = len(network.truth.report()["emitted"]) - 50
    assert 0.75 * 4_000 < arrived < 1.25 * 4_000


def test_more_arrive_at_the_days_peak_than_at_night() -> None:
    network, counts = small_network(simulator_rate=30), []
    for hour in (24 + 3, 24 + 15):  # 03:00 and 15:00 UTC of the next day; a minute of traffic each
        before = len(network.truth.report()["emitted"])
        network.advance(NOW - NOW % 86_400 + hour * 3_600)
        counts.append(len(network.truth.report()["emitted"]) - before)
    assert 1.3 < counts[1] / counts[0] < 1.7, "1.2 times the mean against 0.8 times"


def test_the_same_seed_and_clock_repeat_the_same_network() -> None:
    reports = []
    for steps in (50, 10):
        network = small_network(seed=8, simulator_block_seconds=20)
        for step in range(1, steps + 1):
            network.advance(NOW + step * 50 / steps)
        reports.append(network.truth.report()["emitted"][:300])
    assert reports[0] == reports[1]


def test_everything_that_was_emitted_is_mined_or_waits_or_was_replaced() -> None:
    network = small_network(simulator_rate=50, simulator_block_seconds=5)
    for second in range(60):
        network.advance(NOW + second)
        if second % 20 == 10:
            network.burst(400, NOW + second)
    report = network.truth.report()
    assert len(report["replaced"]) > 3
    assert len(report["blocks"]) > 8
    accounted = mined(network) | set(network.waiting) | set(report["replaced"])
    assert set(report["emitted"]) <= accounted
    assert not mined(network) & set(report["replaced"])


def test_a_package_is_mined_at_the_fee_rate_of_both_the_parent_first() -> None:
    network = small_network(simulator_first_block=10_000)
    mined_ones = network.chain.main[-1].transactions
    places = [n for n, t in enumerate(mined_ones) if t.origin == "package"]
    assert 2 <= len(places) <= 40
    for parent, child in zip(places[::2], places[1::2], strict=True):
        assert child == parent + 1 and mined_ones[parent].fee == 0 < mined_ones[child].fee
    rates = [t.fee_rate for t in mined_ones[1:]]
    assert rates == sorted(rates, reverse=True)


def test_what_signals_nothing_is_replaced_too() -> None:
    network = small_network(simulator_block_seconds=1_000, simulator_rate=50)
    for second in range(1, 120):
        network.advance(NOW + second)
    located = [network.find(old) for old in network.truth.report()["replaced"]]
    assert {found[0].rbf for found in located if found is not None} == {True, False}


def test_a_full_block_is_mined_at_once() -> None:
    network = small_network(simulator_block_transactions=100)
    network.burst(100, NOW)
    network.advance(NOW)
    assert len(network.waiting) < 2
    assert len(network.chain.main[-1].transactions) == 101


def test_the_highest_fee_rate_is_mined_first() -> None:
    network = small_network()
    network.burst(50, NOW)
    rates = [t.fee / t.weight for t in network.mine(NOW).transactions[1:]]
    assert rates == sorted(rates, reverse=True)


def test_the_newest_come_first() -> None:
    network = small_network()
    network.burst(5, NOW)
    network.inject("zero_fee", NOW)
    newest = network.newest(3)
    assert newest[0].origin == "zero_fee"
    assert [t.hash for t in newest] == list(network.waiting)[:-4:-1]
    assert len(network.newest(100)) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_an_injected_anomaly_is_labelled(kind: str) -> None:
    network = small_network()
    name = network.inject(kind, NOW).hash
    assert network.truth.report()["injected"] == {name: kind}
    assert name in network.waiting


def test_a_replaced_transaction_is_marked_and_never_mined() -> None:
    network = small_network(simulator_block_seconds=1_000, simulator_rate=50)
    for second in range(1, 60):
        network.advance(NOW + second)
    old, new = next(iter(network.truth.report()["replaced"].items()))
    located = network.find(old)
    assert located is not None
    assert json.loads(located[0].json())["double_spend"] is True
    assert old not in network.waiting
    assert network.find(new) is not None


def test_what_was_there_before_the_last_block_is_not_replaced() -> None:
    network = small_network()
    for second in range(100):
        network.mine(NOW + second)
        network.reorganise(1, NOW + second)
        network.burst(20, NOW + second)
    assert network.truth.report()["replaced"] == {}


def test_no_coin_is_spent_twice_but_by_a_replacement() -> None:
    network = small_network(simulator_first_block=2_000)
    coins = [
        (spent["prev_out"]["tx_index"], spent["prev_out"]["n"])
        for transaction in network.chain.main[-1].transactions[1:]
        for spent in json.loads(transaction.json())["inputs"]
    ]
    assert len(coins) == len(set(coins))


def test_a_reorganisation_loses_nothing_and_records_the_orphans() -> None:
    network = small_network()
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


def test_time_that_passed_in_sleep_is_not_made_up_for() -> None:
    network = small_network()
    network.advance(NOW + 86_400)
    assert 50 < len(network.truth.report()["emitted"]) < 1_000


@pytest.mark.parametrize("name", ["recorded.jsonl", "recorded.jsonl.gz"])
def test_a_replayed_file_is_mined_to_its_last_transaction(tmp_path: Path, name: str) -> None:
    hashes = recording(tmp_path / name, small_network(seed=2), 300)
    network = small_network(simulator_replay=tmp_path / name, simulator_rate=200)
    for second in range(1, 10):
        network.advance(NOW + second)
    assert network.replay_ended
    assert set(hashes) <= mined(network)
    assert network.truth.report()["emitted"] == hashes
    blocks = len(network.chain.main)
    network.advance(NOW + 10_000)
    assert len(network.chain.main) == blocks, "nothing is left, no empty block follows"


def test_a_replay_shows_the_file_alone_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hashes = recording(tmp_path / "recorded.jsonl", small_network(seed=2), 60)
    with caplog.at_level(logging.INFO):
        network = small_network(
            simulator_replay=tmp_path / "recorded.jsonl", simulator_first_block=3_000
        )
    assert [t.hash for t in network.chain.main[-1].transactions[1:]] == hashes[:30]
    (said,) = [r.getMessage() for r in caplog.records if "event=replay_started" in r.getMessage()]
    assert said.endswith("recorded.jsonl history=30 blocks=1 generated=0 market=off")
    for second in range(1, 60):
        network.advance(NOW + second)
    assert network.truth.report()["emitted"] == hashes
    injected = network.inject("zero_fee", NOW + 60).hash
    assert network.truth.report()["emitted"] == [*hashes, injected]


def test_overpaid_fees_and_anomalies_do_not_move_the_going_rate() -> None:
    network = small_network()
    before = network.market.going_rate(NOW)
    for _ in range(200):
        network.overpay(1_000, NOW)
        network.inject("fat_finger_fee", NOW)
    assert network.market.going_rate(NOW) == before


def test_recorded_blocks_are_the_history(tmp_path: Path) -> None:
    source = small_network(seed=2)
    for _ in range(2):
        source.burst(5, NOW)
        source.mine(NOW)
    blocks = [list(block.transactions) for block in list(source.chain.main)[1:]]
    heights = [block.height for block in list(source.chain.main)[1:]]
    recorded = [
        json.dumps(json.loads(t.json((height, NOW))))
        for height, block in zip(heights, blocks, strict=True)
        for t in block
    ]
    (tmp_path / "blocks.jsonl").write_text("\n".join(recorded * 2))
    network = small_network(simulator_replay=tmp_path / "blocks.jsonl")
    mined_now = [[t.hash for t in block.transactions] for block in network.chain.main]
    assert mined_now == [[t.hash for t in block] for block in blocks]
    assert network.waiting == {}


def test_a_line_that_is_twice_in_the_history_is_mined_once(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    hashes = recording(path, small_network(seed=2), 10)
    first = path.read_text().splitlines()[0]
    path.write_text(f"{first}\n{path.read_text()}")
    network = small_network(simulator_replay=path)
    assert mined(network) >= set(hashes[:4])


def test_an_empty_recording_has_a_chain(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    network = small_network(simulator_replay=tmp_path / "empty.jsonl")
    network.advance(NOW + 5)
    assert network.replay_ended
    assert len(network.chain.main[-1].transactions) == 1


def fees(network: Network) -> list[int]:
    return [t.fee for t in network.chain.main[-1].transactions[1:] + tuple(network.newest(100))]


def test_a_path_moves_the_fees_of_a_replay_only_when_it_is_set(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    recording(path, small_network(seed=2, simulator_market="off"), 100)
    as_recorded = fees(small_network(simulator_replay=path))
    assert fees(small_network(simulator_replay=path, simulator_market="off")) == as_recorded
    halving = fees(small_network(simulator_replay=path, simulator_market="halving"))
    assert np.allclose(np.array(halving) / as_recorded, from_rate(10.0), rtol=0.02)


def test_a_factor_multiplies_what_arrives_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    recording(path, small_network(seed=2), 40)
    plain, moved = (small_network(simulator_replay=path, simulator_first_block=0) for _ in "ab")
    moved.burst(10, NOW)
    moved.market.multiply(4.0)
    moved.burst(10, NOW)
    plain.burst(20, NOW)
    ratios = [m.fee / p.fee for m, p in zip(moved.newest(20), plain.newest(20), strict=True)]
    assert ratios == [4.0] * 10 + [1.0] * 10


def test_generated_fees_follow_the_factor_at_once() -> None:
    network = small_network(simulator_market="off")
    medians = []
    for factor in (1.0, 4.0, 0.01):
        network.market.multiply(factor)
        network.burst(530, NOW)
        newest = network.newest(530)
        medians.append(median(t.fee * 4 / t.weight for t in newest))
        at_once = median(t.fee * 4 / t.weight for t in newest[-25:])
        assert 0.5 < at_once / medians[-1] < 2
    assert medians[1] / medians[0] == pytest.approx(4, rel=0.15)
    assert medians[2] / medians[0] == pytest.approx(0.04, rel=0.15)
    assert medians[2] < 1


@pytest.mark.parametrize("market", ["off", "halving", "day"])
def test_an_overpaid_fee_is_a_multiple_of_what_others_pay(market: str) -> None:
    network = small_network(simulator_market=market)
    network.burst(300, NOW)
    others = median(t.fee * 4 / t.weight for t in network.newest(200))
    paid = network.overpay(50, NOW)
    assert paid.fee * 4 / paid.weight == pytest.approx(50 * others, rel=0.01)
    assert network.truth.report()["injected"] == {paid.hash: "overpaid"}
    assert network.market.going_rate(NOW) == others
    raw = json.loads(paid.json())
    spent = sum(i["prev_out"]["value"] for i in raw["inputs"])
    assert spent - sum(output["value"] for output in raw["out"]) == paid.fee


def test_a_missing_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        small_network(simulator_replay=tmp_path / "none.jsonl")


def test_the_recorded_month_is_mined_whole(sample: Path) -> None:
    network = small_network(simulator_replay=sample / "mempool_2024.jsonl.gz", simulator_rate=5_000)
    for second in range(1, 10):
        network.advance(NOW + second)
    assert len(mined(network)) == 8_131 + len(network.chain.main)
