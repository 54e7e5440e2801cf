"""Settings of the training job."""

from pydantic import Field

from core.settings.base import Settings


class TrainerSettings(Settings):
    """When and how a challenger is trained."""

    trainer_metrics_port: int = Field(8003, description="Port of the trainer's metrics")
    min_training_rows: int = Field(
        2_000, ge=256, description="Rows of raw_transactions before the first training"
    )
