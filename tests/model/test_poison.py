"""Training rows that were poisoned or come from a broken source, and what the gate says of them."""

import numpy as np
import pytest
from tests.support.raw_lake import append_rows

from core.detector.injected_anomalies import KINDS
from core.features import Floats
from core.ordinary_traffic import traffic
from core.settings import TrainerSettings
from model.evaluation import Evaluation, evaluate, inject
from model.mlflow_runs import Registry
from model.training import Outcome, Trainer

SETTINGS = TrainerSettings(_env_file=None, forest_trees=50)
BLOCK = traffic.beside_market(3_000, seed=1)
HEALTHY = traffic.beside_market(20_000, seed=2)
MOST_FLAGGED = 10 * SETTINGS.alert_budget
"""Of healthy traffic. Three of 3,000 rows set the threshold, so a sharper bound would be chance."""


class EmptyRegistry(Registry):
    """A registry without a champion; it writes nothing."""

    def champion_version(self) -> None:
        return None

    def champion(self) -> None:
        return None


def train(lake: str, rows: Floats) -> Outcome:
    """Train from these rows, and ask the gate."""
    trainer = Trainer(
        SETTINGS, EmptyRegistry("http://localhost:9", "simulated"), lambda: 1_795_428_000.0
    )
    return trainer.dry_run(append_rows(lake, rows))


def on_healthy_traffic(outcome: Outcome) -> Evaluation:
    """How the trained model, whatever the gate says, would do on traffic without the fault."""
    model = outcome.challenger.model
    return evaluate(model.scores, model.threshold, HEALTHY, inject(HEALTHY))


def extreme(rows: Floats, share: float) -> Floats:
    """Rows of which a share move 5,000 to 500,000 BTC."""
    poisoned, some = rows.copy(), slice(0, round(len(rows) * share))
    poisoned[some] = KINDS["inflated_output"].apply(rows[some], np.random.default_rng(0))
    return np.random.default_rng(1).permutation(poisoned)


def repeated(rows: Floats, copies: int) -> Floats:
    """Rows, and a row that a source has sent so many times."""
    return np.random.default_rng(1).permutation(
        np.concatenate([np.tile(rows[:1], (copies, 1)), rows])
    )


def without_fees_and_counts(rows: Floats) -> Floats:
    emptied = rows.copy()
    emptied[:, 2:5] = 0
    return emptied


def test_healthy_rows_give_a_model_that_keeps_its_budget_and_finds_every_kind(lake: str) -> None:
    outcome = train(lake, BLOCK)
    assert outcome.reasons == ()
    healthy = on_healthy_traffic(outcome)
    assert healthy.flagged <= MOST_FLAGGED * healthy.rows
    assert min(kind.recall for kind in healthy.kinds.values()) > 0.9


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.tile(BLOCK[:1], (2_000, 1)), ["fee_rate has the same value", "the same row"]),
        (without_fees_and_counts(BLOCK), ["fee has the same value", "inputs_count has the same"]),
        (repeated(BLOCK[:500], 6_000), ["are the same row: the source repeats itself"]),
    ],
    ids=["one value only", "empty columns", "a day of identical rows"],
)
def test_rows_of_a_broken_source_are_refused_and_even_so_would_flood_nobody(
    lake: str, rows: Floats, words: list[str]
) -> None:
    outcome = train(lake, rows)
    for word in words:
        assert any(word in reason for reason in outcome.reasons), outcome.reasons
    healthy = on_healthy_traffic(outcome)
    assert healthy.flagged <= MOST_FLAGGED * healthy.rows, "the reference is learned with them"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_extreme_rows_hide_their_own_kind_at_most_and_no_model_floods(
    lake: str, share: float
) -> None:
    outcome = train(lake, extreme(BLOCK, share))
    assert outcome.reasons == (), "what is extreme in all traffic is usual"
    healthy = on_healthy_traffic(outcome)
    assert healthy.flagged <= MOST_FLAGGED * healthy.rows
    others = [k.name for k in KINDS.values() if not k.held_out and k.name != "inflated_output"]
    assert min(healthy.kinds[name].recall for name in others) > 0.5
