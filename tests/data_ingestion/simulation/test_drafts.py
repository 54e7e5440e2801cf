"""Drafts: ordinary transactions and injected anomalies, in the order that a seed gives."""

from tests.support.simulated import NOW

from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.drafts import TransactionGenerator


def test_each_run_of_the_stated_length_holds_one_anomaly() -> None:
    generator = TransactionGenerator(seed=1, anomaly_every=50)
    kinds = [draft.origin in KINDS for draft in (generator.draft(NOW) for _ in range(2_000))]
    assert [sum(kinds[n : n + 50]) for n in range(0, 2_000, 50)] == [1] * 40


def test_every_kind_comes_in_time() -> None:
    generator = TransactionGenerator(seed=2, anomaly_every=2)
    assert {generator.draft(NOW).origin for _ in range(500)} == {*KINDS, "generated"}


def test_no_anomaly_is_injected_with_0() -> None:
    generator = TransactionGenerator(seed=1, anomaly_every=0)
    assert {generator.draft(NOW).origin for _ in range(3_000)} == {"generated"}


def test_the_same_seed_repeats_the_same_drafts() -> None:
    first, second = TransactionGenerator(9, 100), TransactionGenerator(9, 100)
    assert [first.draft(NOW) for _ in range(500)] == [second.draft(NOW) for _ in range(500)]
