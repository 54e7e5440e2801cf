"""The ports of the local stack, as the settings say, and free ports for tests and benchmarks.

`PORT_OFFSET` moves all of them at once, so that two stacks run side by side on one machine.
"""

import socket

import psutil

from core.settings import classes

_METRICS_SETTINGS = {
    "kafka": "KAFKA_METRICS_PORT",
    "simulator": "SIMULATOR_PORT",
    "producer": "PRODUCER_METRICS_PORT",
    "stream": "STREAM_METRICS_PORT",
    "casework": "CASEWORK_METRICS_PORT",
    "mlflow": "MLFLOW_PORT",
    "trainer": "TRAINER_METRICS_PORT",
    "api": "API_PORT",
    "dashboard": "DASHBOARD_PORT",
    "prometheus": "PROMETHEUS_PORT",
}

_ONLY_IN_DOCKER = {"grafana_port", "https_port"}

_COMMAND_LENGTH = 80


def ports() -> dict[str, int]:
    """Each port of the local stack by the name of its setting."""
    return {
        name.upper(): value
        for settings in classes()
        for name, value in settings()
        if name.endswith("_port") and name not in _ONLY_IN_DOCKER
    }


def targets() -> dict[str, int]:
    """The port on which each service serves its metrics, by the service's name."""
    numbers = ports()
    return {service: numbers[setting] for service, setting in _METRICS_SETTINGS.items()}


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on: all are held until the last one is chosen."""
    holders = [socket.socket() for _ in range(count)]
    for holder in holders:
        holder.bind(("127.0.0.1", 0))
    numbers = [int(holder.getsockname()[1]) for holder in holders]
    for holder in holders:
        holder.close()
    return numbers


def accepts(port: int) -> bool:
    """Whether something on this machine accepts connections on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def listeners() -> dict[int, tuple[int, str]]:
    """Who listens on each port, as process number and command, where this user may see it."""
    owners: dict[int, tuple[int, str]] = {}
    for process in psutil.process_iter():
        try:
            ports = [c.laddr.port for c in process.net_connections("tcp") if c.status == "LISTEN"]
            command = " ".join(process.cmdline())[:_COMMAND_LENGTH]
        except psutil.Error:
            continue
        owners |= dict.fromkeys(ports, (process.pid, command))
    return owners
