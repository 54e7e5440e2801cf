"""Where the services listen and where they find each other; the defaults are one machine's."""

from pydantic import Field

from core.settings.base import Settings

Port = int


class BindSettings(Settings):
    """The address that every service listens on."""

    bind_address: str = Field("127.0.0.1", description="Address that every service listens on")


class KafkaSettings(Settings):
    """The broker and its topics."""

    kafka_port: Port = Field(9092, description="Port of the local broker")
    kafka_controller_port: Port = Field(9093, description="Port of the local broker's controller")
    kafka_metrics_port: Port = Field(9404, description="Port of the broker's own metrics")
    kafka_bootstrap_servers: str | None = Field(
        None, description="Brokers as host:port,… (default: localhost on KAFKA_PORT)"
    )
    kafka_partitions: int = Field(
        2, ge=1, description="Partitions of bitcoin-transactions when it is created"
    )

    @property
    def bootstrap_servers(self) -> str:
        """The brokers to ask first."""
        return self.kafka_bootstrap_servers or f"localhost:{self.kafka_port}"


class MlflowSettings(Settings):
    """The MLflow server."""

    mlflow_port: Port = Field(5000, description="Port of the local MLflow server")
    mlflow_tracking_uri: str | None = Field(
        None, description="MLflow server (default: localhost on MLFLOW_PORT)"
    )

    mlflow_allowed_hosts: str = Field(
        "localhost:*,127.0.0.1:*",
        description="Host names by which browsers may call MLflow, parted by commas",
    )

    @property
    def tracking_uri(self) -> str:
        """The server's URL."""
        return self.mlflow_tracking_uri or f"http://localhost:{self.mlflow_port}"
