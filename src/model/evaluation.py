"""How well a detector finds anomalies: injected into held-out traffic, and real ones.

Recall is measured at the detector's own threshold, so it costs the alert budget and no more. AUC
and average precision need no threshold; average precision is taken at a fixed prevalence, because
it depends on how rare the anomalies are. The held-out kinds never decide anything: the gate and
the choice of settings use the other kinds only.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from core.detector.injected_anomalies import KINDS
from model.marked_transactions import MarkedRows, MarkedShares
from model.real_transactions import mean_of_unusual, share_of_ordinary, shares_flagged

Floats = NDArray[np.float64]
Scorer = Callable[[Floats], Floats]
"""Takes rows of shape (n, 8), returns scores of shape (n,): higher is more unusual."""

INJECTED_PER_KIND = 400
"""Rows of each kind in an evaluation: a recall is then known to about 0.02."""

PREVALENCE = 0.01
"""Share of injected rows that average precision assumes."""


@dataclass(frozen=True)
class KindEvaluation:
    """How well one kind is found, all in 0..1; `average_precision` is taken at `PREVALENCE`."""

    auc: float
    average_precision: float
    recall: float


@dataclass(frozen=True)
class Evaluation:
    """A detector on one sample: `flagged` of `rows` recent rows, and how it finds each kind.

    `wild` of the flagged rows lie so far out that the budget is not meant for them. `real` has the
    share that is flagged of each group of `model.real_transactions`, and `marked` of the flags that
    people marked, None where there are too few.
    """

    rows: int
    flagged: int
    wild: int
    kinds: Mapping[str, KindEvaluation]
    real: Mapping[str, float]
    marked: MarkedShares | None = None

    def mean_recall(self, held_out: bool) -> float:
        """Mean recall over the kinds that are held out, or over the others."""
        recalls = [self.kinds[k.name].recall for k in KINDS.values() if k.held_out is held_out]
        return float(np.mean(recalls))

    def real_recall(self) -> float:
        """Mean share that is flagged over the groups of real transactions that are unusual."""
        return mean_of_unusual(self.real)

    def real_ordinary(self) -> float:
        """The share that is flagged of the real transactions that are ordinary."""
        return share_of_ordinary(self.real)

    def metrics(self) -> dict[str, float]:
        """Everything as flat numbers, under the names that MLflow shows."""
        metrics = {
            "flag_rate": self.flagged / self.rows,
            "recall_held_out_kinds": self.mean_recall(held_out=True),
            "recall_choosing_kinds": self.mean_recall(held_out=False),
        }
        for name, kind in self.kinds.items():
            metrics |= {f"recall_{name}": kind.recall, f"auc_{name}": kind.auc}
            metrics[f"average_precision_{name}"] = kind.average_precision
        metrics |= {f"real_flagged_{group}": share for group, share in self.real.items()}
        return metrics | (self.marked.metrics() if self.marked else {})


def inject(ordinary: Floats, per_kind: int = INJECTED_PER_KIND, seed: int = 0) -> dict[str, Floats]:
    """Draw rows for each kind and turn them into it; the ordinary rows stay unchanged."""
    rng = np.random.default_rng(seed)
    return {
        name: kind.apply(ordinary[rng.integers(0, len(ordinary), per_kind)], rng)
        for name, kind in KINDS.items()
    }


def evaluate(
    score: Scorer,
    threshold: float,
    ordinary: Floats,
    injected: Mapping[str, Floats],
    wild_from: float = math.inf,
    marked: MarkedRows | None = None,
) -> Evaluation:
    """Evaluate a detector that flags every score from `threshold` on; wild are those above both."""
    usual = score(ordinary)
    kinds = {}
    for name, rows in injected.items():
        unusual = score(rows)
        kinds[name] = KindEvaluation(
            float(roc_auc_score(*_labelled(usual, [unusual]))),
            average_precision(usual, [unusual]),
            float((unusual >= threshold).mean()),
        )
    wild = int((usual >= max(threshold, wild_from)).sum())
    flagged = int((usual >= threshold).sum())
    real = shares_flagged(score, threshold)
    shares = marked_shares(score, threshold, marked) if marked and marked.judge else None
    return Evaluation(len(usual), flagged, wild, kinds, real, shares)


def marked_shares(score: Scorer, threshold: float, marked: MarkedRows) -> MarkedShares:
    """The share of the flags that people marked that a detector flags, of each side."""
    useful, ordinary = (
        float((score(rows) >= threshold).mean()) for rows in (marked.useful, marked.ordinary)
    )
    return MarkedShares(len(marked.useful), len(marked.ordinary), useful, ordinary)


def average_precision(usual: Floats, unusual: Iterable[Floats]) -> float:
    """Average precision over the kinds together, weighted so that they make up `PREVALENCE`."""
    truth, scores = _labelled(usual, unusual)
    ratio = PREVALENCE / (1 - PREVALENCE) * (~truth).sum() / truth.sum()
    return float(average_precision_score(truth, scores, sample_weight=np.where(truth, ratio, 1.0)))


def _labelled(usual: Floats, unusual: Iterable[Floats]) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each score is that of an injected row, and the scores, as one pair of arrays."""
    scores = np.concatenate([usual, *unusual])
    return np.arange(len(scores)) >= len(usual), scores
