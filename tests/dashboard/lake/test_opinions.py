from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.casework_rows import add_marks, add_mute, mark_row
from tests.support.dashboard_backend import Backend
from tests.support.muted_lake import PAYER, lasting, pay

from core.detector.verdict import row_patterns
from core.lake import query
from core.mutes import MutesReader
from dashboard.lake.opinions import Muting, OpinionsReader
from dashboard.services import Services

SHAPES: list[dict[str, Any]] = [
    {"pattern": "version_3"},
    {"pattern": "fee_overpaid", "fee_rate_min": 30.0},
    {"fee_rate_max": 25.5},
    {"output_value_min": 10**6, "output_value_max": 10**8},
    {"outputs_count_min": 2, "outputs_count_max": 3},
    {"address": PAYER},
    {"address": PAYER, "fee_rate_min": 20.0},
    {"address": "nobody"},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_mute_matches_the_same_rows_in_memory_in_sql_and_one_by_one(
    backend: Backend, shape: dict[str, Any]
) -> None:
    pay(backend, backend.flagged[::3])
    services = backend.services()
    add_mute(services.casework, lasting(backend, **shape))
    snapshot = services.recent.refresh()
    muting, rows = snapshot.opinions.muting, snapshot.rows
    flagged = rows["by_model"] | rows["by_rule"]
    found = set(rows.take(muting.mask(rows, flagged)).hashes())
    scored = services.lake.table("scored_transactions")
    assert scored is not None
    sql = f"SELECT * FROM t WHERE is_anomaly AND ({muting.condition})"
    in_sql = {row["hash"] for row in query(sql, t=scored).to_pylist()}
    flags = query("SELECT * FROM t WHERE is_anomaly", t=scored).to_pylist()
    each = {row["hash"] for row in flags if muting.muted_by(row)}
    assert found == in_sql == each
    assert bool(found) is (shape.get("address") != "nobody")
    assert len(found) < len(flags) or shape == {"pattern": "version_3"}, row_patterns(flags[0])


def test_without_a_mute_nothing_is_read_and_nothing_is_muted(services: Services) -> None:
    rows = services.recent.snapshot.rows
    assert not Muting().mask(rows, np.ones(len(rows), bool)).any()
    assert Muting().condition == ""


def test_payers_are_read_once_and_forgotten_with_their_rows(backend: Backend) -> None:
    pay(backend, backend.flagged)
    services = backend.services()
    store = services.casework
    add_mute(store, lasting(backend, address=PAYER))
    rows = services.recent.refresh().rows
    reader = OpinionsReader(store, MutesReader(store, lambda: backend.now))
    first = reader.read(rows, services.lake)
    assert first.muting.paid_by[PAYER] == frozenset(backend.flagged)
    for file in Path(backend.lake, "raw_transactions").rglob("*.parquet"):
        file.unlink()
    half = rows.take(np.arange(len(rows)) % 2 == 0)
    assert reader.read(half, services.lake).muting.paid_by[PAYER] < frozenset(backend.flagged)


def test_the_newest_marks_are_followed_and_stay_while_they_cannot_be_read(
    backend: Backend, tmp_path: Path
) -> None:
    services = backend.services()
    store = services.casework
    add_marks(store, mark_row("a" * 64, "useful"))
    assert services.recent.refresh().opinions.mark_of == {"a" * 64: "useful"}
    add_marks(store, mark_row("a" * 64, "known", 1), mark_row("b" * 64, "useful"))
    marked = {"a" * 64: "known", "b" * 64: "useful"}
    assert services.recent.refresh().opinions.mark_of == marked
    for file in Path(store.root, "marks", "_delta_log").iterdir():
        file.write_text("{")
    snapshot = services.recent.refresh()
    assert snapshot.opinions.mark_of == marked and snapshot.problem is None
