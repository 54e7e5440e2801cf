import logging
from datetime import timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.support.delta_tables import cut_off_checkpoint
from tests.support.raw_lake import START, Integers, append_rows
from tests.support.tracking_server import TrackingServer

from core.lake import OriginMismatchError
from core.registry.follower import MODEL_NAME, champion_version, promote
from core.settings import TrainerSettings
from data_ingestion.simulation import traffic
from model.challenger import Origin
from model.sampling import Sample
from model.service import Service, TrainerConfig
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
    metrics = TrainerMetrics(new_registry("trainer"))
    return Service(TrainerConfig(lake, origin, uri), settings, metrics, clock)


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
    append_rows(lake, traffic.numbers(2_500, seed=1))
    service = service_of(lake, "http://localhost:9", settings, clock)
    with caplog.at_level(logging.INFO):
        assert service.step() is None
    assert "MLflow at http://localhost:9 does not answer" in caplog.text


def test_it_waits_for_the_repair_of_a_damaged_log(
    lake: str, settings: TrainerSettings, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    append_rows(lake, traffic.numbers(2_500, seed=1))
    cut_off_checkpoint(Path(lake, "raw_transactions"))
    service = service_of(lake, "http://localhost:9", settings, clock)
    with caplog.at_level(logging.INFO):
        assert service.step() is None
    assert "restart the stream, which repairs it" in caplog.text


def test_a_lake_of_the_other_origin_is_refused(
    lake: str, settings: TrainerSettings, clock: Clock
) -> None:
    append_rows(lake, traffic.numbers(10, seed=1))
    service = service_of(lake, "http://localhost:9", settings, clock, "live")
    with pytest.raises(OriginMismatchError):
        service.step()


@pytest.mark.stack
def test_from_the_first_rows_to_a_stale_threshold(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    service = service_of(lake, tracking_uri, settings, clock)
    append_rows(lake, traffic.numbers(1_000, seed=1))
    assert service.step() is None
    assert value(service, "table_rows") == 1_000
    assert value(service, "trainings_total", result="promoted") == 0
    append_rows(lake, traffic.numbers(2_000, seed=2), START, 1_000)
    outcome = service.step()
    assert outcome is not None and outcome.promoted
    _check_metrics_of_promotion(service)
    assert service.step() is None, "nothing has changed"
    assert value(service, "flag_rate_ratio") is not None
    assert value(service, "drift_index", feature="fee_rate") is not None

    clock.now += settings.drift_check_seconds + 1
    append_rows(lake, _odd(traffic.numbers(2_500, seed=3)), START + timedelta(hours=1), 3_000)
    outcome = service.step()
    assert outcome is not None
    assert value(service, "recalibrations_total") == 1
    flagged = value(service, "flag_rate_ratio")
    assert flagged is not None and flagged > 0.005


def _odd(rows: Integers) -> Integers:
    """Every fiftieth pays the usual fee two hundred times over."""
    rows[::50, 2] *= 200
    rows[::50, 5] = rows[::50, 6] + rows[::50, 2]
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
    service = service_of(lake, tracking_uri, settings, clock)
    append_rows(lake, traffic.numbers(3_000, seed=1))
    service.step()
    clock.now += settings.early_training_seconds + 1
    rows = traffic.numbers(6_000, seed=2)
    rows[:, 2] *= 5
    rows[:, 5] = rows[:, 6] + rows[:, 2]
    append_rows(lake, rows, START + timedelta(hours=1), 3_000)
    outcome = service.step()
    assert outcome is not None
    drifted = value(service, "drift_index", feature="fee_rate")
    assert drifted is not None and drifted > settings.drift_limit
    client = MlflowClient(tracking_uri)
    run = client.get_run(str(client.get_model_version(MODEL_NAME, "1").run_id))
    assert run.data.metrics["drift_fee_rate"] == pytest.approx(drifted)


@pytest.mark.stack
def test_a_new_process_goes_on_where_the_last_one_ended(
    lake: str, settings: TrainerSettings, clock: Clock, tracking_uri: str
) -> None:
    append_rows(lake, traffic.numbers(3_000, seed=1))
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
def test_a_training_that_fails_is_counted_and_tried_again(
    lake: str,
    settings: TrainerSettings,
    clock: Clock,
    server: TrackingServer,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append_rows(lake, traffic.numbers(3_000, seed=1))
    service = service_of(lake, tracking_uri, settings, clock)
    with monkeypatch.context() as patched:
        patched.setattr(Sample, "write", lambda *_: server.stop())
        assert service.step() is None
    assert value(service, "trainings_total", result="failed") == 1
    server.start()
    clock.now += 61
    assert service.step() is not None
    assert champion_version(tracking_uri) == "1"
