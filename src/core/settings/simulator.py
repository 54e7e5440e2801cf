"""Settings of the simulator."""

from pathlib import Path

from pydantic import Field

from core.settings.base import Settings


class SimulatorSettings(Settings):
    """The simulator: how much traffic it makes, how often a block, and how much it remembers."""

    simulator_port: int = Field(8070, description="Port of the simulator")
    simulator_rate: float = Field(
        7, gt=0, le=5_000, description="Transactions a second, generated or replayed"
    )
    simulator_seed: int | None = Field(
        None,
        description="Seed of the traffic; unset, every start makes new transactions. A fixed one "
        "repeats the same hashes, which a producer with a memory takes for old",
    )
    simulator_replay: Path | None = Field(
        None, description="File to replay, one transaction a line, .gz too (default: generate)"
    )
    simulator_block_seconds: float = Field(
        150, gt=0, description="Mean time between two blocks in seconds"
    )
    simulator_block_transactions: int = Field(
        3_000, ge=1, le=10_000, description="So many waiting transactions make a block at once"
    )
    simulator_first_block: int = Field(
        3_000, ge=0, le=10_000, description="Transactions in the block that it starts with"
    )
    simulator_anomaly_every: int = Field(
        2_000, ge=0, description="One injected anomaly in so many generated transactions; 0: none"
    )
    simulator_history: int = Field(
        30_000, ge=1_000, description="Mined transactions that it can still answer for"
    )
