"""A small network that starts in a tenth of a second, and the folder of recorded samples."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from core.settings import SimulatorSettings
from data_ingestion.simulation.network import Network
from monitoring.simulator_metrics import SimulatorMetrics

NOW = 1_800_000_000.0
"""A moment in January 2027: tests choose their own time."""

NetworkOf = Callable[..., Network]


@pytest.fixture
def sample() -> Path:
    """Recorded transactions; the folder is optional."""
    folder = Path(__file__).parents[4] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recorded transactions (../shared/data) are not here")
    return folder


@pytest.fixture
def network_of() -> NetworkOf:
    """Make a network with these settings; 50 transactions in its first block, no anomalies."""

    def make(seed: int = 1, **settings: Any) -> Network:
        small = {"simulator_first_block": 50, "simulator_anomaly_every": 0} | settings
        metrics = SimulatorMetrics(CollectorRegistry())
        return Network(SimulatorSettings(**small), seed, NOW, metrics)

    return make
