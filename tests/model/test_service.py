import logging
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient
from tests.support.delta_tables import cut_off_checkpoint
from tests.support.raw_lake import START, append_rows
from tests.support.tracking_server import TrackingServer

from core.features import Floats
from core.lake import OriginMismatchError
from core.ordinary_traffic import traffic
from core.registry.follower import ALIAS, MODEL_NAME, champion_version, load_champion, promote
from core.registry.version_files import ModelRefusedError
from core.settings import TrainerSettings
from model.followed_registry import Origin
from model.mlflow_runs import Registry
from model.sampling import Sample
from model.service import Service
from model.training_job import train, trainer_of
from model.training_process import TrainerConfig
from monitoring.prometheus_metrics import new_registry
from monitoring.trainer_metrics import TrainerMetrics

pytestmark = pytest.mark.usefixtures("no_report")

NOW = 1_795_428_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def service_of(
    lake: str, uri: str, settings: TrainerSettings, clock: Clock, origin: Origin = "simulated"
) -> Service:
    """Its trainings are done in this process, by the same clock."""
    config = TrainerConfig(lake, origin, uri, f"{lake}-casework")
    metrics = TrainerMetrics(new_registry("trainer"))
    return Service(config, settings, metrics, clock, partial(train, clock=clock))


def value(service: Service, name: str, **labels: str) -> float | None:
    return service.metrics.registry.get_sample_value(f"bitcoin_trainer_{name}", labels)


def test_it_waits_for_the_table_and_logs_it_once_a_minute(
    lake: str, settings: TrainerSettings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    service = service_of(lake, "http://localhost:9", settings, clock)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert service.step() is None
        assert [r.message for r in caplog.records] == [
            "event=training_waiting reason=there is no table raw_transactions yet"
        ]
        clock.now += 61
        service.step()
        assert len(caplog.records) == 2


def test_it_waits_for_mlflow(
    lake: str, settings: TrainerSettings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    append_rows(lake, traffic.beside_market(2_500, seed=1))
    service = service_of(lake, "http://localhost:9", settings, clock)
    with caplog.at_level(logging.INFO):
        assert service.step() is None
    assert "MLflow at http://localhost:9 does not answer" in caplog.text


def test_it_waits_for_the_repair_of_a_damaged_log(
    lake: str, settings: TrainerSettings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    append_rows(lake, traffic.beside_market(2_500, seed=1))
    cut_off_checkpoint(Path(lake, "raw_transactions"))
    service = service_of(lake, "http://localhost:9", settings, clock)
    with caplog.at_level(logging.INFO):
        assert service.step() is None
    assert "restart the stream, which repairs it" in caplog.text


def test_a_lake_of_the_other_origin_is_refused(
    lake: str, settings: TrainerSettings, clock: Clock
) -> None:
    append_rows(lake, traffic.beside_market(10, seed=1))
    service = service_of(lake, "http://localhost:9", settings, clock, "live")
    with pytest.raises(OriginMismatchError):
        service.step()


@pytest.mark.stack
def test_from_the_first_rows_to_a_stale_threshold(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    settled = settings.model_copy(update={"calibration_rows": 2_000})  # so few are here
    service = service_of(lake, tracking_uri, settled, clock)
    append_rows(lake, traffic.beside_market(1_000, seed=1))
    assert service.step() is None
    assert value(service, "table_rows") == 1_000
    assert value(service, "trainings_total", result="promoted") == 0
    append_rows(lake, traffic.beside_market(2_000, seed=2), START, 1_000)
    outcome = service.step()
    assert outcome is not None and outcome.promoted
    _check_metrics_of_promotion(service)
    assert service.step() is None, "nothing has changed"
    assert value(service, "flag_rate_ratio") is not None
    assert value(service, "drift_index", feature="fee_rate") is not None

    clock.now += settings.drift_check_seconds + 1
    moved = _reshaped(traffic.beside_market(6_000, seed=3), every=10)
    append_rows(lake, moved, START + timedelta(hours=1), 3_000)
    stale = value(service, "champion_threshold_ratio")
    outcome = service.step()
    assert outcome is not None and outcome.promoted, outcome
    assert value(service, "recalibrations_total") == 1
    assert value(service, "champion_version") == 2
    flagged = value(service, "flag_rate_ratio")
    assert flagged is not None and flagged > 0.003
    assert service.step() is None, "the new threshold fits"
    fitting, now = value(service, "champion_threshold_ratio"), value(service, "flag_rate_ratio")
    assert stale is not None and fitting is not None and fitting > stale
    assert now is not None and now < flagged / 2


def _reshaped(rows: Floats, every: int) -> Floats:
    """One in `every` has six times the outputs: too many to be anomalies, so they are traffic."""
    rows[::every, 4] *= 6
    rows[::every, :2] *= 4
    return rows


def _check_metrics_of_promotion(service: Service) -> None:
    assert value(service, "trainings_total", result="promoted") == 1
    assert value(service, "champion_version") == 1
    assert value(service, "last_promotion_timestamp_seconds") == NOW
    assert value(service, "last_training_timestamp_seconds") == NOW
    assert value(service, "training_seconds_count") == 1
    threshold = value(service, "champion_threshold_ratio")
    assert threshold is not None and 0.3 < threshold < 1
    assert value(service, "recall_ratio", kind="zero_fee") is not None


@pytest.mark.stack
def test_drift_trains_early_and_is_kept_with_the_champions_run(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    small = settings.model_copy(update={"calibration_rows": 1_000})
    service = service_of(lake, tracking_uri, small, clock)
    _append_hours(lake, range(24), traffic.beside_market(4_800, seed=1))
    service.step()
    assert value(service, "drift_limit_index") == 0, "nothing has been measured"
    clock.now += settings.early_training_seconds + 1
    assert service.step() is None, "the same day has not drifted"
    limit = value(service, "drift_limit_index")
    assert limit is not None and limit == pytest.approx(settings.drift_limit, abs=0.03)
    _append_hours(lake, range(24, 48), _reshaped(traffic.beside_market(4_800, seed=2), every=3))
    outcome = service.step()
    assert outcome is not None
    champion = load_champion(tracking_uri, "2")
    assert champion.calibration.facts["covered_seconds"] > 46 * 3_600
    drifted = value(service, "drift_index", feature="outputs_count")
    assert drifted is not None and drifted > limit
    client = MlflowClient(tracking_uri)
    run = client.get_run(str(client.get_model_version(MODEL_NAME, "1").run_id))
    assert run.data.metrics["drift_outputs_count"] < 0.1, (
        "an hour has not passed since the last entry"
    )
    assert service.registry.attempts()[0].cause == "drift"
    history = len(client.get_metric_history(run.info.run_id, "drift_outputs_count"))
    assert history == 1


def _append_hours(lake: str, hours: range, rows: Floats) -> None:
    """The same number of rows in each hour from `START` on."""
    for hour, part in zip(hours, np.array_split(rows, len(hours)), strict=True):
        append_rows(lake, part, START + timedelta(hours=hour), len(rows) * hour)


@pytest.mark.stack
def test_a_new_process_goes_on_where_the_last_one_ended(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    service_of(lake, tracking_uri, settings, clock).step()
    clock.now += 60
    again = service_of(lake, tracking_uri, settings, clock)
    assert again.step() is None
    assert value(again, "champion_version") == 1
    clock.now += settings.training_interval_seconds
    outcome = again.step()
    assert outcome is not None and outcome.version == "2"
    promote(tracking_uri, "1")
    again.step()
    assert value(again, "champion_version") == 1, "someone rolled back"


@pytest.mark.stack
def test_another_budget_sets_the_threshold_that_the_champion_promised_for_it(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    service_of(lake, tracking_uri, settings, clock).step()
    facts = load_champion(tracking_uri, "1").calibration.facts
    promised = {point["budget"]: point["threshold"] for point in facts["budgets"]}
    clock.now += settings.drift_check_seconds + 1
    other = settings.model_copy(update={"alert_budget": 0.005})
    service = service_of(lake, tracking_uri, other, clock)
    outcome = service.step()
    assert outcome is not None and outcome.promoted, outcome
    assert value(service, "recalibrations_total") == 1
    assert value(service, "champion_budget_ratio") == 0.005
    threshold = value(service, "champion_threshold_ratio")
    assert threshold == pytest.approx(promised[0.005], abs=0.01)
    assert promised[0.005] < promised[settings.alert_budget] - 0.01
    assert service.step() is None, "the budget is met"


@pytest.mark.stack
def test_a_training_that_fails_is_counted_and_tried_again(
    lake: str,
    settings: TrainerSettings,
    clock: Clock,
    server: TrackingServer,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    service = service_of(lake, tracking_uri, settings, clock)
    with monkeypatch.context() as patched:
        patched.setattr(Sample, "write", lambda *_: server.stop())
        assert service.step() is None
    assert value(service, "trainings_total", result="failed") == 1
    server.start()
    clock.now += 121
    assert service.step() is not None
    assert champion_version(tracking_uri) == "1"


@pytest.mark.stack
@pytest.mark.parametrize("deleted", ["run", "alias", "version", "model", "experiment", "files"])
def test_what_someone_deletes_in_mlflow_is_replaced(
    deleted: str,
    lake: str,
    settings: TrainerSettings,
    clock: Clock,
    server: TrackingServer,
    tracking_uri: str,
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    service = service_of(lake, tracking_uri, settings, clock)
    service.step()
    client = MlflowClient(tracking_uri)
    run = str(client.get_model_version(MODEL_NAME, "1").run_id)
    experiment = client.get_run(run).info.experiment_id
    match deleted:
        case "run":
            client.delete_run(run)
        case "alias":
            client.delete_registered_model_alias(MODEL_NAME, ALIAS)
        case "version":
            client.delete_model_version(MODEL_NAME, "1")
        case "model":
            client.delete_registered_model(MODEL_NAME)
        case "experiment":
            client.delete_experiment(experiment)
        case "files":
            (model,) = client.search_logged_models([experiment], f"source_run_id = '{run}'")
            shutil.rmtree(server.folder / "artifacts" / experiment / "models" / model.model_id)
            service = service_of(lake, tracking_uri, settings, clock)  # a restart reads them
    lost = deleted in ("alias", "version", "model", "files")
    clock.now += 121 if lost else settings.training_interval_seconds
    outcome = service.step()
    assert outcome is not None and outcome.promoted
    assert champion_version(tracking_uri) == outcome.version
    assert value(service, "champion_version") == float(str(outcome.version))
    assert service.step() is None, "nothing has changed"


@pytest.mark.stack
def test_a_champion_of_another_registry_that_counts_from_1_again_is_loaded(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    first, other = (service_of(lake, tracking_uri, settings, clock) for _ in range(2))
    first.step()
    MlflowClient(tracking_uri).delete_registered_model(MODEL_NAME)
    append_rows(lake, traffic.beside_market(3_000, seed=2), START + timedelta(hours=1), 3_000)
    outcome = trainer_of(other.config, settings, clock).train(_opened(other))
    assert outcome.version == "1"
    first.step()
    assert value(first, "champion_threshold_ratio") == outcome.challenger.model.threshold


def _opened(service: Service) -> DeltaTable:
    table = service.open_table()
    assert table is not None
    return table


@pytest.mark.stack
def test_a_refused_recalibration_is_repeated_later_and_later_also_after_a_restart(
    lake: str,
    settings: TrainerSettings,
    clock: Clock,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    service_of(lake, tracking_uri, settings, clock).step()
    append_rows(
        lake,
        _reshaped(traffic.beside_market(2_500, seed=3), every=3),
        START + timedelta(hours=1),
        3_000,
    )
    monkeypatch.setattr("model.training.refusals", lambda *_: ["it is refused"])
    attempts = []
    for minute in range(5, 50, 5):
        clock.now = NOW + 60 * minute
        service = service_of(lake, tracking_uri, settings, clock)
        if (outcome := service.step()) is not None:
            assert not outcome.promoted
            attempts.append(minute)
    assert attempts == [5, 15, 35]


@pytest.mark.stack
def test_a_recalibration_of_trees_that_are_gone_trains_new_ones(
    lake: str,
    settings: TrainerSettings,
    clock: Clock,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    service = service_of(lake, tracking_uri, settings, clock)
    service.step()
    clock.now += settings.drift_check_seconds + 1
    append_rows(
        lake,
        _reshaped(traffic.beside_market(2_500, seed=3), every=3),
        START + timedelta(hours=1),
        3_000,
    )

    def gone(*_: object) -> None:
        raise ModelRefusedError("model.skops cannot be loaded safely: it is missing")

    monkeypatch.setattr(Registry, "pipeline", gone)
    outcome = service.step()
    assert outcome is not None and outcome.version == "2"


def test_an_unforeseen_error_is_logged_and_counted_and_the_next_step_follows(
    lake: str,
    settings: TrainerSettings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = service_of(lake, "http://localhost:9", settings, clock)
    steps = iter([ZeroDivisionError("by chance"), None, ModelRefusedError("of the other origin")])

    def step() -> None:
        if (error := next(steps)) is not None:
            raise error

    monkeypatch.setattr(service, "step", step)
    monkeypatch.setattr("model.service.POLL_SECONDS", 0)
    with pytest.raises(ModelRefusedError):
        service.run()
    assert value(service, "step_failures_total") == 1
    assert "event=step_failed" in caplog.text and "by chance" in caplog.text
