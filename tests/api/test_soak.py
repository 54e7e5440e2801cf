"""Ten minutes at a thousand requests a second, with the champion moving every twenty seconds."""

import asyncio
import json
import threading
import time
from pathlib import Path

import psutil
import pytest
from benchmarks.load import Load, Sender
from local.ports import free_port
from tests.support.api_application import fitted, traffic
from tests.support.api_process import api_process, wait_for
from tests.support.model_registry import mlflow_process, register_pipeline

from api.schemas import EXAMPLE
from core.registry.follower import promote

MINUTES = 10
PER_SECOND = 1_000
MOVE_SECONDS = 20
CONNECTIONS = 16


@pytest.mark.soak
@pytest.mark.timeout(1_500)
def test_ten_minutes_of_load_while_the_champion_moves(tmp_path: Path) -> None:
    port = free_port()
    settings = {"MLFLOW_TRACKING_URI": f"http://localhost:{port}", "API_MODEL_POLL_SECONDS": "2"}
    with mlflow_process(tmp_path / "mlflow", port) as uri, api_process(tmp_path, settings) as api:
        versions = [
            register_pipeline(uri, fitted(traffic(2_000), seed=seed), tmp_path) for seed in (0, 1)
        ]
        promote(uri, versions[0])
        wait_for(lambda: api.predict().json()["model_version"] != "rules", api.log)
        sender = Sender(f"{api.url}/predict", json.dumps(EXAMPLE).encode(), PER_SECOND)
        loads: list[Load] = []

        def send() -> None:
            loads.append(asyncio.run(sender.run(CONNECTIONS, MINUTES * 60)))

        sending = threading.Thread(target=send)
        sending.start()
        memory = []
        for move in range(MINUTES * 60 // MOVE_SECONDS):
            promote(uri, versions[move % 2])
            time.sleep(MOVE_SECONDS)
            memory.append(psutil.Process(api.process.pid).memory_info().rss)
        sending.join()
        (load,) = loads
        assert load.failed == 0
        assert load.per_second > 0.95 * PER_SECOND
        assert api.metric("bitcoin_api_model_loads_total") >= 0.9 * len(memory)
        assert memory[-1] < 1.1 * memory[3], f"grew from {memory[3]:,} to {memory[-1]:,} bytes"
