"""The pictures of a run, drawn without a display."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

Floats = NDArray[np.float64]


def _drawn(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def histogram(path: Path, usual: Floats, unusual: Mapping[str, Floats], threshold: float) -> None:
    """Scores of the newest traffic and of each injected kind, with the threshold."""
    figure, axes = _drawn("Anomaly score", "score, higher is more unusual", "share of rows")
    bins = np.linspace(0.3, 1, 71)
    axes.hist(
        usual, bins.tolist(), weights=np.full(len(usual), 1 / len(usual)), label="newest traffic"
    )
    for name, scores in unusual.items():
        weights = np.full(len(scores), 1 / len(scores))
        axes.hist(scores, bins.tolist(), weights=weights, histtype="step", label=name)
    axes.axvline(threshold, color="black", linestyle="--", label="threshold")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
    figure.savefig(path)


def curves(path: Path, usual: Floats, unusual: Mapping[str, Floats], budget: float) -> None:
    """Recall of each kind against the share of ordinary traffic flagged for it."""
    figure, axes = _drawn("Recall by what it costs", "share of ordinary traffic flagged", "recall")
    for name, scores in unusual.items():
        truth = np.concatenate([np.zeros(len(usual)), np.ones(len(scores))])
        cost, recall, _ = roc_curve(truth, np.concatenate([usual, scores]))
        axes.plot(np.maximum(cost, 0.5 / len(usual)), recall, label=name)
    axes.axvline(budget, color="black", linestyle="--", label="budget")
    axes.set_xscale("log")
    axes.legend(fontsize=7)
    figure.savefig(path)
