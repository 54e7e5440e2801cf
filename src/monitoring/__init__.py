"""The metrics of every service, for Prometheus."""
