"""What would make a flagged transaction ordinary: one number changed, as little as it takes.

Such a change is called a counterfactual explanation (Wachter, Mittelstadt, Russell, "Counterfactual
explanations without opening the black box", 2017). The other numbers follow: the inputs are worth
the outputs and the fee, and with more or fewer inputs or outputs a transaction is larger or smaller
in the proportion of plain payments, at the same fee rate.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.detector.champion import Champion
from core.detector.rules import Judged, flagged_by_rules
from core.feature_table import NAMES
from core.features import Floats, measures
from core.transaction import MAX_COUNT, MAX_MONEY, MAX_WEIGHT

CHANGED = ("fee", "output_value", "inputs_count", "outputs_count")
"""The fields whose change is tried."""

_FACTORS = np.geomspace(1e-6, 1e6, 241)
"""A field is tried at a millionth to a million times its value, in steps of 6 %."""

_MOST = Judged(
    MAX_WEIGHT, MAX_WEIGHT, MAX_MONEY, MAX_COUNT, MAX_COUNT, MAX_MONEY, MAX_MONEY, np.inf
)[:-1]
_LEAST = Judged(1, 1, 0, 1, 1, 1, 0, 0.0)[:-1]
"""What a transaction can have; the fields in the order of `DETECTOR_FIELDS`."""

_BULK = NAMES.index("bulk")
"""The weight beside that of plain payments with so many inputs and outputs."""


class Counterfactual(NamedTuple):
    """A field's value at which nothing flags the transaction, and the score in 0..1 it has then."""

    field: str
    value: int
    anomaly_score: float


def counterfactuals(champion: Champion, numbers: tuple[float, ...]) -> list[Counterfactual] | None:
    """The smallest change of each field that does, the smallest by ratio first.

    `numbers` are in the order of `DETECTOR_FIELDS`. None for a transaction that nothing flags;
    empty where no change of one field is enough.
    """
    own = Judged(*numbers)
    if not _flagged(champion, np.array([numbers], np.float64))[0]:
        return None
    found = (_smallest(champion, own, field) for field in CHANGED)
    return [change for _, change in sorted(each for each in found if each)]


def _smallest(champion: Champion, own: Judged, field: str) -> tuple[float, Counterfactual] | None:
    """The smallest change of one field that does, after its ratio as a logarithm."""
    present = getattr(own, field)
    values = np.unique(np.round(max(present, 1) * _FACTORS))
    changed = _changed(own, field, values[values != present])
    rows = _rows(changed)
    rows = rows[((rows >= _LEAST) & (rows <= _MOST)).all(axis=1)]
    rows = rows[~_flagged(champion, rows)]
    if not len(rows):
        return None
    values = rows[:, Judged._fields.index(field)]
    ratios = np.abs(np.log(np.maximum(values, 1) / max(present, 1)))
    nearest = int(ratios.argmin())
    (score,) = champion.scores(rows[nearest : nearest + 1])
    return float(ratios[nearest]), Counterfactual(field, int(values[nearest]), float(score))


def _changed(own: Judged, field: str, values: Floats) -> Judged:
    """The transaction with each of the values, its other numbers consistent with that."""
    new = own._replace(**{field: values})
    if field in ("inputs_count", "outputs_count"):
        growth = measures(_rows(own))[:, _BULK] / measures(_rows(new))[:, _BULK]
        sized = {each: np.round(getattr(own, each) * growth) for each in ("size", "weight", "fee")}
        new = new._replace(**sized)
    return new._replace(input_value=new.output_value + new.fee)


def _rows(t: Judged) -> Floats:
    """Numbers, or arrays of one length, as rows of shape (n, 8)."""
    rows: Floats = np.atleast_2d(np.array(np.broadcast_arrays(*t[:-1]), np.float64).T).copy()
    return rows


def _flagged(champion: Champion, rows: Floats) -> NDArray[np.bool_]:
    return champion.flags(rows, champion.scores(rows)) | flagged_by_rules(rows)
