"""The whole stack without Docker: one command runs the broker, MLflow and every service."""
