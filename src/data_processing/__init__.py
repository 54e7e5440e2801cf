"""From Kafka to Delta Lake."""
