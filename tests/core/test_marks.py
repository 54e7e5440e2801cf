from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from tests.support.casework_rows import mark_row

from core.casework import MARKS, CaseworkStore
from core.marks import newest_marks, precision_by, precisions, read_marks, wilson_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    successes, trials = counts
    known = binomtest(successes, trials).proportion_ci(0.95, "wilson")
    assert wilson_interval(successes, trials) == pytest.approx((known.low, known.high), abs=1e-6)


def test_without_trials_the_interval_is_everything() -> None:
    assert wilson_interval(0, 0) == (0, 1)


def test_the_newest_mark_of_a_hash_counts_and_a_withdrawn_one_for_nothing() -> None:
    rows = [
        mark_row("a", "known"),
        mark_row("b", "withdrawn"),
        mark_row("a", "useful"),
        mark_row("b", "useful"),
    ]
    assert {hash: row["mark"] for hash, row in newest_marks(rows).items()} == {"a": "known"}


def test_what_was_known_lowers_the_precision_and_is_counted_apart() -> None:
    rows = [mark_row(n, "useful") for n in "ab"] + [mark_row("c", "not_useful")]
    rows += [mark_row("d", "known")]
    (whole,) = precisions(rows)["all"]
    assert (whole.useful, whole.not_useful, whole.known, whole.marked) == (2, 1, 1, 4)
    assert whole.precision == 0.5
    assert whole.low < 0.5 < whole.high


def test_a_flag_counts_for_each_of_its_patterns_and_for_one_version_and_week() -> None:
    late = datetime(2026, 12, 31, tzinfo=UTC)
    rows = [
        mark_row("a", "useful", patterns=["dust", "zero_fee"], model_version="3"),
        mark_row("b", "known", patterns=[], model_version="4", event_time=late),
        mark_row("c", "useful", patterns=["dust"], flagged_by="rule", model_version="4"),
    ]
    found: dict[str, dict[str, int]] = {
        name: {group.group: group.marked for group in groups}
        for name, groups in precisions(rows).items()
    }
    assert found["pattern"] == {"dust": 2, "zero_fee": 1, "none": 1}
    assert found["version"] == {"3": 1, "4": 1, "rules": 1}
    assert found["week"] == {"2026-W48": 2, "2026-W53": 1}


def test_what_nothing_flagged_says_nothing_of_flags() -> None:
    rows = [mark_row("a", "useful", flagged_by=None)]
    assert precision_by(rows, lambda _: ["all"]) == []


def test_marks_are_read_from_their_table(tmp_path: Path) -> None:
    store = CaseworkStore(str(tmp_path), "simulated")
    assert read_marks(store) == []
    rows: list[dict[str, Any]] = [mark_row("a", "useful", 1), mark_row("a", "known", 2)]
    store.append("marks", pa.Table.from_pylist([*rows, mark_row("b", "useful", 0)], schema=MARKS))
    read = read_marks(store)
    assert [(row["hash"], row["mark"]) for row in read] == [("a", "known"), ("b", "useful")]
    assert read[0]["fee"] == rows[1]["fee"] and read[0]["market_fee_rate"] == 20.0
