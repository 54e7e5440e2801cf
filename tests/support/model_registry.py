"""A real MLflow server over a folder, and models that are registered in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import skops.io
from mlflow import MlflowClient
from sklearn.pipeline import Pipeline
from tests.support.api_application import calibrated, traffic
from tests.support.processes import answers, process, wait_until

from core.registry.follower import MODEL_NAME
from core.registry.version_files import EXTRA_FOLDER, MODEL_FILE, write_extras
from model.mlflow_runs import Registry
from model.tracking_server import ENVIRONMENT, Tracking


@contextmanager
def mlflow_process(folder: Path, port: int) -> Iterator[str]:
    """Run a server until the end of the block; yields its tracking URI."""
    folder.mkdir()
    server = Tracking(folder, port)
    log, uri = folder / "server.log", f"http://localhost:{port}"
    with process(server.command(), log, ENVIRONMENT) as running:
        wait_until(lambda: answers(f"{uri}/health"), running, log)
        yield uri


def register_pipeline(uri: str, pipeline: Pipeline, folder: Path) -> str:
    """Register a version without the alias, with the files that a service reads; returns it."""
    Registry(uri, "simulated").ensure_model()
    client, rows = MlflowClient(uri), traffic(500)
    run = client.create_run("0").info
    extras = folder / run.run_id / EXTRA_FOLDER
    extras.mkdir(parents=True)
    skops.io.dump(pipeline, extras.parent / MODEL_FILE)
    write_extras(extras, pipeline, calibrated(pipeline, rows, "0").calibration, rows[:20])
    client.log_artifacts(run.run_id, str(extras.parent), "model")
    source = f"{run.artifact_uri}/model"
    return str(client.create_model_version(MODEL_NAME, source, run.run_id).version)
