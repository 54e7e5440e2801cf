"""Runs the stream as its door does, with a pickled champion instead of MLflow's.

    python stream_with_champion.py CHAMPION_FILE LOCK_SECONDS

`LOCK_SECONDS` is how long it waits for another writer to end.
"""

import logging
import pickle
import sys
from pathlib import Path

from core import logs
from core.registry.follower import ChampionFollower
from core.settings import DataSettings, KafkaSettings, StreamSettings
from data_processing.service import StreamConfig, run


class FixedChampion(ChampionFollower):
    """Follows nothing: one champion from the start."""

    def __init__(self, path: Path) -> None:
        super().__init__("http://localhost:9", "simulated", 30)
        self.current = pickle.loads(path.read_bytes())

    def start(self) -> None:
        """Nothing to follow."""


if __name__ == "__main__":
    logs.configure("stream")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    config = StreamConfig(
        StreamSettings(), DataSettings(), KafkaSettings(), lock_seconds=float(sys.argv[2])
    )
    sys.exit(run(config, "127.0.0.1", FixedChampion(Path(sys.argv[1]))))
