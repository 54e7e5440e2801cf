"""Draw transactions as numbers, as the behaviours and the market of the moment make them.

`Traffic` draws a batch at once, fast enough for hundreds of thousands. A row is consistent: fee =
inputs - outputs, and size and weight follow from the counts and script types by BIP 141. The
simulator makes transactions of it, and the trainer compares a young sample with it.

The fee level follows one of the paths of `market_paths`.

>>> Traffic(seed=1).draw(np.full(3, 1.8e9)).numbers.shape
(3, 7)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.ordinary_traffic import market_paths
from core.ordinary_traffic.behaviours import (
    BEHAVIOURS,
    DATA_BYTES,
    FLOOR,
    LEAST_MIXED,
    LONG_DATA_BYTES,
    LONG_DATA_SHARE,
    POOLS,
    POSTAGE,
    USUAL_RATE,
    Behaviour,
    Counts,
)
from core.ordinary_traffic.market_paths import MEDIAN_BID
from core.ordinary_traffic.script_types import (
    OVERHEAD,
    SCRIPT_TYPES,
    SEGWIT_MARKER,
    TYPE_NAMES,
    data_script_sizes,
)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_INPUT = np.array([script.input_base for script in SCRIPT_TYPES])
_WITNESS = np.array([script.witness for script in SCRIPT_TYPES])
_OUTPUT = np.array([script.output for script in SCRIPT_TYPES])
_SHARES = np.array([behaviour.share for behaviour in BEHAVIOURS])
_DUST = 600


def fee_level(times: Floats, seed: int, path: str = "steady", start: float | None = None) -> Floats:
    """The market's fee rate at Unix times as a multiple of its usual one, on a path.

    A seed has its spikes and blocks at the same times, whichever times are passed and in whatever
    order. `start` is where the paths that begin somewhere begin (None: at the earliest of the
    times).
    """
    begun = float(times.min(initial=np.inf)) if start is None else start
    return market_paths.level(path, times, seed, begun)


@dataclass(frozen=True)
class Batch:
    """Drawn transactions: `numbers` (n, 7) in the order of NUMERIC_FIELDS, the rest (n,).

    `behaviour` are indices of BEHAVIOURS, `input_type` and `output_type` of SCRIPT_TYPES.
    """

    numbers: Integers
    behaviour: Integers
    input_type: Integers
    output_type: Integers
    data_bytes: Integers


class Traffic:
    """Draws batches; the same seed draws the same ones, no seed different ones each time.

    Fees follow a path of the market from the Unix time `start` on (None: from the earliest time of
    the first batch), that of `market_seed` (None: the seed). Some behaviours can be so many times
    as common as usual: `more`, by name.
    """

    def __init__(
        self,
        seed: int | None = None,
        path: str = "steady",
        start: float | None = None,
        more: Mapping[str, float] = MappingProxyType({}),
        market_seed: int | None = None,
    ) -> None:
        entropy = np.random.SeedSequence(seed).entropy
        self.seed = int(entropy) if isinstance(entropy, int) else 0
        self._rng = np.random.default_rng(self.seed)
        self._path, self._start = path, start
        self._market_seed = self.seed if market_seed is None else market_seed
        shares = _SHARES * [more.get(behaviour.name, 1.0) for behaviour in BEHAVIOURS]
        self._shares = shares / shares.sum()

    def draw(self, times: Floats, factor: float = 1.0) -> Batch:
        """One transaction for each Unix time; the times only set the fee level.

        `factor` multiplies that level.
        """
        n = len(times)
        if self._start is None and n:
            self._start = float(times.min())
        behaviour = self._rng.choice(len(BEHAVIOURS), n, p=self._shares)
        inputs = self._counts(behaviour, lambda b: b.inputs)
        outputs = self._counts(behaviour, lambda b: b.outputs)
        input_type = self._types(behaviour, lambda b: b.types)
        output_type = self._types(behaviour, lambda b: b.pays)
        mixes = _column(behaviour, lambda b: b.coinjoin is not None) > 0
        outputs = np.where(mixes, inputs, outputs)
        output_type = np.where(mixes, input_type, output_type)
        carries = _column(behaviour, lambda b: b.data) > 0
        data = np.where(carries, self._data_bytes(n), 0)
        base = _base(behaviour, inputs, outputs, input_type, output_type, data)
        witness = self._witness(behaviour, inputs, input_type)
        weight = 4 * base + witness
        level = factor * fee_level(times, self._market_seed, self._path, self._start)
        fee = self._fees(behaviour, weight, level)
        value = self._values(behaviour, outputs, output_type)
        columns = [base + witness, weight, fee, inputs, outputs, value + fee, value]
        return Batch(np.stack(columns, axis=1), behaviour, input_type, output_type, data)

    def _data_bytes(self, n: int) -> Integers:
        usual = self._rng.integers(*DATA_BYTES, n, endpoint=True)
        longer = self._rng.integers(*LONG_DATA_BYTES, n, endpoint=True)
        return np.where(self._rng.random(n) < LONG_DATA_SHARE, longer, usual)

    def _counts(self, behaviour: Integers, of: Callable[[Behaviour], Counts]) -> Integers:
        drawn = self._lognormal(
            _column(behaviour, lambda b: of(b).typical), _column(behaviour, lambda b: of(b).spread)
        )
        low = _column(behaviour, lambda b: of(b).low)
        high = _column(behaviour, lambda b: of(b).high)
        return np.clip(np.rint(drawn), low, high).astype(np.int64)

    def _types(
        self, behaviour: Integers, of: Callable[[Behaviour], Mapping[str, float]]
    ) -> Integers:
        """One script type each, by its behaviour's weights."""
        table = np.array([[of(b).get(name, 0.0) for name in TYPE_NAMES] for b in BEHAVIOURS])
        upper = np.cumsum(table, axis=1) / table.sum(axis=1, keepdims=True)
        chance = self._rng.random(len(behaviour))
        drawn: Integers = (chance[:, None] >= upper[behaviour]).sum(axis=1)
        return drawn

    def _witness(self, behaviour: Integers, inputs: Integers, input_type: Integers) -> Integers:
        """Witness bytes with the marker; one ECDSA signature in four takes 72 bytes, not 71."""
        each = _WITNESS[input_type]
        longer = np.where(each == 107, self._rng.binomial(inputs, 0.25), 0)
        payload = _column(behaviour, lambda b: b.payload)
        spread = _column(behaviour, lambda b: b.payload_spread)
        envelope = np.where(payload > 0, self._lognormal(np.maximum(payload, 1), spread), 0)
        envelope = np.minimum(envelope, 390_000).astype(np.int64)
        return np.where(each > 0, SEGWIT_MARKER + each * inputs + longer + envelope, 0)

    def _fees(self, behaviour: Integers, weight: Integers, level: Floats) -> Integers:
        """Fee in satoshi, rounded up: the floor and the urgency, times the level and the weight."""
        urgency = self._lognormal(
            _column(behaviour, lambda b: b.urgency), _column(behaviour, lambda b: b.urgency_spread)
        )
        rate = USUAL_RATE * level * (FLOOR + np.minimum(urgency, 40))
        return np.ceil(rate * weight / 4).astype(np.int64)

    def _values(self, behaviour: Integers, outputs: Integers, output_type: Integers) -> Integers:
        """Value of all outputs together in satoshi; never below dust, never above 20,000 BTC."""
        median = _column(behaviour, lambda b: b.value or 1)
        drawn = self._lognormal(median, _column(behaviour, lambda b: b.value_spread))
        least = np.where(_column(behaviour, lambda b: b.coinjoin is not None), LEAST_MIXED, _DUST)
        value = np.clip(drawn, least * outputs, 2e12).astype(np.int64)
        pool = self._rng.choice(list(POOLS), len(behaviour), p=list(POOLS.values()))
        whirlpool = _column(behaviour, lambda b: b.coinjoin == "whirlpool") > 0
        value = np.where(whirlpool, pool * outputs, value)
        token_only = (_column(behaviour, lambda b: b.value is None) > 0) & ~whirlpool
        for name, shares in POSTAGE.items():
            postage = self._rng.choice(list(shares), len(behaviour), p=list(shares.values()))
            carries = token_only & (output_type == TYPE_NAMES.index(name))
            value = np.where(carries, postage * outputs, value)
        return value

    def _lognormal(self, median: Floats, spread: Floats) -> Floats:
        drawn: Floats = median * np.exp(spread * self._rng.standard_normal(len(median)))
        return drawn


def going_rate(
    times: Floats, seed: int, path: str = "steady", start: float | None = None
) -> Floats:
    """The median fee rate that generated traffic pays at Unix times, in sat/vB."""
    return USUAL_RATE * MEDIAN_BID * fee_level(times, seed, path, start)


def beside_market(
    n: int, seed: int, start: float = 1.8e9, rate: float = 7.0, path: str = "steady"
) -> Floats:
    """The transactions of `numbers`, each beside the market of its time: shape (n, 8)."""
    times = start + np.arange(n) / rate
    drawn = Traffic(seed, path, start).draw(times).numbers
    return np.column_stack([drawn, going_rate(times, seed, path, start)])


def numbers(
    n: int,
    seed: int | None = None,
    start: float = 1.8e9,
    rate: float = 7.0,
    path: str = "steady",
) -> Integers:
    """The next n transactions as (n, 7) in the order of NUMERIC_FIELDS, `rate` a second."""
    return Traffic(seed, path, start).draw(start + np.arange(n) / rate).numbers


def _column(behaviour: Integers, of: Callable[[Behaviour], float | bool]) -> Floats:
    """A behaviour's property for every row."""
    column: Floats = np.array([of(b) for b in BEHAVIOURS])[behaviour]
    return column


def _base(
    behaviour: Integers,
    inputs: Integers,
    outputs: Integers,
    input_type: Integers,
    output_type: Integers,
    data: Integers,
) -> Integers:
    """Bytes without the witness; one output may be change to the inputs' type, one data."""
    carriers = (data > 0).astype(np.int64)
    script = data_script_sizes(data)
    change = (_column(behaviour, lambda b: b.change) > 0) & (outputs - carriers > 1)
    paid = outputs - carriers - change
    size: Integers = (
        OVERHEAD
        + 2 * ((inputs > 252).astype(np.int64) + (outputs > 252))  # counts as longer varints
        + inputs * _INPUT[input_type]
        + paid * _OUTPUT[output_type]
        + change * _OUTPUT[input_type]
        + carriers * (8 + 1 + 2 * (script > 252) + script)
    )
    return size
