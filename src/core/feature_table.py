"""The features in words: names, formulas, units and sources.

`core/features.py` computes them. This table is separate so that a service that only shows features
does not import the compiler.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """One feature: its name, the words, formula and unit of its measure, and the source.

    A measure that is `beside_market` is divided by the going fee rate before it is compared with
    that of other transactions. `floor` is then added, before the logarithm; it is far below any
    usual value.
    """

    name: str
    words: str
    formula: str
    unit: str
    floor: float
    source: str
    beside_market: bool = False


FEATURES = (
    Feature(
        "fee_rate", "fee rate", "fee / (weight / 4)", "sat/vB", 1e-3, "BIP 141; Bitcoin Core", True
    ),
    Feature("fee", "fee", "fee", "sat", 0.1, "inputs less outputs", True),
    Feature("fee_share", "fee of the amount", "fee / input_value", "share", 1e-9, "ratio", True),
    Feature("weight", "size", "weight / 4", "vB", 1.0, "BIP 141: virtual bytes"),
    Feature(
        "bulk",
        "size beside plain payments",
        "weight / (42 + 272 inputs_count + 124 outputs_count)",
        "times",
        0.01,
        "Bitcoin Optech, transaction size calculator: inputs and outputs of P2WPKH",
    ),
    Feature("inputs_count", "inputs", "inputs_count", "", 1.0, "count"),
    Feature("outputs_count", "outputs", "outputs_count", "", 1.0, "count"),
    Feature(
        "smaller_side",
        "inputs and outputs alike",
        "min(inputs_count, outputs_count)",
        "",
        1.0,
        "a coinjoin has many of both: Maxwell, CoinJoin, 2013",
    ),
    Feature("value_per_input", "mean input", "input_value / inputs_count", "sat", 1.0, "ratio"),
    Feature("value_per_output", "mean output", "output_value / outputs_count", "sat", 1.0, "ratio"),
)
"""Every feature, in the order of the columns of `core.features.measures`."""

NAMES = tuple(feature.name for feature in FEATURES)
