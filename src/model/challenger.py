"""A challenger: a forest and its threshold from one sample, evaluated on the newest traffic."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
from sklearn.pipeline import Pipeline

from core.detector.calibration import calibrate
from core.detector.champion import Champion
from core.detector.drift import drift_reference
from core.features import Floats, features, market_of
from core.settings import TrainerSettings
from model.budget_curve import budget_curve, budgets_beside
from model.evaluation import Evaluation, evaluate, inject
from model.flag_budget import MOST_WILD, interval
from model.followed_registry import Origin
from model.marked_transactions import MarkedRows
from model.pipeline import FittedForest, ForestShape
from model.rarity_curve import budget_threshold, rarity_curve, wild_from
from model.reference_traffic import in_other_markets, reference_rows
from model.sampling import Sample
from model.wild_rows import wild_rows

LEAST_FLAGGED = 20
"""With so many calibration rows beyond the threshold, its place is known to about a fifth."""


@dataclass(frozen=True)
class Recipe:
    """All that a challenger depends on, apart from its rows and the time."""

    shape: ForestShape
    calibration_rows: int
    budget: float
    origin: Origin

    @classmethod
    def from_settings(cls, settings: TrainerSettings, origin: Origin) -> "Recipe":
        """The recipe of the settings."""
        trees, sub_sample = settings.forest_trees, settings.forest_sub_sample
        shape = ForestShape(trees, sub_sample, settings.training_seed)
        return cls(shape, settings.calibration_rows, settings.alert_budget, origin)

    @property
    def rows(self) -> int:
        """Rows for the trees and the threshold together."""
        return self.shape.rows + self.calibration_rows


@dataclass(frozen=True)
class TrainingData:
    """The rows of one training, prepared once for the training, the gate and the report.

    `for_trees` and `for_threshold` come from the drawn rows of the sample, without its wild rows;
    `for_new_threshold` and `judged` are halves of its newest rows: a new threshold for old trees is
    set by the one, and every challenger is judged by the other. `injected` has the anomalies that
    are injected into these, by kind, and `marked` the flags that people marked.
    """

    sample: Sample
    recipe: Recipe
    for_trees: Floats
    for_threshold: Floats
    for_new_threshold: Floats
    judged: Floats
    injected: dict[str, Floats]
    marked: MarkedRows = field(default_factory=MarkedRows)

    @classmethod
    def prepare(
        cls, sample: Sample, recipe: Recipe, marked: MarkedRows | None = None
    ) -> "TrainingData":
        """Leave the wild rows out, split the others, and inject the anomalies."""
        kept = sample.drawn[~wild_rows(sample.drawn)]
        judged = sample.newest[1::2]
        others = sample.newest[::2]
        marked = marked or MarkedRows()
        return cls(sample, recipe, *split(kept, recipe), others, judged, inject(judged), marked)


@dataclass(frozen=True)
class Challenger:
    """A fitted pipeline, the same model as services load it, and its evaluation."""

    data: TrainingData
    pipeline: Pipeline
    model: Champion
    evaluation: Evaluation

    def metrics(self) -> dict[str, float]:
        """The evaluation and the threshold as flat numbers, under the names that MLflow shows."""
        return self.evaluation.metrics() | {"threshold": self.model.threshold}


def split(rows: Floats, recipe: Recipe) -> tuple[Floats, Floats]:
    """Rows for the trees, and other rows for the threshold, in the proportion of the recipe.

    With few rows, all of them serve both: where the threshold's share is so small that the budget
    would flag less than twenty of it. Then the extrapolated tail decides, not they.
    """
    for_threshold = round(recipe.calibration_rows * min(1.0, len(rows) / recipe.rows))
    if for_threshold * recipe.budget < LEAST_FLAGGED:
        return rows, rows
    return rows[for_threshold:], rows[:for_threshold]


def train_challenger(data: TrainingData, now: float) -> Challenger:
    """Fit, calibrate and evaluate; the version's training time is `now`, in Unix seconds."""
    shape = data.recipe.shape
    # The reference first: a forest of all its rows leaves out the last of them.
    learned = np.concatenate([reference_rows(), data.for_trees])
    fitted = FittedForest.fit(in_other_markets(learned, shape.seed), shape)
    return _calibrated(fitted, data.for_threshold, data, now)


def recalibrate_challenger(pipeline: Pipeline, data: TrainingData, now: float) -> Challenger:
    """Keep fitted trees, and set their threshold by the newest traffic; `now` in Unix seconds."""
    learned = np.concatenate([reference_rows(), data.for_trees])
    fitted = FittedForest.of(pipeline, in_other_markets(learned, data.recipe.shape.seed))
    return _calibrated(fitted, _ordinary(fitted, data.for_new_threshold, data), data, now)


def _ordinary(fitted: FittedForest, rows: Floats, data: TrainingData) -> Floats:
    """The rows that are not wild by a fitted forest; all of them where too many are."""
    far = fitted.scores(rows) >= wild_from(fitted.curve, len(data.sample.drawn))
    return rows if far.mean() > MOST_WILD else rows[~far]


def _calibrated(fitted: FittedForest, rows: Floats, data: TrainingData, now: float) -> Challenger:
    scores, budget = fitted.scores(rows), data.recipe.budget
    thresholds = {
        each: budget_threshold(fitted.curve, scores, each) for each in budgets_beside(budget)
    }
    threshold = thresholds[budget]
    calibration = calibrate(
        rows,
        scores,
        budget=budget,
        threshold=threshold,
        origin=data.recipe.origin,
        trained_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        facts={
            "wild_from": wild_from(fitted.curve, len(data.sample.drawn)),
            "market_fee_rate": float(np.median(market_of(data.sample.newest))),
            "expected_flag_rate": interval(int((scores >= threshold).sum()), len(scores)),
            "drift": drift_reference(rows, scores),
            "table_rows": data.sample.table_rows,
            "covered_seconds": data.sample.covered_seconds,
        },
    )
    model = Champion.from_pipeline(fitted.pipeline, calibration, "unregistered")
    evaluation = _evaluate(model, threshold, data)
    facts = {
        **calibration.facts,
        "evaluation": evaluation.metrics(),
        "budgets": budget_curve(thresholds, model.scores, data.injected),
    }
    model = replace(model, calibration=replace(calibration, facts=facts))
    return Challenger(data, fitted.pipeline, model, evaluation)


def evaluate_champion(champion: Champion, data: TrainingData) -> Evaluation:
    """Evaluate the champion on the challenger's rows, with a new threshold for the same budget.

    With its own threshold, a champion that has gone stale would look good by flagging too much.
    """
    learned = in_other_markets(reference_rows(), data.recipe.shape.seed)
    seen = features(learned, champion.tails)
    curve = rarity_curve(champion.attribution.forest.scores, seen)
    scores = champion.scores(data.for_threshold)
    return _evaluate(champion, budget_threshold(curve, scores, data.recipe.budget), data)


def _evaluate(model: Champion, threshold: float, data: TrainingData) -> Evaluation:
    far = float(model.calibration.facts["wild_from"])
    return evaluate(model.scores, threshold, data.judged, data.injected, far, data.marked)
