"""From Delta Lake to a champion in MLflow."""
