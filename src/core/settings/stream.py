"""Settings of the stream."""

from pathlib import Path

from pydantic import Field

from core.settings.base import ROOT, Settings

_LOCAL_JARS = ROOT / ".jars" / "spark"


class StreamSettings(Settings):
    """The Spark job."""

    spark_master: str = Field("local[*]", description="Spark master that the stream runs on")
    spark_ui_port: int = Field(4040, description="Port of the Spark UI")
    spark_jars_dir: Path | None = Field(
        _LOCAL_JARS if _LOCAL_JARS.is_dir() else None,
        description="Folder of the Delta and Kafka jars (default: .jars/spark where it exists); "
        "spark-submit brings its own with --packages",
    )
    spark_driver_memory: str = Field("1g", description="Java heap of the stream's driver")
    stream_metrics_port: int = Field(8002, description="Port of the stream's metrics")
    trigger_seconds: float = Field(5, ge=0, description="Time from one micro-batch to the next")
    max_batch_records: int = Field(50_000, ge=1, description="Most records of one micro-batch")
    dedup_horizon_hours: int = Field(
        24, ge=1, le=168, description="How long the stream recognises a repeated hash or outpoint"
    )
    champion_poll_seconds: float = Field(
        10, gt=0, le=30, description="How often a service asks for a new champion"
    )
    statistics_seconds: float = Field(
        15,
        ge=0,
        description="Least time between two updates of transaction_stats, and of replacements",
    )
    retention_days: int = Field(
        30, ge=9, description="Days of append time that the tables keep (late data takes 8)"
    )
    compact_after_files: int = Field(
        60, ge=2, description="Small files in a table before they are compacted"
    )
    vacuum_after_hours: int = Field(
        2, ge=1, description="Hours that files outlive the version that needed them, for readers"
    )
    webhook_url: str | None = Field(None, description="Where flagged transactions are posted to")
    webhook_per_minute: int = Field(
        10, ge=1, description="Most posts a minute; what is held back is summed up in one"
    )
