"""How well a detector finds what was injected into held-out traffic, kind by kind.

Recall is taken at the detector's own threshold, so that it costs the alert budget and no more.
AUC and average precision need no threshold; average precision depends on how rare the injected
rows are, which is said beside it. The kinds that are held out never decide anything: the gate and
the tuning look at the others only.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from core.detector.injected_anomalies import KINDS

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Scorer = Callable[[Integers], Floats]
"""Takes rows of shape (n, 7), gives scores of shape (n,): higher is more unusual."""

PREVALENCE = 0.01
"""Injected rows of all kinds together, as a share of the traffic, in the average precision."""


@dataclass(frozen=True)
class Detection:
    """How one kind is found, all in 0..1; `average_precision` at `PREVALENCE` for that kind."""

    auc: float
    average_precision: float
    recall: float


@dataclass(frozen=True)
class Evaluation:
    """A detector on one traffic: what it flags of the ordinary, what it finds of each kind."""

    rows: int
    flagged: int
    kinds: Mapping[str, Detection]

    @property
    def flag_rate(self) -> float:
        """Share of the ordinary traffic that is flagged."""
        return self.flagged / self.rows

    def mean_recall(self, held_out: bool) -> float:
        """Mean recall over the kinds that are, or are not, held out."""
        return float(np.mean([self.kinds[name].recall for name in names(held_out)]))

    def metrics(self) -> dict[str, float]:
        """Everything as flat numbers, by the names that a run shows."""
        found = {
            "flag_rate": self.flag_rate,
            "recall_held_out_kinds": self.mean_recall(held_out=True),
            "recall_choosing_kinds": self.mean_recall(held_out=False),
        }
        for name, kind in self.kinds.items():
            found |= {f"recall_{name}": kind.recall, f"auc_{name}": kind.auc}
            found[f"average_precision_{name}"] = kind.average_precision
        return found


def names(held_out: bool) -> list[str]:
    """The kinds that are held out, or those that are not."""
    return [kind.name for kind in KINDS.values() if kind.held_out is held_out]


def injections(ordinary: Integers, per_kind: int, seed: int) -> dict[str, Integers]:
    """Each kind injected into rows drawn from the ordinary ones, which stay as they are."""
    rng = np.random.default_rng(seed)
    return {
        name: kind.apply(ordinary[rng.integers(0, len(ordinary), per_kind)], rng)
        for name, kind in KINDS.items()
    }


def evaluate(
    score: Scorer, threshold: float, ordinary: Integers, injected: Mapping[str, Integers]
) -> Evaluation:
    """Evaluate a detector that flags the scores from `threshold` on."""
    usual = score(ordinary)
    kinds = {name: _detection(usual, score(rows), threshold) for name, rows in injected.items()}
    return Evaluation(len(usual), int((usual >= threshold).sum()), kinds)


def _detection(usual: Floats, unusual: Floats, threshold: float) -> Detection:
    truth, scores = _together(usual, [unusual])
    return Detection(
        float(roc_auc_score(truth, scores)),
        _average_precision(truth, scores),
        float((unusual >= threshold).mean()),
    )


def overall_average_precision(usual: Floats, unusual: Iterable[Floats]) -> float:
    """Average precision over several kinds together, at `PREVALENCE`."""
    return _average_precision(*_together(usual, list(unusual)))


def _together(usual: Floats, unusual: list[Floats]) -> tuple[NDArray[np.bool_], Floats]:
    found = np.concatenate(unusual)
    truth = np.concatenate([np.zeros(len(usual), bool), np.ones(len(found), bool)])
    return truth, np.concatenate([usual, found])


def _average_precision(truth: NDArray[np.bool_], scores: Floats) -> float:
    """Injected rows are weighted to `PREVALENCE`, however many of either there are."""
    ratio = PREVALENCE / (1 - PREVALENCE) * (~truth).sum() / truth.sum()
    return float(average_precision_score(truth, scores, sample_weight=np.where(truth, ratio, 1.0)))
