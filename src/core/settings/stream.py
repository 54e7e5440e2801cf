"""Settings of the stream."""

from pydantic import Field

from core.settings.base import Settings


class StreamSettings(Settings):
    """The Spark job."""

    spark_master: str = Field("local[*]", description="Spark master that the stream runs on")
    spark_ui_port: int = Field(4040, description="Port of the Spark UI")
    stream_metrics_port: int = Field(8002, description="Port of the stream's metrics")
