"""The stream: every transaction published to Kafka, once in each table, scored within seconds.

    python spark_streaming.py
    spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0,\
org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0 spark_streaming.py

One Structured Streaming query does all of it, because each further query would cost a second of
processor time a micro-batch and delay every score. Repeats are recognised by hashes that the driver
reads from `raw_transactions`, not by Spark's state: the tables are the only state, so a lost
checkpoint, a batch that runs twice and a crash between two writes are all repaired by the next
start. `micro_batch.py` has the order of the writes.

Exits with 0 on SIGTERM, after the running micro-batch. Exits with 1 when the query fails or the
lake must not be written; the last line of the log gives the reason.
"""

import logging
import sys

from core import logs
from core.registry.follower import ChampionFollower
from core.settings import BindSettings, DataSettings, KafkaSettings, MlflowSettings, StreamSettings
from data_processing.service import StreamConfig, run


def main() -> None:
    """Run with the settings of the environment."""
    logs.configure("stream")
    # kafka-python logs each attempt to reach a broker that is down; the stream logs it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    config = StreamConfig(StreamSettings(), DataSettings(), KafkaSettings())
    follower = ChampionFollower(
        MlflowSettings().tracking_uri, config.data.data_origin, config.stream.champion_poll_seconds
    )
    sys.exit(run(config, BindSettings().bind_address, follower))


if __name__ == "__main__":
    main()
