import numpy as np
import pytest
from mlflow import MlflowClient
from tests.support.raw_lake import START, append_rows

from core.ordinary_traffic import traffic
from core.registry.follower import (
    ALIAS,
    MODEL_NAME,
    ORIGIN_TAG,
    champion_version,
    load_champion,
    promote,
)
from core.registry.version_files import ModelRefusedError
from core.settings import TrainerSettings
from model.commands import from_run
from model.mlflow_runs import Registry
from model.repeat_run import UnrepeatableRunError, repeat_run
from model.service import Service
from model.training import Trainer
from model.training_process import TrainerConfig
from monitoring.prometheus_metrics import new_registry
from monitoring.trainer_metrics import TrainerMetrics

pytestmark = pytest.mark.stack

BLOCK = traffic.beside_market(3_000, seed=1)


def last_run(uri: str) -> str:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("bitcoin-anomaly-detection")
    assert experiment is not None
    return str(client.search_runs([experiment.experiment_id])[0].info.run_id)


def test_one_block_of_transactions_gives_the_first_champion(
    lake: str, trainer: Trainer, tracking_uri: str
) -> None:
    outcome = trainer.train(append_rows(lake, BLOCK))
    assert outcome.promoted, outcome.reasons
    assert champion_version(tracking_uri, "simulated") == outcome.version == "1"
    client = MlflowClient(tracking_uri)
    assert client.get_registered_model(MODEL_NAME).tags[ORIGIN_TAG] == "simulated"
    version = client.get_model_version(MODEL_NAME, "1")
    assert version.tags["gate"] == "passed"
    run = client.get_run(str(version.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.params["table_version"] == "1"
    assert run.data.metrics["recall_fat_finger_fee"] > 0.5
    assert "baseline_robust_z_recall_held_out_kinds" in run.data.metrics
    assert run.inputs is not None
    assert [d.dataset.name for d in run.inputs.dataset_inputs] == ["raw_transactions"]
    found = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"sample.parquet", "scores.png", "recall.png", "real_transactions.json"} <= found


def test_a_run_repeated_from_its_own_record_gives_the_same_scores_to_the_bit(
    lake: str, trainer: Trainer, tracking_uri: str
) -> None:
    table, registry = append_rows(lake, BLOCK), Registry(tracking_uri, "simulated")
    outcome = trainer.train(table)
    first = last_run(tracking_uri)
    append_rows(lake, traffic.beside_market(500, seed=9), offset=3_000)  # the table has moved on
    assert repeat_run(registry, first)
    assert outcome.version is not None
    trainer.recalibrate(table, outcome.version)
    assert repeat_run(registry, last_run(tracking_uri))


def test_a_run_without_a_version_or_a_sample_is_refused_in_a_sentence(
    lake: str,
    settings: TrainerSettings,
    trainer: Trainer,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table, registry = append_rows(lake, BLOCK), Registry(tracking_uri, "simulated")
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr("model.training.train_challenger", lambda *_: 1 / 0)
        trainer.train(table)
    with pytest.raises(UnrepeatableRunError, match="is FAILED and registered no model version"):
        repeat_run(registry, last_run(tracking_uri))
    config = TrainerConfig(lake, "simulated", tracking_uri, f"{lake}-casework")
    service = Service(config, settings, TrainerMetrics(new_registry("trainer")))
    assert from_run(service, last_run(tracking_uri)) == 1
    with monkeypatch.context() as patched:
        patched.setattr("model.mlflow_runs.Run.log_sample", lambda *_: None)
        trainer.train(table)
    with pytest.raises(UnrepeatableRunError, match="has no sample"):
        repeat_run(registry, last_run(tracking_uri))


def test_a_report_that_fails_leaves_the_promotion_and_the_run_as_they_are(
    lake: str,
    trainer: Trainer,
    tracking_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("model.report.verdicts", lambda *_: 1 / 0)
    outcome = trainer.train(append_rows(lake, BLOCK))
    assert outcome.promoted and not outcome.reported
    assert champion_version(tracking_uri) == outcome.version
    run = MlflowClient(tracking_uri).get_run(last_run(tracking_uri))
    assert run.info.status == "FINISHED"
    assert "event=report_not_attached" in caplog.text


def test_a_refused_version_has_no_alias_and_its_run_says_why(
    lake: str, trainer: Trainer, tracking_uri: str
) -> None:
    outcome = trainer.train(append_rows(lake, np.tile(BLOCK[:1], (2_000, 1))))
    assert outcome.version == "1" and not outcome.promoted
    assert champion_version(tracking_uri, "simulated") is None
    tags = MlflowClient(tracking_uri).get_run(last_run(tracking_uri)).data.tags
    assert tags["gate"] == "refused" and "rows are the same row" in tags["reason"]


def test_a_worse_challenger_leaves_the_champion_in_service(
    lake: str, trainer: Trainer, settings: TrainerSettings, tracking_uri: str
) -> None:
    table = append_rows(lake, traffic.beside_market(8_000, seed=1))
    assert trainer.train(table).promoted
    poor = settings.model_copy(update={"forest_trees": 10, "forest_sub_sample": 16})
    outcome = Trainer(poor, Registry(tracking_uri, "simulated"), lambda: 0.0).train(table)
    assert outcome.version == "2"
    assert "below the champion's" in "; ".join(outcome.reasons)
    assert champion_version(tracking_uri) == "1"
    tags = MlflowClient(tracking_uri).get_model_version(MODEL_NAME, "2").tags
    assert tags["gate"] == "refused" and "below the champion's" in tags["reason"]


def test_a_recalibration_is_a_new_version_of_the_same_trees(
    lake: str, trainer: Trainer, tracking_uri: str
) -> None:
    table = append_rows(lake, BLOCK)
    assert trainer.train(table).version == "1"
    more = append_rows(lake, traffic.beside_market(9_000, seed=3), START, 3_000)
    outcome = trainer.recalibrate(more, "1")
    assert (outcome.version, outcome.promoted) == ("2", True)
    before, after = (load_champion(tracking_uri, version) for version in ("1", "2"))
    np.testing.assert_array_equal(before.scores(BLOCK), after.scores(BLOCK))
    assert before.threshold != after.threshold
    newest = len(outcome.challenger.data.sample.newest)
    assert newest / 2 - 50 < after.calibration.rows <= newest / 2, "by half of the newest rows"


def test_rolling_back_is_moving_the_alias(lake: str, trainer: Trainer, tracking_uri: str) -> None:
    table = append_rows(lake, BLOCK)
    trainer.train(table)
    trainer.train(table)
    assert champion_version(tracking_uri) == "2"
    promote(tracking_uri, "1")
    aliases = MlflowClient(tracking_uri).get_registered_model(MODEL_NAME).aliases
    assert str(aliases[ALIAS]) == "1"


def test_a_registry_of_the_other_origin_is_refused(
    lake: str, trainer: Trainer, settings: TrainerSettings, tracking_uri: str
) -> None:
    table = append_rows(lake, BLOCK)
    trainer.train(table)
    live = Trainer(settings, Registry(tracking_uri, "live"), lambda: 0.0)
    with pytest.raises(ModelRefusedError, match="made from simulated data"):
        live.train(table)
    with pytest.raises(ModelRefusedError):
        champion_version(tracking_uri, "live")


def test_a_dry_run_writes_nothing(lake: str, trainer: Trainer, tracking_uri: str) -> None:
    outcome = trainer.dry_run(append_rows(lake, BLOCK))
    assert outcome.version is None and outcome.reasons == ()
    assert champion_version(tracking_uri) is None
