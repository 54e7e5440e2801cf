"""A challenger: a forest and its threshold from one sample, evaluated on the newest traffic."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from sklearn.pipeline import Pipeline

from core.detector.calibration import alert_threshold, calibrate
from core.detector.champion import Champion
from core.settings import TrainerSettings
from model.drift import drift_reference
from model.evaluation import Evaluation, Integers, evaluate, inject
from model.pipeline import ForestShape, fit
from model.sampling import Sample

Origin = Literal["live", "simulated"]

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

    `for_trees` and `for_threshold` come from the drawn rows of the sample; `injected` has the
    anomalies that are injected into its newest rows, by kind.
    """

    sample: Sample
    recipe: Recipe
    for_trees: Integers
    for_threshold: Integers
    injected: dict[str, Integers]

    @classmethod
    def prepare(cls, sample: Sample, recipe: Recipe) -> "TrainingData":
        """Split the drawn rows and inject the anomalies."""
        return cls(sample, recipe, *split(sample.drawn, recipe), inject(sample.newest))


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


def split(drawn: Integers, recipe: Recipe) -> tuple[Integers, Integers]:
    """Rows for the trees, and other rows for the threshold, in the proportion of the recipe.

    With few rows, all of them serve both: where the threshold's share is so small that the budget
    would flag less than twenty of it. On small samples of real traffic this finds more anomalies at
    the same flag rate than a separate share, or a tail that is fitted to one.
    """
    for_threshold = round(recipe.calibration_rows * min(1.0, len(drawn) / recipe.rows))
    if for_threshold * recipe.budget < LEAST_FLAGGED:
        return drawn, drawn
    return drawn[for_threshold:], drawn[:for_threshold]


def train_challenger(data: TrainingData, now: float) -> Challenger:
    """Fit, calibrate and evaluate; the version's training time is `now`, in Unix seconds."""
    pipeline = fit(data.for_trees, data.recipe.shape)
    return _calibrated(pipeline, data.for_threshold, data, now)


def recalibrate_challenger(pipeline: Pipeline, data: TrainingData, now: float) -> Challenger:
    """Keep fitted trees, and calibrate and evaluate them on the data; `now` in Unix seconds."""
    rows = data.sample.drawn[: data.recipe.calibration_rows]
    return _calibrated(pipeline, rows, data, now)


def _calibrated(pipeline: Pipeline, rows: Integers, data: TrainingData, now: float) -> Challenger:
    scores = -pipeline.score_samples(rows)
    calibration = calibrate(
        rows,
        scores,
        budget=data.recipe.budget,
        origin=data.recipe.origin,
        trained_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        facts={
            "drift": drift_reference(rows, scores),
            "table_rows": data.sample.table_rows,
            "covered_seconds": data.sample.covered_seconds,
        },
    )
    model = Champion.from_pipeline(pipeline, calibration, "unregistered")
    evaluation = evaluate(model.scores, model.threshold, data.sample.newest, data.injected)
    facts = {**calibration.facts, "evaluation": evaluation.metrics()}
    model = replace(model, calibration=replace(calibration, facts=facts))
    return Challenger(data, pipeline, model, evaluation)


def evaluate_champion(champion: Champion, data: TrainingData) -> Evaluation:
    """Evaluate the champion on the challenger's rows, with a new threshold for the same budget.

    With its own threshold, a champion that has gone stale would look good by flagging too much.
    """
    threshold = alert_threshold(champion.scores(data.for_threshold), data.recipe.budget)
    return evaluate(champion.scores, threshold, data.sample.newest, data.injected)
