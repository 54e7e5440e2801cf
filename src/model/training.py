"""One training from the table to the gate, or one recalibration of the champion's trees.

The order keeps every failure harmless: run, sample, model and version are written first, the gate
looks at what was loaded back from the registry, and the alias moves last.
"""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from deltalake import DeltaTable

from core.detector.champion import Champion
from core.registry.follower import champion_version, download, load_champion, promote
from core.registry.version_files import MODEL_FILE, ModelRefusedError, read_pipeline
from core.settings import TrainerSettings
from model.challenger import Challenger, Origin, Recipe, champion_on, judged, make, split
from model.gate import Rules, degenerate, refusals
from model.mlflow_runs import (
    SAMPLE_FILE,
    Run,
    ensure_registered_model,
    register,
    tag_version,
    write_sample,
)
from model.pipeline import ForestShape
from model.report import attach_report
from model.sampling import Plan, Sample, draw

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of a challenger: its version, and the reasons against it if it was refused."""

    version: str | None
    reasons: tuple[str, ...]
    challenger: Challenger

    @property
    def promoted(self) -> bool:
        """Whether it is champion now."""
        return self.version is not None and not self.reasons

    def summary(self) -> str:
        """The facts of it on one line."""
        evaluation = self.challenger.evaluation
        return (
            f"version={self.version} threshold={self.challenger.calibration.threshold:.4f} "
            f"flagged={evaluation.flagged}/{evaluation.rows} "
            f"recall={evaluation.mean_recall(held_out=False):.3f} "
            f"recall_held_out_kinds={evaluation.mean_recall(held_out=True):.3f} "
            f"reasons={'; '.join(self.reasons) or None}"
        )


def recipe_of(settings: TrainerSettings, origin: Origin) -> Recipe:
    """What the settings ask of a challenger."""
    shape = ForestShape(settings.forest_trees, settings.forest_sub_sample, settings.training_seed)
    return Recipe(shape, settings.calibration_rows, settings.alert_budget, origin)


def plan_of(settings: TrainerSettings, recipe: Recipe) -> Plan:
    """The rows that a challenger of the recipe is made from."""
    return Plan(
        rows=recipe.shape.rows + recipe.calibration_rows,
        newest_rows=settings.newest_rows,
        days=settings.training_days,
        half_life_days=settings.training_half_life_days,
    )


class Trainer:
    """Trains from a table into MLflow; raises `RegistryUnavailableError` when that is away."""

    def __init__(
        self,
        settings: TrainerSettings,
        tracking_uri: str,
        origin: Origin,
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._uri, self._clock = settings, tracking_uri, clock
        self._recipe = recipe_of(settings, origin)
        self._rules = Rules(settings.alert_budget, settings.recall_margin, settings.least_recall)

    def sample(self, table: DeltaTable) -> Sample:
        """Draw what a challenger is made from."""
        plan = plan_of(self._settings, self._recipe)
        return draw(table, plan, self._settings.training_seed)

    def champion(self) -> Champion | None:
        """The champion, or None where there is none or none that still loads."""
        version = champion_version(self._uri, self._recipe.origin)
        if version is None:
            return None
        try:
            return load_champion(self._uri, version)
        except ModelRefusedError as error:
            log.warning("champion does not load and is not compared with reason=%s", error)
            return None

    def rehearse(self, table: DeltaTable) -> Outcome:
        """Train and judge, and write nothing anywhere."""
        sample = self.sample(table)
        challenger = make(sample, self._recipe, self._clock())
        return Outcome(None, self._reasons(challenger, sample, self.champion()), challenger)

    def train(self, table: DeltaTable) -> Outcome:
        """Train a challenger and promote it if the gate lets it pass."""
        ensure_registered_model(self._uri, self._recipe.origin)
        return self._in_a_run({"purpose": "training"}, table, self._grown)

    def recalibrate(self, table: DeltaTable, version: str) -> Outcome:
        """Set a version's threshold anew by recent traffic: the same trees as a new version."""
        with tempfile.TemporaryDirectory() as folder:
            path = download(self._uri, version, Path(folder))
            pipeline = read_pipeline(path / MODEL_FILE)
        wanted = self._recipe.calibration_rows

        def judge(sample: Sample) -> Challenger:
            rows = sample.drawn[:wanted]
            return judged(pipeline, rows, sample, self._recipe, self._clock())

        tags = {"purpose": "recalibration", "trees_of_version": version}
        return self._in_a_run(tags, table, judge)

    def _grown(self, sample: Sample) -> Challenger:
        return make(sample, self._recipe, self._clock())

    def _in_a_run(
        self, tags: dict[str, str], table: DeltaTable, build: Callable[[Sample], Challenger]
    ) -> Outcome:
        run = Run.start(self._uri, tags | {"origin": self._recipe.origin})
        status = "FAILED"
        try:
            sample = self.sample(table)
            self._write_inputs(run, sample)
            outcome = self._judge(run, sample, build(sample))
            status = "FINISHED"
        finally:
            run.end(status)
        return outcome

    def _write_inputs(self, run: Run, sample: Sample) -> None:
        recipe = asdict(self._recipe.shape) | {"calibration_rows": self._recipe.calibration_rows}
        facts = {"table_version": sample.table_version, "table_rows": sample.table_rows}
        run.params(recipe | facts | {"budget": self._recipe.budget, "drawn": len(sample.drawn)})
        run.dataset(sample)
        run.file(SAMPLE_FILE, lambda path: write_sample(sample, path))

    def _judge(self, run: Run, sample: Sample, challenger: Challenger) -> Outcome:
        run.metrics(challenger.metrics(), self._clock())
        run.params({"threshold": challenger.calibration.threshold})  # a metric would be rounded
        reasons = self._reasons(challenger, sample, self.champion())
        version = register(
            self._uri, run.run_id, challenger.pipeline, challenger.calibration, sample.newest
        )
        reasons += self._loads_back(version, challenger, sample)
        verdict = {"gate": "refused" if reasons else "passed", "reason": "; ".join(reasons)}
        run.tags(verdict | {"version": version})
        tag_version(self._uri, version, verdict)
        if not reasons:
            promote(self._uri, version)
        attach_report(run, challenger, sample, self._recipe, self._clock())
        return Outcome(version, reasons, challenger)

    def _reasons(
        self, challenger: Challenger, sample: Sample, champion: Champion | None
    ) -> tuple[str, ...]:
        against = None
        if champion is not None:
            _, rows = split(sample.drawn, self._recipe)
            against = champion_on(champion, rows, sample.newest, self._recipe.budget)
        found = refusals(challenger.evaluation, against, self._rules)
        return tuple(found + degenerate(sample.drawn))

    def _loads_back(self, version: str, challenger: Challenger, sample: Sample) -> tuple[str, ...]:
        try:
            loaded = load_champion(self._uri, version)
        except ModelRefusedError as error:
            return (f"does not load back from the registry: {error}",)
        expected = -challenger.pipeline.score_samples(sample.newest)
        if np.array_equal(loaded.scores(sample.newest), expected):
            return ()
        return ("scores otherwise when loaded back from the registry",)
