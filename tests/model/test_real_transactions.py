import math
from datetime import date

import numpy as np
import pytest

from core.features import MARKET, coinbase_rows
from core.ordinary_traffic import traffic
from core.transaction import NUMERIC_FIELDS
from model.challenger import Recipe, TrainingData, evaluate_champion, train_challenger
from model.pipeline import ForestShape
from model.real_transactions import (
    ACCIDENTS,
    GROUPS,
    ORDINARY,
    UNUSUAL,
    real_transactions,
    share_of_ordinary,
    shares_flagged,
    verdicts,
)
from model.sampling import Sample

REAL = real_transactions()
COLUMN = {name: number for number, name in enumerate(NUMERIC_FIELDS)}


def column(name: str) -> np.ndarray:
    return REAL.numbers[:, COLUMN[name]]


def test_every_row_is_a_transaction_that_can_be_looked_up() -> None:
    assert len(set(REAL.txids)) == len(REAL.txids) == len(REAL.numbers) == 311
    assert all(len(bytes.fromhex(txid)) == 32 for txid in REAL.txids)
    assert {REAL.count(group) for group in GROUPS} <= set(range(5, 200))
    assert set(REAL.groups) == set(GROUPS)
    assert all(2009 <= int(text[:4]) <= date.today().year for text in REAL.dates)


def test_the_numbers_of_every_row_are_consistent() -> None:
    assert (column("fee") == column("input_value") - column("output_value")).all()
    assert (column("size") <= column("weight")).all()
    assert (column("weight") <= 4 * column("size")).all()
    assert (column("inputs_count") >= 1).all() and (column("outputs_count") >= 1).all()
    assert not coinbase_rows(REAL.numbers).any()
    assert REAL.numbers[:, MARKET].min() >= 1, "the least that nodes relayed in those years"


def test_the_accidents_have_the_figures_that_are_public() -> None:
    rows = {t: row for t, row in zip(REAL.txids, REAL.numbers, strict=True) if t in ACCIDENTS}
    assert len(rows) == REAL.count("accidents") == 5
    fees = sorted(rows[txid][COLUMN["fee"]] / 1e8 for txid in rows)
    assert fees == [0, 0, 19.82108632, 83.65497568, 291.2409]


def by_inputs(rows: np.ndarray) -> np.ndarray:
    """A score that is the number of inputs."""
    return rows[:, COLUMN["inputs_count"]].astype(float)


def test_the_share_of_each_group_is_that_of_its_rows() -> None:
    shares = shares_flagged(by_inputs, 30)
    assert list(shares) == list(GROUPS)
    assert shares["accidents"] == 0.2
    assert shares["wasabi_2_coinjoins"] > 0.9 and shares["whirlpool_coinjoins"] == 0
    ordinary = np.isin(REAL.groups, ORDINARY)
    expected = (by_inputs(REAL.numbers)[ordinary] >= 30).mean()
    assert share_of_ordinary(shares) == pytest.approx(expected) and expected > 0


def test_the_table_for_people_has_every_row_and_names_the_accidents() -> None:
    table = verdicts(by_inputs, 30)
    assert len(table) == len(REAL.txids)
    (largest,) = (row for row in table if row["score"] == 5_569)
    assert largest["flagged"] and largest["accident"] == "5,569 inputs, 2015"
    assert {row["accident"] for row in table} == {None, *ACCIDENTS.values()}


def test_a_model_of_few_rows_finds_the_unusual_and_leaves_the_ordinary() -> None:
    rows = traffic.beside_market(4_000, seed=5)
    recipe = Recipe(ForestShape(), 50_000, 0.001, "simulated")
    data = TrainingData.prepare(Sample(rows, rows[:500], "", 0, len(rows)), recipe)
    challenger = train_challenger(data, 0.0)
    real = challenger.evaluation.real
    assert real["accidents"] == 1
    assert all(real[group] > 0.6 for group in UNUSUAL), real
    assert challenger.evaluation.real_ordinary() < 0.08, real
    assert challenger.model.calibration.facts["evaluation"]["real_flagged_accidents"] == 1
    again = evaluate_champion(challenger.model, data).real
    assert all(math.isclose(again[group], real[group], abs_tol=0.1) for group in UNUSUAL)
