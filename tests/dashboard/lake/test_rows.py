from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from tests.dashboard.lake_maker import scored

from dashboard.lake.rows import empty, from_table, joined, moment

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_what_is_kept_says_the_same_as_the_table() -> None:
    table = scored(500, NOW, 600).sort_by("event_time")
    rows = from_table(table)
    assert rows.hashes() == table.column("hash").to_pylist()
    assert rows["output_value"].tolist() == table.column("output_value").to_pylist()
    assert rows["anomaly_score"].tolist() == table.column("anomaly_score").to_pylist()
    assert rows.words(rows.pattern) == table.column("pattern").to_pylist()
    assert [moment(t) for t in rows["time"].tolist()] == table.column("event_time").to_pylist()


def test_a_sliced_or_chunked_table_keeps_its_own_hashes() -> None:
    table = scored(90, NOW, 60).sort_by("event_time")
    parts = pa.concat_tables([table.slice(0, 30), table.slice(30, 60)])
    assert from_table(parts.slice(20, 40)).hashes() == table.column("hash").to_pylist()[20:60]


def test_joined_rows_are_in_order_and_share_their_words() -> None:
    late, early = scored(60, NOW, 100, seed=1), scored(60, NOW - timedelta(seconds=30), 100, seed=2)
    first = from_table(late)
    both = joined(first, from_table(early, first.names))
    assert len(both) == 120
    assert (np.diff(both["time"]) >= 0).all()
    expected = sorted(map(str, late["pattern"].to_pylist() + early["pattern"].to_pylist()))
    assert sorted(map(str, both.words(both.pattern))) == expected


def test_a_hash_is_found_by_any_number_of_its_first_digits() -> None:
    rows = from_table(scored(200, NOW, 60))
    wanted = rows.hashes()[17]
    for digits in (1, 7, 16, 63, 64):
        found = rows.take(rows.find(wanted[:digits])).hashes()
        assert found == [h for h in rows.hashes() if h.startswith(wanted[:digits])]
    assert not rows.find("xyz").any()


def test_no_rows_are_rows_too() -> None:
    rows = empty()
    assert len(rows.between(NOW - timedelta(days=1), NOW)) == 0
    assert len(joined(rows, from_table(scored(5, NOW, 5)))) == 5
