"""The stream as its door starts it, with a champion made on the spot instead of MLflow's."""

import logging
import sys

from tests.data_processing.samples import a_champion

from core import logs
from core.registry.follower import ChampionFollower
from core.settings import DataSettings, KafkaSettings, StreamSettings
from data_processing.assembly import Place
from data_processing.service import run


class Fixed(ChampionFollower):
    """Follows nothing: one champion from the start."""

    def __init__(self) -> None:
        super().__init__("http://localhost:9", "simulated", 30)
        self.current = a_champion(trees=200, budget=0.001)

    def start(self) -> None:
        """Nothing to follow."""


if __name__ == "__main__":
    logs.configure("stream")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    place = Place(StreamSettings(), DataSettings(), KafkaSettings())
    sys.exit(run(place, "127.0.0.1", Fixed()))
