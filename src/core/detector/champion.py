"""The champion: one loaded model, which scores transactions and says why.

The stream and the API both use it, so that a transaction has the same score wherever it is asked
for. A champion never changes; a newer version is another one.

One transaction in one compiled call: its measures, its way through the forest, each one's part.

The same compiled functions as for many rows, so that the results are equal to the bit.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.detector.attribution import Attribution, attribution, descend_once
from core.detector.calibration import Calibration, calibrate
from core.detector.forest import Indices, Nodes, flatten
from core.detector.patterns import COINBASE, Shape, facts_of, pattern_of
from core.detector.sklearn_parity import is_exact
from core.detector.verdict import LEAST_PART, MOST_REASONS, Reason, Verdict
from core.feature_table import FEATURES
from core.features import (
    COLUMNS,
    NAMES,
    Floats,
    Numbers,
    credit_into,
    credited,
    features,
    features_into,
    is_coinbase,
    measures_into,
)
from core.transaction import NUMERIC_FIELDS, DescribedTransaction, numbers_of

if TYPE_CHECKING:
    import pyarrow as pa


__all__ = ["Calibration", "Champion", "Reason", "Verdict", "calibrate"]

Explain = Literal["all", "flagged", "none"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """A model version in service; it can be pickled and sent to workers.

    `fallback` is the scikit-learn pipeline that scores in place of the flattened forest where the
    two differed at loading; there are no reasons then.
    """

    version: str
    calibration: Calibration
    attribution: Attribution
    tails: NDArray[np.float64]
    fallback: Any = None

    @classmethod
    def from_pipeline(cls, pipeline: Any, calibration: Calibration, version: str) -> "Champion":
        """Flatten a fitted pipeline of two steps: `features` with their tails, then the forest.

        What is flattened is compared with scikit-learn, bit by bit, on rows that lie on its
        thresholds; where they differ it logs an error and scores with scikit-learn. Raises
        `ValueError` for a forest that draws features for each tree.
        """
        forest, tails = flatten(pipeline[-1]), pipeline[0].kw_args["tails"]
        exact = is_exact(forest, pipeline)
        if not exact:
            _log.error("flattened forest differs from scikit-learn: slow path version=%s", version)
        fallback = None if exact else pipeline
        champion = cls(version, calibration, attribution(forest), tails, fallback)
        champion.compile()
        return champion

    def compile(self) -> None:
        """Compile what scores now, rather than at a process's first request."""
        row = [1.0] * len(NUMERIC_FIELDS)
        self.shortenings(np.array([row])), self._judged(row)

    @property
    def threshold(self) -> float:
        """The score from which on a transaction is flagged, in 0..1."""
        return self.calibration.threshold

    def scores(self, numbers: Numbers) -> NDArray[np.float64]:
        """The anomaly score of each row in 0..1, higher is more unusual; shape (n,).

        `numbers` has shape (n, 7), the columns in the order of `NUMERIC_FIELDS`.
        """
        if self.fallback is not None:
            return -np.asarray(self.fallback.score_samples(np.asarray(numbers)), np.float64)
        return self.attribution.forest.scores(features(numbers, self.tails))

    def flags(self, numbers: Numbers, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each row is flagged, given its score: coinbase transactions never are."""
        return (scores >= self.threshold) & ~is_coinbase(numbers)

    def shortenings(self, numbers: Numbers) -> NDArray[np.float64]:
        """By how many splits each measure shortens the mean path; shape (n, len(FEATURES))."""
        seen = features(numbers, self.tails)
        return credited(self.attribution.shortenings(seen), seen)

    def verdict(self, transaction: DescribedTransaction) -> Verdict:
        """The verdict on one transaction, with its reasons whether or not it is flagged."""
        values = list(map(float, numbers_of(transaction)))
        score, reasons = self._judged(values)
        pattern = pattern_of(Shape(*values, *map(_known, facts_of(transaction))))
        return Verdict(
            anomaly_score=score,
            percentile=self.calibration.percentile(score),
            threshold=self.threshold,
            is_anomaly=score >= self.threshold and pattern != COINBASE,
            pattern=pattern,
            reasons=reasons,
            model_version=self.version,
        )

    def _judged(self, values: list[float]) -> tuple[float, tuple[Reason, ...]]:
        """The score of one row, and its reasons, the most important first."""
        if self.fallback is not None:
            return float(self.scores(np.array([values]))[0]), ()
        depth, measured, parts = judged(self.attribution, self.tails, values)
        score = float(self.attribution.forest.scores_of(depth))
        return score, self._reasons(parts, measured)

    def _reasons(self, parts: list[float], measured: list[float]) -> tuple[Reason, ...]:
        """The measures that shorten one row's path most, the most first."""
        order = sorted(range(len(parts)), key=parts.__getitem__, reverse=True)
        usual, least = self.calibration.usual, max(LEAST_PART * parts[order[0]], 0.0)
        return tuple(
            Reason(NAMES[i], measured[i], *usual[NAMES[i]], parts[i])
            for i in order[:MOST_REASONS]
            if parts[i] > least
        )

    def verdicts(self, table: "pa.Table | pa.RecordBatch", explain: Explain = "all") -> "pa.Table":
        """The verdict on each row: columns `core.tables.VERDICT`, rows in the same order.

        `table` has the seven numeric fields without nulls, and the optional facts of
        `DescribedTransaction` where they are known; other columns are ignored. `explain` says
        which rows get reasons. Raises `KeyError` when a numeric field is missing.
        """
        from core.detector.verdict_table import (
            verdict_table,  # Arrow: not for one who scores single rows
        )

        return verdict_table(self, table, explain)


def _known(fact: int | bool | None) -> float:
    return float("nan") if fact is None else float(fact)


def judged(
    attribution: Attribution, tails: Floats, values: list[float]
) -> tuple[float, list[float], list[float]]:
    """The path length summed over the trees, each measure, and by how much it shortens the path.

    `values` are the seven numbers in the order of `NUMERIC_FIELDS`; `tails` fit `features`.
    """
    forest, out = attribution.forest, np.empty((2, 1, len(FEATURES)))
    depth = _judged(
        np.array([values]),
        tails,
        forest.roots,
        forest.depths,
        forest.nodes,
        attribution.step,
        forest.path,
        out,
    )
    (measured,), (parts,) = out.tolist()
    return depth, measured, parts


@compiled
def _judged(
    numbers: Floats,
    tails: Floats,
    roots: Indices,
    depths: NDArray[np.int32],
    nodes: Nodes,
    step: Floats,
    path: Floats,
    out: Floats,
) -> float:
    seen, changes = np.empty((1, COLUMNS)), np.zeros((1, COLUMNS))
    measures_into(numbers, out[0])
    features_into(numbers, tails, seen)
    depth = descend_once(roots, depths, nodes, step, path, seen.astype(np.float32), changes)
    credit_into(changes / -len(roots), seen, out[1])
    return depth
