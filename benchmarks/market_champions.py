"""First champions: many drawn from few rows each, with anomalies among these rows.

A champion is trained as the trainer does it, a quarter of its rows held out, and put to the gate.
It is judged by ordinary rows that it has not seen, and by anomalies injected into them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from benchmarks.samples import Floats

from core.detector.injected_anomalies import KINDS
from core.settings import TrainerSettings
from model.challenger import Recipe, TrainingData, train_challenger
from model.evaluation import inject
from model.gate import Rules, refusals
from model.sampling import Sample

JUDGED = 6_000
"""Ordinary rows by which a champion is judged, apart from those that it learns from."""

SETTINGS = TrainerSettings(_env_file=None)


@dataclass(frozen=True)
class Draws:
    """So many champions from `rows` rows each, of which `wild` are anomalies."""

    rows: int
    wild: int
    count: int
    aim: float

    def fit(self, rows: Floats) -> bool:
        """Whether there are enough rows for them."""
        return len(rows) >= self.rows + JUDGED


DRAWS = [Draws(2_000, wild, 50, aim=0.9) for wild in (0, 2, 10, 20)] + [
    Draws(50_000, 250, 5, aim=0.95)
]


@dataclass(frozen=True)
class FirstChampion:
    """The recall of its weakest kind, its flags of 1,000 ordinary rows, and what the gate says."""

    weakest: float
    flagged: float
    refused: bool


def first_champion(traffic: Floats, draws: Draws, number: int) -> FirstChampion:
    """Train one from rows of which some are anomalies: of all kinds, or of one in each odd draw."""
    rng = np.random.default_rng(number)
    drawn = rng.permutation(traffic)
    learned, others = drawn[: draws.rows].copy(), drawn[-JUDGED:]
    kinds = list(KINDS.values())
    for place in range(draws.wild):
        kind = kinds[(number if number % 2 else place) % len(kinds)]
        learned[place] = kind.apply(others[place : place + 1], rng)[0]
    learned = rng.permutation(learned)
    held_out = min(SETTINGS.newest_rows, draws.rows // 4)
    sample = Sample(learned[held_out:], learned[:held_out], "benchmark", 0, draws.rows)
    recipe = Recipe.from_settings(SETTINGS, "simulated")
    challenger = train_challenger(TrainingData.prepare(sample, recipe), now=0.0)
    gate = Rules(SETTINGS.alert_budget, SETTINGS.recall_margin, SETTINGS.least_recall)
    model = challenger.model
    found = inject(others, 100, seed=number).values()
    return FirstChampion(
        min(float((model.scores(made) >= model.threshold).mean()) for made in found),
        1_000 * float((model.scores(others) >= model.threshold).mean()),
        bool(refusals(challenger.evaluation, None, gate)),
    )


def lines(name: str, traffic: Floats) -> Iterator[str]:
    """Rows of the table for one kind of traffic."""
    for draws in DRAWS:
        if not draws.fit(traffic):
            continue
        found = [first_champion(traffic, draws, number) for number in range(draws.count)]
        weakest = np.array([each.weakest for each in found])
        flagged = np.array([each.flagged for each in found])
        yield (
            f"| {name} | {draws.rows:,} | {draws.wild} | {draws.aim:.2f}"
            f" | {(weakest >= draws.aim).sum()} of {draws.count} | {weakest.min():.2f}"
            f" | {np.median(flagged):.1f} ({flagged.min():.1f} to {flagged.max():.1f})"
            f" | {sum(each.refused for each in found)} |"
        )


def print_champions(traffics: Mapping[str, Floats]) -> None:
    """Print the table."""
    print("\n| traffic | rows | anomalies among them | aim | every kind reaches the aim", end="")
    print(
        " | weakest of all | flags of 1,000 ordinary | refused |\n|---|---|---|---|---|---|---|---|"
    )
    for name, traffic in traffics.items():
        for line in lines(name, traffic):
            print(line, flush=True)
