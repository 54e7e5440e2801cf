"""A challenger: trees and threshold made from one sample, judged on the newest traffic."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from core.detector.calibration import Calibration, alert_threshold, calibrate
from core.detector.champion import Champion
from model.drift import reference
from model.evaluation import Evaluation, evaluate, injections
from model.pipeline import ForestShape, fit
from model.sampling import Sample

Integers = NDArray[np.int64]
Origin = Literal["live", "simulated"]

INJECTED = 400
"""Rows of each kind in an evaluation: a recall is then known to about 0.02."""

LEAST_FLAGGED = 20
"""Rows beyond the threshold that tell where it lies to about a fifth."""

UNREGISTERED = "unregistered"


@dataclass(frozen=True)
class Recipe:
    """All that a challenger depends on besides its rows and the time of day."""

    shape: ForestShape
    calibration_rows: int
    budget: float
    origin: Origin


@dataclass(frozen=True)
class Challenger:
    """A fitted pipeline with its calibration, and how the newest traffic finds it."""

    pipeline: Pipeline
    calibration: Calibration
    evaluation: Evaluation

    def metrics(self) -> dict[str, float]:
        """What a run shows of it, as flat numbers."""
        return self.evaluation.metrics() | {"threshold": self.calibration.threshold}

    @property
    def scorer(self) -> Champion:
        """The same model as the services would have it."""
        return Champion.from_pipeline(self.pipeline, self.calibration, UNREGISTERED)


def split(drawn: Integers, recipe: Recipe) -> tuple[Integers, Integers]:
    """Rows for the trees, and others for the threshold, in the proportion that the recipe asks.

    Where so few would be left for the threshold that the budget flags less than twenty of them,
    all rows serve both: measured on small samples of real traffic, that finds more at the same
    rate of flags than either a share of the rows or a tail fitted to them.
    """
    wanted = recipe.shape.rows + recipe.calibration_rows
    for_threshold = round(recipe.calibration_rows * min(1.0, len(drawn) / wanted))
    if for_threshold * recipe.budget < LEAST_FLAGGED:
        return drawn, drawn
    return drawn[for_threshold:], drawn[:for_threshold]


def make(sample: Sample, recipe: Recipe, now: float) -> Challenger:
    """Fit, calibrate and evaluate; `now` is the Unix time that the version will bear."""
    for_trees, for_threshold = split(sample.drawn, recipe)
    pipeline = fit(for_trees, recipe.shape)
    return judged(pipeline, for_threshold, sample, recipe, now)


def judged(
    pipeline: Pipeline, for_threshold: Integers, sample: Sample, recipe: Recipe, now: float
) -> Challenger:
    """Calibrate fitted trees on some rows and evaluate them on the newest."""
    scores = -pipeline.score_samples(for_threshold)
    calibration = calibrate(
        for_threshold,
        scores,
        budget=recipe.budget,
        origin=recipe.origin,
        trained_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        facts={"drift": reference(for_threshold, scores), "table_rows": sample.table_rows},
    )
    scorer = Champion.from_pipeline(pipeline, calibration, UNREGISTERED)
    newest = sample.newest
    injected = injections(newest, INJECTED, 0)
    evaluation = evaluate(scorer.scores, calibration.threshold, newest, injected)
    told = {**calibration.facts, "evaluation": evaluation.metrics()}
    return Challenger(pipeline, replace(calibration, facts=told), evaluation)


def champion_on(
    champion: Champion, for_threshold: Integers, newest: Integers, budget: float
) -> Evaluation:
    """The champion on the same rows, with its threshold set anew by the same budget.

    Otherwise a champion whose threshold has gone stale would look good for flagging too much.
    """
    threshold = alert_threshold(champion.scores(for_threshold), budget)
    return evaluate(champion.scores, threshold, newest, injections(newest, INJECTED, 0))
