"""Every port of the local stack, from the settings, so that two stacks can run side by side."""

import socket

from core.settings import (
    ApiSettings,
    DashboardSettings,
    KafkaSettings,
    MlflowSettings,
    ProducerSettings,
    PrometheusSettings,
    SimulatorSettings,
    StreamSettings,
    TrainerSettings,
)


def ports() -> dict[str, int]:
    """Each port by the name of its setting."""
    kafka = KafkaSettings()
    stream = StreamSettings()
    return {
        "KAFKA_PORT": kafka.kafka_port,
        "KAFKA_CONTROLLER_PORT": kafka.kafka_controller_port,
        "KAFKA_METRICS_PORT": kafka.kafka_metrics_port,
        "SIMULATOR_PORT": SimulatorSettings().simulator_port,
        "PRODUCER_METRICS_PORT": ProducerSettings().producer_metrics_port,
        "STREAM_METRICS_PORT": stream.stream_metrics_port,
        "SPARK_UI_PORT": stream.spark_ui_port,
        "MLFLOW_PORT": MlflowSettings().mlflow_port,
        "TRAINER_METRICS_PORT": TrainerSettings().trainer_metrics_port,
        "API_PORT": ApiSettings().api_port,
        "DASHBOARD_PORT": DashboardSettings().dashboard_port,
        "PROMETHEUS_PORT": PrometheusSettings().prometheus_port,
    }


METRICS = {
    "kafka": "KAFKA_METRICS_PORT",
    "simulator": "SIMULATOR_PORT",
    "producer": "PRODUCER_METRICS_PORT",
    "stream": "STREAM_METRICS_PORT",
    "mlflow": "MLFLOW_PORT",
    "trainer": "TRAINER_METRICS_PORT",
    "api": "API_PORT",
    "dashboard": "DASHBOARD_PORT",
    "prometheus": "PROMETHEUS_PORT",
}
"""The setting of the port on which each service shows its metrics."""


def targets() -> dict[str, int]:
    """The port to scrape, by the service's name."""
    known = ports()
    return {service: known[setting] for service, setting in METRICS.items()}


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports that are free together: all are held until each has its own."""
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    found = [int(holder.getsockname()[1]) for holder in holders]
    for holder in holders:
        holder.close()
    return found
