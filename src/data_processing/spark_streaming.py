"""The stream: every transaction published to Kafka, once in each table, scored within seconds.

    python spark_streaming.py
    spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0,\
org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0 spark_streaming.py

One query of Spark Structured Streaming does all of it, since each query costs a second of processor
time a micro-batch and one more wait. Repeats are recognised by a memory of hashes that the driver
rebuilds from `raw_transactions`, not by state of Spark's: the tables are the only truth, and a lost
checkpoint, a batch that runs twice or a crash between two writes mends itself (`intake.py`).

Ends with 0 on SIGTERM, after the running micro-batch; with 1 and a last line that says why when the
query fails or the lake is not to be written.
"""

import logging
import sys

from core import logs
from core.registry.follower import ChampionFollower
from core.settings import BindSettings, DataSettings, KafkaSettings, MlflowSettings, StreamSettings
from data_processing.assembly import Place
from data_processing.service import run


def main() -> None:
    """Run with the settings of the environment."""
    logs.configure("stream")
    # kafka-python tells of each attempt to reach a broker that is away; the stream says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    place = Place(StreamSettings(), DataSettings(), KafkaSettings())
    follower = ChampionFollower(
        MlflowSettings().tracking_uri, place.data.data_origin, place.stream.champion_poll_seconds
    )
    sys.exit(run(place, BindSettings().bind_address, follower))


if __name__ == "__main__":
    main()
