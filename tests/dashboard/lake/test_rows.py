from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from tests.support.delta_tables import scored

from core.detector.verdict import row_patterns
from dashboard.lake.rows import concatenate, from_micros, from_table, no_rows

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_the_columns_hold_what_the_table_holds() -> None:
    table = scored(500, NOW, 600).sort_by("event_time")
    rows = from_table(table)
    assert rows.hashes() == table.column("hash").to_pylist()
    assert rows["output_value"].tolist() == table.column("output_value").to_pylist()
    assert rows["anomaly_score"].tolist() == table.column("anomaly_score").to_pylist()
    assert rows.patterns() == [list(row_patterns(row)) for row in table.to_pylist()]
    assert len({len(names) for names in rows.patterns()}) == 3
    assert [from_micros(t) for t in rows["time"].tolist()] == table.column("event_time").to_pylist()


def test_a_sliced_or_chunked_table_keeps_its_own_hashes() -> None:
    table = scored(90, NOW, 60).sort_by("event_time")
    parts = pa.concat_tables([table.slice(0, 30), table.slice(30, 60)])
    assert from_table(parts.slice(20, 40)).hashes() == table.column("hash").to_pylist()[20:60]


def test_joined_rows_are_in_order_and_share_their_versions() -> None:
    late, early = scored(60, NOW, 100, seed=1), scored(60, NOW - timedelta(seconds=30), 100, seed=2)
    first = from_table(late)
    both = concatenate(first, from_table(early, first.versions))
    assert len(both) == 120
    assert (np.diff(both["time"]) >= 0).all()
    named = [both.versions[code] for code in both.version.tolist()]
    assert sorted(named) == sorted(
        late["model_version"].to_pylist() + early["model_version"].to_pylist()
    )


def test_a_pattern_that_this_version_does_not_know_is_left_out() -> None:
    table = scored(2, NOW, 60)
    for name, values in {"pattern": ["new", "new"], "patterns": [["new", "dust"], None]}.items():
        field = table.schema.field(name)
        table = table.set_column(
            table.column_names.index(name), field, pa.array(values, field.type)
        )
    assert from_table(table).patterns() == [["dust"], []]


def test_a_hash_is_found_by_any_number_of_its_first_digits() -> None:
    rows = from_table(scored(200, NOW, 60))
    wanted = rows.hashes()[17]
    for digits in (1, 7, 16, 63, 64):
        hashes = rows.take(rows.hash_starts_with(wanted[:digits])).hashes()
        assert hashes == [h for h in rows.hashes() if h.startswith(wanted[:digits])]
    assert not rows.hash_starts_with("xyz").any()


def test_no_rows_can_be_cut_and_concatenated() -> None:
    rows = no_rows()
    assert len(rows.between(NOW - timedelta(days=1), NOW)) == 0
    assert len(concatenate(rows, from_table(scored(5, NOW, 5)))) == 5
