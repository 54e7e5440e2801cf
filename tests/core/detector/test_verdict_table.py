"""Verdicts on many rows: the same as one by one, in order, whatever form the table has."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

import core.detector.champion
from core.detector.champion import Champion, RulesOnly
from core.detector.verdict import Verdict
from core.tables import VERDICT
from core.transaction import DETECTOR_FIELDS, MARKET_FEE_RATE, DescribedTransaction

Floats = NDArray[np.float64]


def table_of(rows: Floats, **facts: Any) -> pa.Table:
    numbers = {
        name: rows[:, i] if name == MARKET_FEE_RATE else rows[:, i].astype(np.int64)
        for i, name in enumerate(DETECTOR_FIELDS)
    }
    return pa.table({"hash": [f"{i:x}" for i in range(len(rows))], **numbers, **facts})


@pytest.fixture(scope="module")
def mixed(traffic: Floats) -> pa.Table:
    """Ordinary and wild rows and a coinbase, with facts that are sometimes unknown."""
    rows = traffic[50_000:50_600].copy()
    rows[::50, 2] *= 10_000
    rows[7] = [200, 700, 0, 1, 2, 0, 312_500_000, 14.0]
    rows[9, 2] += 1  # its numbers contradict each other
    n = len(rows)
    return table_of(
        rows,
        op_return=pa.array([True, None, False] * (n // 3)),
        coinjoin=pa.array([None, "whirlpool"] * (n // 2), pa.string()),
        dust_outputs=pa.nulls(n, pa.int64()),
    )


def one_by_one(champion: Champion, table: pa.Table) -> list[Verdict]:
    return [
        champion.verdict(DescribedTransaction(**row), row[MARKET_FEE_RATE])
        for row in table.to_pylist()
    ]


def test_many_rows_get_the_verdicts_that_each_gets_alone(
    champion: Champion, mixed: pa.Table
) -> None:
    verdicts = champion.verdicts(mixed)
    assert verdicts.schema == VERDICT
    verdicts.validate(full=True)
    assert [Verdict.from_row(row) for row in verdicts.to_pylist()] == one_by_one(champion, mixed)


def test_chunks_slices_and_batches_make_no_difference(champion: Champion, mixed: pa.Table) -> None:
    whole = champion.verdicts(mixed)
    pieces = pa.concat_tables([mixed[:101], mixed[101:]])
    assert champion.verdicts(pieces) == whole
    assert champion.verdicts(mixed[13:77]) == whole[13:77]
    batch = mixed.combine_chunks().to_batches()[0]
    assert champion.verdicts(batch) == whole


def test_facts_are_optional(champion: Champion, mixed: pa.Table) -> None:
    bare = mixed.select(list(DETECTOR_FIELDS))
    verdicts, full = champion.verdicts(bare), champion.verdicts(mixed)
    assert verdicts["anomaly_score"] == full["anomaly_score"]
    assert verdicts["pattern"] != full["pattern"]


def test_a_missing_number_is_refused(champion: Champion, mixed: pa.Table) -> None:
    with pytest.raises(KeyError, match="fee"):
        champion.verdicts(mixed.drop_columns("fee"))


def test_explain_chooses_the_rows_that_get_reasons(champion: Champion, mixed: pa.Table) -> None:
    every, flagged, none = (champion.verdicts(mixed, e) for e in ("all", "flagged", "none"))
    alarms = every["is_anomaly"].to_pylist()
    assert 5 <= sum(alarms) <= 20
    expected = [r if a else [] for r, a in zip(every["reasons"].to_pylist(), alarms, strict=True)]
    assert flagged["reasons"].to_pylist() == expected
    assert none["reasons"].to_pylist() == [[]] * len(mixed)
    assert flagged.drop_columns("reasons") == every.drop_columns("reasons")


def test_no_rows_give_no_verdicts(champion: Champion, mixed: pa.Table) -> None:
    verdicts = champion.verdicts(mixed[:0])
    assert verdicts.schema == VERDICT
    assert verdicts.num_rows == 0


def test_the_slow_path_gives_the_same_but_no_reasons(
    champion: Champion, pipeline: Pipeline, mixed: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.detector.champion, "is_exact", lambda *_: False)
    slow = Champion.from_pipeline(pipeline, champion.calibration, champion.version)
    verdicts = slow.verdicts(mixed)
    assert verdicts["reasons"].to_pylist() == [[]] * len(mixed)
    assert verdicts.drop_columns("reasons") == champion.verdicts(mixed).drop_columns("reasons")


def test_what_flags_a_row_is_named(champion: Champion, mixed: pa.Table) -> None:
    verdicts = champion.verdicts(mixed).to_pylist()
    flaggers = [row["flagged_by"] for row in verdicts]
    assert {"model", "rule", "both", None} >= set(flaggers) >= {"rule", "both", None}
    assert flaggers[9] == "rule"
    assert flaggers[7] is None, "a coinbase"
    assert [by is not None for by in flaggers] == [row["is_anomaly"] for row in verdicts]
    market = [row["market_fee_rate"] for row in verdicts]
    assert market == mixed[MARKET_FEE_RATE].to_pylist()


def test_the_rules_alone_judge_many_rows_as_each_alone(mixed: pa.Table) -> None:
    judge = RulesOnly()
    alone = [
        judge.verdict(DescribedTransaction(**row), row[MARKET_FEE_RATE])
        for row in mixed.to_pylist()
    ]
    verdicts = judge.verdicts(mixed)
    assert verdicts.schema == VERDICT
    assert [Verdict.from_row(row) for row in verdicts.to_pylist()] == alone
    assert 5 <= sum(verdict.is_anomaly for verdict in alone) <= 20
