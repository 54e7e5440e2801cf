"""Floor 0: the metrics of every service."""
