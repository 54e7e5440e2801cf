"""The champion: a loaded model version, which scores transactions and explains the scores.

The stream and the API both use it, so a transaction has the same score in both. A champion never
changes; a newer version is another object. One row and many rows go through the same compiled
functions, so their results are equal to the bit.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.detector.attribution import Attribution, attribution, descend_once
from core.detector.calibration import Calibration
from core.detector.forest import Indices, Nodes, flatten
from core.detector.patterns import COINBASE, Shape, facts_of, pattern_of
from core.detector.sklearn_parity import is_exact
from core.detector.verdict import LEAST_SHARE, MOST_REASONS, Reason, Verdict
from core.feature_table import NAMES
from core.features import (
    COLUMNS,
    Floats,
    Numbers,
    coinbase_rows,
    credit_into,
    credit_summaries,
    features,
    features_into,
    measures,
    measures_into,
)
from core.transaction import NUMERIC_FIELDS, DescribedTransaction, numbers_of

if TYPE_CHECKING:
    import pyarrow as pa

Explain = Literal["all", "flagged", "none"]
"""Which rows get reasons."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """A model version that scores; it can be pickled and sent to workers.

    `tails` is the rarity scale that `features` takes. `fallback` is the scikit-learn pipeline, set
    where the flattened forest scored differently when the model was loaded: it then computes the
    scores, and there are no reasons.
    """

    version: str
    calibration: Calibration
    attribution: Attribution
    tails: Floats
    fallback: Any = None

    @classmethod
    def from_pipeline(cls, pipeline: Any, calibration: Calibration, version: str) -> "Champion":
        """Make a champion of a fitted pipeline of two steps, `features` and the forest.

        The forest is flattened and compared with scikit-learn, bit by bit, on rows that lie on its
        thresholds; where they differ it logs an error and scores with scikit-learn. Raises
        `ValueError` for a forest that draws features for each tree.
        """
        forest, tails = flatten(pipeline[-1]), pipeline[0].kw_args["tails"]
        exact = is_exact(forest, pipeline)
        if not exact:
            _log.error(
                "event=slow_scoring version=%s reason=the flattened forest differs from "
                "scikit-learn, which scores instead",
                version,
            )
        fallback = None if exact else pipeline
        champion = cls(version, calibration, attribution(forest), tails, fallback)
        champion.compile()
        return champion

    def compile(self) -> None:
        """Compile all scoring code now, rather than at a process's first request."""
        row = [1.0] * len(NUMERIC_FIELDS)
        self.shortenings(np.array([row]))
        self._score_and_explain(row)

    @property
    def threshold(self) -> float:
        """The score in 0..1 from which a transaction is flagged."""
        return self.calibration.threshold

    def scores(self, numbers: Numbers) -> Floats:
        """The anomaly score of each row in 0..1, higher is more unusual; shape (n,).

        `numbers` has shape (n, 7), the columns in the order of `NUMERIC_FIELDS`.
        """
        if self.fallback is not None:
            return -np.asarray(self.fallback.score_samples(np.asarray(numbers)), np.float64)
        return self.attribution.forest.scores(features(numbers, self.tails))

    def flags(self, numbers: Numbers, scores: Floats) -> NDArray[np.bool_]:
        """Whether each row is flagged, given its score: coinbase transactions never are."""
        return (scores >= self.threshold) & ~coinbase_rows(numbers)

    def shortenings(self, numbers: Numbers) -> Floats:
        """By how many splits each measure shortens the mean path; shape (n, len(FEATURES))."""
        columns = features(numbers, self.tails)
        return credit_summaries(self.attribution.shortenings(columns), columns)

    def verdict(self, transaction: DescribedTransaction) -> Verdict:
        """The verdict on one transaction, with its reasons whether or not it is flagged."""
        values = list(map(float, numbers_of(transaction)))
        score, reasons = self._score_and_explain(values)
        facts = (np.nan if fact is None else float(fact) for fact in facts_of(transaction))
        pattern = pattern_of(Shape(*values, *facts))
        return Verdict(
            anomaly_score=score,
            percentile=self.calibration.percentile(score),
            threshold=self.threshold,
            is_anomaly=score >= self.threshold and pattern != COINBASE,
            pattern=pattern,
            reasons=reasons,
            model_version=self.version,
        )

    def _score_and_explain(self, values: list[float]) -> tuple[float, tuple[Reason, ...]]:
        """The score of one row, and its reasons, the most important first."""
        if self.fallback is not None:
            return float(self.scores(np.array([values]))[0]), ()
        depth, measured, parts = score_row(self.attribution, self.tails, values)
        order = sorted(range(len(parts)), key=parts.__getitem__, reverse=True)
        usual, least = self.calibration.usual, max(LEAST_SHARE * parts[order[0]], 0.0)
        reasons = tuple(
            Reason(NAMES[i], measured[i], *usual[NAMES[i]], parts[i])
            for i in order[:MOST_REASONS]
            if parts[i] > least
        )
        return float(self.attribution.forest.scores_of(depth)), reasons

    def verdicts(self, table: "pa.Table | pa.RecordBatch", explain: Explain = "all") -> "pa.Table":
        """The verdict on each row: columns `core.tables.VERDICT`, rows in the same order.

        `table` has the seven numeric fields without nulls, and optionally the facts of
        `DescribedTransaction`; other columns are ignored. Raises `KeyError` when a numeric field is
        missing.
        """
        # Arrow takes 40 MiB, which a service that scores single transactions does not need.
        from core.detector.verdict_table import reason_lists, shape_of, verdict_table

        shape = shape_of(table)
        numbers = np.column_stack(shape[: len(NUMERIC_FIELDS)])
        scores = self.scores(numbers)
        flagged = self.flags(numbers, scores)
        rows = {"all": np.ones_like(flagged), "flagged": flagged, "none": np.zeros_like(flagged)}
        explained = rows[explain] & (self.fallback is None)
        parts = self.shortenings(numbers[explained])
        usual = np.array([self.calibration.usual[name] for name in NAMES])
        reasons = reason_lists(explained, parts, measures(numbers[explained]), usual)
        return verdict_table(self.version, self.calibration, shape, scores, flagged, reasons)


def score_row(
    attribution: Attribution, tails: Floats, values: list[float]
) -> tuple[float, list[float], list[float]]:
    """The path length summed over the trees, each measure, and by how much it shortens the path.

    `values` are the seven numbers in the order of `NUMERIC_FIELDS`; `tails` as for `features`.
    """
    forest, out = attribution.forest, np.empty((2, 1, len(NAMES)))
    depth = _score_row(
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
def _score_row(
    numbers: Floats,
    tails: Floats,
    roots: Indices,
    depths: NDArray[np.int32],
    nodes: Nodes,
    step: Floats,
    path: Floats,
    out: Floats,
) -> float:
    columns, changes = np.empty((1, COLUMNS)), np.zeros((1, COLUMNS))
    measures_into(numbers, out[0])
    features_into(numbers, tails, columns)
    depth = descend_once(roots, depths, nodes, step, path, columns.astype(np.float32), changes)
    credit_into(changes / -len(roots), columns, out[1])
    return depth
