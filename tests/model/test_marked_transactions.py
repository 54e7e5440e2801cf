from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from tests.support.casework_rows import add_marks, mark_row
from tests.support.raw_lake import append_rows

from core.casework import CaseworkStore
from core.features import Floats
from core.marks import MarkRow
from core.ordinary_traffic import traffic
from core.settings import TrainerSettings
from core.transaction import DETECTOR_FIELDS
from model.evaluation import evaluate, inject, marked_shares
from model.marked_transactions import (
    LEAST_ROWS,
    LONGEST_HOLD,
    MOST_ROWS,
    MarkedFlags,
    MarkedRows,
    marked_rows,
    precision_metrics,
)
from model.mlflow_runs import Registry
from model.training import Trainer
from monitoring.prometheus_metrics import new_registry
from monitoring.trainer_metrics import TrainerMetrics

BLOCK = traffic.beside_market(3_000, seed=1)


def marks_of(mark: str, rows: Floats, **changes: Any) -> list[MarkRow]:
    """Rows of shape (n, 8) that were flagged, and marked so."""
    return [
        mark_row(f"{mark}{n}", mark, **{**dict(zip(DETECTOR_FIELDS, row, strict=True)), **changes})
        for n, row in enumerate(rows.tolist())
    ]


def test_useful_flags_are_to_be_flagged_and_the_others_are_ordinary() -> None:
    marks = [*marks_of("useful", BLOCK[:3]), *marks_of("known", BLOCK[3:5])]
    marks += marks_of("not_useful", BLOCK[5:6])
    found = marked_rows(marks)
    assert np.array_equal(found.useful, BLOCK[:3])
    assert np.array_equal(found.ordinary, BLOCK[3:6])


@pytest.mark.parametrize(
    "changes",
    [
        {"flagged_by": "rule"},
        {"flagged_by": None},
        {"market_fee_rate": None},
        {"market_fee_rate": 0.0},
        {"inputs_count": 1, "input_value": 0, "fee": 0, "output_value": 5},
    ],
)
def test_only_flags_of_a_model_beside_a_market_judge_and_never_a_coinbase(
    changes: dict[str, Any],
) -> None:
    found = marked_rows(marks_of("useful", BLOCK[:3], **changes))
    assert len(found.useful) == len(found.ordinary) == 0


def test_the_newest_of_each_side_judge_and_no_more() -> None:
    many = [*marks_of("useful", BLOCK[:900]), *marks_of("known", BLOCK[900:1_800])]
    found = marked_rows(many)
    assert len(found.useful) == len(found.ordinary) == MOST_ROWS
    assert np.array_equal(found.useful, BLOCK[:MOST_ROWS])


def test_few_marks_judge_nothing() -> None:
    few = MarkedRows(BLOCK[:LEAST_ROWS], BLOCK[: LEAST_ROWS - 1])
    enough = MarkedRows(BLOCK[:LEAST_ROWS], BLOCK[:LEAST_ROWS])
    assert not few.judge and enough.judge

    def by_fee(rows: Floats) -> Floats:
        return rows[:, 2]

    judged = [
        evaluate(by_fee, 1e18, BLOCK, inject(BLOCK, 10), marked=rows) for rows in (few, enough)
    ]
    assert judged[0].marked is None
    assert judged[1].metrics()["real_flagged_marked_useful"] == 0
    assert "marked_useful_rows" not in judged[0].metrics()
    shares = marked_shares(by_fee, float(np.median(BLOCK[:LEAST_ROWS, 2])), enough)
    assert shares.useful == shares.ordinary > 0 == shares.advantage


def test_the_figures_of_the_champion_are_those_of_its_own_flags() -> None:
    marks: Sequence[MarkRow] = [
        *marks_of("useful", BLOCK[:1], model_version="2"),
        *marks_of("known", BLOCK[1:4], model_version="2"),
        *marks_of("not_useful", BLOCK[4:5], model_version="1"),
    ]
    found = precision_metrics(marks, "2")
    assert found["champion_precision"] == 0.25 and found["champion_marked_flags"] == 4
    assert precision_metrics(marks, "3") == precision_metrics(marks, None) == {}


def test_marks_are_published_and_those_that_are_unreadable_count_as_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = CaseworkStore(str(tmp_path), "simulated")
    metrics, flags = TrainerMetrics(new_registry("trainer")), MarkedFlags(store)
    flags.publish(metrics)
    rows = [mark_row("a", "useful"), mark_row("b", "known", patterns=[])]
    rows += [mark_row(f"v{n}", "useful", model_version=str(n)) for n in range(4, 20)]
    add_marks(store, *rows)
    flags.publish(metrics)
    read = metrics.registry.get_sample_value
    assert read("bitcoin_trainer_marks", {"mark": "known"}) == 1
    assert read("bitcoin_trainer_flags_precision_ratio", {"pattern": "none"}) == 0
    assert read("bitcoin_trainer_version_flags_precision_ratio", {"version": "19"}) == 1
    assert read("bitcoin_trainer_version_flags_precision_ratio", {"version": "3"}) is None
    for file in tmp_path.rglob("*.parquet"):
        file.write_bytes(b"")
    assert flags.marks() == []
    assert "event=marks_unreadable" in caplog.text


def lost_by(challenger: Callable[[Floats], Floats], champion: Callable[[Floats], Floats]) -> Floats:
    """The unusual rows that a champion finds clearly and a challenger does not."""
    unusual = np.concatenate(list(inject(BLOCK, 2_000).values()))
    return unusual[(champion(unusual) > 0.002) & (challenger(unusual) < -0.002)]


@pytest.mark.stack
@pytest.mark.usefixtures("no_report")
def test_marks_are_kept_with_a_training_and_delay_what_loses_to_them_for_a_week(
    lake: str, settings: TrainerSettings, tracking_uri: str
) -> None:
    now, table = [1_795_428_000.0], append_rows(lake, BLOCK)
    registry = Registry(tracking_uri, "simulated")
    assert Trainer(settings, registry, lambda: now[0]).train(table).promoted
    champion = registry.champion()
    assert champion is not None

    def above(model: Any) -> Callable[[Floats], Floats]:
        return lambda rows: model.scores(rows) - model.threshold

    def coarse(seed: int) -> TrainerSettings:
        return settings.model_copy(update={"training_seed": seed, "forest_trees": 10})

    def lost_with(seed: int) -> Floats:
        challenger = Trainer(coarse(seed), registry, lambda: now[0]).dry_run(table).challenger
        return lost_by(above(challenger.model), above(champion))

    losses = ((seed, lost_with(seed)) for seed in range(8, 40))
    seed, lost = next((seed, lost) for seed, lost in losses if len(lost) >= LEAST_ROWS)
    other, marks = coarse(seed), marks_of("useful", lost[:LEAST_ROWS], model_version="1")
    marks += marks_of("not_useful", BLOCK[:LEAST_ROWS], model_version="1")
    trainer = Trainer(other, registry, lambda: now[0], lambda: marks)
    now[0] += 60
    refused = trainer.train(table)
    assert any("marked flags that were useful" in reason for reason in refused.reasons)
    client = MlflowClient(tracking_uri)
    run = client.get_run(str(client.get_model_version("BitcoinAnomalyDetection", "2").run_id))
    assert run.data.metrics["champion_precision"] == 0.5
    assert run.data.metrics["champion_marked_flags"] == 2 * LEAST_ROWS
    assert run.data.metrics["marked_useful_rows"] == LEAST_ROWS
    assert "marked_flags.json" in {file.path for file in client.list_artifacts(run.info.run_id)}
    now[0] += (LONGEST_HOLD + timedelta(hours=1)).total_seconds()
    later = trainer.dry_run(table)
    assert not any("marked" in reason for reason in later.reasons)
