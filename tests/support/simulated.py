"""Simulated transactions and networks, small enough to be made in a tenth of a second."""

from random import Random
from typing import Any

from prometheus_client import CollectorRegistry

from core.settings import SimulatorSettings
from data_ingestion.simulation.drafts import TransactionGenerator
from data_ingestion.simulation.network import Network
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.transactions import SimulatedTransaction
from monitoring.simulator_metrics import SimulatorMetrics

NOW = 1_800_000_000
"""A moment in January 2027: tests choose their own time."""


def transactions(count: int, seed: int = 1) -> list[SimulatedTransaction]:
    """Ordinary transactions received at `NOW`."""
    generator, rng = TransactionGenerator(seed, 0), Random(seed)
    return [render(generator.draft(NOW), NOW, 900_000, rng) for _ in range(count)]


def small_network(seed: int = 1, **settings: Any) -> Network:
    """A network at `NOW` with these settings; 50 transactions in its first block, no anomalies."""
    small = {"simulator_first_block": 50, "simulator_anomaly_every": 0} | settings
    metrics = SimulatorMetrics(CollectorRegistry())
    return Network(SimulatorSettings(**small), seed, NOW, metrics)
