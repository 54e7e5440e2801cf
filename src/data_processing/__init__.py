"""From Kafka to Delta Lake, scored: one Spark query, and chores between its micro-batches."""
