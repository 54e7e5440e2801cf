from prometheus_client import CollectorRegistry, generate_latest

from monitoring.simulator_metrics import SimulatorMetrics


def test_every_series_is_there_from_the_start() -> None:
    registry = CollectorRegistry()
    SimulatorMetrics(registry)
    text = generate_latest(registry).decode()
    for origin in ("generated", "injected", "replacement", "replayed"):
        assert f'bitcoin_simulator_transactions_total{{origin="{origin}"}} 0.0' in text
    for name in ("blocks_total", "requests_total", "faults_total", "waiting_transactions"):
        assert f"bitcoin_simulator_{name} 0.0" in text
