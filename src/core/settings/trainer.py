"""Settings of the training job."""

from pydantic import Field

from core.settings.base import Settings


class TrainerSettings(Settings):
    """When and how a challenger is trained."""

    trainer_metrics_port: int = Field(8003, description="Port of the trainer's metrics")
    min_training_rows: int = Field(
        2_000, ge=256, description="Rows of raw_transactions before the first training"
    )
    training_interval_seconds: float = Field(
        6 * 3600, gt=0, description="Time from one training to the next"
    )
    drift_check_seconds: float = Field(
        300, gt=0, description="Time between two looks at drift and at the flag rate"
    )
    drift_limit: float = Field(
        0.25, gt=0, description="Population stability index from which on training comes early"
    )
    early_training_seconds: float = Field(
        1800, ge=0, description="Least time from a training to an early one"
    )
    alert_budget: float = Field(
        0.001, gt=0, lt=0.1, description="Share of ordinary traffic that may be flagged"
    )
    forest_trees: int = Field(200, ge=10, le=2_000, description="Trees of the forest")
    forest_sub_sample: int = Field(4_096, ge=16, le=65_536, description="Rows that each tree sees")
    calibration_rows: int = Field(50_000, ge=500, description="Rows that set the threshold")
    newest_rows: int = Field(
        20_000, ge=250, description="Newest rows held out to judge a challenger by"
    )
    training_days: int = Field(14, ge=1, description="Days of traffic that training looks back")
    training_half_life_days: float = Field(
        3, gt=0, description="Age in days at which a row weighs half in training"
    )
    training_seed: int = Field(7, ge=0, lt=2**32, description="Seed of sampling and training")
    recall_margin: float = Field(
        0.05, ge=0, le=1, description="How far a challenger's recall may fall below the champion's"
    )
    least_recall: float = Field(
        0.2, ge=0, le=1, description="Mean recall of injected anomalies that any champion needs"
    )
