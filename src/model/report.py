"""What a run shows besides its numbers: baselines, curves, accidents. It decides nothing."""

import logging
from functools import partial

from core.registry.rest import RegistryUnavailableError
from model.accidents import judged
from model.baselines import compared
from model.challenger import INJECTED, Challenger, Recipe, split
from model.evaluation import injections
from model.run import Run
from model.sampling import Sample

log = logging.getLogger(__name__)

_ROWS = 5_000
"""Rows that a baseline is calibrated and judged on: neighbours are slow to find."""


def attach_report(
    run: Run, challenger: Challenger, sample: Sample, recipe: Recipe, at: float
) -> None:
    """Attach it to a run; without it the training still counts."""
    try:
        _baselines(run, sample, recipe, at)
        _pictures(run, challenger, sample)
        run.document("accidents.json", judged(challenger.scorer))
    except RegistryUnavailableError as error:
        log.warning("report not attached run=%s reason=%s", run.run_id, error)


def _baselines(run: Run, sample: Sample, recipe: Recipe, at: float) -> None:
    for_trees, for_threshold = split(sample.drawn, recipe)
    newest = sample.newest[:_ROWS]
    injected = injections(newest, INJECTED, 0)
    found = compared(for_trees, for_threshold[:_ROWS], newest, injected, recipe.budget)
    for name, evaluation in found.items():
        metrics = evaluation.metrics()
        run.metrics({f"baseline_{name}_{metric}": v for metric, v in metrics.items()}, at)


def _pictures(run: Run, challenger: Challenger, sample: Sample) -> None:
    from model.figures import curves, histogram  # matplotlib: a second, after the promotion

    score = challenger.scorer.scores
    usual = score(sample.newest)
    injected = injections(sample.newest, INJECTED, 0)
    unusual = {name: score(rows) for name, rows in injected.items()}
    calibration = challenger.calibration
    picture = partial(histogram, usual=usual, unusual=unusual, threshold=calibration.threshold)
    run.file("scores.png", picture)
    run.file("recall.png", partial(curves, usual=usual, unusual=unusual, budget=calibration.budget))
