"""One training from the table to the gate, or one recalibration of the champion's trees.

The order makes every failure harmless. The run, the sample, the model and the version are written
first. The gate checks what it loads back from the registry. The alias moves last.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from deltalake import DeltaTable

from core.marks import MarkRow
from core.registry.follower import load_champion
from core.registry.version_files import ModelRefusedError
from core.settings import TrainerSettings
from model.challenger import (
    Challenger,
    Recipe,
    TrainingData,
    evaluate_champion,
    recalibrate_challenger,
    train_challenger,
)
from model.gate import Rules, refusals, unfit_data
from model.marked_transactions import (
    marked_rows,
    may_hold,
    precision_metrics,
    precision_table,
)
from model.mlflow_runs import Registry, Run
from model.pruning import prune_or_log
from model.report import attach_report
from model.sampling import SamplingPlan, count_rows, draw_sample
from model.schedule import Cause


@dataclass(frozen=True)
class Outcome:
    """The result of a training: the registered version, and the reasons against it if refused.

    `reported` is False when the report could not be attached to the run.
    """

    version: str | None
    reasons: tuple[str, ...]
    challenger: Challenger
    reported: bool = True

    @property
    def promoted(self) -> bool:
        """Whether the version became champion."""
        return self.version is not None and not self.reasons

    def summary(self) -> str:
        """The figures of it as `key=value` on one line."""
        evaluation = self.challenger.evaluation
        return (
            f"version={self.version} threshold={self.challenger.model.threshold:.4f} "
            f"flagged={evaluation.flagged}/{evaluation.rows} "
            f"recall={evaluation.mean_recall(held_out=False):.3f} "
            f"recall_held_out_kinds={evaluation.mean_recall(held_out=True):.3f} "
            f"reason={'; '.join(self.reasons) or None}"
        )


class Trainer:
    """Trains from a table into MLflow; raises `RegistryUnavailableError` when that fails.

    `marks` gives what people marked, the newest first.
    """

    def __init__(
        self,
        settings: TrainerSettings,
        registry: Registry,
        clock: Callable[[], float],
        marks: Callable[[], Sequence[MarkRow]] = list,
    ) -> None:
        self._settings, self._registry, self._clock = settings, registry, clock
        self._marks = marks
        self._recipe = Recipe.from_settings(settings, registry.origin)
        self._plan = SamplingPlan.from_settings(settings, self._recipe.rows)
        self._rules = Rules(settings.alert_budget, settings.recall_margin, settings.least_recall)

    def train(self, table: DeltaTable, cause: Cause = "request") -> Outcome:
        """Train a challenger and promote it if it passes the gate."""
        self._registry.ensure_model()
        return self._run({"purpose": "training", "cause": cause}, table, train_challenger)

    def recalibrate(self, table: DeltaTable, version: str, cause: Cause = "request") -> Outcome:
        """Register a version's trees again, with a threshold that is set from recent traffic."""
        build = partial(recalibrate_challenger, self._registry.pipeline(version))
        tags = {"purpose": "recalibration", "cause": cause, "trees_of_version": version}
        return self._run(tags, table, build)

    def dry_run(self, table: DeltaTable) -> Outcome:
        """Train a challenger and apply the gate, without writing anything."""
        data = self._training_data(table, self._marks())
        challenger = train_challenger(data, self._clock())
        return Outcome(None, self._refusals(challenger), challenger)

    def _run(
        self,
        tags: dict[str, str],
        table: DeltaTable,
        build: Callable[[TrainingData, float], Challenger],
    ) -> Outcome:
        # Before anything is written: a trainer that is killed and started again fills no disk.
        prune_or_log(self._registry, self._settings.model_versions_kept)
        tags |= {"origin": self._recipe.origin, "table_rows": str(count_rows(table))}
        run = Run.start(self._registry.tracking_uri, tags, self._clock())
        status = "FAILED"
        try:
            marks = self._marks()
            data = self._training_data(table, marks)
            self._log_inputs(run, data)
            self._log_precision(run, marks)
            outcome = self._register(run, build(data, self._clock()))
            status = "FINISHED"
        finally:
            run.end(status)
        return outcome

    def _training_data(self, table: DeltaTable, marks: Sequence[MarkRow]) -> TrainingData:
        sample = draw_sample(table, self._plan, self._settings.training_seed)
        return TrainingData.prepare(sample, self._recipe, marked_rows(marks))

    def _log_precision(self, run: Run, marks: Sequence[MarkRow]) -> None:
        """Log how many of the champion's flags were of use, and keep that of every group."""
        if marks:
            figures = precision_metrics(marks, self._registry.champion_version())
            run.log_metrics(figures, self._clock())
            run.log_json("marked_flags.json", precision_table(marks))

    def _log_inputs(self, run: Run, data: TrainingData) -> None:
        sample, recipe = data.sample, data.recipe
        run.log_params(
            asdict(recipe.shape)
            | {"calibration_rows": recipe.calibration_rows, "budget": recipe.budget}
            | {"table_version": sample.table_version, "table_rows": sample.table_rows}
            | {"drawn": len(sample.drawn)}
        )
        run.log_sample(sample)

    def _register(self, run: Run, challenger: Challenger) -> Outcome:
        """Register the challenger, apply the gate and promote it if nothing speaks against it."""
        run.log_metrics(challenger.metrics(), self._clock())
        model, newest = challenger.model, challenger.data.sample.newest
        run.log_params({"threshold": model.threshold})  # MLflow would round a metric
        reasons = self._refusals(challenger)
        version = run.register(challenger.pipeline, model.calibration, newest)
        reasons += self._loads_back(version, challenger)
        verdict = {"gate": "refused" if reasons else "passed", "reason": "; ".join(reasons)}
        run.set_tags(verdict | {"version": version})
        self._registry.tag_version(version, verdict)
        if not reasons:
            self._registry.promote(replace(model, version=version))
        reported = attach_report(run, challenger, self._clock())
        return Outcome(version, reasons, challenger, reported)

    def _refusals(self, challenger: Challenger) -> tuple[str, ...]:
        """The reasons against a challenger, compared with the champion of this moment."""
        champion = self._registry.champion()
        compared = evaluate_champion(champion, challenger.data) if champion else None
        counts = champion is not None and may_hold(champion, self._clock())
        reasons = refusals(challenger.evaluation, compared, self._rules, counts)
        return tuple(reasons + unfit_data(challenger.data.sample.drawn))

    def _loads_back(self, version: str, challenger: Challenger) -> tuple[str, ...]:
        """A reason against a version that does not give its scores when it is loaded."""
        newest = challenger.data.sample.newest
        try:
            loaded = load_champion(self._registry.tracking_uri, version)
        except ModelRefusedError as error:
            return (f"does not load back from the registry: {error}",)
        if np.array_equal(loaded.scores(newest), -challenger.pipeline.score_samples(newest)):
            return ()
        return ("gives other scores when loaded back from the registry",)
