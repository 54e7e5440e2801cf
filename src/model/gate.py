"""Whether a challenger may become champion: every reason against it, in words.

The gate never uses the held-out kinds.
"""

from dataclasses import dataclass

import numpy as np

from core.feature_table import NAMES
from core.features import MARKET, Floats, measures
from model.evaluation import Evaluation
from model.flag_budget import keeps_budget

REAL_MARGIN = 0.15
"""How much of the real transactions a challenger may lose to the champion. Forests of other draws
of the same traffic differ by up to 0.11 there; a lost protocol costs 0.24 or more."""

MARKED_MARGIN = 0.2
"""How much of its advantage on marked flags a challenger may lose to the champion: about the width
of the interval of a share of `LEAST_ROWS` rows."""

_ONE_VALUE = 0.999
"""A measure whose commonest value has this share of the rows carries no information."""

_REPEATED = 0.5
"""Share of copies of one row at which the threshold would flag twice the budget of the others."""


@dataclass(frozen=True)
class Rules:
    """The limits of the gate.

    The flag rate must fit the `budget`, as `keeps_budget` says. The mean recall may be at most
    `margin` below the champion's on the same rows. It must also reach `least_recall`, because a
    model that flags nothing keeps every budget. Of the real transactions every accident must be
    flagged, and the limits of `_real_refusals` hold.
    """

    budget: float
    margin: float = 0.05
    least_recall: float = 0.2


def refusals(
    challenger: Evaluation, champion: Evaluation | None, rules: Rules, marks_count: bool = True
) -> list[str]:
    """The reasons against a challenger; an empty list means that it may become champion.

    `marks_count` is whether people's marks may be one.
    """
    reasons = []
    if not keeps_budget(challenger.flagged, challenger.wild, challenger.rows, rules.budget):
        reasons.append(
            f"flags {challenger.flagged} of {challenger.rows} of the newest transactions, "
            f"{challenger.wild} of them far out, which does not fit a budget of {rules.budget:g}"
        )
    recall = challenger.mean_recall(held_out=False)
    if recall < rules.least_recall:
        reasons.append(f"recall {recall:.3f} is below the least, {rules.least_recall:g}")
    if champion is not None:
        champion_recall = champion.mean_recall(held_out=False)
        if recall < champion_recall - rules.margin:
            reasons.append(
                f"recall {recall:.3f} is more than {rules.margin:g} below the champion's "
                f"{champion_recall:.3f}"
            )
    reasons += _real_refusals(challenger, champion)
    return reasons + (_marked_refusals(challenger, champion) if marks_count else [])


def _marked_refusals(challenger: Evaluation, champion: Evaluation | None) -> list[str]:
    """The reason that follows from the flags that people marked: both are judged by the same."""
    if champion is None or challenger.marked is None or champion.marked is None:
        return []
    ours, its = challenger.marked.advantage, champion.marked.advantage
    if ours >= its - MARKED_MARGIN:
        return []
    return [
        f"flags {challenger.marked.useful:.3f} of the marked flags that were useful and "
        f"{challenger.marked.ordinary:.3f} of the others, more than {MARKED_MARGIN:g} worse than "
        f"the champion's {champion.marked.useful:.3f} and {champion.marked.ordinary:.3f}"
    ]


def _real_refusals(challenger: Evaluation, champion: Evaluation | None) -> list[str]:
    """The reasons that follow from real transactions."""
    reasons = []
    if (share := challenger.real["accidents"]) < 1:
        reasons.append(f"flags only {share:.2f} of the accidents of history")
    if champion is None:
        return reasons
    recall, its_recall = challenger.real_recall(), champion.real_recall()
    if recall < its_recall - REAL_MARGIN:
        reasons.append(
            f"flags {recall:.3f} of the unusual real transactions, more than {REAL_MARGIN:g} below "
            f"the champion's {its_recall:.3f}"
        )
    ordinary, its_ordinary = challenger.real_ordinary(), champion.real_ordinary()
    if ordinary > its_ordinary + REAL_MARGIN:
        reasons.append(
            f"flags {ordinary:.3f} of the ordinary real transactions, more than {REAL_MARGIN:g} "
            f"above the champion's {its_ordinary:.3f}"
        )
    return reasons


def unfit_data(rows: Floats) -> list[str]:
    """The reasons against the training rows themselves; an empty list means that they may serve."""
    return constant_measures(rows) + repeated_row(rows)


def constant_measures(rows: Floats) -> list[str]:
    """A reason for each measure that has one value in all training rows, or nearly all.

    The source of such rows is broken. A model trained on them would flag all traffic as soon as the
    source works again.
    """
    return [
        f"{name} has the same value in nearly every row: the data are incomplete"
        for name, column in zip(NAMES, measures(rows).T, strict=True)
        if np.unique(column, return_counts=True)[1].max(initial=0) >= _ONE_VALUE * len(rows)
    ]


def repeated_row(rows: Floats) -> list[str]:
    """A reason against rows of which one makes up half: a source that sends the same all day.

    The threshold is a quantile of all rows, but only the other rows can exceed it.
    """
    numbers = rows[:, :MARKET]
    copies = int(np.unique(numbers, axis=0, return_counts=True)[1].max(initial=0))
    if copies <= 1 or copies < _REPEATED * len(rows):
        return []
    return [f"{copies} of {len(rows)} rows are the same row: the source repeats itself"]
