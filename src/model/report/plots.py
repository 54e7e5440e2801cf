"""The plots of a run: its scores, and its recall by the share of traffic that it flags."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from model.challenger import Challenger


def plot_scores(path: Path, challenger: Challenger) -> None:
    """A histogram of the newest rows and of each injected kind, with the threshold."""
    score, data = challenger.model.scores, challenger.data
    figure, axes = _axes("Anomaly score", "score, higher is more unusual", "share of rows")
    bins = np.linspace(0.3, 1, 71).tolist()
    usual = score(data.judged)
    axes.hist(usual, bins, weights=np.full(len(usual), 1 / len(usual)), label="newest traffic")
    for kind, rows in data.injected.items():
        weights = np.full(len(rows), 1 / len(rows))
        axes.hist(score(rows), bins, weights=weights, histtype="step", label=kind)
    axes.axvline(challenger.model.threshold, color="black", linestyle="--", label="threshold")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
    figure.savefig(path)


def plot_recall(path: Path, challenger: Challenger) -> None:
    """Recall of each kind against the share of ordinary traffic that is flagged for it."""
    score, data = challenger.model.scores, challenger.data
    figure, axes = _axes("Recall by what it costs", "share of ordinary traffic flagged", "recall")
    usual = score(data.judged)
    for kind, rows in data.injected.items():
        truth = np.concatenate([np.zeros(len(usual)), np.ones(len(rows))])
        cost, recall, _ = roc_curve(truth, np.concatenate([usual, score(rows)]))
        axes.plot(np.maximum(cost, 0.5 / len(usual)), recall, label=kind)
    axes.axvline(data.recipe.budget, color="black", linestyle="--", label="budget")
    axes.set_xscale("log")
    axes.legend(fontsize=7)
    figure.savefig(path)


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes
