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
from core.detector.patterns import COINBASE, Shape, facts_of, patterns_of
from core.detector.rules import RULES_VERSION, flagged_by_rules, rules_of
from core.detector.sklearn_parity import is_exact
from core.detector.verdict import LEAST_SHARE, MOST_REASONS, FlaggedBy, Reason, Verdict
from core.feature_table import FEATURES, NAMES
from core.features import (
    COLUMNS,
    LEAST_MARKET,
    MARKET,
    Floats,
    Numbers,
    coinbase_rows,
    credit_into,
    credit_summaries,
    features,
    features_into,
    market_of,
    measures,
    measures_into,
)
from core.transaction import DETECTOR_FIELDS, DescribedTransaction, numbers_of

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
        row = [1.0] * len(DETECTOR_FIELDS)
        self.shortenings(np.array([row]))
        self._score_and_explain(row)

    @property
    def threshold(self) -> float:
        """The score in 0..1 from which a transaction is flagged."""
        return self.calibration.threshold

    def scores(self, numbers: Numbers) -> Floats:
        """The anomaly score of each row in 0..1, higher is more unusual; shape (n,).

        `numbers` has shape (n, 8), the columns in the order of `DETECTOR_FIELDS`.
        """
        if self.fallback is not None:
            return -np.asarray(self.fallback.score_samples(np.asarray(numbers)), np.float64)
        return self.attribution.forest.scores(features(numbers, self.tails))

    def flags(self, numbers: Numbers, scores: Floats) -> NDArray[np.bool_]:
        """Whether the model flags each row, given its score: coinbase transactions never are."""
        return (scores >= self.threshold) & ~coinbase_rows(numbers)

    def shortenings(self, numbers: Numbers) -> Floats:
        """By how many splits each measure shortens the mean path; shape (n, len(FEATURES))."""
        columns = features(numbers, self.tails)
        return credit_summaries(self.attribution.shortenings(columns), columns)

    def verdict(self, transaction: DescribedTransaction, market_fee_rate: float) -> Verdict:
        """The verdict on one transaction, with its reasons whether or not it is flagged.

        `market_fee_rate` is the going fee rate to judge it beside, in sat/vB.
        """
        values = [*map(float, numbers_of(transaction)), market_fee_rate]
        score, reasons = self._score_and_explain(values)
        patterns = _patterns(transaction, values)
        by_model = score >= self.threshold and COINBASE not in patterns
        by_rule = bool(rules_of(values))
        return Verdict(
            anomaly_score=score,
            percentile=self.calibration.percentile(score),
            threshold=self.threshold,
            is_anomaly=by_model or by_rule,
            patterns=patterns,
            reasons=reasons,
            model_version=self.version,
            flagged_by=_FLAGGED_BY[by_model, by_rule],
            market_fee_rate=market_fee_rate,
        )

    def _score_and_explain(self, values: list[float]) -> tuple[float, tuple[Reason, ...]]:
        """The score of one row, and its reasons, the most important first."""
        if self.fallback is not None:
            return float(self.scores(np.array([values]))[0]), ()
        depth, measured, parts = score_row(self.attribution, self.tails, values)
        order = sorted(range(len(parts)), key=parts.__getitem__, reverse=True)
        least, market = max(LEAST_SHARE * parts[order[0]], 0.0), max(values[MARKET], LEAST_MARKET)
        reasons = tuple(
            Reason(NAMES[i], measured[i], *self._usual(i, market), parts[i])
            for i in order[:MOST_REASONS]
            if parts[i] > least
        )
        return float(self.attribution.forest.scores_of(depth)), reasons

    def _usual(self, feature: int, market: float) -> tuple[float, float]:
        """The usual range of a feature's measure beside a market."""
        low, high = self.calibration.usual[NAMES[feature]]
        factor = market if FEATURES[feature].beside_market else 1.0
        return low * factor, high * factor

    def verdicts(self, table: "pa.Table | pa.RecordBatch", explain: Explain = "all") -> "pa.Table":
        """The verdict on each row: columns `core.tables.VERDICT`, rows in the same order.

        `table` has the columns `DETECTOR_FIELDS` without nulls, and optionally the facts of
        `DescribedTransaction`, `package_fee_rate` (sat/vB) to judge a row by and `replaced_fee`
        (satoshi); other columns are ignored. Raises `KeyError` when one is missing.
        """
        # Arrow takes 40 MiB, which a service that scores single transactions does not need.
        from core.detector.verdict_table import (
            fee_steps_of,
            judged_beside,
            numbers_of_table,
            reason_lists,
            shape_of,
            verdict_table,
        )

        numbers = numbers_of_table(table)
        scores, market = self.scores(numbers), market_of(numbers)
        by_model = self.flags(numbers, scores)
        by_rule = flagged_by_rules(numbers, fee_steps_of(table))
        flagged = by_model | by_rule
        rows = {"all": np.ones_like(flagged), "flagged": flagged, "none": np.zeros_like(flagged)}
        explained = rows[explain] & (self.fallback is None)
        parts = self.shortenings(numbers[explained])
        usual = np.array([self.calibration.usual[name] for name in NAMES])
        measured = measures(numbers[explained])
        reasons = reason_lists(explained, parts, measured, usual, market[explained])
        return verdict_table(
            self.version,
            self.calibration,
            shape_of(table),
            scores,
            by_model,
            by_rule,
            reasons,
            judged_beside(table),
        )


@dataclass(frozen=True)
class RulesOnly:
    """Judges by the rules alone, while there is no champion; the same methods as `Champion`."""

    version: str = RULES_VERSION

    def verdict(self, transaction: DescribedTransaction, market_fee_rate: float) -> Verdict:
        """The verdict on one transaction: no score, no reasons."""
        values = [*map(float, numbers_of(transaction)), market_fee_rate]
        by_rule = bool(rules_of(values))
        return Verdict(
            anomaly_score=0.0,
            percentile=0.0,
            threshold=1.0,
            is_anomaly=by_rule,
            patterns=_patterns(transaction, values),
            reasons=(),
            model_version=self.version,
            flagged_by=_FLAGGED_BY[False, by_rule],
            market_fee_rate=market_fee_rate,
        )

    def verdicts(
        self,
        table: "pa.Table | pa.RecordBatch",
        explain: Explain = "all",  # noqa: ARG002 (as `Champion.verdicts`; nothing to explain)
    ) -> "pa.Table":
        """The verdict on each row, as `Champion.verdicts`; there are no reasons."""
        from core.detector.verdict_table import rules_table

        return rules_table(table)


_FLAGGED_BY: dict[tuple[bool, bool], FlaggedBy | None] = {
    (False, False): None,
    (True, False): "model",
    (False, True): "rule",
    (True, True): "both",
}


def _patterns(transaction: DescribedTransaction, values: list[float]) -> tuple[str, ...]:
    """The patterns of one transaction, given its numbers."""
    coinjoin, *others = facts_of(transaction)
    facts = [coinjoin, *(np.nan if fact is None else float(fact) for fact in others)]
    return patterns_of(Shape(*values[:MARKET], *facts))


def score_row(
    attribution: Attribution, tails: Floats, values: list[float]
) -> tuple[float, list[float], list[float]]:
    """The path length summed over the trees, each measure, and by how much it shortens the path.

    `values` are the numbers in the order of `DETECTOR_FIELDS`; `tails` as for `features`.
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
