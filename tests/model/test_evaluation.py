import numpy as np
import pytest

from core.detector.injected_anomalies import KINDS
from core.ordinary_traffic import traffic
from model.challenger import Recipe, TrainingData, split
from model.evaluation import Floats, average_precision, evaluate, inject
from model.pipeline import ForestShape, fit
from model.report.baselines import BASELINES, evaluate_baselines
from model.sampling import Sample

NEWEST = traffic.beside_market(3_000, seed=3)
INJECTED = inject(NEWEST, 100, 0)
RECIPE = Recipe(ForestShape(), 50_000, 0.001, "simulated")


def by_fee(rows: Floats) -> Floats:
    return np.asarray(rows[:, 2], np.float64)


def test_a_detector_of_fees_finds_the_anomalies_of_fees_only() -> None:
    evaluation = evaluate(by_fee, float(NEWEST[:, 2].max()) + 1, NEWEST, INJECTED)
    assert evaluation.flagged == 0
    assert evaluation.kinds["fee_and_amount_swapped"].recall > 0.9
    assert evaluation.kinds["inflated_output"].recall == 0
    assert evaluation.kinds["inflated_output"].auc == pytest.approx(0.5, abs=0.1)


def test_average_precision_does_not_depend_on_how_many_rows_are_injected() -> None:
    usual = np.random.default_rng(0).random(5_000)
    few, many = usual[:50] + 0.5, np.tile(usual[:50] + 0.5, 40)
    expected = average_precision(usual, [few])
    assert average_precision(usual, [many]) == pytest.approx(expected, rel=0.02)
    assert average_precision(usual, [usual + 2]) == pytest.approx(1)
    assert average_precision(usual, [usual]) == pytest.approx(0.01, abs=0.005)


def test_the_forest_finds_every_kind_and_no_baseline_does() -> None:
    rows = traffic.beside_market(40_000, seed=4)
    for_trees, for_threshold = rows[:15_000], rows[15_000:]
    pipeline = fit(for_trees, ForestShape())
    threshold = float(np.quantile(-pipeline.score_samples(for_threshold), 0.999))
    ours = evaluate(lambda r: -pipeline.score_samples(r), threshold, NEWEST, INJECTED)
    assert {name for name, kind in ours.kinds.items() if kind.recall < 0.95} == set()
    sample = Sample(rows, NEWEST, "", 0, len(rows))
    judged = NEWEST
    data = TrainingData(sample, RECIPE, for_trees, for_threshold, for_threshold, judged, INJECTED)
    others = evaluate_baselines(data)
    assert set(others) == set(BASELINES)
    for evaluation in others.values():
        assert min(kind.recall for kind in evaluation.kinds.values()) < 0.5
    assert others["fee_rate_rule"].kinds["zero_fee"].recall > 0.9
    assert others["robust_z"].kinds["mass_consolidation"].recall > 0.9


def test_the_metrics_keep_held_out_kinds_apart() -> None:
    metrics = evaluate(by_fee, 1e18, NEWEST, INJECTED).metrics()
    assert {f"recall_{name}" for name in KINDS} <= set(metrics)
    assert metrics["recall_held_out_kinds"] == metrics["recall_choosing_kinds"] == 0


@pytest.mark.parametrize(("rows", "separate"), [(2_250, False), (30_000, False), (101_200, True)])
def test_few_rows_serve_both_trees_and_threshold(rows: int, separate: bool) -> None:
    drawn = np.arange(rows * 8.0).reshape(rows, 8)
    for_trees, for_threshold = split(drawn, RECIPE)
    if separate:
        assert len(for_trees) + len(for_threshold) == rows
        assert not set(for_trees[:, 0]) & set(for_threshold[:, 0])
    else:
        assert len(for_trees) == len(for_threshold) == rows
