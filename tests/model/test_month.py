"""A month of the trainer on a compressed clock: what it keeps in MLflow is bounded."""

import logging
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from mlflow import MlflowClient
from tests.support.raw_lake import append_rows
from tests.support.tracking_server import TrackingServer

from core.ordinary_traffic.traffic import Traffic
from core.registry.follower import MODEL_NAME, champion_version, load_champion
from core.settings import TrainerSettings
from model.followed_registry import EXPERIMENT
from model.service import Service
from model.training_job import train
from model.training_process import TrainerConfig
from monitoring.prometheus_metrics import new_registry
from monitoring.trainer_metrics import TrainerMetrics

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3_600), pytest.mark.usefixtures("no_report")]

HOUR, DAY = 3_600, 86_400
START = 1_795_392_000  # midnight
log = logging.getLogger(__name__)

DAYS, ROWS_AN_HOUR = 30, 120
REFUSED_DAYS = range(10, 13)
"""The gate refuses everything, and the threshold does not fit: nothing that is trained helps."""
MOVED_DAY = 20
"""From this day on transactions have another shape: one lasting change, which is followed."""
USUAL_DAYS = {*range(2, 10), *range(14, 20), *range(26, DAYS)}
"""Without the days in which the sample forgets the traffic before."""
KEPT = 4
SETTINGS = TrainerSettings(_env_file=None, forest_trees=50, model_versions_kept=KEPT)


class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


def test_what_a_month_leaves_in_mlflow_is_bounded(
    lake: str,
    tracking_uri: str,
    server: TrackingServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, config = Clock(), TrainerConfig(lake, "simulated", tracking_uri, f"{lake}-casework")
    metrics = TrainerMetrics(new_registry("trainer"))
    service = Service(config, SETTINGS, metrics, clock, partial(train, clock=clock))
    attempts: Counter[int] = Counter()
    causes: dict[int, Counter[str]] = {}
    databases: list[int] = []
    for hour in range(24 * DAYS):
        day = hour // 24
        _append_hour(lake, hour)
        with monkeypatch.context() as patched:
            if day in REFUSED_DAYS:
                patched.setattr("model.training.refusals", lambda *_: ["it is refused"])
                patched.setattr("model.schedule.keeps_budget", lambda *_: False)
            for minute in range(0, 60, 20 if day in REFUSED_DAYS else 60):
                clock.now = START + (hour + 1) * HOUR + 60 * minute
                outcome = service.step()
                attempts[day] += outcome is not None
        if hour % 24 == 23:
            causes[day] = Counter(attempt.cause for attempt in service.registry.attempts())
            databases.append((server.folder / "mlflow.db").stat().st_size)
            _check_what_is_kept(tracking_uri, server)
    usual = [attempts[day] for day in USUAL_DAYS]
    assert max(usual) <= 8, "stationary traffic makes the trainer spin"
    assert max(attempts.values()) <= 15, attempts
    assert causes[REFUSED_DAYS[1]]["flag_rate"] > 0, "the fault was none"
    growth = [after - before for before, after in pairwise(databases)]
    assert max(growth) <= 15 * 100_000, "rows of removed runs: 100 kB a training"
    version = champion_version(tracking_uri)
    assert version is not None
    assert load_champion(tracking_uri, version).version == version
    log.info("attempts=%s database_bytes=%d..%d", attempts, databases[0], databases[-1])


def _append_hour(lake: str, hour: int) -> None:
    begins = START + hour * HOUR
    times = begins + np.arange(ROWS_AN_HOUR) * HOUR / ROWS_AN_HOUR
    traffic = Traffic(5)
    traffic._rng = np.random.default_rng((5, hour))
    rows = traffic.draw(times).numbers
    if hour >= 24 * MOVED_DAY:  # three in ten send ten times the outputs: traffic, not anomalies
        rows[::3, 4] *= 10
        rows[::3, 1] *= 3
        rows[::3, 0] *= 3
    append_rows(lake, rows, datetime.fromtimestamp(begins, UTC), ROWS_AN_HOUR * hour)


def _check_what_is_kept(tracking_uri: str, server: TrackingServer) -> None:
    """The newest versions, the champion, and the one that was written after the last pruning."""
    client = MlflowClient(tracking_uri)
    versions = client.search_model_versions(f"name = '{MODEL_NAME}'")
    assert len(versions) <= KEPT + 2
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return
    artifacts = server.folder / "artifacts" / experiment.experiment_id
    models = list(artifacts.glob("models/*"))
    runs = [path for path in artifacts.glob("*") if path.name != "models"]
    assert len(models) <= KEPT + 2, "model files"
    assert len(runs) <= 2 * KEPT + 2, "samples"
