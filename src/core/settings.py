"""Every setting of every service: one class per concern, with defaults for one machine.

No other module reads the environment. `python -m core.settings > .env.example` writes the example.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: defaults that are paths do not depend on the folder a service starts from."""
_LOCAL_JARS = ROOT / ".jars" / "spark"
_HIDDEN = "**********"


class Settings(BaseSettings):
    """What every service has.

    A field `api_port` is the variable `API_PORT`. Its value comes from the environment, else from
    `.env`, else it is the default; an empty variable counts as unset. Raises
    `pydantic.ValidationError`, which names the variable, for a value out of its bounds; of a secret
    it does not show the value, since whoever reads the log may read it.
    """

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    port_offset: int = Field(0, ge=0)
    """Added to every port, so that two stacks can run side by side on one machine"""

    @model_validator(mode="wrap")
    @classmethod
    def _without_secrets(cls, values: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate; an error has asterisks in the place of a secret."""
        fields = cls.model_fields.items()
        secrets = {(name,) for name, field in fields if SecretStr in get_args(field.annotation)}
        try:
            return validate(values)
        except ValidationError as error:
            faults = [
                InitErrorDetails(
                    type=each["type"],
                    loc=each["loc"],
                    input=_HIDDEN if each["loc"] in secrets else each["input"],
                    ctx=each.get("ctx", {}),
                )
                for each in error.errors(include_url=False)
            ]
            raise ValidationError.from_exception_data(error.title, faults) from None


def _add_offset(port: int, info: ValidationInfo) -> int:
    """The port to use; 0 stays 0, which asks the system for any free port."""
    if port and (port := port + info.data.get("port_offset", 0)) > 65_535:
        raise ValueError("a port, with PORT_OFFSET added, is at most 65535")
    return port


Port = Annotated[int, AfterValidator(_add_offset)]
"""A port as it was set, plus PORT_OFFSET."""


class DataSettings(Settings):
    """The folder of all data, and the lake in it."""

    data_dir: Path = ROOT / "data"
    """Folder of all data that is kept; a relative path starts at the checkout"""
    lake_uri: str | None = None
    """Delta Lake: a path or a URI (default: lake in DATA_DIR)"""
    casework_uri: str | None = None
    """Tables of marks, cases and such: a path or a URI (default: casework in DATA_DIR)"""
    data_origin: Literal["live", "simulated"] = "live"
    """Origin of the data; a lake or model registry of the other origin is refused"""

    @field_validator("data_dir")
    @classmethod
    def _from_the_checkout(cls, folder: Path) -> Path:
        return ROOT / folder

    @property
    def lake(self) -> str:
        """The lake's path or URI."""
        return self.lake_uri or str(self.data_dir.resolve() / "lake")

    @property
    def casework(self) -> str:
        """The path or URI of the casework tables."""
        return self.casework_uri or str(self.data_dir.resolve() / "casework")


class StoreSettings(Settings):
    """The object store of a lake and casework tables whose URI begins with s3://."""

    s3_endpoint_url: str | None = Field(None, pattern=r"^https?://[^/]+$")
    """Store with the S3 interface, http://host:port (default: Amazon's)"""
    s3_region: str = "us-east-1"
    """Region of the bucket; stores that know no regions take any"""
    s3_credentials_file: Path | None = None
    """File with aws_access_key_id and aws_secret_access_key in a section [default] (default: the
    role of the machine)"""

    @field_validator("s3_credentials_file")
    @classmethod
    def _file_from_the_checkout(cls, file: Path | None) -> Path | None:
        return None if file is None else ROOT / file


class LogSettings(Settings):
    """The log of every service."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severity that is logged"""


class BindSettings(Settings):
    """The address that every service listens on."""

    bind_address: str = "127.0.0.1"
    """Address that every service listens on"""


class KafkaSettings(Settings):
    """The broker and its topics."""

    kafka_port: Port = 9092
    """Port of the local broker"""
    kafka_controller_port: Port = 9093
    """Port of the local broker's controller"""
    kafka_metrics_port: Port = 9404
    """Port of the broker's own metrics"""
    kafka_bootstrap_servers: str | None = None
    """Brokers as host:port,… (default: localhost on KAFKA_PORT)"""
    kafka_partitions: int = Field(2, ge=1)
    """Partitions of bitcoin-transactions when it is created"""
    kafka_replication: int = Field(1, ge=1, le=9)
    """Brokers that keep each record of a topic when it is created; all but one must have it before
    it counts as published"""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How clients connect: with TLS (SSL), with a name and a password (SASL), or both"""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How clients say their name and password"""
    kafka_sasl_username: str = ""
    """Name that every client gives"""
    kafka_sasl_password_file: Path | None = None
    """File with the password that every client gives"""

    @property
    def bootstrap_servers(self) -> str:
        """The brokers to ask first."""
        return self.kafka_bootstrap_servers or f"localhost:{self.kafka_port}"

    @property
    def asks_for_a_password(self) -> bool:
        """Whether the broker asks who a client is."""
        return self.kafka_security_protocol.startswith("SASL_")

    def sasl_password(self) -> str:
        """The password in the file. Raises `OSError` where it cannot be read."""
        if self.kafka_sasl_password_file is None:
            raise FileNotFoundError("KAFKA_SASL_PASSWORD_FILE is not set")
        return (ROOT / self.kafka_sasl_password_file).read_text().strip()


class MlflowSettings(Settings):
    """The MLflow server."""

    mlflow_port: Port = 5000
    """Port of the local MLflow server"""
    mlflow_tracking_uri: str | None = None
    """MLflow server (default: localhost on MLFLOW_PORT)"""
    mlflow_allowed_hosts: str = ""
    """Further host names by which browsers call MLflow, separated by commas"""
    mlflow_database_url: str | None = None
    """Database of runs and models, postgresql://user@host/name (default: SQLite in DATA_DIR)"""
    mlflow_database_password_file: Path | None = None
    """File with the password of that user (default: none)"""
    mlflow_artifacts_uri: str | None = None
    """Where MLflow keeps the files of models: a path or s3://… (default: in DATA_DIR)"""

    @field_validator("mlflow_database_password_file")
    @classmethod
    def _from_the_checkout(cls, file: Path | None) -> Path | None:
        return None if file is None else ROOT / file

    @property
    def tracking_uri(self) -> str:
        """The server's URL."""
        return self.mlflow_tracking_uri or f"http://localhost:{self.mlflow_port}"


class SourceSettings(Settings):
    """How the producer asks the Blockchain.com API."""

    blockchain_api_url: str = "https://blockchain.info"
    """Base URL of the Blockchain.com API or simulator"""
    https_proxy: str | None = None
    """Proxy to an https source, http://host:port (default: none)"""
    request_interval_seconds: float = Field(10, gt=0)
    """Least time between any two requests to the source"""
    request_timeout_seconds: float = Field(10, gt=0)
    """Longest wait for one answer"""
    block_timeout_seconds: float = Field(60, gt=0)
    """Longest time to read a whole block, from the start of the answer"""
    backoff_max_seconds: float = Field(300, gt=0)
    """Longest pause after failures, unless the source asks for a longer one"""
    silent_after_seconds: float = Field(120, gt=0)
    """The source counts as silent after this time without an answer"""


class ProducerSettings(Settings):
    """The producer."""

    producer_metrics_port: Port = 8001
    """Port of the producer's metrics and of its /ready"""
    memory_days: float = Field(14, gt=0)
    """Days for which the producer remembers what it published, and does not publish it again"""
    tip_check_requests: int = Field(6, ge=2)
    """One request in this many asks for the newest block"""
    max_blocks_behind: int = Field(144, ge=1)
    """Most blocks fetched after a stop; older ones are skipped and counted"""
    grace_seconds: float = Field(8, gt=0)
    """Longest wait for the broker's acknowledgements when the producer stops"""


class SimulatorSettings(Settings):
    """The simulator: its traffic, its blocks and how much history it keeps."""

    simulator_port: Port = 8070
    """Port of the simulator"""
    simulator_rate: float = Field(7, gt=0, le=5_000)
    """Transactions a second, generated or replayed"""
    simulator_seed: int | None = None
    """Seed of the traffic (default: another at each start); a fixed one repeats the same hashes"""
    simulator_replay: Path | None = None
    """File to replay, one transaction a line, .gz too (default: generate)"""
    simulator_market: Literal["steady", "day", "step", "ramp", "halving", "off"] = "day"
    """Path of the fee level, see docs/simulator.md; multiplies the fees of a replay only if set"""
    simulator_block_seconds: float = Field(150, gt=0)
    """Mean time between two blocks in seconds"""
    simulator_block_transactions: int = Field(3_000, ge=1, le=10_000)
    """A block is mined at once when this many transactions wait"""
    simulator_first_block: int = Field(3_000, ge=0, le=10_000)
    """Transactions in the first block; of a replay its first ones, but at most half of the file"""
    simulator_anomaly_every: int = Field(2_000, ge=0)
    """One generated transaction in this many is an injected anomaly; 0: none"""
    simulator_history: int = Field(30_000, ge=1_000)
    """Mined transactions that the simulator can still answer for"""

    @property
    def market_path(self) -> str:
        """The path that is followed: a replay keeps its fees unless a path was set."""
        kept = self.simulator_replay is not None and "simulator_market" not in self.model_fields_set
        return "off" if kept else self.simulator_market


class StreamSettings(Settings):
    """The Spark job."""

    spark_master: str = "local[*]"
    """Spark master that the stream runs on"""
    spark_ui_port: Port = 4040
    """Port of the Spark UI"""
    spark_jars_dir: Path | None = _LOCAL_JARS if _LOCAL_JARS.is_dir() else None
    """Folder of the Delta and Kafka jars (default: .jars/spark where it exists); spark-submit
    brings its own with --packages"""
    spark_driver_memory: str = "1g"
    """Java heap of the stream's driver"""
    stream_metrics_port: Port = 8002
    """Port of the stream's metrics"""
    trigger_seconds: float = Field(1, ge=0)
    """Least time from one micro-batch to the next; one begins only when records wait"""
    max_batch_records: int = Field(50_000, ge=1)
    """Most records of one micro-batch"""
    dedup_horizon_hours: int = Field(24, ge=1, le=168)
    """Hours of scored rows that a start searches for unpublished anomalies; repeats are
    recognised without this limit"""
    champion_poll_seconds: float = Field(10, gt=0, le=30)
    """How often a service asks for a new champion"""
    statistics_seconds: float = Field(15, ge=0)
    """Least time between two updates of transaction_stats, and of replacements"""
    retention_days: int = Field(30, ge=9, le=36_500)
    """Days with rows that the tables keep (late data takes 8); repeats are recognised as long"""
    compact_after_files: int = Field(60, ge=2)
    """A table is compacted when it has this many small files"""
    vacuum_after_hours: int = Field(2, ge=1)
    """Hours for which files that left a table are kept, for readers of older versions"""
    webhook_url: str | None = None
    """URL to which flagged transactions are posted, each at least once (default: none)"""
    webhook_per_minute: int = Field(10, ge=1)
    """Most posts a minute; a summary then lists the hashes of further transactions"""


class TrainerSettings(Settings):
    """When and how a challenger is trained."""

    trainer_metrics_port: Port = 8003
    """Port of the trainer's metrics"""
    min_training_rows: int = Field(2_000, ge=256)
    """Rows of raw_transactions before the first training"""
    training_interval_seconds: float = Field(6 * 3600, gt=0)
    """Time from one training to the next"""
    drift_check_seconds: float = Field(300, gt=0)
    """Time between two measurements of drift and of the flag rate"""
    drift_limit: float = Field(0.25, gt=0)
    """Population stability index from which a training starts early"""
    early_training_seconds: float = Field(1800, ge=0)
    """Least time from a training to one that drift starts early; it doubles each time in a row"""
    alert_budget: float = Field(0.001, gt=0, lt=0.1)
    """Share of ordinary traffic that may be flagged"""
    forest_trees: int = Field(200, ge=10, le=2_000)
    """Trees of the forest"""
    forest_sub_sample: int = Field(4_096, ge=16, le=65_536)
    """Rows that each tree sees"""
    calibration_rows: int = Field(50_000, ge=500)
    """Rows that the threshold is calibrated on"""
    newest_rows: int = Field(20_000, ge=250)
    """Newest rows, held out to evaluate a challenger"""
    training_days: int = Field(14, ge=1)
    """Days of traffic that a training samples"""
    training_half_life_days: float = Field(3, gt=0)
    """Age in days at which a row has half the weight of a new one"""
    training_seed: int = Field(7, ge=0, lt=2**32)
    """Seed of sampling and training"""
    recall_margin: float = Field(0.05, ge=0, le=1)
    """How far a challenger's recall may fall below the champion's"""
    least_recall: float = Field(0.2, ge=0, le=1)
    """Mean recall of injected anomalies that any champion needs"""
    model_versions_kept: int = Field(20, ge=2)
    """Newest model versions and runs that MLflow keeps, besides those that an alias names"""


class ApiSettings(Settings):
    """The prediction service."""

    api_port: Port = 5001
    """Port of the API on the host"""
    api_url: str | None = None
    """The API as the dashboard reaches it (default: localhost on API_PORT)"""
    api_root_path: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    """Path below which a proxy publishes the API, such as /api (default: none)"""
    workers: int = Field(1, ge=1, le=64)
    """Processes that answer the API's port"""
    api_key: SecretStr | None = Field(None, min_length=16)
    """Key that callers send as X-API-Key, with every permission (default: none needed)"""
    api_keys_file: Path | None = None
    """File of further keys, each with a name and its permissions (docs/operations.md); a path
    begins with / or, from the checkout on, with ./ (default: none)"""
    api_author_header: str = Field("", pattern=r"^[A-Za-z0-9-]*$")
    """Header in which a proxy says who is asking, such as X-Forwarded-User (default: none)"""
    api_trusted_proxies: str = ""
    """Addresses or networks of proxies that may send that header, separated by commas"""
    api_cors_origins: str = ""
    """Web origins whose pages may call the API, separated by commas"""
    api_max_batch: int = Field(10_000, ge=1, le=100_000)
    """Most transactions in one call of /predict/batch"""
    api_max_body_bytes: int = Field(16 * 1024 * 1024, ge=1024)
    """Largest request body in bytes; /predict takes 64 KiB at most, /predict/raw 4 MiB"""
    api_max_held_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    """Most bytes of request bodies in memory in one process; further ones get 503"""
    api_max_requests: int = Field(1_000, ge=1)
    """Most requests in progress in one process; further ones get 503"""
    api_request_seconds: float = Field(30, gt=0, le=3600)
    """Longest time for one request; after it the answer is 503"""
    api_stream_clients: int = Field(100, ge=1, le=10_000)
    """Most clients of /anomalies/stream in one process; further ones get 503"""
    api_stream_seconds: float = Field(3600, gt=0)
    """Longest time for one connection to /anomalies/stream; a client then connects again"""
    api_model_poll_seconds: float = Field(5, gt=0, le=3600)
    """How often the API asks MLflow for a new champion"""
    api_access_log: bool = False
    """Log every request; costs about a quarter of the throughput"""

    @field_validator("api_keys_file")
    @classmethod
    def _from_the_checkout(cls, file: Path | None) -> Path | None:
        return None if file is None else ROOT / file

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self.api_url or f"http://localhost:{self.api_port}"

    @property
    def cors_origins(self) -> list[str]:
        """The origins as a list, empty by default."""
        return [origin.strip() for origin in self.api_cors_origins.split(",") if origin.strip()]


class CaseworkSettings(Settings):
    """The service that makes cases of flags."""

    casework_metrics_port: Port = 8004
    """Port of the casework service's metrics"""


class DashboardSettings(Settings):
    """The dashboard."""

    dashboard_port: Port = 8050
    """Port of the dashboard"""
    dashboard_refresh_seconds: float = Field(5, ge=1, le=600)
    """How often the dashboard reads the lake and updates the page"""
    dashboard_cache_hours: float = Field(25, ge=1, le=24 * 31)
    """Hours of scored transactions that the dashboard keeps in memory"""
    dashboard_cache_rows: int = Field(1_500_000, ge=10_000)
    """Most scored transactions kept in memory, the newest ones"""
    dashboard_exports: int = Field(2, ge=1, le=6)
    """CSV exports at one time; a further one gets 503"""
    dashboard_export_seconds: float = Field(600, gt=0)
    """Longest time for one CSV export; what is missing is said in its last line"""
    dashboard_path_prefix: str = Field("/", pattern=r"^/([\w.-]+/)*$")
    """Path before the dashboard's addresses behind a proxy, such as /bitcoin/"""
    dashboard_password: SecretStr | None = Field(None, min_length=8)
    """Password that the dashboard asks every viewer for, with any user name (default: none); set
    it where API_KEY is set, since the dashboard uses that key for whoever opens the page"""
    dashboard_api_key: SecretStr | None = Field(None, min_length=16)
    """Key by which the dashboard calls the API (default: API_KEY); its permissions are those of
    whoever opens the page"""
    dashboard_author_header: str = Field("", pattern=r"^[A-Za-z0-9-]*$")
    """Header in which a proxy says who looks at the dashboard, such as X-Forwarded-User"""
    dashboard_trusted_proxies: str = ""
    """Addresses or networks of proxies that may send that header, separated by commas"""
    dashboard_explorer_url: str = "https://mempool.space/tx/"
    """Public block explorer; a hash is appended to it"""
    dashboard_producer_url: str | None = None
    """The producer's /ready (default: localhost on PRODUCER_METRICS_PORT)"""
    dashboard_stream_url: str | None = None
    """The stream's metrics (default: localhost on STREAM_METRICS_PORT)"""
    dashboard_trainer_url: str | None = None
    """The trainer's metrics, for drift (default: localhost on TRAINER_METRICS_PORT)"""
    dashboard_casework_url: str | None = None
    """The casework service's metrics (default: localhost on CASEWORK_METRICS_PORT)"""
    dashboard_mlflow_url: str | None = None
    """MLflow as the viewer's browser reaches it (default: MLFLOW_TRACKING_URI)"""
    dashboard_grafana_url: str | None = None
    """Grafana as the viewer's browser reaches it (default: no link; GRAFANA_ROOT_URL in Docker)"""


class AlertSettings(Settings):
    """Who is told of cases."""

    alerts_file: Path = ROOT / "alerts.yml"
    """File of routes (docs/alerts.md); where there is none, nobody is told"""
    dashboard_url: str | None = None
    """The dashboard as readers of alerts reach it (default: localhost on DASHBOARD_PORT)"""

    @field_validator("alerts_file")
    @classmethod
    def _file_from_the_checkout(cls, file: Path) -> Path:
        return ROOT / file

    @property
    def dashboard(self) -> str:
        """The dashboard's URL, which ends with a slash."""
        url = self.dashboard_url or f"http://localhost:{DashboardSettings().dashboard_port}"
        return f"{url.rstrip('/')}/"


def variables() -> dict[str, str]:
    """The variables of the environment and of `.env`, which a file of routes may refer to."""
    file = {name: value for name, value in dotenv_values(ROOT / ".env").items() if value}
    return file | dict(os.environ)


class DoorSettings(Settings):
    """The one port for the network, in Docker only: docker-compose.secure.yml, docs/secure.md."""

    https_port: Port = 443
    """Port of the login"""
    https_address: str = "0.0.0.0"
    """Address of the host that this port is on"""
    door_domain: str = "localhost"
    """Name by which browsers reach the host; a public one gets a public certificate"""
    door_users_file: Path | None = None
    """File of users, name:hash on each line; a path begins with / or ./ (default: the user
    admin with a password that is made at the first start)"""
    door_network: str = Field("10.213.71", pattern=r"^\d{1,3}(\.\d{1,3}){2}$")
    """First three numbers of the private network behind the login"""
    oidc_issuer_url: str = ""
    """OpenID Connect provider that people log in at (docker-compose.oidc.yml)"""
    oidc_client_id: str = ""
    """This stack's name at the provider"""
    oidc_client_secret_file: Path | None = None
    """File of the secret that the provider gave with that name; a path begins with / or ./"""
    oidc_email_domains: str = ""
    """Domains whose people may pass, by their mail address, separated by commas; * for all"""


class ImageSettings(Settings):
    """Where Docker finds this project's images; by default it builds them (Docker only)."""

    image_prefix: str = "bitcoin-anomaly-detection"
    """Before an image's name; that of a release is in docs/releasing.md"""
    image_tag: str = "latest"
    """Version of the images, such as v0.6.0"""


class PrometheusSettings(Settings):
    """Prometheus and Grafana, as they are published on the host."""

    prometheus_port: Port = 9090
    """Port of Prometheus"""
    grafana_port: Port = 3000
    """Port of Grafana (Docker only)"""
    grafana_admin_password: str = "admin"
    """Password of Grafana's user admin, set at every start (Docker only)"""
    grafana_root_url: str = "http://localhost:3000/"
    """Grafana as browsers reach it, with the path prefix of a proxy (Docker only)"""
    alert_webhook_url: str = "http://127.0.0.1:9/"
    """Where Grafana posts alerts (Docker only; the default reaches nobody)"""


HEADER = """\
# Every setting, its meaning and its default. Copy this file to .env and change what you need.
# Made from src/core/settings.py by: python -m core.settings > .env.example
"""


def classes() -> list[type[Settings]]:
    """Every settings class, the one that all share first, the others by name."""
    return [Settings, *sorted(Settings.__subclasses__(), key=lambda settings: settings.__name__)]


def render() -> str:
    """The text of `.env.example`, one section per class."""
    parts = [HEADER]
    for settings in classes():
        own = {n: f for n, f in settings.model_fields.items() if n in settings.__annotations__}
        title = (settings.__doc__ or "").splitlines()[0]
        parts.append("\n".join([f"# --- {title}", *map(_line, own, own.values())]) + "\n")
    return "\n".join(parts)


def _line(name: str, field: FieldInfo) -> str:
    default = "" if field.default is None else field.default
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        default = f"./{default.relative_to(ROOT)}"
    meaning = " ".join((field.description or "").split())
    return f"# {meaning}\n#{name.upper()}={default}"


if __name__ == "__main__":
    sys.stdout.write(render())
