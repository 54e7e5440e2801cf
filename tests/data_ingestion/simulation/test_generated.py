from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.generated import Generated

NOW = 1_800_000_000.0


def test_each_run_of_the_stated_length_holds_one_anomaly() -> None:
    source = Generated(seed=1, anomaly_every=50)
    kinds = [draft.origin in KINDS for draft in (source.draft(NOW) for _ in range(2_000))]
    assert [sum(kinds[n : n + 50]) for n in range(0, 2_000, 50)] == [1] * 40


def test_every_kind_comes_in_time() -> None:
    source = Generated(seed=2, anomaly_every=2)
    assert {source.draft(NOW).origin for _ in range(500)} == {*KINDS, "generated"}


def test_none_is_injected_where_none_is_asked_for() -> None:
    source = Generated(seed=1, anomaly_every=0)
    assert {source.draft(NOW).origin for _ in range(3_000)} == {"generated"}


def test_the_same_seed_repeats_the_same_drafts() -> None:
    first, second = Generated(9, 100), Generated(9, 100)
    assert [first.draft(NOW) for _ in range(500)] == [second.draft(NOW) for _ in range(500)]
